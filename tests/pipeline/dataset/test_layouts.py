"""What holds of every layout of ExportTFRecords, and what the readers of each find in it."""

import json
import os
import shutil
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from pipeline.dataset import ada_pytorch, archive, export, leaves, pack, records
from pipeline.dataset.export import LAYOUTS, ExportTFRecordsConfig, check_export
from pipeline.dataset.finished import ExportError
from pipeline.dataset.pack import Plan
from pipeline.engine.crew import EngineConfig
from pipeline.options import SettingsError, keyed
from pipeline.rows.manifest import rows_table
from pipeline.sections import DatasetConfig
from tests.kit.exports import (
    COUNT,
    HERE,
    SMALL,
    AdaPytorchFolder,
    content,
    draw,
    photos,
    pictures,
    rows,
    run,
)
from training.batches import decode
from training.sources import open_source

every_layout = pytest.mark.parametrize("layout", LAYOUTS)
MODES = {"rgb": "RGB", "grey": "L", "rgba": "RGBA"}


@pytest.fixture(autouse=True)
def small_files(monkeypatch):
    """Ten pictures are six files of layout sharded: of two, one, two, two, one and two."""
    monkeypatch.setattr(leaves, "MOST", 2)


def filled(store, mode="RGB"):
    for row in rows():
        draw(store / row.picture, seed=int(row.id, 16), mode=mode)
    return store


@pytest.fixture
def store(tmp_path):
    return filled(tmp_path)


def killed(store, layout):
    """An export that died, as by kill -9, after seven pictures: returns how many are done."""
    read, seen = pack.read_both, iter(range(COUNT))

    def dying(item, plan):
        if next(seen) == 7:
            raise KeyboardInterrupt
        return read(item, plan)

    with pytest.MonkeyPatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(pack, "read_both", dying)
        run(store, layout=layout)
    return 7 if layout == "sharded" else 6  # whole files, or whole units


@every_layout
@pytest.mark.parametrize("size", [1, 4, 100])
def test_the_unit_size_does_not_matter(store, layout, size):
    one = run(store, layout=layout, labels="folder")
    other = run(store, "other", replace(HERE, rows=size), layout=layout, labels="folder")
    assert content(one) == content(other)


@pytest.mark.slow
@every_layout
def test_two_workers_write_the_same_bytes(store, layout):
    local = EngineConfig(scheduler="local", workers=2, rows=3)
    one, other = run(store, layout=layout), run(store, "other", local, layout=layout)
    assert content(one) == content(other)


@every_layout
def test_a_killed_export_goes_on_where_it_was(store, layout):
    done = killed(store, layout)
    assert not (store / "one").exists()
    progress = []
    folder = run(store, layout=layout, progress=progress)
    assert progress[0] == done and sum(progress) == COUNT
    assert content(folder) == content(run(store, "undisturbed", layout=layout))
    assert not (store / "one.partial").exists()


@pytest.mark.slow
@every_layout
def test_an_export_that_dies_at_its_end_is_ended(store, layout, monkeypatch):
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(
            export.finished, "put_in_place", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt)
        )
        run(store, layout=layout, labels="folder")
    assert not (store / "one").exists()
    progress = []
    folder = run(store, layout=layout, progress=progress)  # without labels
    done = 0 if layout == "sharded" else COUNT  # whose records hold them
    assert progress[0] == done and sum(progress) == COUNT
    for name, data in content(run(store, "other", layout=layout)).items():
        assert (folder / name).read_bytes() == data


@pytest.mark.slow
@every_layout
def test_what_another_layout_left_is_not_taken_over(store, layout):
    other = next(name for name in LAYOUTS if name != layout)
    killed(store, other)
    progress = []
    folder = run(store, layout=layout, progress=progress)
    assert progress[0] == 0
    assert content(folder) == content(run(store, "other", layout=layout))


