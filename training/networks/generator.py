"""The generator of StyleGAN2: the mapping network z -> w, the synthesis network w -> image."""

from collections.abc import Callable, Sequence
from copy import copy
from dataclasses import dataclass
from typing import Literal

import tensorflow as tf

from training.networks import cpu, layers
from training.networks.architecture import GeneratorConfig
from training.networks.parameters import (
    Layer,
    Network,
    Parameter,
    Start,
    Table,
    Tensor,
    conv_table,
    dense_table,
)

Maps = Sequence[Tensor]  # per layer [n or 1, h, w, 1], before its strength
Draw = Callable[[int, tuple[int, int, int, int]], Tensor]  # (layer, shape) -> N(0, 1)
Noise = Literal["const", "none"] | Maps | Draw


@dataclass(frozen=True)
class Level:
    """What one level makes: features [n, h, w, fmaps] and the image so far [n, h, w, c]."""

    features: Tensor
    image: Tensor


def generator_table(config: GeneratorConfig) -> Table:
    """The parameters of G."""
    return mapping_table(config) | synthesis_table(config)


class Generator(Network):
    """G: map(z) -> w, synthesize(ws) -> images."""

    def __init__(self, config: GeneratorConfig, start: Start) -> None:
        super().__init__(generator_table(config), start, "generator")
        self.config = config

    @property
    def rows(self) -> int:
        """L: how many rows of w an image is made from."""
        return self.config.rows

    @property
    def w_avg(self) -> Tensor:
        """The running mean of w [w_dim], a variable that the training loop updates."""
        return self.values["mapping/w_avg"]

    def with_kernels(self) -> "Generator":
        """The same as it is now, for drawing on a CPU: what depends on no style is made once."""
        if cpu.on_cpu("drawing") == "none":
            return self
        found = copy(self)
        found.values = dict(self.values)
        for number, name in enumerate(noise_layers(self.config)):
            size, up = self.config.shape.size(number // 2), number % 2 == 1
            dtype = self.config.dtype_of((number + 1) // 2)
            made = layers.made_once(self.layer(name), size, dtype, up)
            found.values.update({f"{name}/{key}": made[key] for key in made})
        return found

    def map(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        """z [n, z_dim], labels [n, labels] -> w [n, w_dim]; both inputs are normalised first."""
        x = layers.normalise(z)
        if self.config.labels:
            x = tf.concat([x, layers.embedded(self, labels)], axis=1)
        return layers.mapped(self, x)

    def broadcast(self, w: Tensor) -> Tensor:
        """w [n, w_dim] -> ws [n, L, w_dim]; ws stay as they are."""
        return w if len(w.shape) == 3 else tf.repeat(w[:, None], self.rows, axis=1)

    def truncate(
        self, w: Tensor, psi: Tensor | float, cutoff: Tensor | int | None = None
    ) -> Tensor:
        """w_avg + psi (w - w_avg), of w or ws; with `cutoff` ws, of which the first rows only."""
        near = self.w_avg + psi * (w - self.w_avg)
        if cutoff is None:
            return near
        first = (tf.range(self.rows) < cutoff)[None, :, None]
        return tf.where(first, self.broadcast(near), self.broadcast(w))

    def synthesize(self, ws: Tensor, noise: Noise = "const") -> Tensor:
        """ws [n, L, w_dim] (or w for all rows) -> images [n, h, w, c], float32.

        `noise` is what every layer adds, before its strength: the generator's own maps, none,
        given ones, or a function of (layer, shape) that draws them.
        """
        return self.levels(ws, noise)[-1].image

    def levels(self, ws: Tensor, noise: Noise = "const") -> list[Level]:
        """All that `synthesize` goes through: the features and the image of each level."""
        ws, config = self.broadcast(ws), self.config
        maps, found = self.maps(noise, ws.shape[0]), list[Level]()
        x = self.values["synthesis/b4/const"]
        x = tf.tile(x, [tf.shape(ws)[0] if ws.shape[0] is None else ws.shape[0], 1, 1, 1])
        for level in range(config.shape.levels + 1):
            layer = self.layer(f"synthesis/{config.block(level)}")
            first = max(2 * level - 1, 0)
            rows = tf.unstack(ws[:, first : 2 * level + 2], axis=1)
            x = tf.cast(x, config.dtype_of(level))
            x, rgb = block(x, rows, list(maps[first : 2 * level + 1]), layer, config)
            image = rgb if not found else layers.up2(found[-1].image) + rgb
            found.append(Level(x, image))
        return found

    def maps(self, noise: Noise, count: int | None) -> Maps:
        """The noise of every layer, for `count` images."""
        if callable(noise):
            sizes = noise_sizes(self.config)
            return [noise(layer, (count or 1, *size, 1)) for layer, size in enumerate(sizes)]
        if not isinstance(noise, str):
            return noise
        if noise not in ("const", "none"):
            raise ValueError(f"noise is const, none, maps or a function, not {noise!r}")
        names = noise_layers(self.config) if noise == "const" else []
        return [tf.convert_to_tensor(self.values[f"{name}/noise_const"]) for name in names]


def mapping_table(config: GeneratorConfig) -> Table:
    """The parameters of the mapping network; w_avg is a buffer."""
    table: Table = {}
    if config.labels:
        table |= dense_table("mapping/embed", config.labels, config.w_dim)
    inputs = config.z_dim + (config.w_dim if config.labels else 0)
    table |= layers.mapping_layers_table(config.mapping_layers, inputs, config.w_dim)
    return table | {"mapping/w_avg": Parameter((config.w_dim,), trainable=False)}


def synthesis_table(config: GeneratorConfig) -> Table:
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
    name: str, config: GeneratorConfig, size: tuple[int, int], inputs: int, outputs: int
) -> Table:
    """One styled convolution, with its buffer of constant noise."""
    return {
        **conv_table(name, 3, inputs, outputs),
        **dense_table(f"{name}/affine", config.w_dim, inputs, fill=1),
        f"{name}/noise_strength": Parameter(()),
        f"{name}/noise_const": Parameter((1, *size, 1), std=1, trainable=False),
    }


def noise_layers(config: GeneratorConfig) -> list[str]:
    """The layers that add noise, from the input on; layer i is at level (i + 1) // 2."""
    blocks = [f"synthesis/{config.block(level)}" for level in range(config.shape.levels + 1)]
    return [f"{block}/{conv}" for block in blocks for conv in ("conv0", "conv1")][1:]


def noise_sizes(config: GeneratorConfig) -> list[tuple[int, int]]:
    """Height and width of the noise of every layer."""
    return [config.shape.size((i + 1) // 2) for i in range(len(noise_layers(config)))]


def block(
    x: Tensor, rows: list[Tensor], maps: list[Tensor], layer: Layer, config: GeneratorConfig
) -> tuple[Tensor, Tensor]:
    """One level: features below -> features and RGB; level 0 has no conv0, so a row less."""
    flat, clamp = [x, *rows, *maps, *(layer[key] for key in sorted(layer))], config.conv_clamp

    def run(x: Tensor, *rest: Tensor) -> tuple[Tensor, Tensor]:
        rows_, maps_ = rest[: len(rows)], list(rest[len(rows) : len(rows) + len(maps)])
        values = dict(zip(sorted(layer), rest[len(rows) + len(maps) :], strict=True))
        convs = ["conv0", "conv1"] if len(rows) == 3 else ["conv1"]
        for conv, row in zip(convs, rows_, strict=False):
            noise = maps_.pop(0) if maps_ else None
            x = layers.styled_conv(x, row, noise, below(values, conv), conv == "conv0", clamp)
        return x, layers.to_rgb(x, rows_[-1], below(values, "torgb"), clamp)

    return layers.recompute(run, flat) if config.recompute else run(*flat)


def below(layer: Layer, name: str) -> Layer:
    """The part of `layer` below `name`."""
    start = f"{name}/"
    return {key.removeprefix(start): layer[key] for key in layer if key.startswith(start)}
