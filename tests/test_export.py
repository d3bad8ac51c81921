"""ExportTFRecords: the same bytes however the work is cut, and nothing done twice."""

import json
import os
import shutil
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image

from pipeline import export, pack, parts, publish, records
from pipeline.dataset import DatasetConfig
from pipeline.engine import EngineConfig
from pipeline.export import ExportTFRecordsConfig, write_export
from pipeline.folder import pack_folder
from pipeline.labels import labels_of
from pipeline.manifest import Row
from pipeline.options import SettingsError
from pipeline.publish import ExportError

HERE = EngineConfig(scheduler="in-process", rows=3)
SMALL = DatasetConfig(size="16", format="png")
COUNT = 10


def draw(path: Path, seed: int, size: tuple[int, int] = (16, 16), mode: str = "RGB") -> None:
    width, height = size
    shape = (height, width, len(mode)) if mode != "L" else (height, width)
    pixels = np.random.default_rng(seed).integers(0, 256, shape, np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """A store with pictures; the rows of them are `rows()`."""
    for row in rows():
        draw(tmp_path / row.picture, seed=int(row.id, 16))
    return tmp_path


def rows(count: int = COUNT) -> list[Row]:
    return [
        Row(id=f"{n:04x}", photo=f"p{n}", picture=f"resize/k/pictures/{n % 3}/{n * 7 % 10}.png")
        for n in range(count)
    ]


def photos() -> dict[str, Row]:
    folders = ("cat", "dog", "ant")
    return {f"p{n}": Row(id="", path=f"{folders[n % 3]}/{n}.jpg") for n in range(COUNT)}


def run(
    store: Path,
    out: str = "one",
    on: EngineConfig = HERE,
    dataset: DatasetConfig = SMALL,
    progress: list[int] | None = None,
    **options: Any,
) -> Path:
    config = ExportTFRecordsConfig(**options)
    tell = (lambda _: None) if progress is None else progress.append
    write_export(rows(), photos(), store / out, store, config, dataset, on, tell)
    return store / out / config.name


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def pictures(folder: Path, number: int = 4) -> list[np.ndarray[Any, Any]]:
    return list(records.read(folder / f"{folder.name}-r{number:02}.tfrecords"))


def test_an_export_holds_every_picture_in_the_order_of_dataset_tool(store: Path) -> None:
    folder = run(store)
    names = sorted((store / row.picture for row in rows()), key=lambda path: path.name)
    order = np.arange(COUNT)
    np.random.RandomState(123).shuffle(order)
    expected = [np.asarray(Image.open(names[n])).transpose(2, 0, 1) for n in order]
    np.testing.assert_array_equal(pictures(folder), expected)
    facts = json.loads((folder / "dataset.json").read_text())
    by_id = {row.id: store / row.picture for row in rows()}
    assert [by_id[key] for key in facts["order"]] == [names[n] for n in order]
    assert [level["file"] for level in facts["levels"]] == [
        f"dataset-r{number:02}.tfrecords" for number in (4, 3, 2)
    ]
    assert sorted(content(folder)) == sorted(
        ["dataset.json", *(level["file"] for level in facts["levels"])]
    )
    assert facts["pictures"] == COUNT
    assert facts["read_by_nvlabs_stylegan2"]
    assert os.listdir(store / "one") == ["dataset"]
    assert not (store / "one.partial").exists()


@pytest.mark.parametrize("size", [1, 4, 10, 100])
def test_the_unit_size_does_not_matter(store: Path, size: int) -> None:
    assert content(run(store, "other", replace(HERE, rows=size))) == content(run(store))


@pytest.mark.slow
def test_two_workers_write_the_same_bytes(store: Path) -> None:
    local = EngineConfig(scheduler="local", workers=2, rows=3)
    assert content(run(store, "other", local)) == content(run(store))


def test_a_second_run_packs_nothing(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = content(run(store))
    monkeypatch.setattr(pack, "read", lambda *_: pytest.fail("packed again"))
    assert content(run(store)) == before


@pytest.fixture
def interrupted(store: Path) -> Path:
    """A store whose export died, as by kill -9, in its third unit: 6 of 10 pictures are done."""
    read, seen = pack.read, iter(range(COUNT))

    def dying(item: Any, plan: Any) -> Any:
        if next(seen) == 7:
            raise KeyboardInterrupt
        return read(item, plan)

    with pytest.MonkeyPatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(pack, "read", dying)
        run(store)
    return store


def test_a_killed_run_is_taken_up_where_it_was(interrupted: Path) -> None:
    assert not (interrupted / "one").exists()
    progress: list[int] = []
    folder = run(interrupted, on=replace(HERE, rows=2), progress=progress)
    assert progress == [6, 2, 2]
    assert content(folder) == content(run(interrupted, "undisturbed"))


def test_gaps_are_filled(interrupted: Path) -> None:
    folder = interrupted / "one.partial" / "parts"
    done = sorted(parts.keys(folder))
    for part in parts.files(folder):
        part.unlink()
    gaps = {key: [Row(id=key)] for key in done[::2]}
    parts.write(folder, gaps)
    progress: list[int] = []
    assert content(run(interrupted, progress=progress)) == content(run(interrupted, "other"))
    assert progress[0] == len(gaps) == 3


def test_an_unfinished_run_of_something_else_is_not_taken_over(interrupted: Path) -> None:
    progress: list[int] = []
    folder = run(interrupted, name="faces", progress=progress)
    assert progress[0] == 0
    assert pictures(folder)[0].shape == (3, 16, 16)


def test_a_wrong_size_is_an_error_that_names_the_file(store: Path) -> None:
    wrong = rows()[4].picture
    draw(store / wrong, 0, size=(16, 8))
    with pytest.raises(ExportError, match=r"1 of 10 .*pictures/1/8.png is 16 x 8 .*is 16 x 16"):
        run(store)
    draw(store / wrong, 4)
    progress: list[int] = []
    run(store, progress=progress)
    assert progress == [9, 1]


def test_a_broken_picture_is_an_error_that_names_the_file(store: Path) -> None:
    (store / rows()[4].picture).write_bytes(b"no picture")
    with pytest.raises(ExportError, match=r"pictures/1/8.png: content is no picture"):
        run(store)


def test_a_picture_that_kills_its_worker_is_no_hole_in_the_records(store: Path) -> None:
    folder = store / "one.partial"

    def give_up(units: Any, *_: Any) -> list[str]:
        for one in units:
            one.split()[0].give_up("kills its worker")
        return []

    with pytest.MonkeyPatch.context() as patch, pytest.raises(ExportError, match="kills its"):
        patch.setattr(pack.engine, "map_units", give_up)
        run(store)
    assert not parts.keys(folder / "parts")
    run(store)


def test_too_little_room_is_an_error_before_the_first_byte(
    store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    need = export.disk_need(COUNT, (3, 16, 16))
    assert need == sum(path.stat().st_size for path in run(store).glob("*.tfrecords"))
    usage = SimpleNamespace(free=need - 1)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    with pytest.raises(ExportError, match=r"needs 0.0 MB and .* has 0.0 MB free: make room"):
        run(store, "two")
    assert not (store / "two.partial").exists()
    usage.free = need
    run(store, "two")


def test_a_resumed_run_counts_the_room_it_has(
    interrupted: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=0))
    run(interrupted)


def test_no_pictures_is_an_error(store: Path) -> None:
    with pytest.raises(ExportError, match="no picture is left"):
        write_export(
            [], {}, store / "one", store, ExportTFRecordsConfig(), SMALL, HERE, lambda _: None
        )


def test_grey_is_one_channel(store: Path) -> None:
    folder = run(store, dataset=DatasetConfig(size="16", channels="grey"))
    assert pictures(folder)[0].shape == (1, 16, 16)
    assert export.notes((1, 16, 16)) == []


def test_rgba_is_premultiplied(store: Path) -> None:
    for row in rows():
        draw(store / row.picture, seed=int(row.id, 16), mode="RGBA")
    folder = run(store, dataset=DatasetConfig(size="16", channels="rgba", format="png"))
    facts = json.loads((folder / "dataset.json").read_text())
    first = next(row for row in rows() if row.id == facts["order"][0])
    source = np.asarray(Image.open(store / first.picture)).transpose(2, 0, 1).astype(float)
    expected = np.where(np.arange(4)[:, None, None] < 3, source * source[3] / 255, source)
    np.testing.assert_array_equal(pictures(folder)[0], np.rint(expected))
    assert facts["alpha"] == "premultiplied"
    assert not facts["read_by_nvlabs_stylegan2"]


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
def test_the_export_says_what_nvlabs_cannot_read(
    shape: tuple[int, int, int], note: str | None
) -> None:
    notes = export.notes(shape)
    assert notes == [] if note is None else note in notes[0]


def test_labels_by_folder(store: Path) -> None:
    folder = run(store, labels="folder")
    labels = np.load(folder / "dataset-rxx.labels")
    facts = json.loads((folder / "dataset.json").read_text())
    assert facts["classes"] == ["ant", "cat", "dog"]
    assert labels.dtype == np.float32
    photo_of = {row.id: photos()[row.photo].path for row in rows()}
    named = [facts["classes"][column] for column in labels.argmax(axis=1)]
    assert named == [photo_of[key].split("/")[0] for key in facts["order"]]
    assert (labels.sum(axis=1) == 1).all()


def test_a_photo_outside_the_class_folders_is_an_error() -> None:
    loose = photos() | {"p3": Row(id="", path="3.jpg")}
    with pytest.raises(SettingsError, match=r"the photo '3.jpg' is in the source folder itself"):
        labels_of(rows(), loose, "folder")


def test_labels_by_table(tmp_path: Path) -> None:
    table = tmp_path / "labels.csv"
    lines = [photos()[f"p{n}"].path if n % 2 else f"{n}.jpg" for n in range(COUNT)]
    table.write_text("file,label\n" + "".join(f"{line},{n % 3}\n" for n, line in enumerate(lines)))
    found = labels_of(rows(), photos(), str(table))
    assert found is not None
    assert found.classes == ("0", "1", "2")
    assert found.indices == tuple(n % 3 for n in range(COUNT))
    table.write_text(table.read_text().replace(",0", ",zebra"))
    found = labels_of(rows(), photos(), str(table))
    assert found is not None
    assert found.classes == ("1", "2", "zebra")
    assert found.indices[:3] == (2, 0, 1)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("file,label\n0.jpg,1\n", r"9 photos, 'ant/2.jpg' the first, are not in it"),
        ("name,label\n0.jpg,1\n", r"it has no column 'file'"),
        ("", r"it is no CSV table"),
        ("file,label\n0.jpg,1\n0.jpg,2\n", r"'0.jpg' has the labels '1' and '2'"),
    ],
)
def test_a_table_that_does_not_fit_is_an_error(tmp_path: Path, text: str, sentence: str) -> None:
    table = tmp_path / "labels.csv"
    table.write_text(text)
    with pytest.raises(SettingsError, match=sentence):
        labels_of(rows(), photos(), str(table))


