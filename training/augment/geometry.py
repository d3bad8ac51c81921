"""Flips, turns, shifts, scales and rotations, done as one warp; blits alone move whole pixels."""

import math

import tensorflow as tf

from training.augment.chance import Drawn, chosen, matrices, normal, picked
from training.augment.warp import CENTRE, warp
from training.networks.parameters import Tensor

DRAWS = (
    *("flip?", "flip", "turn?", "turn", "whole?", "whole x", "whole y"),
    *("scale?", "scale", "before?", "before", "stretch?", "stretch", "after?", "after"),
    *("part?", "part x", "part y"),
)


def moved(
    images: Tensor, drawn: Drawn, p: Tensor, groups: tuple[str, ...], centre: float = CENTRE
) -> Tensor:
    """Blit and geometry: one warp where both are made, whole pixels where only the first is."""
    size = (images.shape[1], images.shape[2])
    whole = blit(drawn, p, size) if "blit" in groups else None
    result = images if whole is None else move(images, whole)
    if "geom" not in groups:
        return result
    inverse = geometry(drawn, p, size)
    warped = warp(images, inverse if whole is None else whole @ inverse, centre)
    made = tf.reduce_any(inverse != tf.eye(3), axis=[1, 2])
    return picked(made, warped, result)


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


def move(images: Tensor, inverse: Tensor) -> Tensor:
    """`warp` for an inverse that maps pixels to pixels: exact."""
    n, height, width, channels = images.shape
    across = tf.range(width, dtype=tf.float32) + 0.5 - width / 2
    down = tf.range(height, dtype=tf.float32) + 0.5 - height / 2
    x, y = positions(inverse, across, down)
    column = whole_index(x + (width - 1) / 2, width)
    row = whole_index(y + (height - 1) / 2, height)
    start = tf.range(n, dtype=tf.int64)[:, None, None] * (height * width)
    flat = tf.reshape(images, [n * height * width, channels])
    return tf.gather(flat, start + row * width + column)


def whole_index(position: Tensor, side: int) -> Tensor:
    """The pixel at `position` when the signal goes on as its reflection."""
    period, whole = 2 * (side - 1), tf.round(position)
    index = tf.cast(whole - period * tf.floor((whole + 0.5) * (1 / period)), tf.int64)
    return tf.minimum(index, period - index)


def positions(inverse: Tensor, across: Tensor, down: Tensor) -> tuple[Tensor, Tensor]:
    """x and y of inverse @ (across, down, 1) for a grid [n, len(down), len(across)]."""
    to_x, to_y = inverse[:, 0, :, None, None], inverse[:, 1, :, None, None]
    x = to_x[:, 0] * across + to_x[:, 1] * down[:, None] + to_x[:, 2]
    y = to_y[:, 0] * across + to_y[:, 1] * down[:, None] + to_y[:, 2]
    return x, y
