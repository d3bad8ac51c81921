"""The styles and noise whose picture is nearest to a given one (Karras et al. 2020, section 5)."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import tensorflow as tf

from training.adam import Adam
from training.batches import decode, encode
from training.explore.asked import Floats
from training.explore.directions import SAMPLES
from training.explore.model import Model
from training.explore.perceptual import Features, of_discriminator, read_vgg, vgg19
from training.explore.sheets import Pixels
from training.networks import layers
from training.networks.parameters import Tensor

RATE, RAMP_UP, RAMP_DOWN = 0.1, 0.05, 0.25  # of the learning rate, and shares of the steps
SHAKING, CALM = 0.05, 0.75  # of w at first, in its standard deviations; from when on it is calm
SMALLEST_MAP = 8  # pixels: noise maps are compared with themselves, halved down to this
NOISE_WEIGHT = 1e5


@dataclass(frozen=True)
class Projection:
    """What was found: ws [1, L, w_dim], noise maps [1, h, w, 1] each, the picture [H, W, C]."""

    ws: Floats
    maps: Sequence[Floats]
    pixels: Pixels
    distances: Sequence[float]  # of every step
    frames: Sequence[Pixels]


def project(
    model: Model,
    target: Pixels,
    steps: int,
    space: Literal["w", "w+"] = "w",
    label: int | None = None,
    every: int = 0,
    vgg: str = "",
    tell: Callable[[int, float], None] = lambda step, distance: None,
) -> Projection:
    """Find a picture [H, W, C] again in w (one row for all) or w+ (every row its own).

    The distance is that of VGG19's features where `vgg` names its weights, of D's where the model's
    file has D, of pixels at every size else: no LPIPS. Noise maps are found too, and kept from
    holding the picture by the regulariser of the paper. `every` so many steps a frame is kept;
    `tell` hears of each step.
    """
    generator = model.generator
    w = model.w(range(SAMPLES), label)
    rows = generator.rows if space == "w+" else 1
    spread = tf.constant(np.sqrt(((w - w.mean(0)) ** 2).sum(1).mean()), tf.float32)
    found = {"w": tf.Variable(np.repeat(w.mean(0)[None, None], rows, axis=1), dtype=tf.float32)}
    rng = np.random.default_rng(0)
    for number, given in enumerate(generator.maps("const", 1)):
        found[f"noise{number}"] = tf.Variable(rng.standard_normal(given.shape), dtype=tf.float32)
    noises = [value for name, value in found.items() if name != "w"]
    adam = Adam(found, 0.9, 0.999, 1e-8, 0)
    features = seen_by(model, vgg)
    wanted = [tf.constant(each) for each in features(decode(target[None]))]

    def step(rate: Tensor, shaking: Tensor, seed: Tensor) -> tuple[Tensor, Tensor]:
        shake = tf.random.stateless_normal(found["w"].shape, tf.stack([seed, 0]))
        with tf.GradientTape() as tape:
            ws = tf.repeat(found["w"] + shaking * shake, generator.rows // rows, axis=1)
            image = generator.synthesize(ws, noises)
            distance = far(features(image), wanted)
            loss = distance + NOISE_WEIGHT * sum(own_likeness(each) for each in noises)
        adam.moved(tape.gradient(loss, list(found.values())), rate)
        for each in noises:
            middle = each - tf.reduce_mean(each)
            each.assign(middle * tf.math.rsqrt(tf.reduce_mean(middle**2) + 1e-12))
        return distance, image

    run, distances, frames = tf.function(step, autograph=False), [], []
    for number in range(steps):
        share = number / steps
        shaking = SHAKING * spread * max(0.0, 1 - share / CALM) ** 2
        rate = tf.constant(RATE * slope(share), tf.float32)
        distance, image = run(rate, shaking, tf.constant(number))
        distances.append(float(distance))
        tell(number + 1, distances[-1])
        if every and number % every == 0:
            frames.append(encode(image.numpy())[0])
    ws = np.repeat(found["w"].numpy(), generator.rows // rows, axis=1)
    pixels = encode(generator.synthesize(tf.constant(ws), noises).numpy())[0]
    maps = [each.numpy() for each in noises]
    return Projection(ws, maps, pixels, distances, [*frames, pixels])


def slope(share: float) -> float:
    """Up in a line, down in a cosine: the learning rate's course over the steps."""
    down = min(1.0, (1 - share) / RAMP_DOWN)
    return (0.5 - 0.5 * math.cos(math.pi * down)) * min(1.0, max(share, 1e-3) / RAMP_UP)


def compared(model: Model, vgg: str) -> str:
    """What the distance is of, in words."""
    if vgg:
        return "features of VGG19, and pixels"
    has = "D" in model.opened.arrays
    return "features of D, and pixels" if has else "pixels at every size: the file has no D"


def seen_by(model: Model, vgg: str) -> Features:
    """Images [n, H, W, C] -> what the distance compares, largest first."""
    if vgg:
        return vgg19(read_vgg(vgg))
    if "D" in model.opened.arrays:
        return of_discriminator(model.opened.network("D"))
    return lambda images: sizes(images, model.top)


def sizes(images: Tensor, halvings: int) -> list[Tensor]:
    """Images at every size."""
    found = [images]
    for _ in range(halvings):
        found.append(layers.down2(found[-1]))
    return found


def far(one: Sequence[Tensor], other: Sequence[Tensor]) -> Tensor:
    """The mean over levels of the squared distance at a pixel."""
    parts = [
        tf.reduce_mean(tf.reduce_sum((a - b) ** 2, axis=3)) for a, b in zip(one, other, strict=True)
    ]
    return tf.add_n(parts) / len(parts)


def own_likeness(noise: Tensor) -> Tensor:
    """How much a noise map [1, h, w, 1] is like itself one pixel on, at every size.

    L_ij summed over j (Karras et al. 2020, appendix D): also a map that is small already has one.
    """
    found = [noise]
    while min(found[-1].shape[1:3]) // 2 >= SMALLEST_MAP:
        found.append(2 * tf.nn.avg_pool2d(found[-1], 2, 2, "VALID"))  # keeps the variance
    return tf.add_n(
        [tf.reduce_mean(each * tf.roll(each, 1, axis)) ** 2 for each in found for axis in (1, 2)]
    )
