"""Layers of StyleGAN2, NHWC: dense, convolution, modulation, FIR resampling. Exact to any order."""

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import numpy as np
import tensorflow as tf

from training.networks import cpu, winograd
from training.networks.parameters import Layer, Network, Table, Tensor, dense_table

TAPS = np.array([1, 3, 3, 1], np.float32) / 8  # the FIR filter along one axis
SLOPE = 0.2  # of the leaky ReLU
GAIN = math.sqrt(2)  # what the leaky ReLU is multiplied by
LRMUL = 0.01  # the learning rate of the mapping networks, relative to that of the rest

KEEPING = ContextVar("KEEPING", default=False)
FIXED = ContextVar("FIXED", default=False)


def normalise(x: Tensor) -> Tensor:
    """x / sqrt(mean(x^2)) over the last axis."""
    return x * tf.math.rsqrt(tf.reduce_mean(x**2, axis=-1, keepdims=True) + 1e-8)


def leaky(x: Tensor) -> Tensor:
    """Leaky ReLU without gain: max(x, 0.2 x).

    TensorFlow keeps x for its gradient, which asks for signs alone: here the result is kept, which
    the next layer needs as well, to the same bits. Its gradient of that gradient is a feature map
    of zeros besides, which is kept for good and added: here there is none.
    """
    if FIXED.get():
        return tf.nn.leaky_relu(x, SLOPE)

    @tf.custom_gradient  # type: ignore[untyped-decorator]
    def run(x: Tensor) -> Any:
        y = tf.nn.leaky_relu(x, SLOPE)

        def gated(upstream: Tensor) -> Tensor:
            return linear(lambda u: gate(u, y), gated, upstream)

        return y, gated

    return run(x)


def gate(upstream: Tensor, y: Tensor) -> Tensor:
    """`upstream` times the slope at which a leaky ReLU gave y."""
    return tf.raw_ops.LeakyReluGrad(gradients=upstream, features=y, alpha=SLOPE)


def clamped(x: Tensor, limit: float) -> Tensor:
    """x, no number of it beyond -limit ... limit; with a limit of 0 as it is."""
    return tf.maximum(tf.minimum(x, limit), -limit) if limit else x


def dense(x: Tensor, layer: Layer, lrmul: float = 1.0) -> Tensor:
    """x [n, i] -> [n, o]; the weight is scaled by lrmul / sqrt(i), the bias by lrmul."""
    scale = lrmul / math.sqrt(layer["weight"].shape[0])
    return x @ (layer["weight"] * scale) + layer["bias"] * lrmul


def embedded(network: Network, labels: Tensor) -> Tensor:
    """Labels [n, classes] -> [n, width], through the dense layer mapping/embed and normalised."""
    return normalise(dense(tf.cast(labels, tf.float32), network.layer("mapping/embed")))


def mapped(network: Network, x: Tensor) -> Tensor:
    """x [n, i] through the dense layers mapping/fc0, mapping/fc1, ... that the network has."""
    number = 0
    while f"mapping/fc{number}/weight" in network.table:
        x = GAIN * leaky(dense(x, network.layer(f"mapping/fc{number}"), LRMUL))
        number += 1
    return x


def mapping_layers_table(layers: int, inputs: int, outputs: int) -> Table:
    """The parameters of `mapped`."""
    table: Table = {}
    for number in range(layers):
        table |= dense_table(f"mapping/fc{number}", outputs if number else inputs, outputs, LRMUL)
    return table


def equalised(weight: Tensor, dtype: Any, gain: float = 1.0) -> Tensor:
    """A stored kernel HWIO times gain / sqrt(fan in), in the dtype of the convolution."""
    return tf.cast(weight * (gain * coefficient(weight)), dtype)


def coefficient(weight: Tensor) -> float:
    """1 / sqrt(fan in) of a kernel HWIO."""
    return 1 / math.sqrt(math.prod(weight.shape[:-1]))


