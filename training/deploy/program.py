"""A generator as one function of plain operations: z or w, psi and label -> pictures."""

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import tensorflow as tf

from training.deploy import transposed
from training.deploy.folding import Folded, fold
from training.exchange.opening import OpenedGenerator
from training.networks import cpu, layers, winograd
from training.networks.architecture import GeneratorConfig, StudentConfig
from training.networks.parameters import Tensor

Start = Literal["z", "w"]


class Program(tf.Module):
    """z [N, z_dim] or w [N, w_dim], psi [], label [N] -> images [N, H, W, C], uint8 and float32.

    A `psi` that is given here is a part of it, and no input.
    `label` is the number of a class, of conditional models that start from z. Noise is the
    generator's own. Nothing but plain operations in NHWC is in it, and none is on a device.
    """

    def __init__(
        self,
        config: GeneratorConfig,
        folded: Folded,
        start: Start = "z",
        psi: float | None = None,
    ) -> None:
        super().__init__(name="generator")
        self.config, self.start, self.psi = config, start, psi
        self.values = {name: tf.Variable(value, name=name) for name, value in folded.items()}

    def signature(self, count: int | None = None) -> dict[str, Any]:
        """The inputs by name, for a batch of `count`."""
        width = self.config.z_dim if self.start == "z" else self.config.w_dim
        inputs: dict[str, Any] = {self.start: tf.TensorSpec([count, width], tf.float32, self.start)}
        if self.psi is None:
            inputs["psi"] = tf.TensorSpec([], tf.float32, "psi")
        if self.start == "z" and self.config.labels:
            inputs["label"] = tf.TensorSpec([count], tf.int32, "label")
        return inputs

    def traced(self, count: int | None = None) -> Any:
        """The tf.ConcreteFunction of inputs by name, for a batch of `count`."""

        def generate(**given: Tensor) -> dict[str, Tensor]:
            psi = given["psi"] if self.psi is None else tf.constant(self.psi, tf.float32)
            return self.drawn(given[self.start], psi, given.get("label"))

        phased = any(name.endswith("/even") for name in self.values)  # as LiteRT wants it
        whole = tf.function(generate, autograph=False)
        # Without: of each gradient TensorFlow would warn whenever the file is read.
        with layers.without_gradients(), cpu.allowed("litert" if phased else "none"):
            return whole.get_concrete_function(**self.signature(count))

    def drawn(self, x: Tensor, psi: Tensor, label: Tensor | None) -> dict[str, Tensor]:
        """The pictures: "images", uint8, and "float", in about -1 ... 1."""
        w = self.mapped(x, label) if self.start == "z" else x
        near = self.values["w_avg"] + psi * (w - self.values["w_avg"])
        image = tf.identity(self.synthesized([near] * self.config.rows), name="float")
        return {"images": tf.identity(levels(image), name="images"), "float": image}

    def mapped(self, z: Tensor, label: Tensor | None) -> Tensor:
        """z -> w."""
        x = layers.normalise(z)
        if label is not None:
            x = tf.concat([x, tf.gather(self.values["classes"], label)], axis=1)
        for number in range(self.config.mapping_layers):
            x = layers.leaky(self.dense(x, f"fc{number}"))
        return x

    def synthesized(self, rows: Sequence[Tensor], noise: Tensor | None = None) -> Tensor:
        """A w [N, w_dim] for every row -> images, float32; noise is multiplied by `noise` []."""
        config, image = self.config, None
        count = tf.shape(rows[0])[0] if rows[0].shape[0] is None else rows[0].shape[0]
        x = tf.tile(self.values["const"], [count, 1, 1, 1])
        for level in range(config.shape.levels + 1):
            block = config.block(level)
            if level:
                x = self.styled(x, rows[2 * level - 1], f"{block}/conv0", True, noise)
            x = self.styled(x, rows[2 * level], f"{block}/conv1", False, noise)
            rgb = self.to_rgb(x, rows[2 * level + 1], f"{block}/torgb")
            image = rgb if image is None else doubled(image) + rgb
        return image

    def styled(self, x: Tensor, w: Tensor, name: str, up: bool, noise: Tensor | None) -> Tensor:
        """Modulate, convolve, demodulate, add noise and bias, activate."""
        styles = self.dense(w, f"{name}/affine")
        factor = layers.demodulation(styles, self.values[f"{name}/power"])
        x = self.convolved(x * styles[:, None, None], name, up)
        # A bias that depends on w is no constant: converters would add the one to the noise, an
        # array [h, w, c], five times the size of all weights at 1024 pixels. Right behind the FIR
        # filter TensorFlow 2.21 aborts on it.
        bias = self.values[f"{name}/bias"] / factor * factor
        own = self.values[f"{name}/noise"]
        x = x * factor[:, None, None] + (own if noise is None else own * noise)
        x = layers.leaky(x + bias[:, None, None])
        return layers.clamped(x, self.config.conv_clamp)

    def convolved(self, x: Tensor, name: str, up: bool) -> Tensor:
        """The convolution of `styled`, in the form that its kernel was folded for."""
        if f"{name}/mixed" in self.values:
            return winograd.convolved(x, tf.convert_to_tensor(self.values[f"{name}/mixed"]))
        if f"{name}/even" in self.values:
            kernels = {each: self.values[f"{name}/{each}"] for each in transposed.PHASES}
            return transposed.raised(x, kernels)
        kernel = self.values[f"{name}/kernel"]
        return layers.conv_transposed(x, kernel) if up else tf.nn.conv2d(x, kernel, 1, "SAME")

    def to_rgb(self, x: Tensor, w: Tensor, name: str) -> Tensor:
        """Modulate and convolve to image channels."""
        styles, kernel = self.dense(w, f"{name}/affine"), self.values[f"{name}/kernel"][0, 0]
        _, height, width, inputs = x.shape
        # The kernel is modulated: it is far smaller than x.
        x = tf.reshape(x, [-1, height * width, inputs]) @ (styles[:, :, None] * kernel)
        x = tf.reshape(x, [-1, height, width, self.config.channels])
        return layers.clamped(x + self.values[f"{name}/bias"], self.config.conv_clamp)

    def dense(self, x: Tensor, name: str) -> Tensor:
        """x @ weight + bias."""
        return x @ self.values[f"{name}/weight"] + self.values[f"{name}/bias"]


