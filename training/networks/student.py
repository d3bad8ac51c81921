"""The student of a generator, small enough for a phone: BlazeStyleGAN (Jia et al. 2023, section 3).

Each level computes at half the height and width of its teacher's, and has a head that doubles both:
the images of all heads are a pyramid, of which only the last is needed once it has learnt.
"""

import tensorflow as tf

from training.networks import layers
from training.networks.architecture import GeneratorConfig, StudentConfig
from training.networks.generator import (
    Generator,
    Level,
    Maps,
    Noise,
    below,
    generator_table,
    mapping_table,
)
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


def new_generator(config: GeneratorConfig, start: Start) -> Generator:
    """A generator of this config: StyleGAN2's, or a student."""
    return Student(config, start) if isinstance(config, StudentConfig) else Generator(config, start)


def new_generator_table(config: GeneratorConfig) -> Table:
    """The parameters of such a generator."""
    return student_table(config) if isinstance(config, StudentConfig) else generator_table(config)


def student_table(config: StudentConfig) -> Table:
    """The parameters of a student; those of the mapping are its teacher's, and do not learn."""
    table: Table = {
        name: Parameter(entry.shape, entry.std, entry.fill, trainable=False)
        for name, entry in mapping_table(config).items()
    }
    height, width = config.shape.base
    table["synthesis/b4/const"] = Parameter((1, height, width, config.fmaps(0)), std=1)
    for level in range(config.top + 1):
        before, after = config.fmaps(max(level - 1, 0)), config.fmaps(level)
        name = f"synthesis/{config.block(level)}"
        if level:
            table |= modulated_table(f"{name}/conv0", config, 3, before, after)
        table |= modulated_table(f"{name}/conv1", config, 3, after, after)
        table |= modulated_table(f"{name}/torgb", config, 1, after, config.channels)
    return table


def modulated_table(
    name: str, config: StudentConfig, size: int, inputs: int, outputs: int
) -> Table:
    """A modulated convolution."""
    affine = dense_table(f"{name}/affine", config.w_dim, inputs, fill=1)
    return conv_table(name, size, inputs, outputs) | affine


class Student(Generator):
    """A generator that adds no noise; w and its rows are used as those of its teacher's levels."""

    config: StudentConfig

    def __init__(self, config: StudentConfig, start: Start) -> None:
        Network.__init__(self, student_table(config), start, "student")
        self.config = config

    def with_kernels(self) -> "Student":
        """Itself: its kernels are small."""
        return self

    def synthesize(self, ws: Tensor, noise: Noise = "const") -> Tensor:
        """ws [n, L, w_dim] (or w for all rows) -> images [n, h, w, c], float32: the last head."""
        ws = self.broadcast(ws)
        return self.head(self.features(ws)[-1], ws, self.config.top)

    def levels(self, ws: Tensor, noise: Noise = "const") -> list[Level]:
        """The features [n, h, w, fmaps] of each level, and its head's image [n, 2 h, 2 w, c]."""
        ws = self.broadcast(ws)
        features = self.features(ws)
        return [Level(x, self.head(x, ws, level)) for level, x in enumerate(features)]

    def maps(self, noise: Noise, count: int | None) -> Maps:
        """No noise is added anywhere."""
        return []

    def features(self, ws: Tensor) -> list[Tensor]:
        """What the convolutions of each level make of ws [n, L, w_dim]."""
        config, found = self.config, list[Tensor]()
        x = self.values["synthesis/b4/const"]
        x = tf.tile(x, [tf.shape(ws)[0] if ws.shape[0] is None else ws.shape[0], 1, 1, 1])
        for level in range(config.top + 1):
            layer = self.layer(f"synthesis/{config.block(level)}")
            rows = tf.unstack(ws[:, max(2 * level - 1, 0) : 2 * level + 1], axis=1)
            x = student_block(tf.cast(x, config.dtype_of(level)), rows, layer, config)
            found.append(x)
        return found

    def head(self, x: Tensor, ws: Tensor, level: int) -> Tensor:
        """UpToRGB: features to twice their size, then a modulated 1x1 convolution; float32."""
        layer = below(self.layer(f"synthesis/{self.config.block(level)}"), "torgb")
        row, clamp = ws[:, 2 * level + 1], self.config.conv_clamp
        return layers.to_rgb(layers.bilinear2(x), row, layer, clamp)


def student_block(x: Tensor, rows: list[Tensor], layer: Layer, config: StudentConfig) -> Tensor:
    """One level: features below -> its own; level 0 has no conv0, so a row less."""
    convs = ["conv0", "conv1"][-len(rows) :]
    keys = [key for key in sorted(layer) if key.startswith(tuple(convs))]

    def run(x: Tensor, *rest: Tensor) -> Tensor:
        values = dict(zip(keys, rest[len(rows) :], strict=True))
        for conv, row in zip(convs, rest[: len(rows)], strict=True):
            x = layers.bilinear2(x) if conv == "conv0" else x
            x = modulated_conv(x, row, below(values, conv), config.conv_clamp)
        return x

    flat = [x, *rows, *(layer[key] for key in keys)]
    return layers.recompute(run, flat) if config.recompute else run(*flat)


def modulated_conv(x: Tensor, row: Tensor, layer: Layer, clamp: float = 0.0) -> Tensor:
    """Scale the input by the styles, convolve, add the bias, activate: nothing is demodulated.

    The activation has no gain: at first E[s^2] = 1 + E[w^2] stands for it.
    """
    x = x * tf.cast(layers.modulate(row, layer), x.dtype)[:, None, None]
    x = layers.conv(x, layers.equalised(layer["weight"], x.dtype))
    return layers.clamped(layers.leaky(x + tf.cast(layer["bias"], x.dtype)), clamp)