@every_layout
def test_too_little_room_is_said_before_the_first_byte(store, layout, monkeypatch):
    held = {"pixels": "raw"} if layout == "sharded" else {}
    plan = Plan("x", (3, 16, 16), COUNT, levels=LAYOUTS[layout].levels[0])
    need = LAYOUTS[layout].disk_need(plan)
    made = run(store, layout=layout, labels="folder", **held)
    sizes = {path.name: path.stat().st_size for path in made.iterdir() if "json" not in path.name}
    assert 0.75 * need < sum(sizes.values()) <= need + 300  # labels of NVlabs' are extra
    config = ExportTFRecordsConfig(layout=layout, **held)
    usage = SimpleNamespace(total=1 << 40, free=need - 1)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    with pytest.raises(ExportError, match="make room"):
        check_export(rows_table(rows()), photos, 0, store, config, SMALL)
    usage.free = need
    check_export(rows_table(rows()), photos, 0, store, config, SMALL)
    usage.free = 10
    with pytest.raises(ExportError, match="make room"):
        run(store, "new/two", layout=layout)
    assert not (store / "new").exists()


@pytest.mark.slow
@every_layout
def test_each_says_what_it_is_and_is_taken_for_an_export(store, layout):
    folder = run(store, layout=layout, labels="folder")
    facts = json.loads((folder / "dataset.json").read_text())
    assert facts["pictures"] == COUNT and facts["classes"] == ["ant", "cat", "dog"]
    named = {
        "nvlabs": lambda: [level["file"] for level in facts["levels"]],
        "zip": lambda: [facts["file"]],
        "sharded": lambda: [name for part in facts["parts"] for name in part["files"]],
    }
    shown = {name for name in os.listdir(folder) if not name.startswith(".")}
    assert set(named[layout]()) == shown - {"dataset.json", "dataset-rxx.labels"}
    old, new = (f"{digit * 20}-{digit * 20}" for digit in "01")
    run(store, f"exports/{old}", layout=layout)
    run(store, f"exports/{new}", layout=layout)
    assert export.finished.prune(store / "exports", 1, store / "exports" / new)
    assert os.listdir(store / "exports") == [new]


def test_the_default_leaves_old_keys_as_they_were():
    assert not {"layout", "pixels", "levels"} & keyed(ExportTFRecordsConfig()).keys()
    assert keyed(ExportTFRecordsConfig(layout="zip"))["layout"] == "zip"
    with pytest.raises(SettingsError, match=r"layout = 'lmdb': choose one of nvlabs, zip"):
        ExportTFRecordsConfig(layout="lmdb")


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"pixels": "jpeg"}, "pixels = 'jpeg': layout nvlabs has raw: leave it out"),
        ({"layout": "zip", "pixels": "raw"}, "pixels = 'raw': layout zip has png: leave it out"),
        ({"levels": "full"}, "levels = 'full': layout nvlabs has all: leave it out"),
        ({"layout": "sharded", "levels": "two"}, "levels = 'two': choose one of auto, all, full"),
    ],
)
def test_what_a_layout_cannot_have_is_refused(given, sentence):
    with pytest.raises(SettingsError, match=sentence):
        ExportTFRecordsConfig(**given)


@pytest.mark.parametrize("channels", ["rgb", "grey"])
@pytest.mark.parametrize("labels", ["none", "folder"])
def test_ada_pytorch_reads_the_zip(tmp_path, channels, labels):
    filled(tmp_path, MODES[channels])
    dataset = DatasetConfig(size="16", format="png", channels=channels)
    records = run(tmp_path, "records", dataset=dataset, labels=labels)
    folder = run(tmp_path, "zip", dataset=dataset, layout="zip", labels=labels)
    theirs = AdaPytorchFolder(folder / "dataset.zip")
    found = [theirs.picture(number) for number in range(len(theirs.names))]
    np.testing.assert_array_equal(found, pictures(records))
    if labels == "none":
        assert theirs.labels is None
    else:
        np.testing.assert_array_equal(theirs.labels, np.load(records / "dataset-rxx.labels"))


