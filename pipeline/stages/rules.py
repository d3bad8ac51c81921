"""Rules on what was found in a photo and where, and on what was measured: what drops a portrait.

No pixels. A thing is a label of a detector, `crop` (the portrait's rectangle) or `photo` (all of
it); where a `face` has a place, it is the one that the portrait was built on. docs/rules.md shows
all of it.
"""

import math
import operator
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from atelier.boxes import Box, area, contains, iou, shared
from detectors.base import FACE, Detection
from pipeline.rows.manifest import Row

EYES = ("right eye", "left eye")  # as the person has them: the right one is on the left
EYE_LINE = "eye line"
PLACES = ("crop", "photo")
FULL = 10.0  # levels of colour, as Measure has it, from which on a picture is not grey at all
SAME = 0.5  # boxes of one label that share more (intersection over union) are one thing

Relation = Callable[[Box, Box, float], bool]
Range = tuple[float, float]


@dataclass(frozen=True)
class Drop:
    """Drops a portrait, for the user's own reason, where `first` stands so to `second`."""

    reason: str
    first: str
    relation: str
    second: str | float  # a number, after a quantity
    min_score: float = 0
    share: float = 0

    @property
    def measured(self) -> bool:
        """Whether it asks what Measure knows: then FilterQuality judges it, not Crop."""
        return self.relation in LIMITS and QUANTITIES[self.first].measured

    def labels(self) -> list[str]:
        """What a detector must be able to find."""
        if self.relation in LIMITS:
            return list(QUANTITIES[self.first].labels)
        return [name for name in (self.first, str(self.second)) if name not in PLACES]

    def judge(self, row: Row) -> str | None:
        """Why the portrait is dropped, with the detail; None if it is not."""
        if self.relation in LIMITS:
            quantity = QUANTITIES[self.first]
            value = quantity.measure(row, self.min_score)
            past = value is not None and LIMITS[self.relation](value, float(self.second))
            return f"{self.reason}: {quantity.told.format(value)}" if past else None
        holds = RELATIONS[self.relation][0]
        for first in things(row, self.first, self.min_score):
            for second in things(row, str(self.second), self.min_score):
                if first != second and holds(first.box, second.box, self.share):
                    return f"{self.reason}: {first.label} {first.score:.2f}"
        return None


@dataclass(frozen=True)
class Need:
    """Drops a portrait without the right number of `label`, of the right height."""

    label: str
    count: Range = (1, math.inf)
    height: Range | None = None  # as shares of the height of `of`
    of: str = "photo"
    min_score: float = 0
    reason: str = ""
    measured = False  # boxes are counted: Crop judges it

    def labels(self) -> list[str]:
        """What a detector must be able to find."""
        return [self.label]

    def judge(self, row: Row) -> str | None:
        """Why the portrait is dropped, with the detail; None if it is not."""
        if self.height is None:
            found = once(d for d in row.boxes if d.label == self.label)
            number = sum(d.score >= self.min_score for d in found)
            if self.count[0] <= number <= self.count[1]:
                return None
            name = self.reason or f"not {span(self.count)} {self.label}"
            return f"{name}: {number}{unsure(found, self.min_score)}"
        low, high = self.height
        whole = place(row, self.of).height
        heights = [d.box.height / whole for d in things(row, self.label, self.min_score)]
        fitting = sum(low <= height <= high for height in heights)
        if self.count[0] <= fitting <= self.count[1]:
            return None
        name = f"{self.label} not {span(self.height)} of the height of the {self.of}"
        return f"{self.reason or name}: {', '.join(f'{h:.2f}' for h in heights) or 'none'}"


def unsure(found: Sequence[Detection], least: float) -> str:
    """The score of the surest find, where even that is under what a rule asks for."""
    if not found or found[0].score >= least:
        return ""
    return f" of {least:g} or more, the surest {found[0].score:.2f}"


Rule = Drop | Need


def judge(row: Row, rules: Iterable[Rule]) -> str | None:
    """The reason of the first rule that drops this portrait; None if it passes them all."""
    return next((reason for rule in rules if (reason := rule.judge(row))), None)


def span(limits: Range) -> str:
    low, high = limits
    if low == high:
        return f"{low:g}"
    return f"{low:g} or more" if high == math.inf else f"{low:g} to {high:g}"


def things(row: Row, name: str, min_score: float) -> list[Detection]:
    """What a rule means by `name`, surest first."""
    if name in PLACES:
        return [Detection(name, 1.0, place(row, name))]
    found = once(d for d in row.boxes if d.label == name and d.score >= min_score)
    if name == FACE and row.face is not None:
        return [d for d in found if iou(d.box, row.face) > SAME]
    return found


