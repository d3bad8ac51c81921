"""The discriminator: image -> score, in the three forms of figure 7 of the StyleGAN2 paper."""

import math

import tensorflow as tf

from training.networks import layers
from training.networks.architecture import DiscriminatorConfig
from training.networks.layers import recompute
from training.networks.parameters import (
    Layer,
    Network,
    Start,
    Table,
    Tensor,
    conv_table,
    dense_table,
)

HALF = math.sqrt(0.5)  # of the two ways through a residual block each


def discriminator_table(config: DiscriminatorConfig) -> Table:
    """The parameters of D in the order an image meets them; the last dense layer last."""
    top, (height, width), lowest = config.shape.levels, config.shape.base, config.fmaps(0)
    table: Table = {}
    for level in range(top, 0, -1):
        name, inputs, outputs = config.block(level), config.fmaps(level), config.fmaps(level - 1)
        if level == top or config.architecture == "skip":
            table |= conv_table(f"{name}/fromrgb", 1, config.channels, inputs)
        table |= conv_table(f"{name}/conv0", 3, inputs, inputs)
        table |= conv_table(f"{name}/conv1", 3, inputs, outputs)
        if config.architecture == "resnet":
            table |= conv_table(f"{name}/skip", 1, inputs, outputs, bias=False)
    if config.architecture == "skip":
        table |= conv_table("b4/fromrgb", 1, config.channels, lowest)
    table |= conv_table("b4/conv", 3, lowest + 1, lowest)
    table |= dense_table("b4/fc", height * width * lowest, config.features)
    if config.labels:
        table |= dense_table("mapping/embed", config.labels, config.features)
        table |= layers.mapping_layers_table(
            config.mapping_layers, config.features, config.features
        )
    return table | dense_table("b4/out", config.features, config.features if config.labels else 1)


class Discriminator(Network):
    """D(images [n, h, w, c] in [-1, 1], labels [n, labels]) -> scores [n, 1], float32.

    n must be a multiple of the minibatch-stddev group, or smaller than one. Several `batches` may
    follow each other: groups are formed in each on its own.
    """

    def __init__(self, config: DiscriminatorConfig, start: Start) -> None:
        super().__init__(discriminator_table(config), start, "discriminator")
        self.config = config

    def __call__(self, images: Tensor, labels: Tensor | None = None, batches: int = 1) -> Tensor:
        config, x, skips = self.config, None, self.config.architecture == "skip"
        for level in range(config.shape.levels, 0, -1):
            dtype = config.dtype_of(level)
            x = None if x is None else tf.cast(x, dtype)
            if x is None or skips:
                x = self.with_image(x, tf.cast(images, dtype), config.block(level))
            x = halved_block(x, self.layer(config.block(level)), config)
            images = layers.down2(images) if skips else images
        x = tf.cast(x, tf.float32)
        if skips:
            x = self.with_image(x, images, "b4")
        x = minibatch_stddev(x, config.mbstd_group, batches)
        x = activated(x, self.layer("b4/conv"), config.conv_clamp)
        x = tf.reshape(x, [-1, math.prod(x.shape[1:])])
        x = layers.GAIN * layers.leaky(layers.dense(x, self.layer("b4/fc")))
        x = layers.dense(x, self.layer("b4/out"))
        return x if labels is None or not config.labels else self.projected(x, labels)

    def with_image(self, x: Tensor | None, images: Tensor, name: str) -> Tensor:
        """The features of block `name`, with what it sees of the image itself."""
        seen = activated(images, self.layer(f"{name}/fromrgb"), self.config.conv_clamp)
        return seen if x is None else x + seen

    def projected(self, x: Tensor, labels: Tensor) -> Tensor:
        """The features of an image against those of its label: <x, M(label)> / sqrt(dim)."""
        known = layers.mapped(self, layers.embedded(self, labels))
        return tf.reduce_sum(x * known, axis=1, keepdims=True) / math.sqrt(x.shape[1])


def discriminator_features(judge: Discriminator, images: Tensor) -> list[Tensor]:
    """What D makes of images at each level, before it looks at their company."""
    x, found = None, list[Tensor]()
    for level in range(judge.config.shape.levels, 0, -1):
        if x is None or judge.config.architecture == "skip":
            x = judge.with_image(x, images, judge.config.block(level))
        x = halved_block(x, judge.layer(judge.config.block(level)), judge.config)
        images = layers.down2(images)
        found.append(x)
    return found


def unit(x: Tensor) -> Tensor:
    """Features of length 1 at every pixel, so that no level outweighs another."""
    return x * tf.math.rsqrt(tf.reduce_sum(x**2, axis=3, keepdims=True) + 1e-8)


def activated(
    x: Tensor, layer: Layer, clamp: float, share: float = 1.0, down: bool = False
) -> Tensor:
    """`share` times: convolution, bias, leaky ReLU with its gain, clamp.

    Gain and share are moved in front of the activation.
    """
    gain = layers.GAIN * share
    x = layers.conv(x, layers.equalised(layer["weight"], x.dtype, gain), down)
    x = layers.leaky(x + tf.cast(gain * layer["bias"], x.dtype))
    return layers.clamped(x, clamp * share)


def halved_block(x: Tensor, layer: Layer, config: DiscriminatorConfig) -> Tensor:
    """One level, to half the size: conv1(conv0(x)), with skip (... + skip(x)) / sqrt(2)."""
    keys, clamp = sorted(key for key in layer if not key.startswith("fromrgb")), config.conv_clamp

    def run(x: Tensor, *rest: Tensor) -> Tensor:
        values = dict(zip(keys, rest, strict=True))
        conv0 = {"weight": values["conv0/weight"], "bias": values["conv0/bias"]}
        conv1 = {"weight": values["conv1/weight"], "bias": values["conv1/bias"]}
        y = activated(x, conv0, clamp)
        if "skip/weight" not in values:
            return activated(y, conv1, clamp, down=True)
        skip = layers.equalised(values["skip/weight"], x.dtype, gain=HALF)
        return activated(y, conv1, clamp, HALF, down=True) + layers.conv(x, skip, down=True)

    flat = [x, *(layer[key] for key in keys)]
    return recompute(run, flat) if config.recompute else run(*flat)


def minibatch_stddev(x: Tensor, group: int, batches: int = 1) -> Tensor:
    """One more map: the standard deviation within a group, mean over pixels and channels.

    Sample i is in group i mod (n / group), of each of the equal `batches` that x consists of; group
    0 is all of them. Raises ValueError where n is no multiple of the group.
    """
    n, height, width, channels = x.shape
    many = tf.shape(x)[0] // batches if n is None else n // batches
    group = group or many
    if n is not None and many % min(group, many):
        raise ValueError(
            f"a batch of {many} does not divide into minibatch-stddev groups of {group}"
        )
    size = min(group, many) if n is not None else tf.minimum(group, many)
    grouped = tf.reshape(x, [batches, size, -1, height * width * channels])
    variance = tf.math.reduce_variance(grouped, axis=1)
    deviation = tf.reduce_mean(tf.sqrt(variance + 1e-8), axis=2)
    maps = tf.reshape(tf.tile(deviation, [1, size]), [-1, 1, 1, 1])
    return tf.concat([x, tf.tile(maps, [1, height, width, 1])], axis=3)
