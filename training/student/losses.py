"""The losses of a distillation (Jia et al. 2023, section 4). Pure functions, float32."""

import math
from collections.abc import Sequence

import tensorflow as tf

from training.networks.parameters import Tensor
from training.perceptual import Features


def perceptual(features: Features, pyramid: Sequence[Tensor], wanted: Sequence[Tensor]) -> Tensor:
    """Eq. 1 per sample [n]: the sum over levels of the distance of features.

    pyramid and wanted are images [n, h, w, c] of the same sizes, level by level. The distance at a
    level is the mean over its feature maps of |a - b|_2, divided by the root of how many numbers
    they have, so that neither large maps nor large levels outweigh the others.
    """
    return tf.add_n([level_distance(features, *each) for each in zip(pyramid, wanted, strict=True)])


def level_distance(features: Features, images: Tensor, wanted: Tensor) -> Tensor:
    """The distance at one level per sample [n]."""
    count, found = images.shape[0], []
    # Two passes: what the teacher drew is no function of what learns, and has no gradient.
    for own, other in zip(features(images), features(tf.stop_gradient(wanted)), strict=True):
        # Of RGBA there are two of each sample: colours, and behind all of them alpha.
        square = tf.reshape((own - other) ** 2, [-1, count, math.prod(own.shape[1:])])
        found.append(tf.sqrt(tf.reduce_mean(square, axis=[0, 2]) + 1e-8))
    return tf.add_n(found) / len(found)


def pyramid_of(images: Tensor, sizes: Sequence[tuple[int, int]]) -> list[Tensor]:
    """Images [n, h, w, c] at each of these sizes, as means over areas."""
    found = []
    for height, _ in sizes:
        factor = images.shape[1] // height
        found.append(tf.nn.avg_pool2d(images, factor, factor, "VALID") if factor > 1 else images)
    return found
