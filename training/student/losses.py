"""The losses of a distillation (Jia et al. 2023, section 4). Pure functions, float32."""

from collections.abc import Sequence

import tensorflow as tf

from training.networks.parameters import Tensor
from training.student.features import Features


def perceptual(features: Features, pyramid: Sequence[Tensor], wanted: Sequence[Tensor]) -> Tensor:
    """Eq. 1 per sample [n]: the sum over levels of the distance of features.

    pyramid and wanted are images [n, h, w, c] of the same sizes, level by level. The distance at a
    level is the mean over its feature maps of |a - b|_2, divided by the root of how many numbers
    they have, so that neither large maps nor large levels outweigh the others.
    """
    return tf.add_n([level_distance(features, *each) for each in zip(pyramid, wanted, strict=True)])


def level_distance(features: Features, images: Tensor, wanted: Tensor) -> Tensor:
    """The distance at one level per sample [n]."""
    count = images.shape[0]
    # One pass over both; what the teacher drew is no function of what learns.
    both = features(tf.concat([images, tf.stop_gradient(wanted)], axis=0))
    found = []
    for each in both:
        groups = each.shape[0] // (2 * count)  # two of RGBA: colours, alpha
        own, other = tf.unstack(tf.reshape(each, [groups, 2, count, -1]), axis=1)
        square = tf.reduce_mean((own - other) ** 2, axis=[0, 2])
        found.append(tf.sqrt(square + 1e-8))
    return tf.add_n(found) / len(found)


def pyramid_of(images: Tensor, sizes: Sequence[tuple[int, int]]) -> list[Tensor]:
    """Images [n, h, w, c] at each of these sizes, as means over areas."""
    found = []
    for height, _ in sizes:
        factor = images.shape[1] // height
        found.append(tf.nn.avg_pool2d(images, factor, factor, "VALID") if factor > 1 else images)
    return found
