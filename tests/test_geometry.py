import pytest

from detectors.base import Box, FaceFactors
from pipeline import geometry

PHOTO = Box(0, 0, 1000, 800)


def test_rectangle_has_its_face_at_the_wanted_place():
    face = Box(450, 300, 550, 400)
    assert geometry.around(face, (300, 400), (0.5, 0.4), PHOTO) == Box(350, 190, 650, 590)


def test_what_does_not_fit_is_shifted():
    face = Box(10, 300, 110, 400)
    assert geometry.around(face, (300, 400), (0.5, 0.4), PHOTO) == Box(0, 190, 300, 590)


def test_what_is_too_large_is_shrunk_at_the_same_ratio():
    face = Box(400, 200, 700, 500)
    box = geometry.around(face, (900, 1200), (0.5, 0.4), PHOTO)
    assert box == Box(250, 0, 850, 800)


def test_canonical_face_is_square_about_the_stated_point():
    face = geometry.canonical_face(Box(100, 100, 200, 300), FaceFactors(side=2, x=0.5, y=0.25))
    assert face == Box(0, 0, 300, 300)


@pytest.mark.parametrize(
    ("height", "factor"), [(1000, 1), (2600, 1), (2663, 2), (5400, 4), (10800, 8)]
)
def test_reduction_leaves_room(height, factor):
    assert geometry.reduction(Box(0, 0, height * 3 // 4, height), (1024, 1024)) == factor


def test_aligned_edges_are_whole_pixels_of_the_scaled_decode():
    photo = Box(0, 0, 4001, 6003)
    box = geometry.aligned(Box(3, 5, 4001, 5555), (1024, 1024), photo)
    assert box == Box(4, 4, 4001, 5556)
    assert geometry.is_aligned(box, 4, photo)


@pytest.mark.parametrize("size", [(3, 4), (4, 3), (1, 1), (1, 5000)])
def test_fitted_touches_one_side_and_exceeds_none(size):
    width, height = geometry.fitted(*size, into=(128, 64))
    assert width <= 128 and height <= 64 and (width == 128 or height == 64)
