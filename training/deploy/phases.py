"""A transposed convolution as four plain ones, one for each phase of its rows and columns.

LiteRT takes half the time for them: as one operation it reaches half its rate of convolutions.
"""

from typing import Any

import tensorflow as tf
from numpy.typing import NDArray

from training.networks import layers
from training.networks.parameters import Tensor

EVEN, ODD = slice(0, None, 2), slice(1, 2)  # the taps of a kernel of 3 that such rows take
PHASES = {"even": (EVEN, EVEN), "right": (EVEN, ODD), "below": (ODD, EVEN), "odd": (ODD, ODD)}


def in_phases(kernel: NDArray[Any]) -> dict[str, NDArray[Any]]:
    """A kernel [3, 3, i, o] -> those of the phases, by name; together they are as large."""
    return {name: kernel[taps] for name, taps in PHASES.items()}


def raised(x: Tensor, kernels: dict[str, Tensor]) -> Tensor:
    """x [n, h, w, i] to twice the size with the kernels of `in_phases`, and the FIR filter.

    It is what `program.raised` does. Behind a row and a column of zeros each phase is a convolution
    that needs no other; of odd rows and columns the first one is zeros then.
    """
    x = tf.pad(x, [[0, 0], [1, 0], [1, 0], [0, 0]])
    parts = {name: tf.nn.conv2d(x, kernel, 1, "SAME") for name, kernel in kernels.items()}
    n, height, width, outputs = parts["even"].shape
    n = tf.shape(x)[0] if n is None else n
    rows = [
        tf.reshape(tf.stack([parts[left], parts[right]], 3), [n, height, 2 * width * outputs])
        for left, right in (("odd", "below"), ("right", "even"))
    ]
    whole = tf.reshape(tf.stack(rows, 2), [n, 2 * height, 2 * width, outputs])
    return layers.taps_over(whole, (0, 1), 1)
