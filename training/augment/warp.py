"""The affine warp of ADA: double the size, sample bilinearly, halve the size again.

Both resamplings filter with the sym6 wavelet, so that a warp by nothing changes nothing. The filter
is not symmetric: its samples are taken to lie where its centre is, or what is flipped would also
move. Beyond its edges an image goes on as its own reflection. Of a gradient nothing is kept but the
map itself: the warp is linear in the image, and its gradient is the transpose of each step.

On a CPU one operation of TensorFlow's reads all samples, as crops of one pixel, and another adds up
what goes back to each pixel, as a histogram does. On a GPU the first would wait for the host, and
XLA does not know it. The first's own gradient will not do: its threads write over each other.
"""

import math
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from training.augment.banded import Banded, along, turned
from training.networks import cpu
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
CENTRES = {"wavelet": CENTRE, "nvlabs": -0.5}  # where it is, and where NVlabs' code has it
MARGIN = HALF - 1  # fine pixels that halving the size reads beyond the image on each side
AT_ONCE = 1 << 22  # numbers of the doubled images held together: more leave a CPU's caches


def warp(images: Tensor, inverse: Tensor, centre: float = CENTRE) -> Tensor:
    """Each output pixel p of images NHWC is read at inverse @ p; coordinates from the centre.

    inverse [n, 3, 3]; `centre` is where the filter's centre is taken to be. Exact to any order in
    the images; no gradient reaches `inverse`.
    """

    @tf.custom_gradient  # type: ignore[untyped-decorator]
    def run(images: Tensor) -> Any:
        warped = in_turn(warped_part, images, inverse, centre)
        return warped, lambda upstream: warp_back(upstream, inverse, centre)

    return run(images)


def warp_back(images: Tensor, inverse: Tensor, centre: float = CENTRE) -> Tensor:
    """The transpose of `warp`: its gradient, whose gradient is `warp`."""

    @tf.custom_gradient  # type: ignore[untyped-decorator]
    def run(images: Tensor) -> Any:
        found = in_turn(transposed_part, images, inverse, centre)
        return found, lambda upstream: warp(upstream, inverse, centre)

    return run(images)


Part = Callable[[Tensor, Tensor, float], Tensor]


