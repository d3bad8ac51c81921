"""Flips, turns, shifts, scales and rotations, done as one warp; blits alone move whole pixels.

A warp doubles the size with the sym6 wavelet filter, samples bilinearly, and halves the size
again with the same filter, so that a warp by nothing changes nothing. The filter is not symmetric:
its samples are taken to lie where its centre is, or what is flipped would also move. Beyond its
edges an image goes on as its own reflection.
"""

import math
from functools import lru_cache

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from training.augment.chance import Drawn, chosen, matrices, normal
from training.networks.parameters import Tensor

SYM6 = np.array(
    [
        *[0.015404109327027373, 0.0034907120842174702, -0.11799011114819057, -0.048311742585633],
        *[0.4910559419267466, 0.787641141030194, 0.3379294217276218, -0.07263752278646252],
        *[-0.021060292512300564, 0.04472490177066578, 0.0017677118642428036, -0.007800708325034148],
    ]
)  # orthonormal, sum sqrt(2)
HALF = len(SYM6) // 2
CENTRE = (
    float(np.arange(len(SYM6)) @ SYM6 / SYM6.sum()) - HALF + 0.5
)  # how far it is off its middle
MARGIN = HALF - 1  # fine pixels that halving the size reads beyond the image on each side

DRAWS = (
    *("flip?", "flip", "turn?", "turn", "whole?", "whole x", "whole y"),
    *("scale?", "scale", "before?", "before", "stretch?", "stretch", "after?", "after"),
    *("part?", "part x", "part y"),
)


def moved(images: Tensor, drawn: Drawn, p: Tensor, groups: tuple[str, ...]) -> Tensor:
    """Blit and geometry: one warp where both are made, whole pixels where only the first is."""
    size = (images.shape[1], images.shape[2])
    whole = blit(drawn, p, size) if "blit" in groups else None
    result = images if whole is None else move(images, whole)
    if "geom" not in groups:
        return result
    inverse = geometry(drawn, p, size)
    warped = warp(images, inverse if whole is None else whole @ inverse)
    made = tf.reduce_any(inverse != tf.eye(3), axis=[1, 2])
    return tf.where(made[:, None, None, None], warped, result)


def blit(drawn: Drawn, p: Tensor, size: tuple[int, int]) -> Tensor:
    """Flip, turn by quarters, shift by whole pixels: output -> input coordinates [n, 3, 3]."""
    flip = chosen(drawn, "flip", p, 1 - 2 * tf.floor(2 * drawn["flip"]), 1.0)
    turn = chosen(drawn, "turn", p, tf.floor(4 * drawn["turn"]), 0.0)
    x, y = (
        chosen(drawn, "whole", p, tf.round((drawn[f"whole {axis}"] - 0.5) * (side / 4)), 0.0)
        for axis, side in zip("xy", reversed(size), strict=True)
    )
    cosine, sine = quarter(turn), quarter(turn - 1)
    turned = matrices([[cosine, -sine, 0], [sine, cosine, 0], [0, 0, 1]], turn)
    return scaling(flip, tf.ones_like(flip)) @ turned @ shift(-x, -y)


def geometry(drawn: Drawn, p: Tensor, size: tuple[int, int]) -> Tensor:
    """Scale, rotate, stretch, rotate, shift: output -> input coordinates [n, 3, 3].

    Two rotations share the chance: each is made with 1 - sqrt(1 - p).
    """
    rotate = 1 - tf.sqrt(tf.maximum(1 - p, 0))
    scale = chosen(drawn, "scale", p, 2 ** (-0.2 * normal(drawn["scale"])), 1.0)
    before, after = (
        chosen(drawn, name, rotate, (2 * drawn[name] - 1) * math.pi, 0.0)
        for name in ("before", "after")
    )
    stretch = chosen(drawn, "stretch", p, 2 ** (-0.2 * normal(drawn["stretch"])), 1.0)
    x, y = (
        chosen(drawn, "part", p, normal(drawn[f"part {axis}"]) * (side / 8), 0.0)
        for axis, side in zip("xy", reversed(size), strict=True)
    )
    turned = scaling(scale, scale) @ rotation(before) @ scaling(stretch, 1 / stretch)
    return turned @ rotation(after) @ shift(-x, -y)


