"""Matrices whose rows read a few neighbours each, along an axis of images: work grows with side.

Cut into blocks of rows, each block is a small dense matrix on the few columns that it reads.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from training.networks.parameters import Tensor

ROWS = 32  # of a block: a matrix of so few is one dense product, a longer one is faster in parts


@dataclass(frozen=True, eq=False)
class Banded:
    """Entries (row, column, value) of a matrix of `shape`; those of one place add up.

    `values` [..., entries] may be several matrices with entries in the same places.
    """

    shape: tuple[int, int]
    rows: NDArray[np.int64]
    columns: NDArray[np.int64]
    values: NDArray[np.float64]

    @cached_property
    def transposed(self) -> "Banded":
        return Banded(self.shape[::-1], self.columns, self.rows, self.values)

    @cached_property
    def blocks(self) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
        """(columns that each block reads [blocks, k], the blocks [..., blocks, rows, k])."""
        high, wide = self.shape
        size = min(ROWS, high)
        block, row = self.rows // size, self.rows % size
        count = -(-high // size)
        if count == 1:
            read = [np.arange(wide)]
        else:
            read = [np.unique(self.columns[block == number]) for number in range(count)]
        most = max(map(len, read))
        index = np.stack([np.pad(r, (0, most - len(r)), mode="edge") for r in read])
        place = np.empty_like(self.columns)
        for number, own in enumerate(read):
            inside = block == number
            place[inside] = np.searchsorted(own, self.columns[inside])
        dense = np.zeros((*self.values.shape[:-1], count, size, most), np.float32)
        np.add.at(dense, (..., block, row, place), self.values)  # type: ignore[arg-type]
        return index.astype(np.int32), dense


def apply(matrix: Banded, x: Tensor, blocks: Tensor | None = None) -> Tensor:
    """matrix @ x for every sample: [n, columns, m] -> [n, rows, m].

    `blocks` [n, blocks, rows, k] are other entries in the places of the matrix, one per sample.
    """
    index, own = matrix.blocks
    n, m = x.shape[0], x.shape[2]
    blocks = tf.cast(own if blocks is None else blocks, x.dtype)
    if len(index) == 1:
        return tf.matmul(blocks[..., 0, :, :], x)
    lines = tf.reshape(tf.matmul(blocks, tf.gather(x, index, axis=1)), [n, -1, m])
    return lines if lines.shape[1] == matrix.shape[0] else lines[:, : matrix.shape[0]]


def along(images: Tensor, down: Banded, across: Banded, *blocks: Tensor) -> Tensor:
    """down @ image @ across^T for every channel: [n, h, w, c] -> [n, h', w', c].

    `blocks` are those of `down` and of `across`, where every image has its own.
    """
    return turned(swapped(images), across, down, *reversed(blocks))


def turned(images: Tensor, first: Banded, second: Banded, *blocks: Tensor) -> Tensor:
    """first @ image, its axes swapped, then second @ that: [n, a, b, c] -> [n, b', a', c]."""
    n, high, wide, channels = images.shape
    own_first, own_second = blocks or (None, None)
    lines = apply(first, tf.reshape(images, [n, high, wide * channels]), own_first)
    images = swapped(tf.reshape(lines, [n, first.shape[0], wide, channels]))
    lines = tf.reshape(images, [n, wide, first.shape[0] * channels])
    return tf.reshape(apply(second, lines, own_second), [n, -1, first.shape[0], channels])


def swapped(images: Tensor) -> Tensor:
    """[n, h, w, c] -> [n, w, h, c]."""
    return tf.transpose(images, [0, 2, 1, 3])
