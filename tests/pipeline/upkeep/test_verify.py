"""Verify: every damage of every kind of file is named; what is derived becomes what it was."""

import errno
import os
import shutil
from pathlib import Path

import pytest

from pipeline import cli
from pipeline.report.chapters import own_picture
from pipeline.rows.decisions import Decision, Journal, file_in
from pipeline.rows.parquet import ASIDE
from pipeline.tasks import Dataset, Report, Resize, detects, in_use
from pipeline.upkeep import verify
from tests.kit.sound import copied, made_once, sound_files
from tests.kit.store import build, counting, fresh, results, set_options, without_models

DERIVED = {
    "a manifest": "detect/*/*.parquet",
    "a shard": "crop/*/shards/*.parquet",
    "a part": "measure/*/parts/*.parquet",
    "feature vectors": "embed/*/parts/*.parquet",
    "the list of photos": "ingest/*/*.parquet",
    "a picture": "resize/*/pictures/*/*.jpg",
    "records": "records/*/*/*.tfrecords",
    "what describes them": "records/*/*/dataset.json",
    "their list": "records/*/*/.checksums.json",
    "the report": "report/*/*.html",
}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return made_once(tmp_path_factory.mktemp("made"))


@pytest.fixture
def whole(made, tmp_path, monkeypatch):
    """A finished store, and what is in it."""
    monkeypatch.setattr("pipeline.rows.shards.MOST_ROWS", 2)
    without_models(monkeypatch)
    store = copied(made, tmp_path / "store")
    return store, sound_files(store)


def verified(store, repair=False):
    fresh()
    return verify.verify(store, repair, lambda: cli.build_task(Dataset()))


