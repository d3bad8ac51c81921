"""The generator of StyleGAN2: the mapping network z -> w, the synthesis network w -> image."""

from collections.abc import Callable
from typing import Literal

import tensorflow as tf

from training.networks import layers
from training.networks.architecture import NetworkConfig
from training.networks.layers import GAIN, dense, leaky, normalise
from training.networks.parameters import (
    Layer,
    Network,
    Parameter,
    Table,
    Tensor,
    conv_table,
    dense_table,
)

LRMUL = 0.01  # the learning rate of the mapping network, relative to that of the rest
Noise = list[Tensor] | None  # per layer [n or 1, h, w, 1]; None adds none
Draw = Callable[[int, tuple[int, int, int, int]], Tensor]  # (layer, shape) -> N(0, 1)


def generator_table(config: NetworkConfig) -> Table:
    """The parameters of G."""
    return mapping_table(config) | synthesis_table(config)


class Generator(Network):
    """G: map(z) -> w, synthesize(ws) -> images."""

    def __init__(self, config: NetworkConfig, seed: int) -> None:
        super().__init__(generator_table(config), seed, "generator")
        self.config = config

    @property
    def rows(self) -> int:
        """L: how many rows of w an image is made from."""
        return self.config.rows

    @property
    def w_avg(self) -> Tensor:
        """The running mean of w [w_dim], a variable that the training loop updates."""
        return self.values["mapping/w_avg"]

    def map(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        """z [n, z_dim], labels [n, labels] -> w [n, w_dim]."""
        return mapped(self, z, labels)

    def broadcast(self, w: Tensor) -> Tensor:
        """w [n, w_dim] -> ws [n, L, w_dim]; ws stay as they are."""
        return w if len(w.shape) == 3 else tf.repeat(w[:, None], self.rows, axis=1)

    def truncate(self, w: Tensor, psi: float, cutoff: int | None = None) -> Tensor:
        """w_avg + psi (w - w_avg), of w or ws; with `cutoff` ws, of which the first rows only."""
        near = self.w_avg + psi * (w - self.w_avg)
        if cutoff is None:
            return near
        first = (tf.range(self.rows) < cutoff)[None, :, None]
        return tf.where(first, self.broadcast(near), self.broadcast(w))

    def synthesize(
        self,
        ws: Tensor,
        noise: Literal["random", "const", "none"] = "random",
        draws: Tensor | Draw | None = None,
    ) -> Tensor:
        """ws [n, L, w_dim] (or w for all rows) -> images [n, h, w, c], float32.

        Random noise comes from `draws`: a pair of seeds per sample [n, 2], or a function of
        (layer, shape); the noise of a sample then does not depend on the batch it is in.
        """
        ws = self.broadcast(ws)
        return synthesised(self, self.config, ws, self.noise(ws, noise, draws))

    def noise(self, ws: Tensor, kind: str, draws: Tensor | Draw | None) -> Noise:
        """What every layer adds, before its strength."""
        if kind == "none":
            return None
        layers = noise_layers(self.config)
        if kind == "const":
            return [tf.convert_to_tensor(self.values[f"{name}/noise_const"]) for name in layers]
        if kind != "random":
            raise ValueError(f"noise is random, const or none, not {kind!r}")
        if draws is None:
            raise ValueError("random noise needs draws: seeds [n, 2] or a function")
        if callable(draws):
            n, sizes = ws.shape[0], noise_sizes(self.config)
            return [draws(layer, (n, *size, 1)) for layer, size in enumerate(sizes)]
        return noise_from_seeds(self.config, draws)


def mapping_table(config: NetworkConfig) -> Table:
    """The parameters of the mapping network; w_avg is a buffer."""
    table: Table = {}
    if config.labels:
        table |= dense_table("mapping/embed", config.labels, config.w_dim)
    inputs = config.z_dim + (config.w_dim if config.labels else 0)
    for number in range(config.mapping_layers):
        table |= dense_table(f"mapping/fc{number}", inputs, config.w_dim, LRMUL)
        inputs = config.w_dim
    return table | {"mapping/w_avg": Parameter((config.w_dim,), trainable=False)}


def mapped(network: Network, z: Tensor, labels: Tensor | None) -> Tensor:
    """z [n, z_dim], labels [n, labels] -> w [n, w_dim]; both inputs are normalised first."""
    x = normalise(z)
    if "mapping/embed/weight" in network.table:
        embedded = dense(tf.cast(labels, tf.float32), network.layer("mapping/embed"))
        x = tf.concat([x, normalise(embedded)], axis=1)
    number = 0
    while f"mapping/fc{number}/weight" in network.table:
        x = GAIN * leaky(dense(x, network.layer(f"mapping/fc{number}"), LRMUL))
        number += 1
    return x


def synthesis_table(config: NetworkConfig) -> Table:
    """The parameters of the synthesis network, from the constant on."""
    height, width = config.shape.base
    table: Table = {"synthesis/b4/const": Parameter((1, height, width, config.fmaps(0)), std=1)}
    for level in range(config.shape.levels + 1):
        before, after = config.fmaps(max(level - 1, 0)), config.fmaps(level)
        name, size = f"synthesis/{config.block(level)}", config.shape.size(level)
        if level:
            table |= styled_table(f"{name}/conv0", config, size, before, after)
        table |= styled_table(f"{name}/conv1", config, size, after, after)
        table |= conv_table(f"{name}/torgb", 1, after, config.channels)
        table |= dense_table(f"{name}/torgb/affine", config.w_dim, after, fill=1)
    return table


def styled_table(
    name: str, config: NetworkConfig, size: tuple[int, int], inputs: int, outputs: int
) -> Table:
    """One styled convolution, with its buffer of constant noise."""
    return {
        **conv_table(name, 3, inputs, outputs),
        **dense_table(f"{name}/affine", config.w_dim, inputs, fill=1),
        f"{name}/noise_strength": Parameter(()),
        f"{name}/noise_const": Parameter((1, *size, 1), std=1, trainable=False),
    }


def noise_layers(config: NetworkConfig) -> list[str]:
    """The layers that add noise, from the input on; layer i is at level (i + 1) // 2."""
    blocks = [f"synthesis/{config.block(level)}" for level in range(config.shape.levels + 1)]
    return [f"{block}/{conv}" for block in blocks for conv in ("conv0", "conv1")][1:]


def noise_sizes(config: NetworkConfig) -> list[tuple[int, int]]:
    """Height and width of the noise of every layer."""
    return [config.shape.size((i + 1) // 2) for i in range(len(noise_layers(config)))]


def noise_from_seeds(config: NetworkConfig, seeds: Tensor) -> list[Tensor]:
    """Noise of every layer; a sample's depends on its own pair of `seeds` [n, 2] alone."""
    sizes = noise_sizes(config)
    counts = [height * width for height, width in sizes]

    def one(seed: Tensor) -> Tensor:
        return tf.random.stateless_normal([sum(counts)], seed, alg="philox")

    if seeds.shape[0] is None:
        flat = tf.map_fn(one, seeds, fn_output_signature=tf.float32)
    else:
        flat = tf.stack([one(seed) for seed in tf.unstack(seeds)])
    parts = tf.split(flat, counts, axis=1)
    return [tf.reshape(part, [-1, *size, 1]) for part, size in zip(parts, sizes, strict=True)]


def synthesised(network: Network, config: NetworkConfig, ws: Tensor, noise: Noise) -> Tensor:
    """ws [n, L, w_dim] -> image NHWC, float32.

    Level l reads rows 2l - 1 (conv0), 2l (conv1) and 2l + 1 (ToRGB); level 0 rows 0 and 1.
    """
    x = tf.cast(network.values["synthesis/b4/const"], config.dtype)
    x = tf.tile(x, [tf.shape(ws)[0] if ws.shape[0] is None else ws.shape[0], 1, 1, 1])
    image = None
    for level in range(config.shape.levels + 1):
        layer = network.layer(f"synthesis/{config.block(level)}")
        first = max(2 * level - 1, 0)
        rows = tf.unstack(ws[:, first : 2 * level + 2], axis=1)
        maps = [] if noise is None else noise[first : 2 * level + 1]
        x, rgb = block(x, rows, maps, layer, config.recompute)
        image = rgb if image is None else layers.up2(image) + rgb
    return image


def block(
    x: Tensor, rows: list[Tensor], maps: list[Tensor], layer: Layer, again: bool
) -> tuple[Tensor, Tensor]:
    """One level: features below -> features and RGB; level 0 has no conv0, so a row less."""
    flat = [x, *rows, *maps, *(layer[key] for key in sorted(layer))]

    def run(x: Tensor, *rest: Tensor) -> tuple[Tensor, Tensor]:
        rows_, maps_ = rest[: len(rows)], list(rest[len(rows) : len(rows) + len(maps)])
        values = dict(zip(sorted(layer), rest[len(rows) + len(maps) :], strict=True))
        convs = ["conv0", "conv1"] if len(rows) == 3 else ["conv1"]
        for conv, row in zip(convs, rows_, strict=False):
            noise = maps_.pop(0) if maps_ else None
            x = layers.styled_conv(x, row, noise, below(values, conv), conv == "conv0")
        return x, layers.to_rgb(x, rows_[-1], below(values, "torgb"))

    return layers.recompute(run, flat) if again else run(*flat)


def below(layer: Layer, name: str) -> Layer:
    """The part of `layer` below `name`."""
    start = f"{name}/"
    return {key.removeprefix(start): layer[key] for key in layer if key.startswith(start)}
