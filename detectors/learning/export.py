"""The finished detector as others load it: SavedModel, frozen graph, TFLite, label map.

All take pictures as uint8 RGB and give `num_detections`, `detection_boxes`, `detection_scores`
and `detection_classes`, the signature of TensorFlow's Object Detection API.
"""

import json
import math
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import tensorflow as tf
from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

from atelier import files
from detectors.learning import records
from detectors.learning.finder import MOST, OUTPUTS, answers, finder
from detectors.learning.options import LearningError, check_out, stored_side
from detectors.tfod import SCALE

FROZEN, LITE, SAVED, LABELS = "frozen.pb", "detector.tflite", "saved_model", "label_map.pbtxt"
WRITTEN = {FROZEN, LITE, SAVED, LABELS, SCALE}
SURE = 0.5  # the score that the best F1 is brought to
LEAST, LARGEST = 0.05, 0.95
PICTURES = tf.TensorSpec([None, None, None, 3], tf.uint8, name="image_tensor")


def check_place(folder: Path) -> None:
    """Raise LearningError for a folder that holds more than an exported detector: it would go."""
    check_out(folder.parent, folder)
    if not folder.exists():
        return
    names = {path.name for path in folder.iterdir()} if folder.is_dir() else {"no folder"}
    if names and not {SAVED, LABELS} <= names <= WRITTEN:
        raise LearningError(
            f"--out {folder} would be replaced, and holds {min(names - WRITTEN, default='a part')}:"
            " name a new folder, or one that holds an exported detector only"
        )


def write_detector(
    folder: Path, model: Any, classes: Sequence[str], mirror: bool, surest: float
) -> None:
    """Write the detector's folder anew: complete as soon as it has its name.

    Scores are bent so that 0.5, where detectors usually cut, is where F1 was best: `surest`.
    """
    bend = bend_of(surest)
    find = finder(model, mirror, bend)
    detect = tf.function(find, input_signature=[PICTURES], autograph=False)
    module = tf.Module()  # the weights alone: a Keras model would bring graphs that nobody calls
    module.weights, module.detect = model.weights, detect
    with files.replacing(folder) as partial:
        partial.mkdir()
        tf.saved_model.save(
            module,
            str(partial / SAVED),
            signatures={"serving_default": detect.get_concrete_function()},
        )
        (partial / FROZEN).write_bytes(frozen(detect.get_concrete_function()))
        (partial / LITE).write_bytes(lite(model, mirror, bend))
        long_side = stored_side(model.input_shape[1])
        (partial / SCALE).write_text(json.dumps({"long_side": long_side}) + "\n")
        records.write_label_map(partial / LABELS, classes)


def bend_of(surest: float) -> float:
    """The power that brings a score to 0.5, and keeps 0 and 1 and the order of all others."""
    return math.log(SURE) / math.log(min(max(surest, LEAST), LARGEST))


def with_constants(concrete: Any) -> Any:
    """The same function with its weights inside; outputs are in the order of their names."""
    return convert_variables_to_constants_v2(concrete)


def frozen(concrete: Any) -> bytes:
    """A graph of TensorFlow 1: image_tensor:0 -> the four outputs."""
    constants = with_constants(concrete)
    given = constants.graph.as_graph_def()
    (fed,) = constants.inputs
    with tf.Graph().as_default() as graph:
        pictures = tf.compat.v1.placeholder(tf.uint8, [None, None, None, 3], name="image_tensor")
        inner = tf.import_graph_def(
            given, {fed.name: pictures}, [out.name for out in constants.outputs], name="detector"
        )
        for name, value in zip(sorted(OUTPUTS), inner, strict=True):
            tf.identity(value, name=name)
    return bytes(graph.as_graph_def().SerializeToString())


def lite(model: Any, mirror: bool, bend: float) -> bytes:
    """A TFLite model of built-in operations for one picture, uint8 [1, side, side, 3].

    It gives the surest peaks, best first, without suppressing those that overlap.
    """
    side = model.input_shape[1]
    spec = tf.TensorSpec([1, side, side, 3], tf.uint8, name="image_tensor")

    @tf.function(input_signature=[spec], autograph=False)
    def detect(images: Any) -> dict[str, Any]:
        boxes, scores = answers(model, tf.cast(images, tf.float32), mirror)
        kinds = scores.shape[-1]
        flat = tf.reshape(tf.pow(scores[0], bend), [-1])
        best, places = tf.math.top_k(flat, min(MOST, flat.shape[0]))
        kept = tf.gather(tf.clip_by_value(boxes[0], 0.0, 1.0), places // kinds)
        return {
            "detection_boxes": tf.gather(kept, [1, 0, 3, 2], axis=-1)[None],
            "detection_classes": tf.cast(places % kinds + 1, tf.float32)[None],
            "detection_scores": best[None],
            "num_detections": tf.reduce_sum(tf.cast(best > 0.0, tf.float32))[None],
        }

    # Converted from here the variables of a Keras 3 model would stay behind: all answers NaN.
    constants = with_constants(detect.get_concrete_function())

    @tf.function(input_signature=[spec], autograph=False)
    def detect_alone(image_tensor: Any) -> dict[str, Any]:
        return dict(zip(sorted(OUTPUTS), tf.nest.flatten(constants(image_tensor)), strict=True))

    module = tf.Module()
    module.detect = detect_alone
    with tempfile.TemporaryDirectory() as name:
        signature = detect_alone.get_concrete_function()
        tf.saved_model.save(module, name, {"serving_default": signature})
        converter = tf.lite.TFLiteConverter.from_saved_model(name)
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
        return bytes(converter.convert())
