"""The network: a backbone of keras.applications, its levels added up, one map of centres.

Input: NHWC float32 in [-1, 1]. Output: [N, cells, cells, classes + 4]: for each cell the logit of
every class having an object's centre there, then four numbers from which the box follows.
"""

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from zipfile import is_zipfile

import numpy as np
import tensorflow as tf
from tensorflow import keras

from atelier.errors import reason_in
from detectors.learning.options import LearningConfig, LearningError

layers = keras.layers

# The momentum of keras.applications, 0.999, leaves the moving statistics of a short training at
# their beginning: good losses, and boxes from nowhere as soon as training is False.
MOMENTUM = 0.9
CHANNELS = 64  # of the head
PRIOR = 0.1  # probability of a centre before anything is learnt (focal loss needs a low one)
UNIT = 0.25  # of the picture: the distance from a cell to a side that a raw output of 0 stands for
RAW_LIMIT = 4.0
MAKERS = {
    "mobilenetv2": keras.applications.MobileNetV2,
    "mobilenetv3small": keras.applications.MobileNetV3Small,
    "mobilenetv3large": keras.applications.MobileNetV3Large,
}
# The last layer at 8, 16 and 32 pixels per cell.
LEVELS = {
    "mobilenetv2": ("block_5_add", "block_12_add", "block_16_project_BN"),
    "mobilenetv3small": ("expanded_conv_2_add", "expanded_conv_7_add", "expanded_conv_10_add"),
    "mobilenetv3large": ("expanded_conv_5_add", "expanded_conv_11_add", "expanded_conv_14_add"),
}


def build_detector(config: LearningConfig, classes: int) -> Any:
    """The whole network with weights by chance, as a functional Keras model."""
    backbone = backbone_of(config)
    fine, middle, coarse = (backbone.get_layer(name).output for name in LEVELS[config.backbone])
    levels = [middle, fine] if config.stride == "8" else [middle]
    x = block(coarse, 1, "top")
    for number, level in enumerate(levels):
        x = layers.UpSampling2D(2, name=f"up_{number}")(x)
        x = layers.Add(name=f"sum_{number}")([x, block(level, 1, f"side_{number}")])
        x = block(x, 3, f"mix_{number}")
    x = block(x, 3, "head")
    bias = float(np.log(PRIOR / (1 - PRIOR)))
    centres = layers.Conv2D(
        classes, 1, bias_initializer=keras.initializers.Constant(bias), name="centres"
    )(x)
    sides = layers.Conv2D(4, 1, name="sides")(x)
    model = keras.Model(backbone.input, layers.Concatenate(name="map")([centres, sides]))
    for layer in model.layers:
        if isinstance(layer, layers.BatchNormalization):
            layer.momentum = MOMENTUM
    return model


def block(x: Any, side: int, name: str) -> Any:
    x = layers.Conv2D(CHANNELS, side, padding="same", use_bias=False, name=f"{name}_conv")(x)
    return layers.ReLU(name=f"{name}_relu")(layers.BatchNormalization(name=f"{name}_bn")(x))


def backbone_of(config: LearningConfig, weights: str | None = None) -> Any:
    """The network of keras.applications without its top, by chance or with ImageNet's weights."""
    own = {} if config.backbone == "mobilenetv2" else {"include_preprocessing": False}
    side = 224 if weights else config.size
    return MAKERS[config.backbone](
        input_shape=(side, side, 3), alpha=config.alpha, include_top=False, weights=weights, **own
    )


def begin_weights(model: Any, config: LearningConfig) -> str:
    """Give the model the weights that it begins with; says which.

    Raises LearningError where they cannot be had, or are another network's.
    """
    if config.weights == "none":
        return "the backbone begins by chance"
    if config.weights == "imagenet":
        source = imagenet(config)
    elif not Path(config.weights).is_file():
        raise LearningError(f"weights = {config.weights}: there is no such file; or none, imagenet")
    elif Path(config.weights).suffix not in (".keras", ".h5"):
        raise LearningError(f"weights = {config.weights}: give a file *.h5 or *.keras of Keras")
    elif Path(config.weights).suffix == ".keras":
        source = open_model(Path(config.weights))
    else:
        source = without_top(config)
    left_out = take_over(model, source, config)
    said = f"; begun by chance: {', '.join(left_out)}" if left_out else ""
    return f"weights from {config.weights}{said}"


def check_weights(config: LearningConfig, classes: int) -> None:
    """Raise LearningError, before a run is begun with them, for weights that it cannot take."""
    if config.weights != "none":
        begin_weights(build_detector(config, classes), config)


def imagenet(config: LearningConfig) -> Any:
    """Keras fetches the weights once, and keeps them in ~/.keras/models."""
    try:
        return backbone_of(config, "imagenet")
    except Exception as error:  # whatever the network code raises
        reason = reason_in(str(error))
        raise LearningError(
            f"weights = imagenet: Keras could not fetch them ({reason}); give the file as weights ="
            " FILE.h5, or weights = none"
        ) from None


def without_top(config: LearningConfig) -> Any:
    source = backbone_of(config)
    try:
        source.load_weights(config.weights)
    except Exception as error:  # h5py, zipfile and Keras have no type in common
        raise misfit(config, str(error)) from None
    return source


def open_model(path: Path) -> Any:
    """A Keras file, without running any code in it. Raises LearningError where it is none."""
    if not path.is_file():
        wrong = "is no file" if path.exists() else "does not exist"
        raise LearningError(f"{path} {wrong}: train the detector to its end first")
    try:
        return keras.models.load_model(path, compile=False, safe_mode=True)
    except Exception as error:  # zipfile, json and Keras have no type in common
        said = reason_in(str(error)) if is_zipfile(path) else "it is no whole file"
        raise LearningError(f"{path} is no Keras model that loads safely: {said}") from None


def keras_bytes(model: Any) -> bytes:
    """A model as a Keras file."""
    with TemporaryDirectory() as name:
        path = Path(name) / "model.keras"
        model.save(path)
        return path.read_bytes()


def misfit(config: LearningConfig, reason: str) -> LearningError:
    return LearningError(
        f"weights = {config.weights} is not of a {config.backbone} with alpha {config.alpha} and no"
        f" top ({reason_in(reason)}); give the backbone and alpha that it was made with"
    )


def take_over(model: Any, source: Any, config: LearningConfig) -> list[str]:
    """Copy layer by layer; returns those of the head that `source` lacks or has otherwise."""
    there = {layer.name: [w.numpy() for w in layer.weights] for layer in source.layers}
    needed = {layer.name for layer in backbone_of(config).layers}
    left_out = []
    for layer in model.layers:
        weights = there.get(layer.name, [])
        if [value.shape for value in weights] == [tuple(value.shape) for value in layer.weights]:
            layer.set_weights(weights)
        elif layer.name in needed:
            raise misfit(config, f"its layer {layer.name} is missing or of another shape")
        else:
            left_out.append(layer.name)
    return left_out


def boxes_of(sides: Any) -> Any:
    """[N, cells, cells, 4] raw -> left, top, right, bottom as shares of the square."""
    cells = sides.shape[1]
    centres = (np.arange(cells, dtype=np.float32) + 0.5) / cells
    across = tf.reshape(tf.constant(centres), [1, 1, cells])
    down = tf.reshape(tf.constant(centres), [1, cells, 1])
    away = UNIT * tf.exp(tf.clip_by_value(sides, -RAW_LIMIT, RAW_LIMIT))
    left, top, right, bottom = tf.unstack(away, axis=-1)
    return tf.stack([across - left, down - top, across + right, down + bottom], axis=-1)