def flip(path):
    data = bytearray(path.read_bytes())
    data[len(data) * 2 // 3] ^= 8
    path.write_bytes(data)


def halve(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


@pytest.mark.slow
def test_a_whole_store_is_said_to_be_whole(whole, capsys):
    store, before = whole
    assert verified(store) == 0
    assert capsys.readouterr().out == "every file is as it was written\n"
    assert sound_files(store) == before


@pytest.mark.slow
@pytest.mark.parametrize("damage", [flip, halve])
def test_what_is_derived_is_named_and_becomes_what_it_was(whole, damage, capsys):
    store, before = whole
    paths = [max(store.glob(w), key=lambda p: (p.stat().st_size, p)) for w in DERIVED.values()]
    for path in paths:
        damage(path)
    assert verified(store) == 1
    said = dict(line.split(": ", 1) for line in capsys.readouterr().out.splitlines())
    lists = {path for path in paths if path.name == ".checksums.json"}  # it stands for the others
    beside = {path for path in paths if path.parent in {each.parent for each in lists}} - lists
    assert {str(path) for path in set(paths) - beside} <= set(said)
    assert all(line.endswith("; verify --repair makes it again") for line in said.values())
    assert verified(store, repair=True) == 0
    assert sound_files(store) == before
    assert verified(store) == 0


@pytest.mark.slow
@pytest.mark.parametrize("where", DERIVED.values(), ids=DERIVED)
def test_every_kind_of_damage_is_named(whole, where, capsys):
    store, _ = whole
    whole_ones = {path: path.read_bytes() for path in sorted(store.glob(where))[:2]}
    for damage in (flip, halve, lambda path: path.write_bytes(b"")):
        for path in whole_ones:
            damage(path)
        assert verified(store) == 1
        said = capsys.readouterr().out
        for path, data in whole_ones.items():
            assert f"{path}: " in said
            path.write_bytes(data)


def folder_for(path):
    path.unlink()
    path.mkdir()


def pipe_for(path):
    path.unlink()
    os.mkfifo(path)


def loop_for(path):
    path.unlink()
    path.symlink_to(path.name)


@pytest.mark.slow
@pytest.mark.parametrize("other", [folder_for, pipe_for, loop_for])
def test_what_is_no_file_is_not_waited_for(whole, other, capsys):
    store, _ = whole
    kinds = set(DERIVED) - {"their list", "a picture"}  # earlier stores have none of the first
    paths = [next(iter(sorted(store.glob(DERIVED[kind])))) for kind in kinds]
    for path in paths:
        other(path)
    assert verified(store) == 1
    said = capsys.readouterr().out
    assert all(f"{path}: is " in said for path in paths) and "may be whole" not in said
    verify.mend([fault for fault in verify.found_in(store) if fault.kind != "own"])
    assert not any(os.path.lexists(path) for path in paths)


@pytest.mark.slow
def test_a_damaged_picture_alone_is_made_again(whole, monkeypatch):
    store, before = whole
    path = sorted(store.glob("resize/*/pictures/*/*.jpg"))[1]
    path.unlink()
    made = counting(monkeypatch, Resize)
    assert verified(store, repair=True) == 0
    (row,) = [row for row in Resize().rows() if (store / row.picture) == path]
    assert made == [row.id] and sound_files(store) == before


@pytest.mark.slow
def test_an_export_that_meets_a_damaged_picture_makes_it_again_and_goes_on(whole, monkeypatch):
    store, before = whole
    first, second, *_ = sorted(store.glob("resize/*/pictures/*/*.jpg"))
    flip(first)
    second.unlink()
    shutil.rmtree(store / "records")
    fresh()
    made = counting(monkeypatch, Resize)
    assert build(Dataset())
    assert len(made) == 2 and sound_files(store) == before


@pytest.mark.slow
@pytest.mark.parametrize("gone", ["*-r02.tfrecords", ""])
def test_records_that_are_gone_are_due_again(whole, gone):
    store, before = whole
    for path in [*store.glob(f"records/*/*/{gone}")] if gone else [store / "records"]:
        path.unlink() if gone else shutil.rmtree(path)
    fresh()
    assert not Dataset().complete() and not Report().complete()
    assert build(Dataset())
    assert sound_files(store) == before


@pytest.mark.slow
def test_the_report_shows_no_damaged_picture(whole):
    row = Resize().rows()[0]
    assert own_picture(row)
    flip(Path(Resize().folder.parents[1], row.picture))
    assert own_picture(row) is None


@pytest.mark.slow
def test_what_no_recipe_reaches_is_set_aside_and_not_made_again(whole):
    store, _ = whole
    set_options(Dataset_size=16)
    assert build(Resize())
    (path, *_) = Resize().folder.glob("pictures/*/*.jpg")
    flip(path)
    set_options(Dataset_size=32)
    assert verified(store, repair=True) == 0
    assert not path.exists() and path.with_name(f"{path.name}{ASIDE}").exists()
    assert verified(store) == 0
    set_options(Dataset_size=16)
    assert build(Resize())
    assert path.exists()


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["picture", "export"])
def test_what_the_machine_does_not_read_is_named_and_left(whole, kind, capsys, monkeypatch):
    store, before = whole
    failed = OSError(errno.EIO, "Input/output error")  # of a read: it names no file

    def broken(*_):
        raise failed

    finds = {"picture": "look_at_pictures", "export": "whole.faults"}
    monkeypatch.setattr(f"pipeline.upkeep.looks.{finds[kind]}", broken)
    assert verified(store, repair=True) == 1
    said = capsys.readouterr().out
    assert "cannot be read (Input/output error); it may be whole, and is left as it is" in said
    assert results(store) == before


@pytest.mark.slow
def test_where_the_machine_fails_all_else_is_looked_at(whole, capsys, monkeypatch):
    store, _ = whole
    pictures = sorted(path for path in store.glob("resize/*/pictures/*/*"))
    flip(pictures[-1])
    for path in (pictures[0], next(store.glob("detect/*/*.parquet"))):
        told = Path.stat

        def failing(self, bad=path, told=told, **more):
            if self == bad:
                raise OSError(errno.EIO, "Input/output error", str(self))
            return told(self, **more)

        with monkeypatch.context() as patch:
            patch.setattr(Path, "stat", failing)
            assert verified(store) == 1
        said = capsys.readouterr().out
        assert f"{path}: cannot be read (Input/output error)" in said
        assert f"{pictures[-1]}: is not what was written" in said


@pytest.mark.slow
def test_an_export_of_other_photos_is_set_aside_and_not_removed(whole):
    store, _ = whole
    (export,) = [path for path in store.glob("records/*") if path.is_dir()]
    older = export.with_name(f"{export.name.split('-')[0]}-{'0' * 20}")
    shutil.copytree(export, older)
    (records,) = older.glob("*/*r05.tfrecords")
    flip(records)
    assert verified(store, repair=True) == 0
    assert export.is_dir() and older.with_name(f"{older.name}{ASIDE}").is_dir()


@pytest.mark.slow
def test_decisions_and_checkpoints_are_named_and_never_altered(whole, capsys):
    store, _ = whole
    Journal(file_in(store)).append(Decision("a", "a.jpg", "refuse"))
    file = store / "runs" / "one" / "config.json"
    file.parent.mkdir(parents=True)
    file.write_text("{")
    flip(file_in(store))
    before = {path: path.read_bytes() for path in (file, file_in(store))}
    assert verified(store, repair=True) == 1
    said = capsys.readouterr().out.splitlines()
    assert [line.split(": ")[0] for line in said] == [str(file_in(store)), str(file)]
    assert all(line.endswith("bring it back from a copy") for line in said)
    assert {path: path.read_bytes() for path in before} == before


def test_every_stage_of_the_recipe_is_looked_at(whole):
    store, _ = whole
    folders = {step.folder for step in [*in_use(), *detects("reference")]}
    looked = {look.at for look in verify.looks(store, verify.folder_names())}
    assert all(any(at.is_relative_to(folder) for at in looked) for folder in folders)
