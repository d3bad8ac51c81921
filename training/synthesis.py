"""The synthesis network: rows of w -> image, with skip connections from every level."""

from collections.abc import Callable

import tensorflow as tf

from training import ops
from training.architecture import NetworkConfig
from training.parameters import Layer, Network, Parameter, Table, Tensor, conv_table, dense_table
from training.recompute import recompute

Noise = list[Tensor] | None  # per layer [n or 1, h, w, 1]; None adds none
Draw = Callable[[int, tuple[int, int, int, int]], Tensor]  # (layer, shape) -> N(0, 1)


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
        image = rgb if image is None else ops.up2(image) + rgb
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
            x = ops.styled_conv(x, row, noise, below(values, conv), conv == "conv0")
        return x, ops.to_rgb(x, rows_[-1], below(values, "torgb"))

    return recompute(run, flat) if again else run(*flat)


def below(layer: Layer, name: str) -> Layer:
    """The part of `layer` below `name`."""
    start = f"{name}/"
    return {key.removeprefix(start): layer[key] for key in layer if key.startswith(start)}
