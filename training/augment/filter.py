"""Changes of the spectrum, noise, and a rectangle cut out."""

from functools import lru_cache

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from training.augment.banded import Banded, along
from training.augment.chance import Drawn, chosen, normal
from training.augment.warp import reflected
from training.networks.parameters import Tensor

SYM2 = np.array([-0.12940952255092145, 0.22414386804185735, 0.836516303737469, 0.48296291314451025])
POWER = np.array([10, 1, 1, 1], np.float32) / 13  # of natural images, expected in the four bands
CUTOUT = 0.5  # side of the rectangle, as a share of the image's

DRAWS = (
    *("band0?", "band0", "band1?", "band1", "band2?", "band2", "band3?", "band3"),
    *("noise?", "noise", "cutout?", "cutout x", "cutout y"),
)


def spoilt(
    images: Tensor, drawn: Drawn, p: Tensor, groups: tuple[str, ...], noise: Tensor | None
) -> Tensor:
    """Images filtered, with noise, with a hole, where these are among the groups."""
    size = (images.shape[1], images.shape[2])
    result = images
    if "filter" in groups:
        result = filtered(result, band_gains(drawn, p))
    if noise is not None:
        result = result + noise * noise_strength(drawn, p)
    if "cutout" in groups:
        result = result * cutout_mask(drawn, p, size)
    return result


def band_gains(drawn: Drawn, p: Tensor) -> Tensor:
    """Gains of four bands, lowest first [n, 4]; each change keeps the expected power."""
    gains = tf.ones([1, 4])
    for band in range(4):
        drawn_gain = 2 ** normal(drawn[f"band{band}"])
        gain = chosen(drawn, f"band{band}", p, drawn_gain, 1.0)[:, None]
        step = tf.where(tf.range(4) == band, gain, 1.0)
        gains = gains * step / tf.sqrt(tf.reduce_sum(POWER * step**2, axis=1, keepdims=True))
    return gains


def filtered(images: Tensor, gains: Tensor) -> Tensor:
    """Amplify the bands of images NHWC by gains [n, 4], along both axes; edges are reflected."""
    _, height, width, _ = images.shape
    down, across = bands(height), bands(width)
    mixed = [tf.tensordot(gains, matrix.blocks[1], 1) for matrix in (down, across)]
    return along(images, down, across, *mixed)


@lru_cache
def bands(side: int) -> Banded:
    """Four filters as matrices on a reflected signal, lowest first [4, side, side]; sum 1."""
    taps = band_taps()
    widest = max(map(len, taps))
    values = np.stack([np.pad(band, (widest - len(band)) // 2) for band in taps])
    pixel, tap = np.divmod(np.arange(side * widest), widest)
    read = reflected(pixel + tap - widest // 2, side)
    return Banded((side, side), pixel, read, values[:, tap])


def band_taps() -> list[NDArray[np.float64]]:
    """The filters: octaves of a filter bank whose halves are |H|^2 of the sym2 wavelet."""
    low = np.convolve(SYM2, SYM2[::-1]) / 2
    high = -low
    high[len(low) // 2] += 1
    passed, found = np.ones(1), []
    for octave in (1, 2, 4):
        found.append(np.convolve(passed, dilated(high, octave)))
        passed = np.convolve(passed, dilated(low, octave))
    return [passed, *reversed(found)]


def dilated(taps: NDArray[np.float64], step: int) -> NDArray[np.float64]:
    """`taps` with step - 1 zeros between them."""
    wide = np.zeros((len(taps) - 1) * step + 1)
    wide[::step] = taps
    return wide


def noise_strength(drawn: Drawn, p: Tensor) -> Tensor:
    """|N(0, 0.1)| [n, 1, 1, 1]."""
    strength = chosen(drawn, "noise", p, 0.1 * tf.abs(normal(drawn["noise"])), 0.0)
    return strength[:, None, None, None]


def cutout_mask(drawn: Drawn, p: Tensor, size: tuple[int, int]) -> Tensor:
    """0 inside a rectangle of half the size about a point of the image, else 1 [n, h, w, 1]."""
    half = chosen(drawn, "cutout", p, tf.fill(tf.shape(drawn["cutout?"]), CUTOUT / 2), 0.0)
    inside = []
    for axis, side in zip("yx", size, strict=True):
        centres = (tf.range(side, dtype=tf.float32) + 0.5) / side
        distance = tf.abs(centres - drawn[f"cutout {axis}"][:, None])
        inside.append(distance < half[:, None])
    hole = inside[0][:, :, None] & inside[1][:, None, :]
    return tf.cast(~hole, tf.float32)[..., None]
