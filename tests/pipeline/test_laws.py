"""Laws that every stage keeps, present and future: they run over `tasks.STAGES`."""

from collections import Counter
from dataclasses import fields
from pathlib import Path
from typing import Literal, get_args, get_origin, get_type_hints

import pytest

from pipeline import options
from pipeline.engine import crew
from pipeline.rows import manifest, memo, shards
from pipeline.rows.manifest import dropped
from pipeline.stage import OpenRowsError, SetStage, Stage
from pipeline.tasks import STAGES, Crop, Ingest, Report, Resize
from tests.kit.store import (
    build,
    counting,
    fresh,
    photo,
    reference_of_ten,
    results,
    save,
    set_options,
    source_of_six,
    without_models,
)

WORKING = [stage for stage in STAGES if issubclass(stage, Stage)]
every_stage = pytest.mark.parametrize("stage", STAGES, ids=lambda stage: stage.__name__)
every_step = pytest.mark.parametrize("stage", [*STAGES, Report], ids=lambda stage: stage.__name__)
every_working_stage = pytest.mark.parametrize("stage", WORKING, ids=lambda stage: stage.__name__)


@pytest.fixture(scope="module", params=["largest", "each"])
def whole(request, tmp_path_factory):
    """The options of a store in which everything is built, two photos of pairs in it, too."""
    folder = tmp_path_factory.mktemp(request.param)
    given = source_of_six(folder) | reference_of_ten(folder)
    given |= {"Crop_faces": request.param, "Crop_max_faces": 3}
    for number in (20, 21):
        pair = photo(number, [(20, 40, 22), (100, 50, 20)])
        save(folder / "photos" / f"pair {number}.png", pair)
    with pytest.MonkeyPatch.context() as patch:
        without_models(patch)
        set_options(**given)
        assert build(Report())
        yield given


@pytest.fixture
def built(whole):
    """That store, as the next command finds it."""
    set_options(**whole)
    return whole["Store_root"]


@pytest.mark.slow
@every_stage
def test_no_row_is_lost(built, whole, stage):
    came_in, out = stage().incoming(), stage().rows()
    assert sum(manifest.facts(stage().path).outcome.values()) == len(out)
    if stage is Ingest:
        assert Counter(row.path for row in out) == Counter(row.path for row in came_in)
        return
    before, after = {row.id for row in came_in}, {row.id for row in out}
    assert len(before) == len(came_in) and len(after) == len(out)
    assert all(any(is_or_is_of(name, old) for name in after) for old in before)
    assert all(any(is_or_is_of(name, old) for old in before) for name in after)
    assert all(row.parent in before for row in out if row.id.endswith(".z"))
    if stage is Crop:
        assert any(name.endswith(".f2") for name in after) == (whole["Crop_faces"] == "each")


def is_or_is_of(name, other):
    """Whether a row is another one, or its child."""
    return name == other or name.startswith(f"{other}.")


@every_stage
def test_kept_pictures_exist(built, stage):
    kept = [row for row in stage().rows() if row.drop is None]
    assert kept
    assert all((built / row.picture).is_file() for row in kept if row.picture)
    assert any(row.picture for row in kept) == (STAGES.index(stage) >= STAGES.index(Resize))


@every_step
def test_a_second_build_runs_nothing(built, stage, monkeypatch):
    for kind in (Stage, SetStage, Report):
        monkeypatch.setattr(kind, "build", lambda self: pytest.fail("ran again"))
    assert stage().complete()
    assert build(stage())


OTHER = {
    "Crop_enlarge": "1.15",
    "Crop_rules": '[{"need": "face"}]',
    "Dataset_size": "16",
    "Dataset_background": "black",
    "Detect_detector": "haar, none",
    "Embed_dims": 64,
    "Embed_weights": "weights.pth",
    "ExportTFRecords_labels": "folder",
    "ExportTFRecords_layout": "zip",
    "ExportTFRecords_name": "faces",
    "ExportTFRecords_publish": "s3://bucket/faces",
    "FilterPose_limit": "best 0.7",
    "FilterPose_reference": "elsewhere",
    "FilterQuality_bright": "worst 0.1",
    "FilterQuality_colour": "2",
    "FilterQuality_dark": "40",
    "FilterQuality_score": "0.5",
    "FilterQuality_scores": "scores.csv",
    "FilterQuality_sharpness": "60",
    "Ingest_source": "elsewhere",
    "Portrait_shrink": "0.2-0.5",
}


