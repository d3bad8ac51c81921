"""Layout sharded: growth writes the files that it touches, and keeps all others."""

import errno
import hashlib
import json
import os
import random
import shutil
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from pipeline.dataset import export, finished, leaves, pack
from pipeline.dataset.export import ExportTFRecordsConfig, check_export
from pipeline.dataset.finished import ExportError
from pipeline.rows.manifest import Row
from tests.kit.exports import SMALL, content, draw, run

MOST = 4
COUNT, MORE = 60, 3
ONE, TWO = (f"{'a' * 20}-{digit * 20}" for digit in "12")


def name_of(n):
    return hashlib.blake2b(str(n).encode(), digest_size=16).hexdigest()


def rows(count):
    """Rows of as many pictures, as Resize passes them on: by id."""
    made = [Row(name_of(n), f"p{n}", picture=f"resize/k/pictures/{n}.png") for n in range(count)]
    return sorted(made, key=lambda row: row.id)


@pytest.fixture
def store(tmp_path, monkeypatch):
    monkeypatch.setattr(leaves, "MOST", MOST)
    for n in range(COUNT + MORE):
        draw(tmp_path / f"resize/k/pictures/{n}.png", n, (8, 8))
    return tmp_path


def exported(store, out, count=COUNT, **more):
    more = {"layout": "sharded", "dataset": replace(SMALL, size="8")} | more
    return run(store, out, some=rows(count), **more)


def inodes(folder):
    return {path.stat().st_ino: path for path in folder.glob("*.tfrecords")}


def written(folder, *before):
    """The record files that are not those of an earlier export."""
    old = {inode for each in before for inode in inodes(each)}
    return [path for inode, path in inodes(folder).items() if inode not in old]


def pictures_in(folder, files):
    parts = json.loads((folder / "dataset.json").read_text())["parts"]
    own = {path.name for path in files}
    return sum(part["pictures"] for part in parts if own & part["files"].keys())


@pytest.mark.slow
@pytest.mark.parametrize("levels", ["full", "all"])
def test_three_more_write_three_files(store, levels):
    before = exported(store, "records/one", levels=levels)
    after = exported(store, "records/two", COUNT + MORE, levels=levels)
    changed = written(after, before)
    assert MORE <= pictures_in(after, changed) <= MORE * (MOST + 1)
    assert len(inodes(after)) - len(changed) > 3 * len(changed)
    anew = exported(store, "elsewhere/two", COUNT + MORE, levels=levels)
    assert written(anew, before) == list(inodes(anew).values())
    assert content(after) == content(anew)
    again = exported(store, "records/three", levels=levels)
    assert not written(again, before)


@pytest.mark.slow
def test_another_name_keeps_all_files(store):
    before = exported(store, "records/one")
    after = exported(store, "records/two", name="faces")
    assert not written(after, before)
    assert all(path.name.startswith("faces-r03-000") for path in inodes(after).values())


def test_one_picture_is_one_file(store):
    folder = exported(store, "one", 1)
    (file,) = inodes(folder).values()
    assert file.name == "dataset-r03-00000-of-00001.tfrecords"
    assert (store / "resize/k/pictures/0.png").read_bytes() in file.read_bytes()


@pytest.mark.slow
def test_a_pruned_export_takes_nothing_along(store):
    exported(store, f"records/{ONE}")
    two = exported(store, f"records/{TWO}", COUNT + MORE)
    held = content(two)
    export.make_newest(store / f"records/{TWO}", store / "dataset", ExportTFRecordsConfig(keep=1))
    assert os.listdir(store / "records") == [TWO]
    assert content(two) == held


def labels_file(store, changed=()):
    lines = [f"{n}.jpg,{'b' if n % 2 or n in changed else 'a'}" for n in range(COUNT)]
    (store / "labels.csv").write_text("\n".join(["file,label", *lines]))
    return str(store / "labels.csv")


