"""A transposed convolution as four plain ones, one for each phase of its rows and columns.

LiteRT takes half the time for them: as one operation it reaches half its rate of convolutions.
"""

from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from training.networks import layers
from training.networks.parameters import Tensor

EVEN, ODD = slice(0, None, 2), slice(1, 2)  # the taps of a kernel of 3 that such rows take
PHASES = {"even": (EVEN, EVEN), "right": (EVEN, ODD), "below": (ODD, EVEN), "odd": (ODD, ODD)}
BLOCK = ("odd", "below", "right", "even")  # of 2 x 2 pixels behind a row and a column of zeros


def in_phases(kernel: NDArray[Any]) -> dict[str, NDArray[Any]]:
    """A kernel [3, 3, i, o] -> those of the phases, by name; together they are as large."""
    return {name: kernel[taps] for name, taps in PHASES.items()}


def raised(x: Tensor, kernels: dict[str, Tensor]) -> Tensor:
    """x [n, h, w, i] to twice the size with the kernels of `in_phases`, and the FIR filter.

    It is what `layers.conv_transposed` does. Behind a row and a column of zeros each phase is a
    convolution that needs no other; of odd rows and columns the first one is zeros then. LiteRT
    filters along one axis at a time in less time than along both.
    """
    x = tf.pad(x, [[0, 0], [1, 0], [1, 0], [0, 0]])
    parts = [tf.nn.conv2d(x, kernels[name], 1, "SAME") for name in BLOCK]
    x = tf.nn.depth_to_space(tf.concat(parts, 3), 2)
    for axis in (1, 2):
        taps = layers.TAPS.reshape([-1 if each == axis else 1 for each in (1, 2, 3, 4)])
        edges = [[0, 1 if each == axis else 0] for each in range(4)]
        kernel = np.tile(taps, [1, 1, x.shape[3], 1])
        x = tf.nn.depthwise_conv2d(x, tf.cast(kernel, x.dtype), [1, 1, 1, 1], edges)
    return x
