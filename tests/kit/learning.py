"""Made pictures to learn a detector from: bright rectangles of two colours on noise."""

import numpy as np
import tensorflow as tf
from PIL import Image

from atelier.boxes import Box
from detectors.annotations import Annotated, Labelled, write_csv, write_voc
from detectors.learning import network
from detectors.learning.options import LearningConfig

COLOURS = {"red": (230, 40, 40), "blue": (40, 60, 230)}
SMALL = {
    "weights": "none",
    "size": 64,
    "batch": 8,
    "epochs": 2,
    "check_every": 1,
    "threads": 1,
    "alpha": 0.1,
    "validation": 0.25,
}


def picture(seed, labels=("red",), size=(96, 72)):
    """(pixels, boxes): one rectangle for each label, side by side."""
    rng = np.random.default_rng(seed)
    pixels = rng.integers(60, 120, (size[1], size[0], 3)).astype(np.uint8)
    boxes = []
    for number, label in enumerate(labels):
        width, height = rng.integers(18, size[0] // len(labels) - 8), rng.integers(24, 56)
        left = number * size[0] // len(labels) + rng.integers(0, 8)
        top = rng.integers(0, size[1] - height)
        pixels[top : top + height, left : left + width] = COLOURS[label]
        boxes.append(Labelled(label, Box(*map(int, (left, top, left + width, top + height)))))
    return pixels, boxes


def dataset(folder, count=12, two=False, csv=True):
    """Write pictures and their labels; returns (labels, folder of the pictures)."""
    photos = []
    (folder / "pictures").mkdir(parents=True)
    for number in range(count):
        labels = ("red", "blue") if two and number % 2 else ("red",)
        labels = labels if number != 3 else ()  # one picture without boxes
        pixels, boxes = picture(number, labels)
        Image.fromarray(pixels).save(folder / "pictures" / f"{number}.png")
        photos.append(Annotated(f"{number}.png", 96, 72, tuple(boxes)))
    if csv:
        write_csv(folder / "labels.csv", photos)
    else:
        write_voc(folder / "labels", photos)
    return folder / ("labels.csv" if csv else "labels"), folder / "pictures"


def config(folder, **more):
    """Options of a run of seconds, on a data set that is written if it is not there."""
    if not (folder / "pictures").exists():
        dataset(folder)
    given = {
        "labels": folder / "labels.csv",
        "pictures": folder / "pictures",
        "out": folder / "run",
    }
    return LearningConfig(**{name: str(path) for name, path in given.items()} | SMALL | more)


def small_backbone(input_shape, alpha, **_):
    """In the place of a MobileNet, whose compiling is most of a short run: five convolutions."""
    layers = tf.keras.layers
    x = inputs = layers.Input(input_shape)
    for name in ("half", "quarter", *network.LEVELS["mobilenetv2"]):
        x = layers.Conv2D(
            round(80 * alpha), 3, 2, padding="same", use_bias=False, name=f"{name}_conv"
        )(x)
        x = layers.BatchNormalization(name=f"{name}_bn")(x)
        x = layers.ReLU(name=name)(x)
    return tf.keras.Model(inputs, x)


# `python -m detectors` with that network.
QUICK = """
import sys
import tensorflow as tf
tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": True})
from detectors.learning import network
from detectors.learning.cli import main
from tests.kit.learning import small_backbone
network.MAKERS["mobilenetv2"] = small_backbone
sys.exit(main(sys.argv[1:]))
"""
