"""Garbage collection: nothing that is reached goes, and all else does."""

import re

import pytest

from pipeline.options import REPOSITORY, SettingsError
from pipeline.tasks import Dataset, ExportTFRecords
from pipeline.upkeep import garbage, marks
from tests.kit.sound import copied, made_once, more_photos
from tests.kit.store import (
    build,
    counting,
    fresh,
    photo,
    results,
    save,
    set_options,
    without_models,
)

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A store whose source lost a photo and had three others for a while."""
    folder = tmp_path_factory.mktemp("made")
    more = more_photos(folder)
    options = made_once(folder)
    for path in [*more, folder / "photos" / "2.png"]:
        path.unlink()
    fresh()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("pipeline.rows.shards.MOST_ROWS", 2)
        without_models(patch)
        assert build(Dataset())
    return options


@pytest.fixture
def changed(made, tmp_path, monkeypatch):
    monkeypatch.setattr(marks, "RECIPES", ())
    monkeypatch.setattr("pipeline.rows.shards.MOST_ROWS", 2)
    without_models(monkeypatch)
    return copied(made, tmp_path / "store")


def collect(store, delete=True):
    fresh()
    return garbage.garbage(store, [], delete)


def size(store):
    return sum(path.stat().st_size for path in store.rglob("*") if path.is_file())


def test_what_stays_is_what_a_new_store_would_hold(changed, capsys, monkeypatch):
    before = size(changed)
    assert collect(changed, delete=False) == 0
    assert size(changed) == before and "gc --delete deletes them" in capsys.readouterr().out
    collect(changed)
    assert re.search(r"\ndeleted: [0-9.]+ MB\n$", capsys.readouterr().out)
    swept = results(changed)
    capsys.readouterr()
    collect(changed)
    assert capsys.readouterr().out.startswith("nothing to delete")
    seen = [counting(monkeypatch, stage) for stage in marks.KEYED if hasattr(stage, "work")]
    fresh()
    assert build(Dataset())
    assert not any(seen) and results(changed) == swept
    set_options(Store_root=changed / "new")
    assert build(Dataset())
    new = results(changed / "new")
    assert swept == new
    assert size(changed) - size(changed / "new") < 1.2 * size(changed / "new")


def test_a_kill_in_the_middle_leaves_a_store_that_works(made, changed, monkeypatch):
    fresh()
    heaps = list(garbage.heaps(changed, marks.marked(changed, [])))
    for heap in heaps[: len(heaps) // 2]:
        heap.sweep()
    fresh()
    seen = [counting(monkeypatch, stage) for stage in marks.KEYED if hasattr(stage, "work")]
    assert Dataset().complete() and build(Dataset()) and not any(seen)
    untouched = copied(made, changed.parent / "untouched")
    collect(untouched)
    whole = results(untouched)
    set_options(Store_root=changed)
    collect(changed)
    assert results(changed) == whole and Dataset().complete()


def test_strays_go_and_what_is_not_ours_stays(changed):
    collect(changed)
    before = results(changed)
    (stage,) = changed.glob("resize/*")
    name = f"{'0' * 20}-{'1' * 20}"
    strays = [
        stage / "pictures" / ".a.jpg.other-1.partial",
        stage / "parts" / "a.parquet.damaged",
        changed / "records" / f"{name}.partial" / "to-do",
        changed / "records" / f"{name}.damaged" / "dataset" / "dataset.json",
        changed / ".dataset.here-1.partial",
    ]
    kept = [changed / "runs" / "mine" / ".x.here-1.partial", changed / "raw" / "a.parquet.damaged"]
    kept += [changed / "records" / name / "to-do" for name in ("mine.partial", f"{name}.mine")]
    kept += [changed / own.__name__.lower() / "mine" / "chapter1.txt" for own in marks.KEYED]
    kept += [stage / name for name in ("mine.html", "mine.parquet", "shards/mine.parquet")]
    kept += [stage / "pictures" / name for name in ("mine/0.jpg", "ab/0.png")]
    kept += [place / ".mine.partial" for place in (changed, stage, stage / "pictures")]
    for path in [*strays, *kept]:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("x")
    collect(changed)
    assert not [path for path in strays if path.exists()]
    assert all(path.exists() for path in kept)
    assert {name: data for name, data in results(changed).items() if name in before} == before


def test_an_export_that_was_interrupted_goes_on_after_it(changed):
    export = ExportTFRecords()
    begun = export.records.with_name(f"{export.records.name}.partial") / "to-do"
    begun.parent.mkdir()
    begun.write_text("x")
    export.path.unlink()
    collect(changed)
    assert begun.exists()


@pytest.mark.parametrize(
    ("folder", "gone"), [("0123456789abcdef0123", "1 report"), ("", "2 reports")]
)
def test_the_report_that_is_shown_stays_whichever_recipe_made_it(changed, folder, gone, capsys):
    old = changed / (changed / "report.html").readlink()
    shown = (changed / "report" / folder if folder else old.parent) / f"{'1' * 20}.html"
    shown.parent.mkdir(exist_ok=True)
    for page in (shown, shown.with_name(f"{'2' * 20}.html")):
        page.write_text("<html></html>")
    (changed / "report.html").unlink()
    (changed / "report.html").symlink_to(shown.relative_to(changed))
    collect(changed)
    assert shown.exists() and old.exists() and not shown.with_name(f"{'2' * 20}.html").exists()
    assert f": {gone} superseded by later ones" in capsys.readouterr().out


def test_a_stage_that_is_not_done_keeps_all(changed, made, capsys):
    before = results(changed)
    late = made["Ingest_source"] / "late.png"
    save(late, photo(50, [(60, 40, 22)]))
    collect(changed)
    late.unlink()
    assert "not done yet: all that is there" in capsys.readouterr().out
    assert results(changed) == before


def test_the_recipes_of_the_repository_are_asked(changed):
    found = marks.Marks()
    marks.mark_recipe(changed, REPOSITORY / "luigi.cfg", found)
    assert found.folders and all(folder.is_relative_to(changed) for folder in found.folders)


@pytest.mark.parametrize(
    ("recipe", "said"),
    [
        (b"[dataset]\nsize = 128\n", r"\[dataset\]: there is no such section"),
        (b"[Dataset]\nsise = 128\n", r"\[Dataset\] sise: there is no such option"),
        (b"[Dataset]\nsize = huge\n", r"\[Dataset\] size = 'huge': give pixels"),
        (b"size = 128\n", "File contains no section headers"),
        (b"\xff\xd8", "can't decode byte 0xff"),
    ],
)
def test_a_recipe_to_keep_that_is_not_understood_lets_nothing_go(tmp_path, recipe, said):
    path = tmp_path / "mine.cfg"
    path.write_bytes(recipe)
    with pytest.raises(SettingsError, match=f"--keep {path}: .*{said}"):
        marks.mark_recipe(tmp_path, path, marks.Marks(), own=True)