@pytest.mark.slow
def test_a_changed_label_writes_its_file_alone(store, monkeypatch):
    photos = {f"p{n}": f"{n}.jpg" for n in range(COUNT)}
    monkeypatch.setattr("tests.kit.exports.photos", lambda: photos)
    before = exported(store, "records/one", labels=labels_file(store))
    after = exported(store, "records/two", labels=labels_file(store, [4]))
    assert len(written(after, before)) == 1
    ids = json.loads((after / "dataset.json").read_text())["order"]
    one, two = (np.load(folder / "dataset-rxx.labels") for folder in (before, after))
    differ = np.flatnonzero((one != two).any(axis=1)).tolist()
    assert [ids[at] for at in differ] == [name_of(4)]


def without_links(*_):
    raise OSError(errno.EXDEV, "Invalid cross-device link")


@pytest.mark.slow
def test_where_no_links_can_be_files_are_copied_and_that_is_said(store, monkeypatch, capsys):
    before = exported(store, "records/one")
    monkeypatch.setattr(os, "link", without_links)
    after = exported(store, "records/two", COUNT + MORE)
    assert len(written(after, before)) == len(inodes(after))
    assert "record files were copied" in capsys.readouterr().out
    assert content(after) == content(exported(store, "elsewhere/two", COUNT + MORE))


