"""The discriminator: image -> score, with residual connections."""

import math

import tensorflow as tf

from training.networks import layers
from training.networks.architecture import NetworkConfig
from training.networks.layers import recompute
from training.networks.parameters import (
    Layer,
    Network,
    Table,
    Tensor,
    conv_table,
    dense_table,
)


def discriminator_table(config: NetworkConfig) -> Table:
    """The parameters of D in the order an image meets them; the last dense layer last."""
    top, (height, width), lowest = config.shape.levels, config.shape.base, config.fmaps(0)
    table = conv_table(f"{config.block(top)}/fromrgb", 1, config.channels, config.fmaps(top))
    for level in range(top, 0, -1):
        name, inputs, outputs = config.block(level), config.fmaps(level), config.fmaps(level - 1)
        table |= conv_table(f"{name}/conv0", 3, inputs, inputs)
        table |= conv_table(f"{name}/conv1", 3, inputs, outputs)
        table |= conv_table(f"{name}/skip", 1, inputs, outputs, bias=False)
    table |= conv_table("b4/conv", 3, lowest + 1, lowest)
    table |= dense_table("b4/fc", height * width * lowest, lowest)
    if config.labels:
        table |= dense_table("mapping/embed", config.labels, lowest)
    return table | dense_table("b4/out", lowest, lowest if config.labels else 1)


class Discriminator(Network):
    """D(images [n, h, w, c] in [-1, 1], labels [n, labels]) -> scores [n, 1], float32.

    n must be a multiple of the minibatch-stddev group, or smaller than one.
    """

    def __init__(self, config: NetworkConfig, seed: int) -> None:
        super().__init__(discriminator_table(config), seed, "discriminator")
        self.config = config

    def __call__(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        config = self.config
        top = config.shape.levels
        x = tf.cast(images, config.dtype)
        rgb = self.layer(f"{config.block(top)}/fromrgb")
        x = activated(x, rgb, gain=layers.GAIN)
        for level in range(top, 0, -1):
            x = residual(x, self.layer(config.block(level)), config.recompute)
        x = minibatch_stddev(tf.cast(x, tf.float32), config.mbstd_group)
        x = tf.cast(activated(tf.cast(x, config.dtype), self.layer("b4/conv")), tf.float32)
        x = tf.reshape(x, [-1, math.prod(x.shape[1:])])
        x = layers.GAIN * layers.leaky(layers.dense(x, self.layer("b4/fc")))
        x = layers.dense(x, self.layer("b4/out"))
        return x if labels is None or not config.labels else self.projected(x, labels)

    def projected(self, x: Tensor, labels: Tensor) -> Tensor:
        """The features of an image against those of its label: <x, E(label)> / sqrt(dim)."""
        embedded = layers.dense(tf.cast(labels, tf.float32), self.layer("mapping/embed"))
        score = tf.reduce_sum(x * layers.normalise(embedded), axis=1, keepdims=True)
        return score / math.sqrt(x.shape[1])


def activated(x: Tensor, layer: Layer, gain: float = layers.GAIN, down: bool = False) -> Tensor:
    """Convolution, bias, leaky ReLU; `gain` is moved in front of the activation."""
    x = layers.conv(x, layers.equalised(layer["weight"], x.dtype, gain), down)
    return layers.leaky(x + tf.cast(gain * layer["bias"], x.dtype))


def residual(x: Tensor, layer: Layer, again: bool) -> Tensor:
    """One level, to half the size: (conv1(conv0(x)) + skip(x)) / sqrt(2)."""
    keys = sorted(layer)

    def run(x: Tensor, *rest: Tensor) -> Tensor:
        values = dict(zip(keys, rest, strict=True))
        skip = layers.equalised(values["skip/weight"], x.dtype, gain=math.sqrt(0.5))
        conv0 = {"weight": values["conv0/weight"], "bias": values["conv0/bias"]}
        conv1 = {"weight": values["conv1/weight"], "bias": values["conv1/bias"]}
        y = activated(x, conv0)
        y = activated(y, conv1, gain=layers.GAIN * math.sqrt(0.5), down=True)
        return y + layers.conv(x, skip, down=True)

    flat = [x, *(layer[key] for key in keys)]
    return recompute(run, flat) if again else run(*flat)


def minibatch_stddev(x: Tensor, group: int) -> Tensor:
    """One more map: the standard deviation within a group, mean over pixels and channels.

    Sample i is in group i mod (n / group). Raises ValueError where n is no multiple of the group.
    """
    n, height, width, channels = x.shape
    if n is not None and n % min(group, n):
        raise ValueError(f"a batch of {n} does not divide into minibatch-stddev groups of {group}")
    size = min(group, n) if n is not None else tf.minimum(group, tf.shape(x)[0])
    grouped = tf.reshape(x, [size, -1, height, width, channels])
    variance = tf.math.reduce_variance(grouped, axis=0)
    deviation = tf.reduce_mean(tf.sqrt(variance + 1e-8), axis=[1, 2, 3])
    maps = tf.tile(deviation[:, None, None, None], [size, height, width, 1])
    return tf.concat([x, maps], axis=3)
