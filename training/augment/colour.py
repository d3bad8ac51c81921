"""Changes of colour: one affine map of RGB per sample."""

import math

import numpy as np
import tensorflow as tf

from training.augment.chance import Drawn, chosen, matrices, normal
from training.networks.parameters import Tensor

LUMA = np.outer([1, 1, 1, 0], [1, 1, 1, 0]).astype(np.float32) / 3  # projects on the grey axis
REST = np.diag([1, 1, 1, 0]).astype(np.float32) - LUMA
CROSS = np.array([[0, -1, 1, 0], [1, 0, -1, 0], [-1, 1, 0, 0], [0, 0, 0, 0]], np.float32) / 3**0.5
ONE = np.diag([0, 0, 0, 1]).astype(np.float32)

DRAWS = (
    *("brightness?", "brightness", "contrast?", "contrast", "luma?", "luma", "hue?", "hue"),
    *("saturation?", "saturation"),
)


def coloured(images: Tensor, drawn: Drawn, p: Tensor, groups: tuple[str, ...]) -> Tensor:
    """Images with other colours, where that is one of the groups."""
    return colour(images, matrix(drawn, p)) if "color" in groups else images


def matrix(drawn: Drawn, p: Tensor) -> Tensor:
    """Brightness, contrast, luma flip, hue, saturation: maps of (r, g, b, 1), [n, 4, 4]."""
    shift = chosen(drawn, "brightness", p, 0.2 * normal(drawn["brightness"]), 0.0)
    contrast = chosen(drawn, "contrast", p, 2 ** (0.5 * normal(drawn["contrast"])), 1.0)
    luma = chosen(drawn, "luma", p, 1 - 2 * tf.floor(2 * drawn["luma"]), 1.0)
    angle = chosen(drawn, "hue", p, (2 * drawn["hue"] - 1) * math.pi, 0.0)
    saturation = chosen(drawn, "saturation", p, 2 ** normal(drawn["saturation"]), 1.0)
    rows: list[list[Tensor | float]] = [[1, 0, 0, shift], [0, 1, 0, shift], [0, 0, 1, shift]]
    brightness = matrices([*rows, [0, 0, 0, 1]], shift)
    # On the grey axis contrast and luma flip act, across it contrast, hue and saturation.
    grey, across = spread(contrast * luma), spread(contrast * saturation)
    turned = spread(tf.cos(angle)) * REST + spread(tf.sin(angle)) * CROSS
    return (grey * LUMA + across * turned + ONE) @ brightness


def spread(values: Tensor) -> Tensor:
    """[n] -> [n, 1, 1]."""
    return values[:, None, None]


def colour(images: Tensor, maps: Tensor) -> Tensor:
    """Apply maps [n, 4, 4] to RGB; alpha stays. A grey image takes the mean of the rows."""
    channels = images.shape[3]
    if channels == 1:
        mean = tf.reduce_mean(maps[:, :3], axis=1)
        scale = tf.reduce_sum(mean[:, :3], axis=1)
        return images * scale[:, None, None, None] + mean[:, 3][:, None, None, None]
    n, height, width, _ = images.shape
    pixels = tf.reshape(images[..., :3], [n, height * width, 3])
    pixels = tf.matmul(pixels, maps[:, :3, :3], transpose_b=True) + maps[:, None, :3, 3]
    rgb = tf.reshape(pixels, [n, height, width, 3])
    return rgb if channels == 3 else tf.concat([rgb, images[..., 3:]], axis=3)