def in_turn(part: Part, images: Tensor, inverse: Tensor, centre: float) -> Tensor:
    """`part` of a few images after the other, so that few are held at their double size."""
    n, height, width, channels = images.shape
    few = max(AT_ONCE // (16 * height * width * channels), 1)
    found: list[Tensor] = []
    for start in range(0, n, few):
        # What a gradient needs again it computes again: merged with this it would be kept.
        with tf.control_dependencies([images, *found[-1:]]):
            own, maps = (tf.identity(whole[start : start + few]) for whole in (images, inverse))
        found.append(part(own, maps, centre))
    return found[0] if len(found) == 1 else tf.concat(found, axis=0)


def warped_part(images: Tensor, inverse: Tensor, centre: float) -> Tensor:
    """`warp` of images that are held at once."""
    n, height, width, channels = images.shape
    if by_one_operation(images):
        lying = turned(images, doubling(height), doubling(width))  # on its side
        given = points(inverse, (height, width), centre)
        sampled = tf.raw_ops.CropAndResize(image=lying, crop_size=[1, 1], **given)
        shape = [n, 2 * (width + MARGIN), 2 * (height + MARGIN), channels]
        return turned(tf.reshape(sampled, shape), halving(width), halving(height))
    fine = along(images, doubling(height), doubling(width))
    fine = tf.reshape(fine, [n * 16 * height * width, channels])
    column, line, right, lower = places(inverse, (height, width), centre)
    start = tf.range(n, dtype=tf.int64)[:, None, None] * (16 * height * width)
    index = start + line * (4 * width) + column
    right, lower = (tf.cast(share, images.dtype)[..., None] for share in (right, lower))

    def between(upper: int) -> Tensor:
        left = tf.gather(fine, index + upper)
        return left + (tf.gather(fine, index + (upper + 1)) - left) * right

    above, below = between(0), between(4 * width)
    sampled = above + (below - above) * lower
    return along(sampled, halving(height), halving(width))


def transposed_part(images: Tensor, inverse: Tensor, centre: float) -> Tensor:
    """`warp_back` of images that are held at once; channel by channel, as sums like it."""
    n, height, width, channels = images.shape
    planes = tf.reshape(tf.transpose(images, [0, 3, 1, 2]), [n * channels, height, width, 1])
    spread = along(planes, halving(height).transposed, halving(width).transposed)
    spread = tf.reshape(spread, [n, channels, *spread.shape[1:3]])
    column, line, right, lower = places(inverse, (height, width), centre)
    right, lower = (tf.cast(share, images.dtype)[:, None] for share in (right, lower))
    below = spread * lower
    above = spread - below
    beside, under = above * right, below * right
    values = tf.stack([above - beside, beside, below - under, under], axis=2)
    # The doubled images lie on their side: so they need not be turned before they are halved.
    index, steps = column * (4 * height) + line, (0, 4 * height, 1, 4 * height + 1)
    corners = tf.stack([index + step for step in steps], axis=1)[:, None]
    fine = summed(values, corners, 16 * height * width)
    planes = tf.reshape(fine, [n * channels, 4 * width, 4 * height, 1])
    planes = turned(planes, doubling(width).transposed, doubling(height).transposed)
    return tf.transpose(tf.reshape(planes, [n, channels, height, width]), [0, 2, 3, 1])


def summed(values: Tensor, at: Tensor, count: int) -> Tensor:
    """The sums of values [n, c, ...] at each of `count` places, given by `at` [n, 1, ...].

    [n c, count]. On a CPU every plane's are one thread's, which adds them in their order.
    """
    n, channels = values.shape[:2]
    if by_one_operation(values):
        whole = tf.repeat(tf.cast(at, tf.int32), channels, axis=1)
        given = {"input": whole, "weights": values}
        rows = {name: tf.reshape(part, [n * channels, -1]) for name, part in given.items()}
        return tf.raw_ops.DenseBincount(size=count, **rows)
    plane = tf.range(n * channels, dtype=tf.int64) * count  # int32 would be counted on the host
    at += tf.reshape(plane, [n, channels, *[1] * (at.shape.rank - 2)])
    return tf.math.unsorted_segment_sum(values, at, n * channels * count)


def places(inverse: Tensor, size: tuple[int, int], centre: float) -> tuple[Tensor, ...]:
    """Where the samples that `halving` reads lie in the doubled image [4 h, 4 w] of `doubling`.

    (column and line of the pixel to their upper left, shares of the right and of the lower
    neighbour), each [n, 2 h + 2 MARGIN, 2 w + 2 MARGIN].
    """
    height, width = size
    y = fine_grid(height, centre)[:, None]
    x = fine_grid(width, centre)
    found = []
    for row, side in ((0, width), (1, height)):
        to = 2 * inverse[:, row, :, None, None]
        at = to[:, 0] * x + (to[:, 1] * y + (to[:, 2] + (side - 0.5 + centre)))
        whole, period = tf.floor(at), 4 * (side - 1)
        start = tf.cast(whole - period * tf.floor((whole + 0.5) * (1 / period)), tf.int64)
        found.append((start, at - whole))
    (column, right), (line, lower) = found
    return column, line, right, lower


def by_one_operation(numbers: Tensor) -> bool:
    """Whether all samples are read, or added up, by one of TensorFlow's: on a CPU, of float32."""
    return cpu.USE.get() == "learning" and numbers.dtype == tf.float32


def points(inverse: Tensor, size: tuple[int, int], centre: float) -> dict[str, Tensor]:
    """What CropAndResize reads where `halving` does, of doubled images that lie on their side.

    Boxes without extent (x, y, x, y) [n (2 w + 2 MARGIN) (2 h + 2 MARGIN), 4], in shares of the
    sides, and whose they are.
    """
    sides = np.array(size[::-1], np.float32)
    periods = 4 * (sides - 1)
    x, y = tf.meshgrid(*(fine_grid(side, centre) for side in size[::-1]), indexing="ij")
    grid = tf.reshape(tf.stack([x, y, tf.ones_like(x)], axis=2), [1, -1, 3])
    to = 2 * inverse[:, :2] + np.outer(sides - 0.5 + centre, [0, 0, 1]).astype(np.float32)
    at = tf.matmul(grid, tf.tile(to / periods[:, None], [1, 2, 1]), transpose_b=True)
    shares = periods / (4 * sides - 1)
    each = np.tile(shares, 2) if size[0] != size[1] else shares[0]  # one number is faster
    at = (at - tf.floor(at)) * each
    whose = tf.repeat(tf.range(inverse.shape[0]), grid.shape[1])
    return {"boxes": tf.reshape(at, [-1, 4]), "box_ind": whose}


def fine_grid(side: int, centre: float) -> Tensor:
    """Where the samples that `halving` reads lie, in pixels from the centre."""
    return (tf.range(2 * side + 2 * MARGIN, dtype=tf.float32) - MARGIN + 0.5 - centre - side) / 2


@lru_cache
def doubling(side: int) -> Banded:
    """[4 side, side]: one period of the doubled signal that goes on as its reflection, and more.

    Fine sample j lies at (j - 1/2 - CENTRE) / 2 pixels; the period is 4 (side - 1) samples.
    """
    fine, tap = np.divmod(np.arange(4 * side * len(SYM6)), len(SYM6))
    # Pixel i lies at fine position 2 i before the filter, which is centred on a half.
    twice = fine + MARGIN - tap
    read = (twice % 2 == 0) & (fine <= 4 * (side - 1))
    pixel = reflected(twice[read] // 2, side)
    return Banded((4 * side, side), fine[read], pixel, math.sqrt(2) * SYM6[tap[read]])


@lru_cache
def halving(side: int) -> Banded:
    """[side, 2 side + 2 MARGIN]: the transpose of doubling, up to scale, without its edges."""
    pixel, tap = np.divmod(np.arange(side * len(SYM6)), len(SYM6))
    shape = (side, 2 * side + 2 * MARGIN)
    return Banded(shape, pixel, 2 * pixel + tap, SYM6[tap] / math.sqrt(2))


def reflected(index: NDArray[np.int64], side: int) -> NDArray[np.int64]:
    """The pixels that `index` shows when the signal goes on as its reflection."""
    index = index % (2 * (side - 1))
    return np.minimum(index, 2 * (side - 1) - index)