def conv(x: Tensor, weight: Tensor, down: bool = False) -> Tensor:
    """Convolution of x with `weight` HWIO, same size, or FIR and stride 2 to half the size."""
    if not down:
        rows = winograd.strip_for(x, weight)
        if rows:
            return winograd.convolution(x, weight, rows)
        return tf.nn.conv2d(x, weight, 1, "SAME")
    if weight.shape[0] == 1:
        return tf.nn.conv2d(down2(x), weight, 1, "VALID")
    return tf.nn.conv2d(blur(x, 2), weight, 2, "VALID")


def conv_up(x: Tensor, weight: Tensor) -> Tensor:
    """Zero insertion, convolution with `weight` HWIO and FIR, to twice the size; gain 1/4."""
    return conv_transposed(x, transposed(weight))


def conv_transposed(x: Tensor, kernel: Tensor) -> Tensor:
    """`conv_up` with a `transposed` kernel."""
    n, height, width, _ = x.shape
    size = [tf.shape(x)[0] if n is None else n, 2 * height + 1, 2 * width + 1, kernel.shape[2]]
    return blur(tf.nn.conv2d_transpose(x, kernel, size, 2, "VALID"), 1)


def transposed(weight: Tensor) -> Tensor:
    """A kernel HWIO, flipped along height and width, as HWOI: what tf.nn.conv2d_transpose takes.

    Stacking the taps in reverse is 20 times faster than a slice with negative steps.
    """
    size, _, inputs, outputs = weight.shape
    taps = tf.unstack(tf.reshape(weight, [size * size, inputs, outputs]))
    taps = tf.transpose(tf.stack(taps[::-1]), [0, 2, 1])
    return tf.reshape(taps, [size, size, outputs, inputs])


def modulate(row: Tensor, layer: Layer) -> Tensor:
    """Styles s = A(w): row [n, w_dim] -> [n, i], float32."""
    return dense(row, {"weight": layer["affine/weight"], "bias": layer["affine/bias"]})


def demodulation(styles: Tensor, power: Tensor) -> Tensor:
    """d_o = rsqrt(sum_i s_i^2 sum_k W_kio^2 + 1e-8), [n, o] (Karras et al. 2020, eq. 3)."""
    return tf.math.rsqrt(styles**2 @ power + 1e-8)


def power_of(weight: Tensor) -> Tensor:
    """sum_k W_kio^2 [i, o] of a stored kernel."""
    return tf.reduce_sum(weight**2, axis=[0, 1]) * coefficient(weight) ** 2


def styled_conv(
    x: Tensor, row: Tensor, noise: Tensor | None, layer: Layer, up: bool, clamp: float = 0.0
) -> Tensor:
    """Modulate, convolve, demodulate, add noise [n or 1, h, w, 1] and bias, activate.

    Unfused: scaling x by the styles and the result by d equals convolving each sample with its own
    demodulated kernel. Of an image alone the kernel is scaled, unless it was made once. The gain of
    the activation is moved in front of it.
    """
    styles, weight, ready = modulate(row, layer), layer["weight"], "kernel" in layer
    power = layer["power"] if ready else power_of(weight)
    factor = demodulation(styles, power) * (1 if ready else gain_of(weight, up))
    # TensorFlow 2.21 aborts on a bias right behind the FIR filter: one of the two stays between.
    alone, last = not ready and is_alone(x), not up or noise is not None
    if alone:
        weight = weight * (styles[0][:, None] * (factor[0] if last else 1))
    else:
        x = x * tf.cast(styles, x.dtype)[:, None, None]
    if ready:
        x = conv_made(x, layer["kernel"], up)
    else:
        x = (conv_up if up else conv)(x, tf.cast(weight, x.dtype))
    if not (alone and last):
        x = x * tf.cast(factor, x.dtype)[:, None, None]
    if noise is not None:
        x = x + tf.cast(noise * (GAIN * layer["noise_strength"]), x.dtype)
    return clamped(leaky(x + tf.cast(GAIN * layer["bias"], x.dtype)), clamp)


