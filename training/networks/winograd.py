"""3 x 3 convolutions with fewer multiplications: Winograd's F(4, 3), along the height or both axes.

Four rows of a result, each of three rows of taps, take 12 products of rows. Interpolation through
six points takes six, of mixtures of six rows of the image with mixtures of the taps (Lavin and Gray
2016). Each product is a convolution along the width; the mixtures are matrix products over strips
of the image, which stay in the cache. In bfloat16 they are rounded too: config-f's pictures of 256
pixels are then 48.7 dB from those in float32.

Along both axes a quarter of the multiplications is left, and twice the mixtures. So pictures are
drawn in float32 where there are many channels: blocks of the image for strips of it, and products
of whole matrices for convolutions along the width.

The gradients, of any order, are such products as well, so a step of training takes half of them,
too. Of a strip a gradient is padded to the image's size: there an image is one strip.
"""

import math
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from training.networks import cpu
from training.networks.parameters import Tensor

Matrix = NDArray[np.float64]
Constants = Callable[[Any], Tensor]  # an array, or the shape of one
ROWS, TAPS = 4, 3  # of a result that are made together, of a kernel
POINTS = (0.0, 0.625, -0.625, 1.5, -1.5)  # and infinity: of those tried they round least
PRODUCTS = len(POINTS) + 1
STRIPS = (16, 20, 24, 28, 32)  # rows: float32 takes the shortest that fits, bfloat16 the longest
NARROWEST = 32  # pixels: what is narrower has fewer rows than the mixtures are worth
CHANNELS = 128  # with fewer the mixtures cost what the products save
BLOCK = 32  # pixels of either side of what is mixed along both axes at once, ...
BLOCK_CHANNELS = 256  # ... for which it takes so many, twice as large a kernel being mixed
# Where gradients are wanted, of a batch, an image is one strip: a mixture costs more with each row.
LEAST_ROWS = 8
LEAST_CHANNELS = {32: 64, 64: 128}  # of an image of at most so many rows
LEAST_PIXELS = 2  # of the batch, for each channel: its kernel is mixed for all of them


def strip_for(x: Tensor, weight: Tensor) -> int:
    """How many rows a strip of x [n, h, w, i] has; 0: this convolution is not done so."""
    count, height, width, channels = x.shape
    if weight.shape[0] != TAPS:
        return 0
    if cpu.USE.get() == "drawing" and pays(height, width, channels):
        return strip_of(height, x.dtype)
    if cpu.USE.get() == "learning" and x.dtype == tf.float32:
        return int(height) if learns(count, height, width, channels) else 0
    return 0


def pays(height: int, width: int, channels: int) -> bool:
    """Whether one image of this size is drawn faster than by a convolution, on a CPU."""
    return strip_of(height) > 0 and width >= NARROWEST and channels >= CHANNELS


def nests(height: int, width: int, channels: int) -> bool:
    """Whether mixtures along both axes are faster still, in float32."""
    return height % BLOCK == 0 and width % BLOCK == 0 and channels >= BLOCK_CHANNELS


def learns(count: int | None, height: int, width: int, channels: int) -> bool:
    """The same of a batch of so many and its gradients."""
    if count is None or height % ROWS or height < LEAST_ROWS:
        return False
    least = next((least for rows, least in LEAST_CHANNELS.items() if height <= rows), math.inf)
    return channels >= least and count * height * width >= LEAST_PIXELS * channels


def strip_of(height: int, dtype: tf.DType = tf.float32) -> int:
    """How many rows a strip of an image has where none overflows the cache; 0: it is not cut."""
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


def mixed_kernel(kernel: NDArray[np.float64], nested: bool = False) -> NDArray[np.float64]:
    """A kernel [3, 3, i, o] -> what `convolved` takes: [6, 3, i, o], or nested [6, 6, i, o].

    The latter has the mixtures along the width in front.
    """
    taps = mixtures()[1]
    mixed = np.tensordot(taps, kernel, 1)
    return np.einsum("jq,pqio->jpio", taps, mixed) if nested else mixed


def convolution(x: Tensor, weight: Tensor, rows: int) -> Tensor:
    """What tf.nn.conv2d(x, weight, 1, "SAME") is, of a kernel [3, 3, i, o]; `rows` a strip."""
    nested = cpu.USE.get() == "drawing" and x.dtype == tf.float32 and nests(*x.shape[1:])
    return convolved(x, tf.cast(mixed_weight(tf.cast(weight, tf.float32), nested), x.dtype), rows)


def mixed_weight(weight: Tensor, nested: bool) -> Tensor:
    """`mixed_kernel` of a variable or tensor, in float32."""
    if not nested:
        return tf.tensordot(tf.constant(mixtures()[1], tf.float32), weight, 1)
    units = np.eye(TAPS**2).reshape(TAPS, TAPS, 1, -1)
    both = mixed_kernel(units, nested=True).reshape(PRODUCTS**2, TAPS**2)
    found = tf.constant(both, tf.float32) @ tf.reshape(weight, [TAPS**2, -1])
    return tf.reshape(found, [PRODUCTS, PRODUCTS, *weight.shape[2:]])


@lru_cache
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


