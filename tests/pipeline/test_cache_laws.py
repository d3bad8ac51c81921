"""The cache: what changed is done again, and nothing else; what could not be done is no drop."""

from dataclasses import replace

import pytest

from atelier.boxes import Box
from pipeline import tasks
from pipeline.rows import manifest
from pipeline.stage import Stage
from pipeline.tasks import STAGES, Crop, Detect, Embed, FilterPose, Ingest, Resize, Trim, Zoom
from tests.kit.store import build, counting, fresh, photo, save, set_options

WORKING = [stage for stage in STAGES if issubclass(stage, Stage)]
pytestmark = pytest.mark.usefixtures("reference")


@pytest.mark.slow
def test_renaming_a_photo_runs_no_model(store, monkeypatch):
    assert build(Resize())
    (store.parent / "photos" / "1.png").rename(store.parent / "photos" / "renamed.png")
    seen = [counting(monkeypatch, stage) for stage in (Detect, Embed, Resize)]
    fresh()
    assert build(Resize())
    assert seen == [[], [], []]
    assert any(row.path == "renamed.png" for row in Ingest().rows())


@pytest.mark.slow
def test_moving_the_source_reads_no_bytes(store, monkeypatch):
    assert build(Resize())
    moved = store.parent / "moved"
    (store.parent / "photos").rename(moved)
    seen = [counting(monkeypatch, stage) for stage in WORKING]
    set_options(Ingest_source=moved)
    assert Resize().complete()
    assert build(Resize())
    assert seen == [[] for _ in WORKING]


@pytest.mark.slow
def test_an_edited_photo_is_another_photo(store, monkeypatch):
    assert build(Resize())
    save(store.parent / "photos" / "1.png", photo(99, [(61, 40, 22)]))
    seen = counting(monkeypatch, Detect)
    fresh()
    assert build(Resize())
    assert len(seen) == 1


@pytest.mark.slow
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


@pytest.mark.slow
def test_a_changed_limit_runs_no_model(store, monkeypatch):
    assert build(Resize())
    seen = [counting(monkeypatch, stage) for stage in (Ingest, Detect, Embed)]
    set_options(FilterPose_limit="best 0.5")
    assert build(Resize())
    assert seen == [[], [], []]


@pytest.mark.slow
def test_a_raised_version_runs_its_stage_alone(store, monkeypatch):
    assert build(Resize())
    seen = {stage: counting(monkeypatch, stage) for stage in WORKING}
    monkeypatch.setattr(Detect, "version", 2)
    fresh()
    assert build(Resize())
    assert {stage for stage, rows in seen.items() if rows} == {Detect}


@pytest.mark.slow
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


@pytest.mark.slow
def test_a_source_that_vanishes_leaves_no_drops(store):
    assert build(Ingest())
    (store.parent / "photos").rename(store.parent / "away")
    with pytest.raises(Exception, match="rows are still open"):
        Detect().run()
    assert not list(store.glob("detect/*/parts/*.parquet"))
    (store.parent / "away").rename(store.parent / "photos")
    assert build(Detect())
    assert all(row.drop is None for row in Detect().rows())


@pytest.mark.slow
def test_a_reference_that_is_cropped_already_is_taken_whole(store, monkeypatch):
    set_options(FilterPose_reference_cropped="true")
    assert build(FilterPose())
    assert not Crop(photos="reference").complete()
    rows = Trim(photos="reference").rows()
    assert len(rows) == 10
    assert all(row.rectangle == Box(0, 0, 160, 120) for row in rows)


@pytest.mark.slow
def test_without_a_reference_everything_passes_and_nothing_is_embedded(store, monkeypatch):
    seen = counting(monkeypatch, Embed)
    set_options(FilterPose_reference="")
    assert build(Zoom())
    assert seen == []
    assert manifest.facts(FilterPose().path).notes == ["no reference set: every portrait passes"]
