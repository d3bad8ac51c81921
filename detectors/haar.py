"""OpenCV's frontal-face cascade, which comes in OpenCV's wheel: no download, no weights."""

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from detectors.base import Box, Detection, Image

SCALE_FACTOR = 1.1
MIN_NEIGHBORS = 6


class HaarDetector:
    """`haarcascade_frontalface_alt` on grey pictures; its box is the canonical face box."""

    long_side = 640

    def __init__(self, min_face: float) -> None:
        self.min_face = min_face
        folder = Path(cv2.__file__).parent / "data"
        self.cascade = cv2.CascadeClassifier(str(folder / "haarcascade_frontalface_alt.xml"))
        if self.cascade.empty():
            raise ValueError(f"no face cascade in {folder}: install opencv-python>=4.14,<5")
        cv2.setNumThreads(1)

    def __call__(self, images: Sequence[Image]) -> list[list[Detection]]:
        return [self.find(image) for image in images]

    def find(self, image: Image) -> list[Detection]:
        smallest = max(1, round(self.min_face * max(image.shape[:2])))
        boxes, neighbors = self.cascade.detectMultiScale2(
            image,
            scaleFactor=SCALE_FACTOR,
            minNeighbors=MIN_NEIGHBORS,
            minSize=(smallest, smallest),
        )
        found = [
            Detection("face", score(int(count)), Box(int(x), int(y), int(x + w), int(y + h)))
            for (x, y, w, h), count in zip(boxes, np.ravel(neighbors), strict=True)
        ]
        return sorted(found, key=lambda detection: (-detection.score, detection.box))


def score(neighbors: int) -> float:
    """More overlapping windows, a surer face: 0.5 at the least that counts, towards 1.

    It orders the finds of one picture; it is not a probability.
    """
    return round(neighbors / (neighbors + MIN_NEIGHBORS), 4)
