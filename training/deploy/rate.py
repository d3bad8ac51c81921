"""What a generator computes, and how fast plain convolutions are in the same library."""

import math
from typing import Any

import numpy as np
import tensorflow as tf

from training.networks.architecture import GeneratorConfig
from training.networks.generator import generator_table
from training.networks.parameters import Tensor

SIDE, CHANNELS, LAYERS = 32, 256, 4  # of the plain convolutions


def operations(config: GeneratorConfig) -> float:
    """Of a picture: two for each product of a number and a weight, counted as if by definition.

    A convolution to twice the size has its products at the lower size.
    """
    total = 0
    for name, entry in generator_table(config).items():
        if not name.endswith("weight"):
            continue
        place = name.split("/")[1]
        level = int(math.log2(int(place[1:]) / 4)) if len(entry.shape) == 4 else 0
        pixels = math.prod(config.shape.size(level - ("conv0" in name)))
        total += 2 * math.prod(entry.shape) * (pixels if len(entry.shape) == 4 else 1)
    return total


class Convolutions(tf.Module):
    """In the form of a `Program`: four plain 3 x 3 convolutions of 256 channels, 32 x 32 pixels."""

    operations = 2.0 * LAYERS * 9 * SIDE**2 * CHANNELS**2  # of a picture

    def __init__(self) -> None:
        super().__init__(name="convolutions")
        draws = np.random.default_rng(0).standard_normal((LAYERS, 3, 3, CHANNELS, CHANNELS))
        draws /= math.sqrt(9 * CHANNELS)
        self.kernels = [tf.Variable(draw, dtype=tf.float32) for draw in draws]

    def signature(self, count: int | None = None) -> dict[str, Any]:
        """The inputs by name, for a batch of `count`."""
        return {
            "z": tf.TensorSpec([count, CHANNELS], tf.float32, "z"),
            "psi": tf.TensorSpec([], tf.float32, "psi"),
        }

    def inputs(self, batch: int) -> dict[str, Any]:
        """What the signature takes."""
        z = np.random.default_rng(1).standard_normal((batch, CHANNELS)).astype(np.float32)
        return {"z": z, "psi": np.float32(1)}

    def traced(self, count: int | None = None) -> Any:
        """The tf.ConcreteFunction of inputs by name, for a batch of `count`."""

        def run(z: Tensor, psi: Tensor) -> dict[str, Tensor]:
            x = tf.reshape(psi * z, [-1, 1, 1, CHANNELS]) * tf.ones([1, SIDE, SIDE, 1])
            for kernel in self.kernels:
                x = tf.nn.conv2d(x, kernel, 1, "SAME")
            found = tf.identity(x[..., :1], name="float")
            return {"images": tf.cast(found > 0, tf.uint8, name="images"), "float": found}

        return tf.function(run, autograph=False).get_concrete_function(**self.signature(count))