class StudentProgram(Program):
    """The same of a student: its convolutions, and the last of its heads."""

    def synthesized(self, rows: Sequence[Tensor], noise: Tensor | None = None) -> Tensor:
        """A w [N, w_dim] for every row -> images, float32; there is no noise."""
        config = self.config
        count = tf.shape(rows[0])[0] if rows[0].shape[0] is None else rows[0].shape[0]
        x = tf.tile(self.values["const"], [count, 1, 1, 1])
        for level in range(config.top + 1):
            block = config.block(level)
            if level:
                x = self.activated(layers.bilinear2(x), rows[2 * level - 1], f"{block}/conv0")
            x = self.activated(x, rows[2 * level], f"{block}/conv1")
        last = f"{config.block(config.top)}/torgb"
        image = self.modulated(layers.bilinear2(x), rows[2 * config.top + 1], last)
        return layers.clamped(image, config.conv_clamp)

    def activated(self, x: Tensor, w: Tensor, name: str) -> Tensor:
        """`modulated`, then the leaky ReLU."""
        return layers.clamped(layers.leaky(self.modulated(x, w, name)), self.config.conv_clamp)

    def modulated(self, x: Tensor, w: Tensor, name: str) -> Tensor:
        """Scale by the styles, convolve, add the bias."""
        x = x * self.dense(w, f"{name}/affine")[:, None, None]
        x = tf.nn.conv2d(x, self.values[f"{name}/kernel"], 1, "SAME")
        return x + self.values[f"{name}/bias"]


def program(
    opened: OpenedGenerator,
    start: Start = "z",
    psi: float | None = None,
    mixed: bool = False,
    phased: bool = False,
) -> Program:
    """The program of the averaged generator of a file; `fold` says what the last two are."""
    kind = StudentProgram if isinstance(opened.config, StudentConfig) else Program
    folded = fold(opened.arrays["G_ema"], opened.config, mixed, phased)
    return kind(opened.config, folded, start, psi)


def levels(image: Tensor) -> Tensor:
    """Floats [N, H, W, C] -> uint8; the colours of RGBA are divided by its alpha."""
    found = tf.clip_by_value((image + 1) * 127.5, 0.0, 255.0)
    if image.shape[3] == 4:
        colours, alpha = found[..., :3], found[..., 3:]
        seen = tf.cast(alpha >= 0.5, tf.float32)
        colours = seen * colours * 255 / tf.maximum(alpha, 0.5)
        found = tf.concat([tf.minimum(colours, 255.0), alpha], axis=3)
    return tf.cast(tf.round(found), tf.uint8)


def doubled(image: Tensor) -> Tensor:
    """`layers.up2` of few channels in less time: one convolution makes all four of 2 x 2 pixels."""
    channels = image.shape[3]
    first, second = np.array([1.0, 3.0, 0.0]) / 4, np.array([0.0, 3.0, 1.0]) / 4
    taps = [np.outer(rows, columns) for rows in (first, second) for columns in (first, second)]
    kernel = np.einsum("phw,io->hwipo", taps, np.eye(channels)).reshape(3, 3, channels, -1)
    return tf.nn.depth_to_space(tf.nn.conv2d(image, tf.constant(kernel, tf.float32), 1, "SAME"), 2)
