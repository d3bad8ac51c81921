"""YuNet, OpenCV's small face network, with the five points of a face."""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import cv2
import numpy as np

from atelier.boxes import Box
from atelier.pictures import Pixels
from detectors.base import FACE, FACE_POINTS, Detection, Spec, large_enough

POINT_SIDE = 0.1  # of a point's box, as a share of the face's width
OVERLAP = 0.3  # faces that overlap more than this are one
MOST = 500
BLANK = 64  # side of the picture that a model is tried on
LONG_SIDE = 480
MIN_SCORE = 0.7


def load_yunet(spec: Spec, min_face: float) -> "YuNetDetector":
    """The network in the file that `spec` names."""
    return YuNetDetector(Path(spec.model), min_face, **spec.given)


class YuNetDetector:
    """Each `face` is followed by its five points: small square boxes with the face's score."""

    channels: Literal[1, 3] = 3
    together = 1

    def __init__(
        self,
        model: Path,
        min_face: float,
        min_score: float = MIN_SCORE,
        long_side: int = LONG_SIDE,
    ) -> None:
        """Raises ValueError where the file is no YuNet model."""
        cv2.setNumThreads(1)
        self.min_face, self.long_side = min_face, long_side
        level = cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
        try:
            self.network = cv2.FaceDetectorYN.create(
                str(model), "", (BLANK, BLANK), min_score, OVERLAP, MOST
            )
            self.network.detect(np.zeros((BLANK, BLANK, 3), np.uint8))
        except cv2.error:
            version = cv2.__version__
            raise ValueError(f"{model} is no YuNet model that OpenCV {version} reads") from None
        finally:
            cv2.utils.logging.setLogLevel(level)

    def __call__(self, images: Sequence[Pixels]) -> list[list[Detection]]:
        return [self.find(image) for image in images]

    def find(self, image: Pixels) -> list[Detection]:
        height, width = image.shape[:2]
        self.network.setInputSize((width, height))
        _, rows = self.network.detect(np.ascontiguousarray(image[:, :, ::-1]))
        found = [as_detections(row.tolist()) for row in (rows if rows is not None else [])]
        large = [one for one in found if large_enough(one[:1], image, self.min_face)]
        return [thing for one in sorted(large, key=surest) for thing in one]


def surest(one: list[Detection]) -> tuple[float, Box]:
    face = one[0]
    return -face.score, face.box


def as_detections(row: list[float]) -> list[Detection]:
    """A row of the network's output, 15 numbers -> the face and its points, in pixels."""
    left, top, width, height, *points, confidence = row
    score = round(min(confidence, 1.0), 4)
    face = Box(round(left), round(top), round(left + width), round(top + height))
    side = max(2, round(POINT_SIDE * width))
    boxes = [centred(x, y, side) for x, y in zip(points[::2], points[1::2], strict=True)]
    named = zip((FACE, *FACE_POINTS), (face, *boxes), strict=True)
    return [Detection(label, score, box) for label, box in named]


def centred(x: float, y: float, side: int) -> Box:
    left, top = round(x - side / 2), round(y - side / 2)
    return Box(left, top, left + side, top + side)
