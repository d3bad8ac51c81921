"""The curve of precision over recall as SVG, and a sheet of the worst misses as PNG."""

from collections.abc import Mapping, Sequence
from itertools import cycle
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from atelier import files, svg
from atelier.pictures import encode
from detectors.learning import Boxes, Example
from detectors.learning.examples import decoded
from detectors.learning.measures import RECALLS, Finds, Measured, ious

COLOURS = ("#c30", "#36c", "#393", "#939", "#c80", "#088")
TILE, COLUMNS, MOST = 240, 4, 16  # of the sheet
LETTERS, PAD = 13, 8  # pixels: the height of its words, the room about each picture
TRUE_COLOUR, FOUND_COLOUR = (0, 200, 0), (230, 40, 0)  # RGB
SHOWN = 0.5  # finds of at least this share of the picture's best score are drawn


def write_curve(path: Path, measured: Mapping[str, Measured], classes: Sequence[str]) -> None:
    """Precision over recall at IoU 0.5: a line for each class of each of the detectors."""
    colours, curves = cycle(COLOURS), []
    for name, each in measured.items():
        for kind, label in enumerate(classes):
            if not np.isnan(each.precision[kind, 0]).any():
                said = f"{name}, {label}: AP {each.ap(0.5)[kind]:.3f}"
                precision = each.precision[kind, 0].tolist()
                curves.append(svg.Curve(RECALLS.tolist(), precision, next(colours), 2, said))
    recall, precision = svg.Axis("recall", 0, 1), svg.Axis("precision", 0, 1)
    chart = svg.chart("Precision over recall at IoU 0.5", recall, precision, curves)
    files.write(path, svg.page([chart]))


def write_misses(path: Path, finds: Sequence[Finds], examples: Sequence[Example]) -> list[str]:
    """The pictures with the worst finds, drawn boxes green, finds red; returns their names."""
    worth = [quality(found, each) for found, each in zip(finds, examples, strict=True)]
    worst = np.argsort(worth, kind="stable")[:MOST].tolist()
    tiles = [tile(finds[number], examples[number], worth[number]) for number in worst]
    wide, high = TILE + PAD, TILE + LETTERS + 2 * PAD
    rows, columns = -(-len(tiles) // COLUMNS), min(len(tiles), COLUMNS)
    sheet = Image.new("RGB", (columns * wide + PAD, rows * high + PAD), "white")
    for at, drawn in enumerate(tiles):
        sheet.paste(drawn, (PAD + at % COLUMNS * wide, PAD + at // COLUMNS * high))
    files.write(path, encode(np.asarray(sheet), "png", 0))
    return [examples[number].name for number in worst]


def quality(found: Finds, example: Example) -> float:
    """The mean IoU of the boxes with their best shown find; minus the best score where none is."""
    if not len(example.boxes):
        return -float(found.scores.max(initial=0))
    shown = sure(found)
    best = []
    for box, kind in zip(example.boxes, example.classes, strict=True):
        some = found.boxes[shown & (found.classes == kind)]
        best.append(ious(some, box[None]).max(initial=0))
    return float(np.mean(best))


def sure(found: Finds) -> NDArray[np.bool_]:
    return np.asarray(found.scores >= SHOWN * found.scores.max(initial=0))


def tile(found: Finds, example: Example, worth: float) -> Image.Image:
    """One picture with its boxes, fitted into a square, and below it what it is worth."""
    pixels = decoded(example)
    scale = TILE / max(pixels.shape[:2])
    width, height = (max(round(side * scale), 1) for side in pixels.shape[1::-1])
    drawn = cv2.resize(pixels, (width, height), interpolation=cv2.INTER_AREA)
    outline(drawn, found.boxes[sure(found)], FOUND_COLOUR)
    outline(drawn, example.boxes, TRUE_COLOUR)
    page = Image.new("RGB", (TILE, TILE + LETTERS + PAD), "white")
    page.paste(Image.fromarray(drawn), ((TILE - width) // 2, TILE - height))
    said = f"IoU {worth:.2f}" if len(example.boxes) else f"nothing is there; score {-worth:.2f}"
    letters, at = ImageFont.load_default(LETTERS), (TILE // 2, page.height - 1)
    ImageDraw.Draw(page).text(at, said, fill="black", font=letters, anchor="mb")
    return page


def outline(pixels: NDArray[np.uint8], boxes: Boxes, colour: tuple[int, int, int]) -> None:
    height, width = pixels.shape[:2]
    corners = np.rint(boxes * np.array([width, height] * 2)).astype(int).tolist()
    for left, top, right, bottom in corners:
        cv2.rectangle(pixels, (left, top), (right - 1, bottom - 1), colour, 2)
