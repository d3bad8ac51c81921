"""Mean average precision, as COCO counts it, and the constant box to compare with.

Precision is read at 101 recalls from 0 to 1, for IoU 0.5, 0.55, ..., 0.95. Finds of one score
come at once, so that the order of pictures changes nothing (COCO's own tool breaks such ties by
that order).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from detectors.learning import Boxes, Classes, Example

Floats = NDArray[np.float64]

THRESHOLDS = np.arange(50, 100, 5) / 100
RECALLS = np.linspace(0, 1, 101)


class Finds(NamedTuple):
    """What was found in one picture; boxes as shares of it, classes from 0."""

    boxes: Boxes
    classes: Classes
    scores: NDArray[np.float32]


@dataclass(frozen=True)
class Measured:
    """How good finds are; `precision` is at the 101 recalls, by class and IoU threshold."""

    precision: Floats  # [classes, thresholds, recalls]; NaN for a class without boxes
    mean_iou: float  # of the surest find of its class with each box that is alone in its picture
    surest: float  # the score from which on finds have the best F1 at IoU 0.5; 0.5 where all have 0

    def ap(self, threshold: float | None = None) -> Floats:
        """By class, at one IoU threshold, or the mean over all of them."""
        at = slice(None) if threshold is None else [round((threshold - 0.5) * 20)]
        return np.asarray(self.precision[:, at].mean(axis=(1, 2)))

    @property
    def map50(self) -> float:
        return float(np.nanmean(self.ap(0.5)))

    @property
    def map5095(self) -> float:
        return float(np.nanmean(self.ap()))

    @property
    def map(self) -> float:
        """The mean of both: what training takes the best of. At 0.5:0.95 alone a few held-out
        pictures are too few to tell good weights from lucky ones.
        """
        return (self.map50 + self.map5095) / 2


def measure(finds: Sequence[Finds], examples: Sequence[Example], kinds: int) -> Measured:
    """Compare finds with what people drew, picture by picture."""
    precision = np.full((kinds, len(THRESHOLDS), len(RECALLS)), np.nan)
    best_cuts: list[float] = []  # by class, of those that are found
    for kind in range(kinds):
        boxes = sum(int((each.classes == kind).sum()) for each in examples)
        if not boxes:
            continue
        matched = [matches(found, each, kind) for found, each in zip(finds, examples, strict=True)]
        scores = np.concatenate([score for score, _ in matched])
        right = np.concatenate([hits for _, hits in matched], axis=1)  # [thresholds, finds]
        for at in range(len(THRESHOLDS)):
            recall, exact, cuts = curve(scores, right[at], boxes)
            precision[kind, at] = at_recalls(recall, exact)
            if at == 0 and len(cuts):
                f1 = 2 * exact * recall / np.maximum(exact + recall, 1e-12)
                if f1.max() > 0:  # where no find is right, no score is good to cut at
                    best_cuts.append(float(cuts[f1.argmax()]))
    surest = float(np.mean(best_cuts)) if best_cuts else 0.5
    return Measured(precision, mean_iou(finds, examples), surest)


def matches(found: Finds, example: Example, kind: int) -> tuple[Floats, NDArray[np.bool_]]:
    """(scores, [thresholds, finds] whether a find is right) for one class in one picture."""
    own = np.flatnonzero(found.classes == kind)
    own = own[np.argsort(-found.scores[own], kind="stable")]
    overlaps = ious(found.boxes[own], example.boxes[example.classes == kind])
    right = np.zeros((len(THRESHOLDS), len(own)), np.bool_)
    for at, threshold in enumerate(THRESHOLDS):
        left = overlaps.copy()
        for number in range(len(own)):
            if left.shape[1] and left[number].max() >= threshold:
                right[at, number] = True
                left[:, left[number].argmax()] = -1  # a box is found once
    return found.scores[own].astype(np.float64), right


def curve(scores: Floats, right: NDArray[np.bool_], boxes: int) -> tuple[Floats, Floats, Floats]:
    """(recall, precision, score) after each group of finds of one score, surest first."""
    order = np.argsort(-scores, kind="stable")
    ends = np.flatnonzero(np.diff(scores[order], append=-np.inf))
    hits = np.cumsum(right[order])[ends]
    return hits / boxes, hits / (ends + 1), scores[order][ends]


def at_recalls(recall: Floats, precision: Floats) -> Floats:
    """The best precision at each of the 101 recalls or beyond it; 0 where none gets that far."""
    best = np.maximum.accumulate(precision[::-1])[::-1]
    place = np.searchsorted(recall, RECALLS - 1e-12)
    return np.append(best, 0.0)[np.minimum(place, len(best))]


def ious(one: Boxes, other: Boxes) -> Floats:
    """[n, m] intersection over union."""
    a, b = one[:, None].astype(np.float64), other[None].astype(np.float64)
    sides = np.minimum(a[..., 2:], b[..., 2:]) - np.maximum(a[..., :2], b[..., :2])
    shared = np.prod(np.maximum(sides, 0), axis=-1)
    areas = [np.prod(some[..., 2:] - some[..., :2], axis=-1) for some in (a, b)]
    return np.asarray(shared / np.maximum(areas[0] + areas[1] - shared, 1e-12))


def mean_iou(finds: Sequence[Finds], examples: Sequence[Example]) -> float:
    """Of the surest find in pictures with one box; nothing found counts 0. NaN without such."""
    values = []
    for found, each in zip(finds, examples, strict=True):
        if len(each.boxes) == 1:
            own = np.flatnonzero(found.classes == each.classes[0])
            best = own[np.argsort(-found.scores[own], kind="stable")[:1]]
            values.append(float(ious(found.boxes[best], each.boxes).max(initial=0)))
    return float(np.mean(values)) if values else float("nan")


def constant_box(learnt: Sequence[Example], kinds: int) -> Finds:
    """The zero of this task: the median of the training boxes of each class, in every picture.

    Its score is the share of pictures that have the class.
    """
    found: list[tuple[Boxes, int, float]] = []
    for kind in range(kinds):
        boxes = [each.boxes[each.classes == kind] for each in learnt]
        if together := [some for some in boxes if len(some)]:
            median = np.median(np.concatenate(together), axis=0)
            found.append((median.astype(np.float32), kind, len(together) / len(boxes)))
    return Finds(
        np.array([box for box, _, _ in found], np.float32).reshape(-1, 4),
        np.array([kind for _, kind, _ in found], np.int32),
        np.array([score for _, _, score in found], np.float32),
    )