def gain_of(weight: Tensor, up: bool) -> float:
    """What the kernel of a styled convolution is multiplied by."""
    return (4 if up else 1) * GAIN * coefficient(weight)


def made_once(layer: Layer, size: tuple[int, int], dtype: str, up: bool) -> Layer:
    """What `styled_conv` needs of a weight that stays as it is, on a CPU: "kernel" and "power".

    Of an x of this height and width; nothing where the kernel is smaller than x: to scale it for
    each image then costs less than to scale x.
    """
    weight = layer["weight"]
    inputs = weight.shape[2]
    if math.prod(weight.shape) < math.prod(size) * inputs:
        return {}
    kernel = weight * gain_of(weight, up)
    if up:
        kernel = transposed(kernel)
    elif winograd.pays(*size, inputs):
        kernel = winograd.mixed_weight(kernel, dtype == "float32" and winograd.nests(*size, inputs))
    return {"kernel": tf.cast(kernel, dtype), "power": power_of(weight)}


def conv_made(x: Tensor, kernel: Tensor, up: bool) -> Tensor:
    """x convolved with a kernel of `made_once`."""
    if up:
        return conv_transposed(x, kernel)
    if kernel.shape[0] == winograd.PRODUCTS:
        return winograd.convolved(x, kernel)
    return tf.nn.conv2d(x, kernel, 1, "SAME")


def is_alone(x: Tensor) -> bool:
    """Whether x is of one image, in a graph that no gradient is wanted of and that runs on a CPU.

    Its kernels are then scaled instead, which are far smaller.
    """
    return x.shape[0] == 1 and cpu.USE.get() == "drawing"


def to_rgb(x: Tensor, row: Tensor, layer: Layer, clamp: float = 0.0) -> Tensor:
    """A modulated 1x1 convolution to image channels, without demodulation; float32."""
    styles, weight = modulate(row, layer) * coefficient(layer["weight"]), layer["weight"]
    if is_alone(x):
        weight = weight * styles[0][:, None]
    else:
        x = x * tf.cast(styles, x.dtype)[:, None, None]
    x = tf.nn.conv2d(x, tf.cast(weight, x.dtype), 1, "VALID")
    return clamped(tf.cast(x, tf.float32) + layer["bias"], clamp)


def blur(x: Tensor, pad: int) -> Tensor:
    """FIR filter with `pad` zeros on every side: [n, h, w, c] -> [n, h + 2 pad - 3, ...].

    The filter is symmetric, so the gradient is the same filter with the complementary padding.
    """

    return linear(
        lambda x: taps_over(x, (pad, pad), 1), lambda upstream: blur(upstream, 3 - pad), x
    )


def down2(x: Tensor) -> Tensor:
    """FIR filter, then every second pixel: [n, h, w, c] -> [n, h / 2, w / 2, c]."""
    return linear(lambda x: taps_over(x, (1, 1), 2), lambda upstream: up2(upstream) / 4, x)


def up2(x: Tensor) -> Tensor:
    """Zero insertion, then the FIR filter with gain 4: [n, h, w, c] -> [n, 2 h, 2 w, c]."""
    return linear(interleaved, lambda upstream: down2(upstream) * 4, x)


def bilinear2(x: Tensor) -> Tensor:
    """Bilinear, pixels being squares, edges repeated: [n, h, w, c] -> [n, 2 h, 2 w, c].

    TensorFlow's own operation, whose gradient of a gradient is silently none, with one of any
    order: the operation is linear, so each of the two is the other's gradient.
    """
    _, height, width, _ = x.shape

    def larger(x: Tensor) -> Tensor:
        large = tf.raw_ops.ResizeBilinear(
            images=x, size=[2 * height, 2 * width], half_pixel_centers=True
        )
        return tf.cast(large, x.dtype)

    def smaller(x: Tensor) -> Tensor:
        wide = tf.cast(x, tf.float32)
        small = tf.raw_ops.ResizeBilinearGrad(
            grads=wide, original_image=wide[:, :height, :width], half_pixel_centers=True
        )
        return tf.cast(small, x.dtype)

    def raised(x: Tensor) -> Tensor:
        return linear(larger, lowered, x)

    def lowered(x: Tensor) -> Tensor:
        return linear(smaller, raised, x)

    return raised(x)