def test_a_file_name_that_two_photos_have_is_no_label(tmp_path: Path) -> None:
    table = tmp_path / "labels.csv"
    table.write_text("file,label\na.jpg,1\n")
    two = {"p0": Row(id="", path="x/a.jpg"), "p1": Row(id="", path="y/a.jpg")}
    with pytest.raises(SettingsError, match=r"several photos are called 'a.jpg'"):
        labels_of(rows(2), two, str(table))


@pytest.mark.parametrize(
    "wrong", [{"name": "a/b"}, {"name": ""}, {"name": ".."}, {"labels": "no.csv"}, {"keep": 0}]
)
def test_wrong_options_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(SettingsError, match=next(iter(wrong))):
        ExportTFRecordsConfig(**wrong)


def test_older_exports_go_once_the_new_one_is_whole(tmp_path: Path) -> None:
    for age, name in enumerate(("old", "older", "newest")):
        (tmp_path / name / "dataset").mkdir(parents=True)
        (tmp_path / name / "dataset" / "dataset.json").touch()
        os.utime(tmp_path / name, (0, 1000 - 10 * age))
    (tmp_path / "stale.partial").mkdir()
    (tmp_path / "my own").mkdir()
    newest = tmp_path / "newest"
    assert publish.prune(tmp_path, 2, newest) == [tmp_path / "older"]
    assert sorted(os.listdir(tmp_path)) == ["my own", "newest", "old"]
    assert publish.prune(tmp_path, 1, newest) == [tmp_path / "old"]


