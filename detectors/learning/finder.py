"""From the network's map to finds: its peaks, their boxes, the surest of those that overlap."""

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from detectors.learning.network import boxes_of

MOST = 100  # finds in a picture
OVERLAP = 0.5  # of two finds of one class with a greater IoU the surer one stays
FAINT = 0.01  # scores below it are no finds
OUTPUTS = ("detection_boxes", "detection_classes", "detection_scores", "num_detections")


def finder(model: Any, mirror: bool, bend: float = 1.0) -> Callable[[Any], dict[str, Any]]:
    """A function from pictures, uint8 [N, H, W, 3], to the four outputs of an object detector.

    Scores are taken to the power of `bend`, which changes no order. The picture is stretched to
    the network's square, as in training.
    """
    side = model.input_shape[1]

    def find(images: Any) -> dict[str, Any]:
        squares = tf.image.resize(tf.cast(images, tf.float32), [side, side], antialias=True)
        boxes, scores = answers(model, squares, mirror)
        found = tf.image.combined_non_max_suppression(
            tf.gather(boxes, [1, 0, 3, 2], axis=-1)[:, :, None],
            tf.pow(scores, bend),
            max_output_size_per_class=MOST,
            max_total_size=MOST,
            iou_threshold=OVERLAP,
            score_threshold=FAINT**bend,
            clip_boxes=True,
        )
        values = {
            "detection_boxes": found.nmsed_boxes,
            "detection_classes": found.nmsed_classes + 1.0,
            "detection_scores": found.nmsed_scores,
            "num_detections": tf.cast(found.valid_detections, tf.float32),
        }
        return {name: tf.identity(values[name], name=name) for name in OUTPUTS}

    return find


def answers(model: Any, squares: Any, mirror: bool) -> tuple[Any, Any]:
    """(boxes [N, cells^2, 4], scores [N, cells^2, classes]); what is no peak has score 0.

    Squares are NHWC float32 from 0 to 255.
    """
    centres, sides = split(model, squares)
    if mirror:
        turned, far = (value[:, :, ::-1] for value in split(model, squares[:, :, ::-1]))
        centres = (centres + turned) / 2
        sides = (sides + tf.gather(far, [2, 1, 0, 3], axis=-1)) / 2  # its left is our right
    peaks = tf.cast(centres >= tf.nn.max_pool2d(centres, 3, 1, "SAME"), tf.float32)
    cells, kinds = centres.shape[1], centres.shape[-1]
    boxes = tf.reshape(boxes_of(sides), [-1, cells * cells, 4])
    return boxes, tf.reshape(centres * peaks, [-1, cells * cells, kinds])


def split(model: Any, squares: Any) -> tuple[Any, Any]:
    """(probabilities of centres, raw sides)."""
    found = model(squares / 127.5 - 1.0, training=False)
    return tf.sigmoid(found[..., :-4]), found[..., -4:]
