"""Every detector on real portraits; needs ATELIER_TESTDATA."""

import json
from dataclasses import replace
from functools import cache
from itertools import combinations

import pytest

import detectors
from atelier import pictures
from atelier.boxes import iou
from detectors.base import FACE
from pipeline.rows.manifest import Row
from pipeline.stages import detect
from pipeline.stages.crop import CropConfig, Recipe, crop
from pipeline.stages.detect import measure_photo
from pipeline.stages.finds import join
from tests.kit.commands import error, run, run_here

HAND_LABELS = "open hand|closed hand|pinch|point|face|finger tip|other tip"
DETECTORS = {
    "Haar": "haar",
    "YuNet": "yunet:{models}/face_detection_yunet_2023mar.onnx",
    "FaceBoxes": "tfod:{models}/tfod_faceboxes_frozen.pb?names=face",
    "hand and face": "tfod:{models}/tfod_handface_ssd_frozen.pb?names="
    + HAND_LABELS
    + "&min_score=0.3&face=0.9:0.51:0.55",
}
PORTRAITS, NO_FACES = ("portraits_512_1023", "portraits_ge1024"), ("noface",)
pytestmark = [pytest.mark.real_data, pytest.mark.slow]


@pytest.fixture(scope="module")
def seen(test_data):
    """Detector -> path -> (its finds, joined; the photo's row)."""
    return {
        name: looked(text.format(models=test_data / "models"), every_fourth(test_data))
        for name, text in DETECTORS.items()
    }


@cache
def loaded(text):
    """(spec, detector), which takes seconds of a graph."""
    spec = detectors.parse(text)
    return spec, detectors.load(spec, 0.1)


def looked(text, paths):
    spec, find = loaded(text)
    found = {}
    for path in paths:
        data = path.read_bytes()
        head = pictures.header(data, 10**8)
        row = Row(path.name, path.name, width=head.width, height=head.height)
        boxes = join([measure_photo(data, row, find)], [detectors.face_factors(spec)])
        found[path] = (boxes, row)
    return found


def every_fourth(test_data):
    """A quarter of the pictures: four detectors at all of them take most of a minute."""
    folders = [test_data / name for name in (*PORTRAITS, *NO_FACES)]
    return [path for folder in folders for path in sorted(folder.iterdir())[::4]]


def portrait(boxes, row):
    """The rectangle around the surest face, None if there is no face."""
    faces = tuple(one for one in boxes if one.label == FACE)[:1]
    config = CropConfig(enlarge=True, min_face=1, max_face_share=1)
    row = Row(row.id, row.photo, width=row.width, height=row.height, boxes=faces)
    (made,) = crop(row, Recipe(config))
    return made.rectangle


@pytest.mark.parametrize(("one", "other"), list(combinations(DETECTORS, 2)))
def test_the_portrait_does_not_depend_on_the_detector(seen, one, other):
    pairs = [
        (portrait(*seen[one][path]), portrait(*seen[other][path]))
        for path in seen[one]
        if path.parent.name in PORTRAITS
    ]
    overlaps = [iou(a, b) for a, b in pairs if a and b]
    mean = sum(overlaps) / len(overlaps)
    print(f"{one}, {other}: mean IoU {mean:.3f} of {len(overlaps)}, least {min(overlaps):.2f}")
    assert len(overlaps) >= 22
    assert mean >= 0.8


@pytest.mark.parametrize(
    ("name", "least", "most"),
    [("Haar", 31, 1), ("YuNet", 32, 0), ("FaceBoxes", 32, 0), ("hand and face", 23, 1)],
)
def test_faces_are_found_where_they_are_and_nowhere_else(seen, name, least, most):
    with_face = [
        path.parent.name
        for path, (boxes, _) in seen[name].items()
        if FACE in {one.label for one in boxes}
    ]
    right = sum(folder in PORTRAITS for folder in with_face)
    wrong = len(with_face) - right
    print(f"{name}: {right} of 33 portraits, {wrong} false")
    assert right >= least
    assert wrong <= most


def test_hands_are_found_on_some_portraits(seen):
    hands = {"open hand", "closed hand", "pinch", "point"}
    found = [
        boxes for boxes, _ in seen["hand and face"].values() if hands & {one.label for one in boxes}
    ]
    assert len(found) >= 2
    assert not [one for boxes in found for one in boxes if one.label.isdigit()]


def test_the_whole_dataset_with_a_graph_of_tensorflows(tmp_path, test_data, monkeypatch):
    monkeypatch.setattr(detect.processes, "run_apart", run_here)
    (tmp_path / "photos").mkdir()
    for path in sorted((test_data / "portraits_512_1023").iterdir())[:4]:
        (tmp_path / "photos" / path.name).symlink_to(path)
    text = DETECTORS["FaceBoxes"].format(models=test_data / "models")
    done = run(tmp_path, "run", Detect_detector=text, Dataset_size=256, Zoom_share=0)
    assert done.returncode == 0, done.stderr
    assert any(line.split()[:3] == ["Resize", "4", "4"] for line in done.stdout.splitlines())


def test_a_truncated_graph_is_one_sentence(tmp_path, test_data, monkeypatch):
    monkeypatch.setattr(detect.processes, "run_apart", run_here)
    (tmp_path / "photos").symlink_to(test_data / "portraits_512_1023")
    path = test_data / "models" / "frozen_inference_graph_truncated_ssdv3.pb"
    done = run(tmp_path, "run", Detect_detector=f"tfod:{path}")
    assert "is no frozen graph, or only a part of one (328372 bytes): fetch it again" in error(
        done, done.returncode
    )


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("portigal.jpg", "hand at the face: pinch 0.8"),  # two hands at the glasses
        ("eboni-freeman-headshot.jpeg", "arms crossed: open hand 0.8"),  # both hands are low
        ("brent-maravilla.jpg", None),  # hands only under the score that is asked for
        ("marianne-bellotti.jpg", None),  # a hand at the chin, which this graph does not find
    ],
)
def test_rules_on_hands_and_faces(test_data, name, said):
    text = DETECTORS["hand and face"].format(models=test_data / "models")
    ((boxes, row),) = looked(text, [test_data / "portraits_ge1024" / name]).values()
    rules = [
        {"drop": "hand at the face", "if": ["pinch", "overlaps", "face"], "min_score": 0.35},
        {"drop": "arms crossed", "if": ["open hand", "below", "face"], "min_score": 0.6},
    ]
    config = CropConfig(faces="largest", enlarge=True, max_face_share=1, rules=json.dumps(rules))
    (made,) = crop(replace(row, boxes=boxes), Recipe(config))
    assert (made.drop or "")[: len(said or "")] == (said or "")
    assert bool(made.drop) == bool(said)