def test_the_link_leads_to_the_newest_export(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / "exports" / name).mkdir(parents=True)
        publish.link(tmp_path / "dataset", tmp_path / "exports" / name)
        assert os.readlink(tmp_path / "dataset") == f"exports/{name}"
    assert sorted(os.listdir(tmp_path)) == ["dataset", "exports"]
    (tmp_path / "mine").mkdir()
    with pytest.raises(ExportError, match="in the way"):
        publish.link(tmp_path / "mine", tmp_path / "exports" / "one")


@pytest.fixture
def ready(tmp_path: Path) -> Path:
    for n in range(5):
        draw(tmp_path / "ready" / f"{n}.png", n)
    return tmp_path / "ready"


def test_a_folder_of_ready_pictures(ready: Path) -> None:
    (ready / ".hidden.png").touch()
    (ready / "readme.txt").touch()
    (ready / "sub").mkdir()
    out = ready.parent / "clothing"
    notes = pack_folder(ready, out, HERE, lambda _: None)
    assert notes == ["2 files are hidden or no pictures, '.hidden.png' the first"]
    assert sorted(content(out)) == [
        "clothing-r02.tfrecords",
        "clothing-r03.tfrecords",
        "clothing-r04.tfrecords",
        "dataset.json",
    ]
    assert len(pictures(out)) == 5
    assert sorted(os.listdir(ready.parent)) == ["clothing", "ready"]
    with pytest.raises(ExportError, match="exists already"):
        pack_folder(ready, out, HERE, lambda _: None)


