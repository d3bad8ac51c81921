"""3 x 3 convolutions with half the multiplications: Winograd's F(4, 3) along the height.

Four rows of a result, each of three rows of taps, take 12 products of rows. Interpolation through
six points takes six, of mixtures of six rows of the image with mixtures of the taps (Lavin and Gray
2016, whose nested form loses more digits). Each product is a convolution along the width; the
mixtures are matrix products over strips of the image, which stay in the cache. In bfloat16 they
are rounded too: config-f's pictures of 256 pixels are then 48.7 dB from those in float32.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from training.networks.parameters import Tensor

Matrix = NDArray[np.float64]
ROWS, TAPS = 4, 3  # of a result that are made together, of a kernel
POINTS = (0.0, 0.625, -0.625, 1.5, -1.5)  # and infinity: of those tried they round least
PRODUCTS = len(POINTS) + 1
STRIPS = (
    16,
    20,
    24,
    28,
    32,
)  # rows of a strip: float32 takes the shortest that fits, bfloat16 the longest
NARROWEST = 32  # pixels: what is narrower has fewer rows than the mixtures are worth
CHANNELS = 128  # with fewer the mixtures cost what the products save

ALLOWED = ContextVar("ALLOWED", default=False)


@contextmanager
def allowed(yes: bool = True) -> Iterator[None]:
    """While a graph is traced that no gradient is wanted of: take it where it pays."""
    token = ALLOWED.set(yes)
    try:
        yield
    finally:
        ALLOWED.reset(token)


def taken(x: Tensor, weight: Tensor) -> bool:
    """Whether this convolution of x [n, h, w, i] is done so."""
    return weight.shape[0] == TAPS and ALLOWED.get() and pays(*x.shape[1:])


def pays(height: int, width: int, channels: int) -> bool:
    """Whether it is faster for an image of this size than a convolution, on a CPU."""
    return strip_of(height) > 0 and width >= NARROWEST and channels >= CHANNELS


def strip_of(height: int, dtype: tf.DType = tf.float32) -> int:
    """How many rows a strip of such an image has; 0: it cannot be cut."""
    strips = STRIPS if dtype == tf.float32 else STRIPS[::-1]
    return next((rows for rows in strips if height % rows == 0), 0)


def mixtures() -> tuple[Matrix, Matrix, Matrix]:
    """(of six rows of an image, of three rows of taps, of six products to four rows)."""

    def powers(count: int) -> Matrix:
        finite = [[point**power for power in range(count)] for point in POINTS]
        return np.array([*finite, [0.0] * (count - 1) + [1.0]])

    # The transpose of a product of polynomials, which is known by its values at the points.
    image = np.linalg.inv(powers(PRODUCTS)).T
    size = abs(image).max(axis=1, keepdims=True)
    return image / size, powers(TAPS) * size, powers(ROWS).T


def mixed_kernel(kernel: NDArray[np.float64]) -> NDArray[np.float64]:
    """A kernel [3, 3, i, o] -> [6, 3, i, o], what `convolved` takes."""
    return np.tensordot(mixtures()[1], kernel, 1)


def convolution(x: Tensor, weight: Tensor) -> Tensor:
    """What tf.nn.conv2d(x, weight, 1, "SAME") is, of a kernel [3, 3, i, o]."""
    taps = tf.constant(mixtures()[1], tf.float32)
    return convolved(x, tf.cast(tf.tensordot(taps, tf.cast(weight, tf.float32), 1), x.dtype))


def strip_matrices(rows: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """A strip with a row on either side [rows + 2] -> 6 rows / 4 mixtures; products -> [rows]."""
    image, _, result = mixtures()
    tiles = rows // ROWS
    before = np.zeros((PRODUCTS, tiles, rows + TAPS - 1), np.float32)
    behind = np.zeros((tiles, ROWS, PRODUCTS, tiles), np.float32)
    for tile in range(tiles):
        before[:, tile, ROWS * tile : ROWS * tile + PRODUCTS] = image
        behind[tile, :, :, tile] = result
    return before.reshape(PRODUCTS * tiles, -1), behind.reshape(rows, PRODUCTS * tiles)


def convolved(x: Tensor, kernel: Tensor) -> Tensor:
    """x [n, h, w, i] with a `mixed_kernel` [6, 3, i, o] -> [n, h, w, o], zeros beyond the edges."""
    n, height, width, inputs = x.shape
    n, outputs = tf.shape(x)[0] if n is None else n, kernel.shape[3]
    rows = strip_of(height, x.dtype)
    before, behind = strip_matrices(rows)
    tiles, kernels = rows // ROWS, [part[None] for part in tf.unstack(kernel)]
    x, strips = tf.reshape(x, [n, height, width * inputs]), []
    for top in range(0, height, rows):
        first, last = max(top - 1, 0), min(top + rows + 1, height)
        seen = before[:, first - top + 1 : last - top + 1]  # all but what lies beyond the edges
        mixed = tf.matmul(tf.cast(seen, x.dtype), x[:, first:last])
        mixed = tf.reshape(mixed, [n, PRODUCTS, tiles, width, inputs])
        products = [
            tf.nn.conv2d(part, each, 1, "SAME")
            for part, each in zip(tf.unstack(mixed, axis=1), kernels, strict=True)
        ]
        product = tf.reshape(tf.concat(products, 1), [n, PRODUCTS * tiles, width * outputs])
        strips.append(tf.matmul(tf.cast(behind, x.dtype), product))
    return tf.reshape(tf.concat(strips, 1), [n, height, width, outputs])
