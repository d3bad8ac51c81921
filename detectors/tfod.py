"""Detectors that are TensorFlow models with the signature of the Object Detection API."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from atelier import boxes
from atelier.boxes import NOWHERE, Box
from atelier.files import json_of
from atelier.pictures import Pixels
from detectors.base import UNUSABLE, Detection, Spec, large_enough, ordered
from detectors.graphs import Graph, Values, open_graph
from detectors.hub import folder_of
from detectors.spec import class_names, within

BATCH = 4  # pictures: a batch is always full, so that what is found does not depend on the others
STEP = 32  # pixels: sides are padded to multiples of it, so that few shapes occur
LONG_SIDE = 320
MIN_SCORE = 0.5
SCALE = "detector.json"  # beside an exported detector: the scale that it was measured at


def load_graph(spec: Spec, min_face: float, step: int = STEP) -> "TensorFlowDetector":
    """The frozen graph or the SavedModel that `spec` names."""
    names = class_names(spec)
    graph = open_graph(Path(spec.model))
    return TensorFlowDetector(graph, names, min_face, step=step, **spec.given)


def load_hub(spec: Spec, min_face: float) -> "TensorFlowDetector":
    """The SavedModel behind a handle."""
    names = class_names(spec)
    try:
        graph = open_graph(folder_of(spec.model))
    except ValueError as error:  # it names a folder of the cache
        raise ValueError(f"hub:{spec.model}: {error}") from None
    return TensorFlowDetector(graph, names, min_face, **spec.given)


def load_crop(spec: Spec, min_face: float) -> "TensorFlowDetector":
    """A detector of one's own crop, which stretches what it sees to a square: no padding."""
    side = spec.long_side or exported_side(Path(spec.model))
    return load_graph(replace(spec, long_side=side), min_face, step=1)


def exported_side(folder: Path) -> int | None:
    """The long side that a crop detector was exported for; None where its folder says nothing.

    Raises ValueError with the file where it cannot be read.
    """
    path = folder / SCALE
    if not path.is_file():
        return None
    try:
        return int(within(int(json_of(path.read_bytes())["long_side"]), 32, 4096))
    except (ValueError, TypeError, KeyError, OverflowError):
        raise ValueError(
            f"{path} names no long_side of 32 to 4096 pixels: export the detector again"
        ) from None


class TensorFlowDetector:
    """Pictures of one shape go through the graph together, where it allows that."""

    channels: Literal[1, 3] = 3
    together = 8 * BATCH

    def __init__(
        self,
        graph: Graph,
        names: Mapping[int, str],
        min_face: float,
        min_score: float = MIN_SCORE,
        long_side: int = LONG_SIDE,
        step: int = STEP,
    ) -> None:
        """`names` are those of the classes; a class that has none is called by its number.

        Sides are padded to multiples of `step`; 1: not at all.
        """
        self.graph, self.names, self.step = graph, names, step
        self.min_face, self.min_score, self.long_side = min_face, min_score, long_side

    def __call__(self, images: Sequence[Pixels]) -> list[list[Detection]]:
        fed = [shaped(image, self.graph, self.step) for image in images]
        found: list[list[Detection]] = [[] for _ in images]
        for numbers in groups(fed, BATCH if self.graph.batches else 1):
            values = self.graph.run(np.stack([fed[number] for number in numbers]))
            for place, number in enumerate(dict.fromkeys(numbers)):
                image = images[number]
                one = self.detections(values, place, seen_size(image, fed[number], self.graph))
                inside = [clipped(detection, image) for detection in one]
                found[number] = ordered(large_enough(inside, image, self.min_face))
        return found

    def detections(self, values: Values, place: int, size: tuple[float, float]) -> list[Detection]:
        """The finds in one picture of a batch, in pixels; `size` is what 1.0 stands for."""
        count = int(values["num_detections"][place])
        edges, scores, classes = (
            values[f"detection_{name}"][place][:count] for name in ("boxes", "scores", "classes")
        )
        kept = np.flatnonzero(~(scores < self.min_score))  # a score that is no number is told, too
        return [self.one(edges[i], float(scores[i]), float(classes[i]), size) for i in kept]

    def one(
        self, box: NDArray[np.float32], score: float, number: float, size: tuple[float, float]
    ) -> Detection:
        if not (np.isfinite(box).all() and np.isfinite([score, number]).all()):
            return Detection(UNUSABLE, 0.0, NOWHERE)
        label = self.names.get(round(number), str(round(number)))
        return Detection(label, round(min(score, 1.0), 4), in_pixels(box, size))


def in_pixels(box: NDArray[np.float32], size: tuple[float, float]) -> Box:
    """[ymin, xmin, ymax, xmax] as shares of the (height, width) that the graph saw -> pixels."""
    height, width = size
    top, left, bottom, right = (
        box.astype(np.float64) * np.array([height, width, height, width])
    ).tolist()
    return Box(round(left), round(top), round(right), round(bottom))


def clipped(found: Detection, image: Pixels) -> Detection:
    """The part of it that lies in the picture; what has no area is `UNUSABLE`."""
    box = boxes.within(found.box, Box(0, 0, image.shape[1], image.shape[0]))
    if not boxes.has_area(box):
        return Detection(UNUSABLE, found.score, NOWHERE)
    return found._replace(box=box)


def shaped(image: Pixels, graph: Graph, step: int) -> Pixels:
    """As the graph takes it: of the size it insists on, or padded at the right and bottom."""
    if graph.size:
        stretched: Pixels = cv2.resize(image, graph.size[::-1], interpolation=cv2.INTER_AREA)
        return stretched
    if not graph.batches:
        return image
    height, width = image.shape[:2]
    padded = np.zeros((-(-height // step) * step, -(-width // step) * step, 3), np.uint8)
    padded[:height, :width] = image
    return padded


def seen_size(image: Pixels, fed: Pixels, graph: Graph) -> tuple[float, float]:
    """(height, width) in the picture's own pixels of what the graph saw."""
    shape = image.shape if graph.size else fed.shape
    return shape[0], shape[1]


def groups(fed: Sequence[Pixels], batch: int) -> list[list[int]]:
    """Numbers of pictures of one shape, `batch` at a time; the last one fills a group up."""
    by_shape: dict[tuple[int, ...], list[int]] = {}
    for number, image in enumerate(fed):
        by_shape.setdefault(image.shape, []).append(number)
    full = []
    for numbers in by_shape.values():
        for start in range(0, len(numbers), batch):
            some = numbers[start : start + batch]
            full.append(some + some[-1:] * (batch - len(some)))
    return full
