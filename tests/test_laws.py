"""Laws that every stage keeps, present and future: they run over `tasks.STAGES`."""

from collections import Counter
from dataclasses import fields, replace
from pathlib import Path
from typing import Literal, get_args, get_origin, get_type_hints

import luigi
import pytest
from conftest import build, photo, save, set_options

from detectors.base import Box
from pipeline import manifest, options, tasks
from pipeline.manifest import dropped
from pipeline.stage import SetStage, Stage
from pipeline.tasks import (
    STAGES,
    Crop,
    Detect,
    Embed,
    ExportTFRecords,
    FilterPose,
    Ingest,
    Resize,
    Trim,
    Zoom,
)

WORKING = [stage for stage in STAGES if issubclass(stage, Stage)]
every_stage = pytest.mark.parametrize("stage", STAGES, ids=lambda stage: stage.__name__)
every_working_stage = pytest.mark.parametrize("stage", WORKING, ids=lambda stage: stage.__name__)
pytestmark = pytest.mark.usefixtures("reference")


def counting(monkeypatch, stage):
    """Note the id of every row that `stage` works on from now on."""
    seen, work = [], stage.work

    def noted(items, config, folder):
        seen.extend(item.row.id for item in items)
        return work(items, config, folder)

    monkeypatch.setattr(stage, "work", staticmethod(noted))
    return seen


def fresh():
    """As the next command sees it: nothing cached in memory."""
    luigi.task_register.Register.clear_instance_cache()


def results(store):
    """Every manifest and picture in the store: its path and its bytes."""
    found = [*store.rglob("*.parquet"), *store.rglob("pictures/*/*"), *store.rglob("*.tfrecords")]
    return {
        str(path.relative_to(store)): path.read_bytes()
        for path in found
        if "parts" not in path.parts
    }


@every_stage
def test_no_row_is_lost(store, stage):
    assert build(stage())
    came_in = {row.id for row in stage().incoming()}
    out = stage().rows()
    if stage is Ingest:
        assert Counter(row.path for row in out) == Counter(row.path for row in stage().incoming())
    else:
        assert came_in <= {row.id for row in out}
        added = [row for row in out if row.id not in came_in]
        assert all(row.parent in came_in for row in added)
    outcome = manifest.facts(stage().path).outcome
    assert sum(outcome.values()) == len(out)


@every_stage
def test_kept_pictures_exist(store, stage):
    assert build(stage())
    kept = [row for row in stage().rows() if row.drop is None]
    assert kept
    assert all((store / row.picture).is_file() for row in kept if row.picture)
    assert any(row.picture for row in kept) == (STAGES.index(stage) >= STAGES.index(Resize))


@every_stage
def test_a_second_build_runs_nothing(store, stage, monkeypatch):
    assert build(stage())
    fresh()
    for kind in (Stage, SetStage):
        monkeypatch.setattr(kind, "build", lambda self: pytest.fail("ran again"))
    assert stage().complete()
    assert build(stage())


@every_stage
def test_every_option_changes_the_key_unless_it_cannot_change_a_result(store, stage):
    for config in (stage().config, *map(options.current, stage.shared)):
        hints = get_type_hints(type(config))
        for field in fields(config):
            before = stage().key
            name = f"{options.section(type(config))}_{field.name}"
            value = getattr(config, field.name)
            try:
                set_options(**{name: another(hints[field.name], value)})
                changed = stage().key != before
            except options.SettingsError:
                continue  # refused beside the other settings: it cannot meet a stale result
            finally:
                set_options(**{name: value})
            assert changed == (field.metadata["keyed"] != "never"), field.name


def another(kind, value):
    if get_origin(kind) is Literal:
        return next(choice for choice in get_args(kind) if choice != value)
    if kind is bool:
        return not value
    if kind is str:
        return {"32": "16", "white": "black", "none": "folder"}.get(value, "best 0.7")
    return value + 1 if kind is int else value * 0.75 + 0.01


def test_the_cut_into_units_changes_no_result(store):
    seen = []
    for size in (1, 2, 7):
        set_options(Engine_rows=size, Store_root=store / str(size))
        assert build(Resize())
        seen.append(results(store / str(size)))
    assert len(seen[0]) > 10
    assert seen[0] == seen[1] == seen[2]


@pytest.mark.slow
def test_the_number_of_workers_changes_no_result(store, monkeypatch):
    monkeypatch.undo()  # workers are other processes: the real detector there, no reference
    set_options(FilterPose_reference="", Detect_detector="none", Crop_enlarge="true")
    seen = []
    for workers in (0, 1, 2, 4):
        scheduler = "local" if workers else "in-process"
        set_options(
            Engine_scheduler=scheduler, Engine_workers=workers, Store_root=store / str(workers)
        )
        assert build(Resize())
        seen.append(results(store / str(workers)))
    assert len(seen[0]) > 8
    assert seen[0] == seen[1] == seen[2] == seen[3]


@every_working_stage
def test_a_crash_keeps_finished_units(store, stage, monkeypatch):
    assert build(stage().before()[0]) if stage().before() else True
    seen, work, cut = [], stage.work, [True]

    def power_cut_after_two(items, config, folder):
        for item, result in zip(items, work(items, config, folder), strict=True):
            if cut[0] and len(seen) == 2:
                raise KeyboardInterrupt
            seen.append(item.row.id)
            yield result

    monkeypatch.setattr(stage, "work", staticmethod(power_cut_after_two))
    with pytest.raises(KeyboardInterrupt):
        stage().run()
    assert not stage().complete()
    cut[0] = False
    fresh()
    assert build(stage())
    assert len(seen) == len(set(seen))