def quarter(turn: Tensor) -> Tensor:
    """cos(turn pi / 2) for whole numbers, without error."""
    turn = tf.math.floormod(turn, 4)
    return tf.cast(turn == 0, tf.float32) - tf.cast(turn == 2, tf.float32)


def rotation(angle: Tensor) -> Tensor:
    """Rotation by `angle` [n], in radians."""
    cosine, sine = tf.cos(angle), tf.sin(angle)
    return matrices([[cosine, -sine, 0], [sine, cosine, 0], [0, 0, 1]], angle)


def scaling(x: Tensor, y: Tensor) -> Tensor:
    """Scaling by x and y [n]."""
    return matrices([[x, 0, 0], [0, y, 0], [0, 0, 1]], x)


def shift(x: Tensor, y: Tensor) -> Tensor:
    """Shift by x and y [n], in pixels."""
    return matrices([[1, 0, x], [0, 1, y], [0, 0, 1]], x)


def warp(images: Tensor, inverse: Tensor) -> Tensor:
    """Each output pixel p of images NHWC is read at inverse @ p; coordinates from the centre."""
    _, height, width, _ = images.shape
    fine = along(images, doubling(height), doubling(width))
    return along(sample_warped(fine, inverse, (height, width)), halving(height), halving(width))


def move(images: Tensor, inverse: Tensor) -> Tensor:
    """`warp` for an inverse that maps pixels to pixels: exact."""
    n, height, width, channels = images.shape
    across = tf.range(width, dtype=tf.float32) + 0.5 - width / 2
    down = tf.range(height, dtype=tf.float32) + 0.5 - height / 2
    x, y = positions(inverse, across, down)
    column = whole_index(x + (width - 1) / 2, width)
    row = whole_index(y + (height - 1) / 2, height)
    start = tf.range(n)[:, None, None] * (height * width)
    flat = tf.reshape(images, [n * height * width, channels])
    return tf.gather(flat, start + row * width + column)


def whole_index(position: Tensor, side: int) -> Tensor:
    """The pixel at `position` when the signal goes on as its reflection."""
    period = 2 * (side - 1)
    index = tf.math.floormod(tf.cast(tf.round(position), tf.int32), period)
    return tf.minimum(index, period - index)


