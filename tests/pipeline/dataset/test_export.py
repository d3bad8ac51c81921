"""ExportTFRecords: the same bytes however the work is cut, and nothing done twice."""

import json
import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image

from atelier.pictures import bytes_digest
from pipeline.dataset import pack
from pipeline.dataset.export import LAYOUTS, ExportTFRecordsConfig, write_export
from pipeline.dataset.finished import ExportError
from pipeline.dataset.pack import Plan
from pipeline.engine.crew import EngineConfig
from pipeline.options import SettingsError
from pipeline.rows import memo
from pipeline.rows.manifest import Row, rows_table
from pipeline.sections import DatasetConfig
from tests.kit import exports
from tests.kit.exports import COUNT, HERE, SMALL, content, draw, photos, pictures, rows, run


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """A store with pictures; the rows of them are `rows()`."""
    for number, row in enumerate(rows()):
        draw(tmp_path / row.picture, number)
    return tmp_path


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
        [".checksums.json", "dataset.json", *(level["file"] for level in facts["levels"])]
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
    before, progress = content(run(store)), list[int]()
    monkeypatch.setattr(pack, "read_both", lambda *_: pytest.fail("packed again"))
    assert content(run(store, progress=progress)) == before
    assert progress == [COUNT]


@pytest.fixture
def interrupted(store: Path) -> Path:
    """A store whose export died, as by kill -9, in its third unit: 6 of 10 pictures are done."""
    read, seen = pack.read_both, iter(range(COUNT))

    def dying(item: Any, plan: Any) -> Any:
        if next(seen) == 7:
            raise KeyboardInterrupt
        return read(item, plan)

    with pytest.MonkeyPatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(pack, "read_both", dying)
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
    done = sorted(memo.keys(folder))
    for part in memo.files(folder):
        part.unlink()
    gaps = {key: [Row(id=key)] for key in done[::2]}
    memo.write_part(folder, gaps)
    progress: list[int] = []
    assert content(run(interrupted, progress=progress)) == content(run(interrupted, "other"))
    assert progress[0] == len(gaps) == 3


def test_an_unfinished_run_of_something_else_is_not_taken_over(interrupted: Path) -> None:
    progress: list[int] = []
    folder = run(interrupted, name="faces", progress=progress)
    assert progress[0] == 0
    assert pictures(folder)[0].shape == (3, 16, 16)


@pytest.mark.parametrize(
    "damage",
    [
        lambda path: draw(path, 0, size=(16, 8)),
        lambda path: path.write_bytes(b"no picture"),
        lambda path: path.write_bytes(path.read_bytes()[:-9]),
        lambda path: draw(path, 99),
        Path.unlink,
    ],
)
def test_a_damaged_picture_is_named_and_out_of_the_way(
    store: Path, damage: Callable[[Path], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    own = [replace(row, picture_digest=digest_in(store / row.picture)) for row in rows()]
    monkeypatch.setattr(exports, "rows", lambda: own)
    bad = store / rows()[4].picture
    damage(bad)
    with pytest.raises(ExportError, match=rf"1 of 10 .*{bad} is damaged or gone"):
        run(store)
    assert not bad.exists()
    draw(bad, 4)
    progress: list[int] = []
    run(store, progress=progress)
    assert progress == [9, 1]


def digest_in(path: Path) -> bytes:
    return bytes_digest(path.read_bytes())


def test_a_picture_that_kills_its_worker_is_no_hole_in_the_records(store: Path) -> None:
    folder = store / "one.partial"

    def give_up(units: Any, *_: Any) -> list[str]:
        for one in units:
            one.split()[0].give_up("kills its worker")
        return []

    with pytest.MonkeyPatch.context() as patch, pytest.raises(ExportError, match="kills its"):
        patch.setattr(pack.crew, "map_units", give_up)
        run(store)
    assert not memo.keys(folder / "parts")
    run(store)


def test_too_little_room_is_an_error_before_the_first_byte(
    store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    need = LAYOUTS["nvlabs"].disk_need(Plan("x", (3, 16, 16), COUNT))
    assert need == sum(path.stat().st_size for path in run(store).glob("*.tfrecords"))
    usage = SimpleNamespace(total=1 << 40, free=need - 1)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    with pytest.raises(ExportError, match=r"needs 0.0 MB and .* has 0.0 MB free: make room"):
        run(store, "two")
    assert not (store / "two.partial").exists()
    usage.free = need
    run(store, "two")


def test_a_resumed_run_counts_the_room_it_has(
    interrupted: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(total=1 << 40, free=0))
    assert (run(interrupted) / "dataset.json").is_file()


def test_no_pictures_is_an_error(store: Path) -> None:
    with pytest.raises(ExportError, match="no picture is left"):
        write_export(
            [rows_table([])],
            dict,
            store / "one",
            store,
            ExportTFRecordsConfig(),
            SMALL,
            HERE,
            print,
        )


def test_grey_is_one_channel(store: Path) -> None:
    folder = run(store, dataset=DatasetConfig(size="16", channels="grey"))
    assert pictures(folder)[0].shape == (1, 16, 16)
    assert LAYOUTS["nvlabs"].notes((1, 16, 16)) == []


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
    "wrong", [{"name": "a/b"}, {"name": ""}, {"name": ".."}, {"labels": "no.csv"}, {"keep": 0}]
)
def test_wrong_options_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(SettingsError, match=next(iter(wrong))):
        ExportTFRecordsConfig(**wrong)


def test_labels_by_folder(store: Path) -> None:
    folder = run(store, labels="folder")
    labels = np.load(folder / "dataset-rxx.labels")
    facts = json.loads((folder / "dataset.json").read_text())
    assert facts["classes"] == ["ant", "cat", "dog"]
    assert labels.dtype == np.float32
    photo_of = {row.id: photos()[row.photo] for row in rows()}
    named = [facts["classes"][column] for column in labels.argmax(axis=1)]
    assert named == [photo_of[key].split("/")[0] for key in facts["order"]]
    assert (labels.sum(axis=1) == 1).all()