@pytest.mark.slow
def test_only_what_is_written_needs_room(store, monkeypatch):
    before = exported(store, "records/one", pixels="raw")
    size = sum(path.stat().st_size for path in inodes(before).values())
    usage = SimpleNamespace(total=1 << 40, free=size // 2)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    config = ExportTFRecordsConfig(layout="sharded", pixels="raw")
    dataset = replace(SMALL, size="8")
    photos = [f"p{n}" for n in range(COUNT + MORE)]
    check_export(photos, dict, MORE, store, config, dataset)
    with pytest.raises(ExportError, match="make room"):
        check_export(photos, dict, COUNT, store, config, dataset)
    with pytest.raises(ExportError, match="make room"):
        exported(store, "elsewhere/two", COUNT + MORE, pixels="raw")
    exported(store, "records/two", COUNT + MORE, pixels="raw")
    with monkeypatch.context() as patch, pytest.raises(ExportError, match="make room"):
        patch.setattr(os, "link", without_links)
        exported(store, "records/three", COUNT + MORE - 1, pixels="raw")


@pytest.mark.slow
def test_what_is_not_whole_is_packed_again(store):
    before = exported(store, "records/one")
    torn = sorted(inodes(before).values())[2]
    os.truncate(torn, torn.stat().st_size - 1)
    (before.parent / "dataset" / sorted(inodes(before).values())[5].name).unlink()
    after = exported(store, "records/two")
    assert len(written(after, before)) == 2
    assert content(after) == content(exported(store, "elsewhere/two"))


@pytest.mark.slow
@pytest.mark.parametrize(
    "damage",
    [
        lambda text: text[:-40],
        lambda text: text.replace('"holds"', '"hnlds"', 1),
        lambda text: text.replace('"parts": [', '"parts": 7, "x": ['),
        lambda _: "[]",
    ],
    ids=["torn", "key", "number", "list"],
)
def test_a_damaged_description_keeps_nothing(store, damage):
    before = exported(store, "records/one")
    text = (before / "dataset.json").read_text()
    (before / "dataset.json").write_text(damage(text))
    after = exported(store, "records/two")
    assert len(written(after, before)) == len(inodes(after))
    check_export([], dict, 0, store, ExportTFRecordsConfig(layout="sharded"), SMALL)


@pytest.mark.slow
def test_files_of_an_interrupted_export_are_kept_by_one_with_more_pictures(store):
    read, left = pack.read_both, iter(range(COUNT // 2))

    def dying(item, plan):
        if next(left, None) is None:
            raise KeyboardInterrupt
        return read(item, plan)

    with pytest.MonkeyPatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(pack, "read_both", dying)
        exported(store, f"records/{ONE}")
    done = set(inodes(store / f"records/{ONE}.partial/whole/dataset"))
    progress = []
    after = exported(store, f"records/{TWO}", COUNT + MORE, progress=progress)
    assert len(done & set(inodes(after))) >= len(done) - MORE > 3
    assert progress[0] > COUNT // 3 and sum(progress) == COUNT + MORE
    assert content(after) == content(exported(store, "elsewhere/two", COUNT + MORE))
    finished.prune(store / "records", 1, store / f"records/{TWO}")
    assert os.listdir(store / "records") == [TWO]


@pytest.mark.slow
def test_what_a_dead_worker_left_is_not_put_in_place(store, monkeypatch):
    finishing = finished.put_in_place

    def dying(folder, out):
        stray = folder / "dataset" / ".dataset-r03-00000-of-00001.tfrecords.host-1.partial"
        stray.write_bytes(b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr(finished, "put_in_place", dying)
    with pytest.raises(KeyboardInterrupt):
        exported(store, "records/one")
    monkeypatch.setattr(finished, "put_in_place", finishing)
    assert content(exported(store, "records/one")) == content(exported(store, "elsewhere/one"))


@pytest.mark.slow
def test_a_file_that_went_is_no_export(store, monkeypatch):
    packing = pack.pack_all

    def losing(*given):
        whole = packing(*given)
        min(inodes(whole / "dataset").values()).unlink()
        return whole

    monkeypatch.setattr(pack, "pack_all", losing)
    with pytest.raises(ExportError, match=r"-00000-of-\d+.tfrecords is gone: run the same"):
        exported(store, "records/one")
    assert not (store / "records/one").exists()
    monkeypatch.setattr(pack, "pack_all", packing)
    assert content(exported(store, "records/one")) == content(exported(store, "elsewhere/one"))


@pytest.mark.slow
def test_a_jpeg_is_held_as_it_is(store):
    for n in range(COUNT):
        pixels = np.random.default_rng(n).integers(0, 256, (8, 8, 3), np.uint8)
        Image.fromarray(pixels).save(store / f"resize/k/pictures/{n}.jpg", quality=80)
    some = [replace(row, picture=row.picture.replace("png", "jpg")) for row in rows(COUNT)]
    dataset = replace(SMALL, size="8", format="jpeg")
    folder = run(store, "one", some=some, dataset=dataset, layout="sharded")
    held = b"".join(path.read_bytes() for path in sorted(inodes(folder).values()))
    assert all((store / row.picture).read_bytes() in held for row in some)


def leaf_names(names):
    """The ids of each leaf."""
    numbers = np.array(sorted(int(name[:6], 16) for name in names), np.int64)
    ends = np.cumsum(leaves.leaf_sizes(numbers))
    return {tuple(own) for own in np.split(np.array(sorted(names)), ends[:-1])}


@pytest.mark.parametrize("count", [1, 32, 33, 600, 5000])
def test_one_more_changes_one_leaf_or_cuts_it_in_two(count):
    names = [name_of(n) for n in range(count)]
    before, after = leaf_names(names), leaf_names([*names, name_of(count)])
    assert sum(map(len, after)) == count + 1
    assert len(before - after) == 1
    assert max(map(len, after)) <= leaves.most(0)
    assert after == leaf_names(random.Random(0).sample([*names, name_of(count)], count + 1))


def test_ten_more_at_20000_are_less_than_a_fiftieth_of_the_pictures():
    names = [name_of(n) for n in range(20_010)]
    changed = leaf_names(names) - leaf_names(names[:20_000])
    assert 10 <= sum(map(len, changed)) <= 0.02 * 20_000


def test_files_stay_few_where_pictures_are_many():
    rng = np.random.default_rng(0)
    numbers = np.sort(rng.integers(0, 1 << leaves.BITS, 500_000))
    sizes = leaves.leaf_sizes(numbers)
    assert sum(sizes) == 500_000
    assert 2000 < len(sizes) < 8192
    assert max(sizes) <= leaves.largest(500_000)


def test_pictures_without_ids_lie_in_their_order():
    sizes = leaves.leaf_sizes(leaves.evenly(1000))
    assert sum(sizes) == 1000 and max(sizes) <= leaves.MOST < 1.5 * min(sizes) + MOST
    assert leaves.leaf_sizes(leaves.evenly(1)) == [1]
