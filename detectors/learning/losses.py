"""How far an answer is from its target, per object."""

from typing import Any

import tensorflow as tf

from detectors.learning.network import boxes_of

BOX_WEIGHT = 5.0
TINY = 1e-6


def loss(answer: Any, centres: Any, counted: Any, boxes: Any, shares: Any) -> tuple[Any, Any]:
    """(loss of the centres, loss of the boxes), both divided by the number of objects, or by 1."""
    kinds = centres.shape[-1]
    objects = tf.maximum(tf.reduce_sum(tf.cast(centres >= 1.0, tf.float32)), 1.0)
    missed = focal(answer[..., :kinds], centres) * counted[..., None]
    apart = (1.0 - generalised_iou(boxes_of(answer[..., kinds:]), boxes)) * shares
    return tf.reduce_sum(missed) / objects, BOX_WEIGHT * tf.reduce_sum(apart) / objects


def focal(logits: Any, wanted: Any) -> Any:
    """Focal loss with bells around the centres (CornerNet, arXiv 1808.01244, equation 1)."""
    probability = tf.sigmoid(logits)
    hit = tf.square(1.0 - probability) * tf.nn.softplus(-logits)
    wrong = tf.pow(1.0 - wanted, 4.0) * tf.square(probability) * tf.nn.softplus(logits)
    return tf.where(wanted >= 1.0, hit, wrong)


def generalised_iou(one: Any, other: Any) -> Any:
    """GIoU of boxes [..., 4], left, top, right, bottom (arXiv 1902.09630, algorithm 1)."""
    shared = area(
        tf.concat(
            [tf.maximum(one[..., :2], other[..., :2]), tf.minimum(one[..., 2:], other[..., 2:])], -1
        )
    )
    around = area(
        tf.concat(
            [tf.minimum(one[..., :2], other[..., :2]), tf.maximum(one[..., 2:], other[..., 2:])], -1
        )
    )
    union = area(one) + area(other) - shared
    return shared / (union + TINY) - (around - union) / (around + TINY)


def area(box: Any) -> Any:
    sides = tf.maximum(box[..., 2:] - box[..., :2], 0.0)
    return sides[..., 0] * sides[..., 1]