@pytest.mark.parametrize(
    ("size", "mode", "sentence"),
    [
        ((8, 16), "RGB", r"3.png is 8 x 16 pixels, the dataset is 16 x 16"),
        ((16, 16), "L", r"3.png has 1 channel, the first picture has 3"),
        ((16, 16), "RGBA", r"3.png has 4 channels, the first picture has 3"),
    ],
)
def test_mixed_pictures_are_an_error(
    ready: Path, size: tuple[int, int], mode: str, sentence: str
) -> None:
    draw(ready / "3.png", 0, size, mode)
    with pytest.raises(ExportError, match=sentence):
        pack_folder(ready, ready.parent / "out", HERE, lambda _: None)
    assert not (ready.parent / "out").exists()


def test_a_folder_without_pictures_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ExportError, match="holds no picture"):
        pack_folder(tmp_path, tmp_path / "out", HERE, lambda _: None)
    with pytest.raises(ExportError, match="is no folder"):
        pack_folder(tmp_path / "none", tmp_path / "out", HERE, lambda _: None)


@pytest.mark.real_data
def test_the_records_of_dataset_tool_come_out_equal(tmp_path: Path) -> None:
    if "ATELIER_TESTDATA" not in os.environ:
        pytest.skip("set ATELIER_TESTDATA to the folder of real test data")
    golden = Path(os.environ["ATELIER_TESTDATA"]) / "golden" / "sg2_records"
    pack_folder(golden / "png", tmp_path / "clothing32", HERE, lambda _: None)
    for theirs in sorted((golden / "clothing32").glob("*.tfrecords")):
        ours = tmp_path / "clothing32" / theirs.name
        np.testing.assert_array_equal(list(records.read(ours)), list(records.read(theirs)))
    assert len(list((tmp_path / "clothing32").glob("*.tfrecords"))) == 4
