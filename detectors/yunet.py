"""YuNet, OpenCV's small face network, with the five points of a face.

The packaged model looks again, in other ways, where it found nothing; one that a person names
looks once, as it did when keys were first written to stores.
"""

import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal

import cv2
import numpy as np

from atelier.boxes import NOWHERE, Box
from atelier.pictures import Pixels
from detectors.base import FACE, FACE_POINTS, UNUSABLE, Detection, Spec, large_enough
from detectors.spec import packaged

POINT_SIDE = 0.1  # of a point's box, as a share of the face's width
OVERLAP = 0.3  # faces that overlap more than this are one
MOST = 500
BLANK = 64  # side of the picture that a model is tried on
LEAST = 33  # pixels a side: of maps of one row or column OpenCV reads memory that nobody wrote
LONG_SIDE = 480
MIN_SCORE = 0.7

SURE = 0.85  # of the packaged model: at 0.7 four times as many animals are faces
SMALLEST = 28  # pixels: a smaller face is sought in a larger picture, too
MOST_LONG_SIDE = 1280
WEAK = 0.5  # a find under the floor that is worth a second look
TILTED = 20  # degrees: a head further off the level is looked at again, turned upright
ROOM = 3  # sides of the face's box that the turned patch has
DARK = 64  # of 255: a picture whose median is under it is looked at brightened
GAMMA = 0.45  # of the brightened copy

Row = list[float]  # of the network's output: box, five points, score


def load_yunet(spec: Spec, min_face: float) -> "YuNetDetector":
    """The network in the file that `spec` names, or in its package."""
    model = packaged(spec)
    if model is None:
        return YuNetDetector(Path(spec.model), min_face, **spec.given)
    least = max(min_face, SMALLEST / MOST_LONG_SIDE)  # 0: however small
    side = min(max(LONG_SIDE, math.ceil(SMALLEST / least)), MOST_LONG_SIDE)
    given = {"min_score": SURE, "long_side": side} | spec.given
    return YuNetDetector(model.found(), min_face, again=True, **given)


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
        again: bool = False,
    ) -> None:
        """`again`: whether it looks again where it found nothing. Raises ValueError for a file
        that is no YuNet model."""
        cv2.setNumThreads(1)
        self.min_face, self.min_score, self.long_side = min_face, min_score, long_side
        self.again = again
        least = min(WEAK, min_score) if again else min_score
        level = cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
        try:
            self.network = cv2.FaceDetectorYN.create(
                str(model), "", (BLANK, BLANK), least, OVERLAP, MOST
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
        """Faces, surest first, each before its points; last what the network says of no place."""
        self.lost = False
        ways = self.ways(image) if self.again else iter([self.rows(image)])
        found = next(filter(None, (self.faces(rows, image) for rows in ways)), [])
        lost = [Detection(UNUSABLE, 0.0, NOWHERE)] if self.lost else []
        return [thing for one in sorted(found, key=surest) for thing in one] + lost

    def ways(self, image: Pixels) -> Iterator[list[Row]]:
        """What one look after the other shows; the next is only taken where nothing was found."""
        small = reduced(image, LONG_SIDE)
        scale = image.shape[1] / small.shape[1], image.shape[0] / small.shape[0]
        first = self.rows(small)
        yield scaled_picture(first, scale)
        yield scaled_picture([self.upright(small, row) for row in first if is_tilted(row)], scale)
        if np.median(small) < DARK:
            yield scaled_picture(self.rows(brightened(small)), scale)
        if small is not image:
            yield self.rows(image)

    def rows(self, image: Pixels) -> list[Row]:
        """The network's output, in pixels of the picture."""
        seen = with_room(image)
        self.network.setInputSize(seen.shape[1::-1])
        _, rows = self.network.detect(np.ascontiguousarray(seen[:, :, ::-1]))
        found: list[Row] = [] if rows is None else rows.tolist()
        whole = [row for row in found if all(map(math.isfinite, row))]
        self.lost |= len(whole) < len(found)  # as those of a damaged model
        return whole

    def upright(self, image: Pixels, row: Row) -> Row:
        """A tilted face with the score that it has where its eyes are level."""
        patch = levelled(image, row)
        middle = patch.shape[0] / 2
        scores = [one[-1] for one in self.rows(patch) if holds(one, middle)]
        return [*row[:-1], max([row[-1], *scores])]

    def faces(self, rows: Sequence[Row], image: Pixels) -> list[list[Detection]]:
        """Those that are sure and large enough, each with its points."""
        sure = [as_detections(row) for row in rows if row[-1] >= self.min_score]
        return [one for one in sure if large_enough(one[:1], image, self.min_face)]


def surest(one: list[Detection]) -> tuple[float, Box]:
    face = one[0]
    return -face.score, face.box


def reduced(image: Pixels, side: int) -> Pixels:
    """The picture, its longer side at most `side` pixels."""
    scale = side / max(image.shape[:2])
    if scale >= 1:
        return image
    height, width = (max(1, round(scale * length)) for length in image.shape[:2])
    smaller: Pixels = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)
    return smaller


def with_room(image: Pixels) -> Pixels:
    """The picture, at least LEAST pixels a side, black at the right and below as OpenCV has it."""
    right, below = (max(0, LEAST - length) for length in image.shape[1::-1])
    if not right and not below:
        return image
    wider: Pixels = cv2.copyMakeBorder(image, 0, below, 0, right, cv2.BORDER_CONSTANT)
    return wider


def scaled_picture(rows: Sequence[Row], scale: tuple[float, float]) -> list[Row]:
    """The same boxes and points in a picture so many times as wide and high."""
    x, y = scale
    return [[v * (x, y)[i % 2] for i, v in enumerate(row[:-1])] + row[-1:] for row in rows]


def tilt(row: Row) -> float:
    """By how many degrees the line from the right eye to the left one falls."""
    return math.degrees(math.atan2(row[7] - row[5], row[6] - row[4]))


def is_tilted(row: Row) -> bool:
    return abs(tilt(row)) > TILTED


def levelled(image: Pixels, row: Row) -> Pixels:
    """A square patch around a face, turned so that its eyes are level; edges are repeated."""
    left, top, width, height = row[:4]
    side = round(ROOM * max(width, height))
    centre = left + width / 2, top + height / 2
    turn = cv2.getRotationMatrix2D(centre, tilt(row), 1)
    turn[:, 2] += [side / 2 - centre[0], side / 2 - centre[1]]
    patch: Pixels = cv2.warpAffine(image, turn, (side, side), borderMode=cv2.BORDER_REPLICATE)
    return patch


def holds(row: Row, middle: float) -> bool:
    """Whether the box lies around the middle of a patch."""
    left, top, width, height = row[:4]
    return left <= middle <= left + width and top <= middle <= top + height


def brightened(image: Pixels) -> Pixels:
    """The picture with its dark tones lifted."""
    tones = np.rint(255 * (np.arange(256) / 255) ** GAMMA).astype(np.uint8)
    copy: Pixels = cv2.LUT(image, tones)
    return copy


def as_detections(row: Row) -> list[Detection]:
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
