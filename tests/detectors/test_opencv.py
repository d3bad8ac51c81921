"""Cascades and YuNet; with ATELIER_TESTDATA, on real portraits."""

import numpy as np
import pytest

import detectors
from atelier.boxes import Box
from detectors.base import FACE_POINTS, Detection, FaceFactors
from detectors.haar import HaarDetector, flipped
from detectors.yunet import as_detections


@pytest.mark.parametrize("text", ["haar", "haar:profile", "haar:upperbody"])
def test_every_cascade_of_the_wheel_loads_and_finds_nothing_in_nothing(text):
    find = detectors.load(detectors.parse(text), 0.1)
    assert find([np.zeros((120, 90), np.uint8), np.full((64, 200), 255, np.uint8)]) == [[], []]


def test_profiles_are_looked_for_both_ways_and_a_head_is_one(monkeypatch):
    picture = np.zeros((100, 200), np.uint8)
    picture[:, 0] = 1  # says which way it lies
    plain, mirrored = Box(10, 0, 50, 40), [Box(145, 0, 185, 40), Box(0, 50, 40, 90)]

    def one_way(self, image):
        if image[0, 0]:
            return [Detection("profile", 0.8, plain)]
        return [Detection("profile", 0.9 - 0.2 * i, box) for i, box in enumerate(mirrored)]

    monkeypatch.setattr(HaarDetector, "one_way", one_way)
    (found,) = detectors.load(detectors.parse("haar:profile"), 0.1)([picture])
    assert [(one.score, one.box) for one in found] == [
        (0.9, Box(15, 0, 55, 40)),
        (0.7, Box(160, 50, 200, 90)),
    ]


def test_a_mirrored_box_mirrored_again_is_itself():
    assert flipped(flipped(Box(3, 4, 10, 20), 64), 64) == Box(3, 4, 10, 20)


def test_a_profile_is_no_face_unless_it_is_called_one():
    assert detectors.load(detectors.parse("haar:profile"), 0.1).label == "profile"
    assert detectors.load(detectors.parse("haar:profile?names=face"), 0.1).label == "face"


def test_a_face_comes_with_its_five_points():
    row = [10, 20, 100, 120, *(30, 50), *(80, 50), *(55, 80), *(35, 110), *(75, 110), 0.95]
    found = as_detections(row)
    assert [one.label for one in found] == ["face", *FACE_POINTS]
    assert {one.score for one in found} == {0.95}
    assert found[0].box == Box(10, 20, 110, 140)
    assert found[1].box == Box(25, 45, 35, 55)
    assert found[1].box.left < found[2].box.left  # the person's right eye is at the left


def test_a_file_that_is_no_model_is_said_in_one_sentence(tmp_path, capfd):
    (tmp_path / "m.onnx").write_bytes(b"no model")
    with pytest.raises(ValueError, match=r"m\.onnx is no YuNet model that OpenCV 4"):
        detectors.load(detectors.parse(f"yunet:{tmp_path / 'm.onnx'}"), 0.1)
    assert capfd.readouterr().err == ""


@pytest.mark.slow
@pytest.mark.real_data
def test_yunet_sees_both_eyes_where_they_are(test_data):
    from pipeline.stages.detect import small

    model = test_data / "models" / "face_detection_yunet_2023mar.onnx"
    find = detectors.load(detectors.parse(f"yunet:{model}"), 0.1)
    seen = 0
    for path in sorted((test_data / "portraits_512_1023").iterdir())[:6]:
        (found,) = find([small(path.read_bytes(), find)])
        face, right, left, nose, *_ = (one.box for one in found)
        middle = (face.top + face.bottom) / 2
        assert face.left < right.left < nose.left < left.right < face.right
        assert right.top < middle and left.top < middle and nose.top > right.top
        seen += 1
    assert seen == 6


@pytest.mark.real_data
def test_another_network_is_no_yunet(test_data, capfd):
    model = test_data / "models" / "version-RFB-320.onnx"
    with pytest.raises(ValueError, match=r"version-RFB-320\.onnx is no YuNet model"):
        detectors.load(detectors.parse(f"yunet:{model}"), 0.1)
    assert capfd.readouterr().err == ""


def test_the_frontal_cascades_box_is_the_canonical_one():
    assert detectors.face_factors(detectors.parse("haar")) == FaceFactors()
