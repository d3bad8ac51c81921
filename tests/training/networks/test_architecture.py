from dataclasses import fields

import pytest

from training.networks.architecture import DiscriminatorConfig, GeneratorConfig, Shape


@pytest.mark.parametrize(
    ("width", "height", "base", "levels"),
    [
        (4 * 2, 4 * 2, (4, 4), 1),
        (32, 32, (4, 4), 3),
        (1024, 1024, (4, 4), 8),
        (128, 64, (4, 8), 4),
        (640, 384, (3, 5), 7),
        (80, 48, (3, 5), 4),
        (48, 80, (5, 3), 4),
        (24, 24, (3, 3), 3),
        (1280, 768, (3, 5), 8),
    ],
)
def test_sides_halve_as_often_as_they_can(width, height, base, levels):
    shape = Shape(height, width)
    assert (shape.base, shape.levels) == (base, levels)
    assert shape.size(levels) == (height, width)
    assert shape.size(1) == (2 * base[0], 2 * base[1])


def test_a_level_is_called_by_the_side_of_a_square():
    assert [Shape(384, 640).resolution(level) for level in range(3)] == [4, 8, 16]


@pytest.mark.parametrize("size", [(4, 4), (5, 8), (33, 64), (0, 64)])
def test_other_sizes_are_refused(size):
    with pytest.raises(ValueError, match="is no size for StyleGAN2"):
        Shape(*size)


def test_channels_are_grey_rgb_or_rgba():
    with pytest.raises(ValueError, match="1, 3 or 4 channels, not 2"):
        Shape(64, 64, 2)


@pytest.mark.parametrize("kind", [GeneratorConfig, DiscriminatorConfig])
def test_a_number_beyond_all_others_is_refused(kind):
    for field in fields(kind):
        if field.type in (int, float):
            for value in (10**400, -(10**400)):
                with pytest.raises(ValueError):
                    kind(**{"height": 8, "width": 8, "channels": 3, field.name: value})
