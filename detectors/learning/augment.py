"""Makes a training sample of a picture: moved, scaled, mirrored, coloured, its boxes with it."""

from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from detectors.learning import Boxes, Classes
from detectors.learning.options import LearningConfig
from detectors.learning.targets import IGNORED

Pixels = NDArray[np.uint8]  # HWC, RGB

STRETCH = 0.25  # the picture's proportions change by up to this factor - 1
DRIFT = 0.08  # of the square: how far a picture may hang out of it
KEPT = 0.5  # share of a box that must be left in view to be learnt; less is ignored
GONE = 0.02  # less than that is nothing
GREY_OF = np.array([0.299, 0.587, 0.114], np.float32)  # ITU-R BT.601
GREY = 0.1  # share of samples without colour


class Sample(NamedTuple):
    """A square picture and its boxes; a class of -1 is neither right nor wrong."""

    pixels: Pixels
    boxes: Boxes
    classes: Classes


class Window(NamedTuple):
    """A part of the square, in its pixels."""

    left: int
    top: int
    width: int
    height: int


def sample(pictures: Sequence[Sample], config: LearningConfig, rng: Generator) -> Sample:
    """One picture, or four put together, as a square of the network's side."""
    side = config.size
    canvas = np.empty((side, side, 3), np.uint8)
    canvas[:] = rng.integers(0, 256, 3) if rng.random() < 0.5 else 0
    windows = [Window(0, 0, side, side)] if len(pictures) == 1 else quarters(side, rng)
    placed = [
        place_picture(picture, canvas, window, config, rng)
        for picture, window in zip(pictures, windows, strict=True)
    ]
    boxes = np.concatenate([boxes for boxes, _ in placed])
    classes = np.concatenate([classes for _, classes in placed])
    coloured = recoloured(canvas, config.colour, rng)
    if rng.random() < config.erase:
        erase(coloured, rng)
    return Sample(coloured, boxes, classes)


def quarters(side: int, rng: Generator) -> list[Window]:
    """Four windows that meet somewhere near the middle."""
    x, y = (int(value) for value in rng.integers(round(side * 0.3), round(side * 0.7) + 1, 2))
    return [
        Window(0, 0, x, y),
        Window(x, 0, side - x, y),
        Window(0, y, x, side - y),
        Window(x, y, side - x, side - y),
    ]


def place_picture(
    picture: Sample, canvas: Pixels, window: Window, config: LearningConfig, rng: Generator
) -> tuple[Boxes, Classes]:
    """Draw a picture into a window of the canvas; its boxes as shares of the canvas."""
    scale, shift = chance(config, rng)
    sides = np.array([window.width, window.height], np.float64)
    height, width = picture.pixels.shape[:2]
    part = canvas[window.top : window.top + window.height, window.left : window.left + window.width]
    # x' = factor x + offset, where pixel 0 reaches from 0 to 1; OpenCV's has its middle at 0.
    factor = scale * sides / [width, height]
    offset = shift * sides
    matrix = np.array([[factor[0], 0, offset[0]], [0, factor[1], offset[1]]])
    matrix[:, 2] += 0.5 * factor - 0.5
    drawn = cv2.warpAffine(
        picture.pixels,
        matrix,
        (window.width, window.height),
        flags=cv2.INTER_LINEAR,
        borderValue=[int(value) for value in part[0, 0]],
    )
    part[:] = drawn
    corners = picture.boxes.reshape(-1, 2, 2) * scale + shift
    return seen(np.sort(corners, axis=1), picture.classes, window, canvas.shape[0])


def chance(
    config: LearningConfig, rng: Generator
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(scale, shift) of a picture in its window, along x and y: x' = scale x + shift."""
    zoom = np.exp(rng.uniform(-1, 1) * np.log1p(config.zoom))
    stretch = np.exp(rng.uniform(-1, 1) * np.log1p(STRETCH * (config.zoom > 0)) / 2)
    scale = zoom * np.array([stretch, 1 / stretch])
    free = np.abs(1 - scale) / 2 + DRIFT * (config.zoom > 0)
    shift = (1 - scale) / 2 + rng.uniform(-1, 1, 2) * free
    if config.flip and rng.random() < 0.5:
        shift[0], scale[0] = shift[0] + scale[0], -scale[0]
    return scale, shift


def seen(
    corners: NDArray[np.float64], classes: Classes, window: Window, side: int
) -> tuple[Boxes, Classes]:
    """What of the boxes, as shares of a window, is in view, as shares of the canvas."""
    cut = np.clip(corners, 0, 1)
    whole, left = (np.prod(some[:, 1] - some[:, 0], axis=1) for some in (corners, cut))
    share = left / np.maximum(whole, 1e-12)
    there = share > GONE
    classes = np.where(share < KEPT, IGNORED, classes)[there].astype(np.int32)
    scaled = cut[there] * [window.width, window.height] + [window.left, window.top]
    return (scaled / side).reshape(-1, 4).astype(np.float32), classes


def recoloured(pixels: Pixels, strength: float, rng: Generator) -> Pixels:
    """Brightness, contrast, saturation and the balance of the channels, each by chance."""
    if not strength:
        return pixels.copy()
    x = pixels.astype(np.float32)
    brightness, contrast, saturation = rng.uniform(-strength, strength, 3).tolist()
    balance = 1 + rng.uniform(-strength, strength, 3) / 4
    grey = x @ GREY_OF
    saturation = -1.0 if rng.random() < GREY else saturation
    x = grey[..., None] + (x - grey[..., None]) * (1 + saturation)
    x = (x - grey.mean()) * (1 + contrast) + grey.mean() * (1 + brightness)
    return np.asarray(np.clip(x * balance.astype(np.float32), 0, 255), np.uint8)


def erase(pixels: Pixels, rng: Generator) -> None:
    """Wipe a part out, in place: a detector must not hang on one mark."""
    side = pixels.shape[0]
    width, height = (int(value) for value in rng.integers(side // 10, side // 3, 2))
    left, top = int(rng.integers(0, side - width)), int(rng.integers(0, side - height))
    pixels[top : top + height, left : left + width] = rng.integers(0, 256, 3)