def along(images: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """rows @ image @ columns^T for every channel: [n, h, w, c] -> [n, h', w', c].

    `rows` [h', h] and `columns` [w', w], or one of them per image. The columns go through one large
    product for each image: one of [w, c] for each of its rows takes twice as long.
    """
    n, height, width, channels = images.shape
    rows, columns = tf.cast(rows, images.dtype), tf.cast(columns, images.dtype)
    side, across = rows.shape[-2], columns.shape[-2]
    lines = tf.reshape(tf.transpose(images, [0, 1, 3, 2]), [n, height * channels, width])
    lines = tf.reshape(tf.matmul(lines, columns, transpose_b=True), [n, height, channels, across])
    lines = tf.reshape(tf.transpose(lines, [0, 1, 3, 2]), [n, height, across * channels])
    return tf.reshape(tf.matmul(rows, lines), [n, side, across, channels])


@lru_cache
def doubling(side: int) -> NDArray[np.float32]:
    """[4 side, side]: the samples of the doubled signal, then those by the mirrored filter.

    Fine sample j lies at (j - 1/2 - CENTRE) / 2 pixels. In the reflected parts of the signal the
    filter is met mirrored, so the second half serves every other period.
    """
    matrix = np.zeros((4 * side, side), np.float32)
    for mirrored, taps in enumerate((SYM6, SYM6[::-1])):
        for fine in range(2 * side):
            for tap in range((fine + MARGIN) % 2, len(SYM6), 2):
                # Pixel i lies at fine position 2 i before the filter, which is centred on a half.
                pixel = (fine + MARGIN - tap) // 2
                row = 2 * side * mirrored + fine
                matrix[row, reflected(pixel, side)] += math.sqrt(2) * taps[tap]
    return matrix


@lru_cache
def halving(side: int) -> NDArray[np.float32]:
    """[side, 2 side + 2 MARGIN]: the transpose of doubling, up to scale, without its edges."""
    matrix = np.zeros((side, 2 * side + 2 * MARGIN), np.float32)
    for pixel in range(side):
        for tap, value in enumerate(SYM6):
            matrix[pixel, 2 * pixel + tap] += value / math.sqrt(2)
    return matrix


def reflected(index: int, side: int) -> int:
    """The pixel that `index` shows when the signal goes on as its reflection."""
    index %= 2 * (side - 1)
    return min(index, 2 * (side - 1) - index)


def sample_warped(fine: Tensor, inverse: Tensor, size: tuple[int, int]) -> Tensor:
    """Bilinear samples of the doubled images, on the doubled output grid with its margin.

    fine [n, 4 h, 4 w, c] from `doubling` -> [n, 2 h + 2 MARGIN, 2 w + 2 MARGIN, c].
    """
    height, width = size
    x, y = positions(inverse, fine_grid(width), fine_grid(height))
    x, y = 2 * x + (width - 0.5 + CENTRE), 2 * y + (height - 0.5 + CENTRE)
    left, top = tf.floor(x), tf.floor(y)
    right_share = tf.cast(x - left, fine.dtype)[..., None]
    lower_share = tf.cast(y - top, fine.dtype)[..., None]
    columns = [fine_index(left + step, width) for step in (0, 1)]
    rows = [fine_index(top + step, height) for step in (0, 1)]
    n, _, _, channels = fine.shape
    flat = tf.reshape(fine, [n * 16 * height * width, channels])
    start = tf.range(n)[:, None, None] * (16 * height * width)

    def corner(row: int, column: int) -> Tensor:
        return tf.gather(flat, start + rows[row] * (4 * width) + columns[column])

    upper = corner(0, 0) * (1 - right_share) + corner(0, 1) * right_share
    lower = corner(1, 0) * (1 - right_share) + corner(1, 1) * right_share
    return upper * (1 - lower_share) + lower * lower_share


def fine_grid(side: int) -> Tensor:
    """Where the samples that `halving` reads lie, in pixels from the centre."""
    return (tf.range(2 * side + 2 * MARGIN, dtype=tf.float32) - MARGIN + 0.5 - CENTRE - side) / 2


def positions(inverse: Tensor, across: Tensor, down: Tensor) -> tuple[Tensor, Tensor]:
    """x and y of inverse @ (across, down, 1) for a grid [n, len(down), len(across)]."""
    to_x, to_y = inverse[:, 0, :, None, None], inverse[:, 1, :, None, None]
    x = to_x[:, 0] * across + to_x[:, 1] * down[:, None] + to_x[:, 2]
    y = to_y[:, 0] * across + to_y[:, 1] * down[:, None] + to_y[:, 2]
    return x, y


def fine_index(position: Tensor, side: int) -> Tensor:
    """The row of `doubling` for a fine sample of the reflected signal.

    Pixel 0 lies between fine samples 0 and 1, the last between 2 side - 2 and 2 side - 1: sample j
    is mirrored to 1 - j and to 4 side - 3 - j.
    """
    period = 4 * (side - 1)
    index = tf.math.floormod(tf.cast(position, tf.int32), period)
    mirror = index > 2 * side - 1
    return tf.where(mirror, 2 * side + (period + 1 - index), index)
