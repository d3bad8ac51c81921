"""OpenCV's cascades, which come in OpenCV's wheel: no download, no weights."""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal, NamedTuple

import cv2
import numpy as np

from atelier.boxes import Box, iou
from atelier.pictures import Pixels
from detectors.base import FACE, Detection, Spec, ordered

SCALE_FACTOR = 1.1
MIN_NEIGHBORS = 6
LONG_SIDE = 640
OVERLAP = 0.3  # finds of both ways that overlap more than this are one


class Cascade(NamedTuple):
    """One of the wheel's files, and what it finds."""

    file: str
    label: str
    faces: float = 1.0  # the height of its smallest find, in smallest faces
    both_ways: bool = False  # it knows things that look to the left: mirrored, to the right


CASCADES = {
    "": Cascade("haarcascade_frontalface_alt.xml", FACE),
    "profile": Cascade("haarcascade_profileface.xml", "profile", both_ways=True),
    "upperbody": Cascade("haarcascade_upperbody.xml", "upper body", faces=2.0),
}


def load_cascade(spec: Spec, min_face: float) -> "HaarDetector":
    """The cascade that `spec` names."""
    return HaarDetector(min_face, spec.model, "".join(spec.names), **spec.given)


class HaarDetector:
    """A cascade on grey pictures; the frontal face's box is the canonical face box."""

    channels: Literal[1, 3] = 1
    together = 1

    def __init__(
        self,
        min_face: float,
        name: str = "",
        label: str = "",
        min_score: float = 0.0,
        long_side: int = LONG_SIDE,
    ) -> None:
        """`name` is a key of `CASCADES`; `label`, if given, is what its finds are called."""
        cv2.setNumThreads(1)
        self.kind = CASCADES[name]
        self.label = label or self.kind.label
        self.min_face, self.min_score, self.long_side = min_face, min_score, long_side
        folder = Path(cv2.__file__).parent / "data"
        self.cascade = cv2.CascadeClassifier(str(folder / self.kind.file))
        if self.cascade.empty():
            raise ValueError(f"no {self.kind.file} in {folder}: install opencv-python>=4.14,<5")

    def __call__(self, images: Sequence[Pixels]) -> list[list[Detection]]:
        return [self.find(image) for image in images]

    def find(self, image: Pixels) -> list[Detection]:
        found = self.one_way(image)
        if self.kind.both_ways:
            mirrored = self.one_way(np.ascontiguousarray(image[:, ::-1]))
            found += [one._replace(box=flipped(one.box, image.shape[1])) for one in mirrored]
            found = apart_from(ordered(found))
        return ordered([one for one in found if one.score >= self.min_score])

    def one_way(self, image: Pixels) -> list[Detection]:
        smallest = max(1, round(self.min_face * self.kind.faces * max(image.shape[:2])))
        boxes, neighbors = self.cascade.detectMultiScale2(
            image,
            scaleFactor=SCALE_FACTOR,
            minNeighbors=MIN_NEIGHBORS,
            minSize=(smallest, smallest),
        )
        return [
            Detection(self.label, score(int(count)), Box(int(x), int(y), int(x + w), int(y + h)))
            for (x, y, w, h), count in zip(boxes, np.ravel(neighbors), strict=True)
        ]


def apart_from(found: Sequence[Detection]) -> list[Detection]:
    """Of finds that overlap, the surest: a head may look both ways to a cascade."""
    kept: list[Detection] = []
    for one in found:
        if all(iou(one.box, other.box) < OVERLAP for other in kept):
            kept.append(one)
    return kept


def flipped(box: Box, width: int) -> Box:
    """Where it lies in the picture that was mirrored."""
    return Box(width - box.right, box.top, width - box.left, box.bottom)


def score(neighbors: int) -> float:
    """More overlapping windows, a surer face: 0.5 at the least that counts, towards 1.

    It orders the finds of one picture; it is not a probability.
    """
    return round(neighbors / (neighbors + MIN_NEIGHBORS), 4)