def linear(
    operation: Callable[[Tensor], Tensor], transpose: Callable[[Tensor], Tensor], x: Tensor
) -> Tensor:
    """A linear operation on x, whose gradient is its transpose on what comes back."""
    if FIXED.get():
        return operation(x)

    @tf.custom_gradient  # type: ignore[untyped-decorator]
    def run(x: Tensor) -> Any:
        return operation(x), transpose

    return run(x)


def taps_over(x: Tensor, pad: tuple[int, int], stride: int, gain: float = 1.0) -> Tensor:
    """The FIR filter on every channel, with so many zeros before and behind."""
    kernel = np.tile(gain * np.outer(TAPS, TAPS)[:, :, None, None], [1, 1, x.shape[3], 1])
    edges = [[0, 0], [*pad], [*pad], [0, 0]]
    return tf.nn.depthwise_conv2d(x, tf.cast(kernel, x.dtype), [1, stride, stride, 1], edges)


def interleaved(x: Tensor) -> Tensor:
    """`up2` by zero insertion: a pixel behind each, then a row behind each."""
    _, height, width, channels = x.shape
    x = tf.pad(tf.reshape(x, [-1, channels]), [[0, 0], [0, channels]])
    x = tf.pad(tf.reshape(x, [-1, 2 * width * channels]), [[0, 0], [0, 2 * width * channels]])
    x = tf.reshape(x, [-1, 2 * height, 2 * width, channels])
    return taps_over(x, (2, 1), 1, gain=4.0)


@contextmanager
def without_gradients() -> Iterator[None]:
    """While a graph is traced that no gradient is wanted of.

    TensorFlow never lets go of a graph with a gradient of its own in it, nor of the weights there.
    """
    token = FIXED.set(True)
    try:
        yield
    finally:
        FIXED.reset(token)


@contextmanager
def keeping() -> Iterator[None]:
    """While a gradient of a gradient is traced: keep all activations, it needs them anyway."""
    token = KEEPING.set(True)
    try:
        yield
    finally:
        KEEPING.reset(token)


def recompute(function: Callable[..., Any], inputs: Sequence[Tensor]) -> Any:
    """function(*inputs), of which only `inputs` are kept; exact to any order.

    The gradient is itself such a function, so the gradient of a gradient recomputes too (unlike
    tf.recompute_grad, which has none). `function` may depend on tensors through `inputs` only.
    Memory is saved inside tf.function alone, and by first-order gradients alone; for those of R1
    and path length, which come out right but take twice the work and more memory, see `keeping`.
    """
    if KEEPING.get() or FIXED.get():
        return function(*inputs)

    @tf.custom_gradient  # type: ignore[untyped-decorator]
    def run(*inputs: Tensor) -> Any:
        outputs = function(*inputs)
        single = not isinstance(outputs, (tuple, list))

        def gradient(*upstream: Tensor) -> Any:
            return recompute(vjp(function, len(inputs), single), [*inputs, *upstream])

        return outputs, gradient

    return run(*inputs)


def vjp(function: Callable[..., Any], count: int, single: bool) -> Callable[..., Any]:
    """(inputs, upstream) -> the gradients of <function(inputs), upstream> for `count` inputs."""

    def run(*arguments: Tensor) -> Any:
        given, upstream = arguments[:count], arguments[count:]
        # The dependency keeps the graph optimiser from merging this pass with the first one.
        with tf.control_dependencies(upstream):
            inputs = [tf.identity(tensor) for tensor in given]
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(inputs)
            outputs = function(*inputs)
        return tape.gradient(
            outputs,
            inputs,
            output_gradients=upstream[0] if single else list(upstream),
            unconnected_gradients=tf.UnconnectedGradients.ZERO,
        )

    return run