@every_working_stage
def test_a_grown_source_runs_only_new_rows(store, stage, monkeypatch):
    set_options(FilterPose_limit="q100", Zoom_share=0.4)
    assert build(Resize())
    save(store.parent / "photos" / "new.png", photo(9, [(61, 40, 22)]))
    seen = counting(monkeypatch, stage)
    fresh()
    assert build(Resize())
    new = next(row for row in Ingest().rows() if row.path == "new.png")
    worked_on = {name.split(".")[0] for name in seen}
    if stage is Ingest:
        assert len(seen) == 1
    else:
        assert worked_on <= {new.id}


def test_renaming_a_photo_runs_no_model(store, monkeypatch):
    assert build(Resize())
    (store.parent / "photos" / "1.png").rename(store.parent / "photos" / "renamed.png")
    seen = [counting(monkeypatch, stage) for stage in (Detect, Embed, Resize)]
    fresh()
    assert build(Resize())
    assert seen == [[], [], []]
    assert any(row.path == "renamed.png" for row in Ingest().rows())


def test_moving_the_source_reads_no_bytes(store, monkeypatch):
    assert build(Resize())
    moved = store.parent / "moved"
    (store.parent / "photos").rename(moved)
    seen = [counting(monkeypatch, stage) for stage in WORKING]
    set_options(Ingest_source=moved)
    assert Resize().complete()
    assert build(Resize())
    assert seen == [[] for _ in WORKING]


def test_an_edited_photo_is_another_photo(store, monkeypatch):
    assert build(Resize())
    save(store.parent / "photos" / "1.png", photo(99, [(61, 40, 22)]))
    seen = counting(monkeypatch, Detect)
    fresh()
    assert build(Resize())
    assert len(seen) == 1


def test_a_changed_decision_embeds_only_changed_rectangles(store, monkeypatch):
    assert build(Embed())
    seen = counting(monkeypatch, Embed)
    set_options(Crop_max_face_share=0.65)  # every rectangle stands
    assert build(Embed())
    assert seen == []
    work = tasks.crop.crop

    def wider(row, *rest):
        for out in work(row, *rest):
            first = out.face == Box(60, 40, 80, 60)
            yield replace(out, rectangle=Box(0, 0, 100, 100)) if first else out

    monkeypatch.setattr(tasks.crop, "crop", wider)
    monkeypatch.setattr(Crop, "version", 2)
    fresh()
    assert build(Embed())
    assert len(seen) == 1


def test_a_changed_limit_runs_no_model(store, monkeypatch):
    assert build(Resize())
    seen = [counting(monkeypatch, stage) for stage in (Ingest, Detect, Embed)]
    set_options(FilterPose_limit="best 0.5")
    assert build(Resize())
    assert seen == [[], [], []]


def test_a_raised_version_runs_its_stage_alone(store, monkeypatch):
    assert build(Resize())
    seen = {stage: counting(monkeypatch, stage) for stage in WORKING}
    monkeypatch.setattr(Detect, "version", 2)
    fresh()
    assert build(Resize())
    assert {stage for stage, rows in seen.items() if rows} == {Detect}


def test_a_photo_gone_between_two_stages_is_no_drop(store):
    assert build(Ingest())
    gone = store.parent / "photos" / "1.png"
    data = gone.read_bytes()
    gone.unlink()
    with pytest.raises(Exception, match=r"1 of \d+ rows are still open.*1\.png vanished"):
        Detect().run()
    assert not Detect().complete()
    gone.write_bytes(data)
    fresh()
    assert build(Resize())


def test_a_source_that_vanishes_leaves_no_drops(store):
    assert build(Ingest())
    (store.parent / "photos").rename(store.parent / "away")
    with pytest.raises(Exception, match="rows are still open"):
        Detect().run()
    assert not list(store.glob("detect/*/parts/*.parquet"))
    (store.parent / "away").rename(store.parent / "photos")
    assert build(Detect())
    assert all(row.drop is None for row in Detect().rows())


def test_a_reference_that_is_cropped_already_is_taken_whole(store, monkeypatch):
    set_options(FilterPose_reference_cropped="true")
    assert build(FilterPose())
    assert not Crop(photos="reference").complete()
    rows = Trim(photos="reference").rows()
    assert len(rows) == 10
    assert all(row.rectangle == Box(0, 0, 160, 120) for row in rows)


def test_without_a_reference_everything_passes_and_nothing_is_embedded(store, monkeypatch):
    seen = counting(monkeypatch, Embed)
    set_options(FilterPose_reference="")
    assert build(Zoom())
    assert seen == []
    assert manifest.facts(FilterPose().path).notes == ["no reference set: every portrait passes"]


def test_drops_of_each_stage_say_why(store):
    assert build(ExportTFRecords())
    said = {row.drop for stage in STAGES for row in stage().rows() if row.drop}
    assert "no face" in said
    assert any(reason.startswith("exact copy: ") for reason in said)
    assert dropped(Ingest().rows()[0], "x").drop == "x"
    assert all(Path(row.picture).suffix == ".jpg" for row in Resize().rows())