def place(row: Row, name: str) -> Box:
    photo = Box(0, 0, row.width, row.height)
    return row.rectangle or photo if name == "crop" else photo


def once(found: Iterable[Detection]) -> list[Detection]:
    """The finds, surest first, without those that say again what another detector said."""
    kept: list[Detection] = []
    for each in sorted(found, key=lambda d: (-d.score, d.box)):
        if all(d.label != each.label or iou(d.box, each.box) <= SAME for d in kept):
            kept.append(each)
    return kept


def roll(row: Row, min_score: float) -> float | None:
    """By how many degrees the line through the face's eyes is off the level; None without eyes."""
    eyes = points(row, EYES, min_score)
    if eyes is None:
        return None
    right, left = eyes
    return abs(math.degrees(math.atan2(left.top - right.top, left.left - right.left)))


def yaw(row: Row, min_score: float) -> float | None:
    """How far the nose is off the middle of the eyes, along their line: 1 is below an eye."""
    found = points(row, (*EYES, "nose"), min_score)
    if found is None:
        return None
    right, left, nose = found
    x, y = left.left - right.left, left.top - right.top
    if not (x or y):
        return None
    along = ((nose.left - right.left) * x + (nose.top - right.top) * y) / (x * x + y * y)
    return abs(2 * along - 1)


def score(row: Row, min_score: float) -> float | None:
    """How sure the detector is of the portrait's face."""
    return next((face.score for face in things(row, FACE, min_score)), None)


def luminance(row: Row, _: float) -> float | None:
    """The mean of the face, 0 to 255."""
    return row.measures.light if row.measures else None


def sharpness(row: Row, _: float) -> float | None:
    """The variance of the Laplacian of the face at 160 px."""
    return row.measures.sharpness if row.measures else None


def greyness(row: Row, _: float) -> float | None:
    """1 without any colour, as grey, sepia and duotone, down to 0 where it is FULL levels."""
    return max(0.0, 1 - row.measures.colour / FULL) if row.measures else None


def points(row: Row, labels: Iterable[str], min_score: float) -> list[Box] | None:
    """The centres of these points of the portrait's face; None unless all are there."""
    found = []
    for label in labels:
        boxes = [d.box for d in things(row, label, min_score)]
        in_face = [box for box in boxes if row.face is None or contains(row.face, middle(box))]
        if not in_face:
            return None
        found.append(middle(in_face[0]))
    return found


def middle(box: Box) -> Box:
    """The centre, as a box without a size."""
    x, y = (box.left + box.right) // 2, (box.top + box.bottom) // 2
    return Box(x, y, x, y)


# A relation, and the "share" that it has where none is given; None: it takes none.
RELATIONS: dict[str, tuple[Relation, float | None]] = {
    "above": (lambda a, b, _: middle(a).top < b.top, None),
    "below": (lambda a, b, _: middle(a).top > b.bottom, None),
    "left of": (lambda a, b, _: middle(a).left < b.left, None),
    "right of": (lambda a, b, _: middle(a).left > b.right, None),
    "inside": (lambda a, b, share: shared(a, b) >= share * area(a) > 0, 1),
    "overlaps": (lambda a, b, share: shared(a, b) > share * area(b), 0),
    "larger than": (lambda a, b, share: area(a) > share * area(b), 1),
}


class Quantity(NamedTuple):
    """A number that a portrait has: a rule may say over or under which it is dropped."""

    measure: Callable[[Row, float], float | None]  # None: it cannot be told, so nothing is dropped
    labels: tuple[str, ...]  # what a detector must find for it
    told: str  # how the reason says the value
    measured: bool = False  # by Measure, from pixels: FilterQuality judges it; else Crop, by boxes


QUANTITIES = {
    EYE_LINE: Quantity(roll, EYES, "{:.0f} degrees"),
    "roll": Quantity(roll, EYES, "{:.0f} degrees"),
    "yaw": Quantity(yaw, (*EYES, "nose"), "{:.2f}"),
    "score": Quantity(score, (FACE,), "{:.2f}"),
    "luminance": Quantity(luminance, (), "luminance {:.4g}", measured=True),
    "sharpness": Quantity(sharpness, (), "sharpness {:.4g}", measured=True),
    "greyness": Quantity(greyness, (), "greyness {:.2f}", measured=True),
}
LIMITS: dict[str, Callable[[float, float], bool]] = {"over": operator.gt, "under": operator.lt}
