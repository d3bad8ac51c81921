import pytest

from atelier import boxes
from atelier.boxes import Box


@pytest.mark.parametrize(
    ("height", "factor"), [(1000, 1), (2600, 1), (2663, 2), (5400, 4), (10800, 8)]
)
def test_reduction_leaves_room(height, factor):
    assert boxes.reduction(Box(0, 0, height * 3 // 4, height), (1024, 1024)) == factor


def test_aligned_edges_are_whole_pixels_of_the_scaled_decode():
    photo = Box(0, 0, 4001, 6003)
    box = boxes.aligned(Box(3, 5, 4001, 5555), (1024, 1024), photo)
    assert box == Box(4, 4, 4001, 5556)
    assert boxes.is_aligned(box, 4, photo)


@pytest.mark.parametrize("size", [(3, 4), (4, 3), (1, 1), (1, 5000)])
def test_fitted_touches_one_side_and_exceeds_none(size):
    width, height = boxes.fitted(*size, into=(128, 64))
    assert width <= 128 and height <= 64 and (width == 128 or height == 64)