@pytest.mark.slow
@pytest.mark.parametrize("channels", ["rgb", "grey", "rgba"])
@pytest.mark.parametrize("size", ["16", "16x8"])
def test_the_trainer_draws_the_same_from_all(tmp_path, channels, size):
    width, height = DatasetConfig(size=size).width_height
    for row in rows():
        draw(tmp_path / row.picture, int(row.id, 16), (width, height), MODES[channels])
    dataset = DatasetConfig(size=size, format="png", channels=channels)
    seen = {}
    for layout in LAYOUTS:
        folder = run(tmp_path, layout, dataset=dataset, layout=layout, labels="folder")
        names = json.loads((folder / "dataset.json").read_text())["order"]
        source = open_source(folder)
        assert source.labels.shape == (COUNT, 3) and source.notes == []
        found = [np.asarray(decode(source.read(number))) for number in range(COUNT)]
        by_name = np.argsort(names)
        seen[layout] = np.array(found)[by_name], source.labels[by_name]
    for pixels, labels in seen.values():
        np.testing.assert_array_equal(pixels, seen["nvlabs"][0])
        np.testing.assert_array_equal(labels, seen["nvlabs"][1])


def test_transparent_colours_are_in_the_zip_as_they_are(tmp_path):
    filled(tmp_path, "RGBA")
    dataset = DatasetConfig(size="16", format="png", channels="rgba")
    folder = run(tmp_path, dataset=dataset, layout="zip")
    facts = json.loads((folder / "dataset.json").read_text())
    by_id = {row.id: tmp_path / row.picture for row in rows()}
    source = open_source(folder)
    for number, name in enumerate(facts["order"]):
        np.testing.assert_array_equal(source.read(number), np.asarray(Image.open(by_id[name])))
    assert facts["alpha"] == "straight" and not facts["read_by_stylegan2_ada_pytorch"]


@pytest.mark.parametrize(("layout", "reader"), [("nvlabs", "NVlabs"), ("zip", "ada-pytorch")])
@pytest.mark.parametrize(
    ("shape", "note"),
    [
        ((3, 1024, 1024), None),
        ((1, 4, 4), None),
        ((4, 64, 64), "4 channels"),
        ((3, 64, 128), "128 x 64 is not square"),
        ((3, 24, 24), "24 is no power of two"),
    ],
)
def test_an_export_says_what_its_reader_cannot_take(layout, reader, shape, note):
    notes = LAYOUTS[layout].notes(shape)
    assert notes == [] if note is None else note in notes[0] and reader in notes[0]


@pytest.mark.parametrize(
    ("layout", "room", "write", "lost"),
    [("zip", archive, "write_member", 0), *(("nvlabs", records, "write", at) for at in range(3))],
)
def test_a_picture_that_is_not_in_a_file_is_no_export(
    store, layout, room, write, lost, monkeypatch
):
    """That of each level in turn."""
    writes, seen = getattr(room, write), []

    def losing(file, place, pixels):
        seen.append(place)
        if place != 4 or seen.count(4) != lost + 1:
            writes(file, place, pixels)

    with monkeypatch.context() as patch, pytest.raises(ExportError) as error:
        patch.setattr(room, write, losing)
        run(store, layout=layout)
    assert f"picture 4 is not in it: remove {store / 'one.partial'}, and run" in str(error.value)
    shutil.rmtree(store / "one.partial")
    assert len(open_source(run(store, layout=layout))) == COUNT


def test_labels_that_class_numbers_cannot_say_are_vectors():
    rows_of = np.eye(3, dtype=np.float32)
    assert ada_pytorch.labels_json(rows_of, 3)["labels"][2] == ["00000/img00000002.png", 2]
    unseen = ada_pytorch.labels_json(rows_of[:2], 2)["labels"]
    assert [label for _, label in unseen] == [[1, 0, 0], [0, 1, 0]]
    several = ada_pytorch.labels_json(np.array([[1, 1], [0.5, 0]], np.float32), 2)["labels"]
    assert [label for _, label in several] == [[1, 1], [0.5, 0]]
    assert ada_pytorch.labels_json(None, 2) == {"labels": None}
