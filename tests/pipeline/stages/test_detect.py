"""Detect with one or several detectors: what re-runs, what is told, what settings are refused."""

import errno
import io
import re
import sys
from concurrent.futures.process import BrokenProcessPool
from functools import cache

import numpy as np
import pytest

import detectors
from atelier.boxes import Box
from atelier.commands import FULL
from detectors import UNUSABLE, Detection
from pipeline.engine import cluster
from pipeline.options import SettingsError, current
from pipeline.rows import manifest
from pipeline.stages import detect
from pipeline.tasks import Crop, Detect, Ingest, Resize, detects
from pipeline.upkeep import marks
from tests.kit.made_graphs import frozen
from tests.kit.store import (
    BrightFace,
    build,
    counting,
    fresh,
    photo,
    results,
    save,
    set_options,
)


class Hands(BrightFace):
    """Finds a hand in every photo, and a box that is none."""

    channels = 3

    def __call__(self, pictures):
        assert all(picture.ndim == 3 for picture in pictures)
        hand = Detection("hand", 0.8, Box(0, 0, 10, 10))
        return [[hand, Detection(UNUSABLE, 0.7, Box(0, 0, 0, 0))] for _ in pictures]


@pytest.fixture
def two(store, monkeypatch):
    """`haar` finds the bright faces of `store`, `haar:profile` finds hands."""
    made = {"": BrightFace(), "profile": Hands()}
    monkeypatch.setattr(detect, "load", lambda spec, _: made[spec.model])
    return store


@pytest.mark.slow
def test_adding_a_detector_runs_that_one_alone(two, monkeypatch):
    assert build(Resize())
    before = [(row.id, row.rectangle) for row in Crop().rows()]
    seen = counting(monkeypatch, Detect)
    set_options(Detect_detector="haar, haar:profile")
    assert build(Resize())
    photos = len(Detect().rows())
    assert len(seen) == photos
    assert [(row.id, row.rectangle) for row in Crop().rows()] == before
    assert all("hand" in {one.label for one in row.boxes} for row in Crop().rows())
    set_options(Detect_detector="haar:profile, haar")
    assert build(Resize())
    set_options(Detect_detector="haar")
    assert build(Resize())
    assert len(seen) == photos


@pytest.mark.slow
def test_a_stated_factor_runs_no_model(two, monkeypatch):
    assert build(Crop())
    seen = counting(monkeypatch, Detect)
    set_options(Detect_detector="haar?face=1.2:0.5:0.5")
    assert build(Crop())
    assert seen == []
    faces = [row.face.width for row in Crop().rows() if row.face]
    assert sorted(faces) == [24, 26, 29, 31]  # 20, 22, 24 and 26 before


@pytest.mark.slow
def test_boxes_that_are_none_are_counted_and_go_no_further(two):
    set_options(Detect_detector="haar, haar:profile")
    assert build(Crop())
    count = len(Detect().rows())
    said = f"haar:profile: {count} finds in {count} photos have a box that is no number"
    notes = manifest.facts(Crop().path).notes
    assert [note for note in notes if note.startswith(said)]
    assert not [one for row in Crop().rows() for one in row.boxes if one.label == UNUSABLE]


@pytest.mark.slow
def test_garbage_collection_keeps_every_detector_in_use(two):
    set_options(Detect_detector="haar, haar:profile")
    assert build(Crop())
    assert {step.folder for step in detects()} <= {step.folder for step in marks.stages()}
    assert len({step.key for step in detects()}) == 2


@pytest.fixture
def model(store, monkeypatch):
    """A graph of TensorFlow's with a face, a class without a name and a box that is none."""
    monkeypatch.setattr(detect, "load", cache(detectors.load))
    monkeypatch.setattr(detect, "check_detectors", lambda _: None)  # starts a process
    finds = [(1.0, 1, [0.3, 0.3, 0.7, 0.6]), (0.9, 7, [0, 0, 1, 1]), (0.8, 1, [np.nan] * 4)]
    path = frozen(store.parent / "model.pb", finds)
    for number in range(6):  # of several shapes
        save(store.parent / "photos" / f"more {number}.png", photo(30 + number, size=(160, 96)))
    set_options(Detect_detector=f"tfod:{path}?names=face&min_score=0.05", Crop_min_face=1)
    return path


@pytest.mark.slow
def test_the_cut_into_units_changes_no_find(store, model):
    seen = []
    for size in (1, 3, 100):
        set_options(Engine_rows=size, Store_root=store / str(size))
        assert build(Crop())
        seen.append(results(store / str(size)))
    assert seen[0] and seen[0] == seen[1] == seen[2]
    assert all(row.face for row in Crop().rows() if row.drop is None)


@pytest.mark.slow
def test_what_is_odd_about_a_model_is_told(store, model, capsys):
    assert build(Detect())
    count = len(Detect().rows())
    told = capsys.readouterr().out
    assert f"Detect: tfod:model.pb: {count} finds in {count} photos have a box" in told
    assert f"Detect: tfod:model.pb: {count} finds in {count} photos are of a class" in told