def convolved(x: Tensor, kernel: Tensor, rows: int = 0) -> Tensor:
    """x [n, h, w, i] with a `mixed_kernel` -> [n, h, w, o], zeros beyond the edges.

    A strip has so many rows; 0: `strip_of`.
    """
    if kernel.shape[1] == PRODUCTS:
        return convolved_in_blocks(x, kernel)
    _, height, width, inputs = x.shape
    rows, outputs, constant = rows or strip_of(height, x.dtype), kernel.shape[3], constants()
    before, behind = strip_matrices(rows)
    tiles, kernels = rows // ROWS, [part[None] for part in tf.unstack(kernel)]
    x, strips = tf.reshape(x, constant([-1, height, width * inputs])), []
    for top in range(0, height, rows):
        first, last = max(top - 1, 0), min(top + rows + 1, height)
        seen = before[:, first - top + 1 : last - top + 1]  # all but what lies beyond the edges
        part = x if last - first == height else x[:, first:last]
        mixed = tf.matmul(tf.cast(constant(seen), x.dtype), part)
        mixed = tf.reshape(mixed, constant([-1, PRODUCTS, tiles, width, inputs]))
        products = [
            tf.nn.conv2d(part, each, 1, "SAME")
            for part, each in zip(parted(mixed), kernels, strict=True)
        ]
        product = tf.concat(products, 1)
        product = tf.reshape(product, constant([-1, PRODUCTS * tiles, width * outputs]))
        strips.append(tf.matmul(tf.cast(constant(behind), x.dtype), product))
    return tf.reshape(concatenated(strips, 1), constant([-1, height, width, outputs]))


def convolved_in_blocks(x: Tensor, kernel: Tensor) -> Tensor:
    """The same with a nested kernel [6, 6, i, o]; both sides of x are multiples of BLOCK."""
    _, height, width, _ = x.shape
    kernels, constant = tf.unstack(kernel), constants()
    x = tf.transpose(x, [1, 0, 2, 3])  # of one image as fast as a reshape
    bands = []
    for top in range(0, height, BLOCK):
        first, last, mix_rows = seen_of(top, height)
        band, blocks = x[first:last], []
        for left in range(0, width, BLOCK):
            start, end, mix_columns = seen_of(left, width)
            part = band if end - start == width else band[:, :, start:end]
            mixers = constant(mix_rows), constant(mix_columns[None])
            blocks.append(block_convolved(part, kernels, *mixers, constant))
        bands.append(concatenated(blocks, 2))
    return tf.transpose(concatenated(bands, 0), [1, 0, 2, 3])


def seen_of(start: int, size: int) -> tuple[int, int, NDArray[np.float32]]:
    """(first, last) of what a block sees of an axis, and its mixtures [48, last - first]."""
    first, last = max(start - 1, 0), min(start + BLOCK + 1, size)
    before, _ = strip_matrices(BLOCK)
    return first, last, before[:, first - start + 1 : last - start + 1]


def block_convolved(
    x: Tensor, kernels: list[Tensor], mix_rows: Tensor, mix_columns: Tensor, constant: Constants
) -> Tensor:
    """A block and what it sees [h, n, w, i] -> [32, n, 32, o].

    `kernels` [6, i, o], one for each mixture of columns; the mixtures are [48, h] and [1, 48, w].
    All products but those along the width are of two matrices: of more they are slower.
    """
    height, _, width, inputs = x.shape
    outputs, tiles, behind = kernels[0].shape[2], BLOCK // ROWS, strip_matrices(BLOCK)[1]
    mixed = tf.matmul(mix_columns, tf.reshape(x, constant([-1, width, inputs])))
    mixed = tf.reshape(mixed, constant([-1, PRODUCTS, tiles * inputs]))
    results = []
    for part, kernel in zip(parted(mixed), kernels, strict=True):
        twice = matrices_product(mix_rows, tf.reshape(part, constant([height, -1])))
        product = tf.reshape(twice, constant([PRODUCTS, -1, inputs])) @ kernel
        product = tf.reshape(product, constant([PRODUCTS * tiles, -1]))
        result = matrices_product(constant(behind), product)
        results.append(tf.reshape(result, constant([-1, tiles, outputs])))
    found = tf.matmul(constant(behind[None]), tf.concat(results, 1))
    return tf.reshape(found, constant([BLOCK, -1, BLOCK, outputs]))


def constants() -> Constants:
    """What makes tf.constants, of equal ones one alone: each takes a reader of the graph time."""
    made: dict[Any, Tensor] = {}

    def constant(value: Any) -> Tensor:
        found = np.asarray(value, None if isinstance(value, np.ndarray) else np.int32)
        key = found.dtype, found.shape, found.tobytes()
        if key not in made:
            made[key] = tf.constant(found)
        return made[key]

    return constant


def concatenated(parts: list[Tensor], axis: int) -> Tensor:
    return parts[0] if len(parts) == 1 else tf.concat(parts, axis)


def matrices_product(one: Tensor, other: Tensor) -> Tensor:
    """one @ other, with a first axis of 1 for LiteRT, which transposes `other` if there is none."""
    if cpu.USE.get() == "litert":
        return tf.matmul(one[None], other[None])
    return one @ other


def parted(mixed: Tensor) -> list[Tensor]:
    """[n, 6, ...] -> six [n, ...]; LiteRT is faster at slices, TensorFlow at tf.unstack."""
    if cpu.USE.get() != "litert":
        return tf.unstack(mixed, axis=1)  # type: ignore[no-any-return]
    rest = [-1 if mixed.shape[0] is None else mixed.shape[0], *mixed.shape[2:]]
    return [tf.reshape(mixed[:, at : at + 1], rest) for at in range(PRODUCTS)]