@every_step
def test_every_option_changes_the_key_unless_it_cannot_change_a_result(stage, reference, tmp_path):
    files = {"Embed_weights", "FilterQuality_scores"}
    for name in files:
        (tmp_path / OTHER[name]).write_text("other")
    for config in (stage().config, *map(options.current, stage.shared)):
        hints = get_type_hints(type(config))
        for field in fields(config):
            name = f"{options.section(type(config))}_{field.name}"
            value = getattr(config, field.name)
            given = another(name, hints[field.name], value)
            before = stage().key
            set_options(**{name: tmp_path / given if name in files else given})
            changed = stage().key != before
            set_options(**{name: value})
            assert stage().key == before
            assert changed == (field.metadata["keyed"] != "never"), name


def another(name, kind, value):
    """Another valid value; one that cannot be derived from the old one is in OTHER."""
    if get_origin(kind) is Literal:
        return next(choice for choice in get_args(kind) if choice != value)
    if name in OTHER or kind is str:
        return OTHER[name]
    if kind is bool:
        return not value
    return value + 1 if kind is int else value * 0.75 + 0.01


@pytest.mark.slow
def test_the_cut_into_units_changes_no_result(store, reference):
    seen = []
    for size in (1, 2, 7):
        set_options(Engine_rows=size, Store_root=store / str(size))
        assert build(Report())
        seen.append(results(store / str(size)))
    assert len(seen[0]) > 10
    assert seen[0] == seen[1] == seen[2]


def test_units_are_cut_once_the_workers_are_known(store, monkeypatch):
    monkeypatch.setattr(crew, "map_units", lambda *_: ["there are none"])
    monkeypatch.setattr(crew.EngineConfig, "rows_per_unit", lambda *_: pytest.fail("too early"))
    with pytest.raises(OpenRowsError, match="there are none"):
        Ingest().run()


@pytest.mark.slow
@every_working_stage
def test_a_crash_keeps_finished_units(store, reference, stage, monkeypatch):
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


@pytest.mark.slow
@every_working_stage
def test_a_result_that_is_not_seen_is_waited_for_and_never_left_out(
    store, reference, stage, monkeypatch
):
    assert build(stage().before()[0]) if stage().before() else True
    parts, see, old = stage().folder / "parts", memo.files, [True]

    def as_it_was(folder):
        return [] if old and folder == parts else see(folder)

    monkeypatch.setattr(memo, "files", as_it_was)
    monkeypatch.setattr(memo, "LOOK_AGAIN", ())
    with pytest.raises(memo.UnseenError, match=f"are not to be seen in {parts}, .*: give the same"):
        stage().run()
    assert see(parts) and not stage().complete()
    fresh()
    monkeypatch.setattr(memo, "LOOK_AGAIN", (old.clear() or 0 for _ in "1"))  # meanwhile it is new
    assert build(stage()) and not old
    made = stage().rows()
    shards.forget_made(stage().folder)
    fresh()
    assert build(stage()) and stage().rows() == made


@pytest.mark.slow
def test_a_grown_source_runs_only_new_rows(store, reference, monkeypatch):
    set_options(FilterPose_limit="q100", Zoom_share=0.4)
    assert build(Resize())
    save(store.parent / "photos" / "new.png", photo(9, [(61, 40, 22)]))
    seen = {stage: counting(monkeypatch, stage) for stage in WORKING}
    fresh()
    assert build(Resize())
    new = next(row for row in Ingest().rows() if row.path == "new.png")
    assert len(seen.pop(Ingest)) == 1
    for stage, names in seen.items():
        assert {name.split(".")[0] for name in names} <= {new.id}, stage


def test_drops_of_each_stage_say_why(built):
    said = {row.drop for stage in STAGES for row in stage().rows() if row.drop}
    assert "no face" in said
    assert any(reason.startswith("exact copy: ") for reason in said)
    assert dropped(Ingest().rows()[0], "x").drop == "x"
    assert all(Path(row.picture).suffix == ".jpg" for row in Resize().rows())