@pytest.mark.slow
def test_a_moved_model_runs_nothing_and_a_changed_one_all(store, model, monkeypatch):
    assert build(Detect())
    moved = model.rename(store.parent / "moved.pb")
    seen = counting(monkeypatch, Detect)
    set_options(Detect_detector=f"tfod:{moved}?names=face&min_score=0.05")
    assert build(Detect())
    assert seen == []
    frozen(moved, [(1.0, 1, [0.3, 0.3, 0.7, 0.7])])
    fresh()
    assert build(Detect())
    assert len(seen) == len(Detect().rows())


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["L", "RGBA", "LA", "P", "CMYK", "I;16"])
def test_photos_of_every_kind_reach_a_colour_model(store, model, mode):
    from PIL import Image

    folder = store.parent / "kinds"
    folder.mkdir()
    grey = Image.fromarray(np.full((90, 120), 200, np.uint8))
    suffix = "tiff" if mode in ("CMYK", "I;16") else "png"
    made = grey.convert("I;16") if mode == "I;16" else grey.convert("RGB").convert(mode)
    made.save(folder / f"photo.{suffix}")
    set_options(Ingest_source=folder)
    assert build(Detect())
    (row,) = Detect().rows()
    assert row.drop is None


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("", "give one of haar"),
        ("haar, har", "no detector is called 'har'"),
        ("haar,haar", "a detector is there twice"),
        ("tfod:nix.pb", "there is no such file or folder"),
    ],
)
def test_bad_settings_are_said_before_anything_runs(given, said):
    with pytest.raises(SettingsError, match=rf"\[Detect\] detector = .*{said}"):
        detect.DetectConfig(detector=given)


def test_a_task_for_a_detector_that_is_not_listed_is_refused():
    with pytest.raises(SettingsError, match="haar:profile is none of them"):
        current(detect.DetectConfig).look("haar:profile")


@pytest.mark.slow
def test_a_model_that_does_not_load_is_said_before_the_long_work(tmp_path):
    (tmp_path / "cut.pb").write_bytes(b"\x0a\xff")
    config = detect.DetectConfig(detector=f"haar, tfod:{tmp_path / 'cut.pb'}")
    with pytest.raises(SettingsError, match=r"\[Detect\] detector: .*cut\.pb is no frozen graph"):
        detect.check_detectors(config)


@pytest.mark.slow
@pytest.mark.parametrize(("there", "said"), [("yunet", "is yunet here"), ("haar", "is haar here")])
def test_auto_is_resolved_once_said_and_keyed_as_what_it_is(two, monkeypatch, capsys, there, said):
    monkeypatch.setattr(detectors, "usual", lambda: there)
    monkeypatch.setattr(detectors, "check_spec", lambda spec: None)
    monkeypatch.setattr(detect, "lacking", lambda spec: "")
    set_options(Detect_detector="auto")
    assert Detect().title == f"Detect {there}"
    key = Detect(finder=there).key
    assert build(Detect())
    assert f"Detect: [Detect] detector = auto {said}" in capsys.readouterr().out
    set_options(Detect_detector=there)
    assert Detect(finder=there).key == key and Detect().title == "Detect"
    assert Detect().complete()


@pytest.mark.slow
def test_which_detector_was_chosen_is_said_whether_or_not_anybody_listens(two, monkeypatch):
    class Closed(io.StringIO):
        def write(self, text):
            raise BrokenPipeError

    monkeypatch.setattr(detectors, "usual", lambda: "haar")
    monkeypatch.setattr(sys, "stdout", Closed())
    set_options(Detect_detector="auto")
    assert build(Detect())


def test_a_worker_without_the_model_is_refused_at_once(two, monkeypatch):
    monkeypatch.setattr(detect, "lacking", lambda spec: "yunet: the package is not installed here")
    with pytest.raises(cluster.MachineError, match="cannot look for faces: yunet: the package"):
        next(detect.detect([], detect.Look(detectors.Spec("yunet"), 0.1), None))


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (BrokenProcessPool(), r"loading tfod:odd\.pb ended that process"),
        (OSError(errno.ENOSPC, "No space left"), f"No space left: {re.escape(FULL)}"),
        (ValueError("odd.pb does not load"), r"detector: odd\.pb does not load"),
    ],
)
def test_why_a_model_cannot_be_tried_is_said(monkeypatch, tmp_path, error, said):
    def fail(*_):
        raise error

    monkeypatch.setattr(detect.processes, "run_apart", fail)
    (tmp_path / "odd.pb").touch()
    config = detect.DetectConfig(detector=f"tfod:{tmp_path}/odd.pb")
    with pytest.raises(SettingsError, match=said):
        detect.check_detectors(config)


@pytest.mark.slow
def test_a_wrong_model_is_said_before_the_photos_are_read(two, monkeypatch, tmp_path):
    def fail(*_):
        raise ValueError("odd.pb does not load")

    (tmp_path / "odd.pb").touch()
    set_options(Detect_detector=f"tfod:{tmp_path}/odd.pb")
    monkeypatch.setattr(detect.processes, "run_apart", fail)
    assert not build(Detect()) and not Ingest().complete()
    monkeypatch.setattr(detect.processes, "run_apart", lambda *_: None)
    fresh()
    assert build(Ingest()) and Ingest().complete()
