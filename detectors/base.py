"""What every detector fulfils: pictures in, labelled boxes out."""

from collections.abc import Sequence
from typing import Literal, NamedTuple, Protocol

from atelier.boxes import Box
from atelier.pictures import Pixels

FACE = "face"  # what a crop is built on
# A find whose box is not a number, or has no area: it is recorded so that it can be counted.
UNUSABLE = "unusable box"


class Detection(NamedTuple):
    """One thing found: `score` is between 0 and 1, higher is surer."""

    label: str
    score: float
    box: Box


class FaceFactors(NamedTuple):
    """Turns a detector's own face box into the canonical square one.

    The square's side is `side` times the mean of the box's width and height; its centre lies
    `x` widths and `y` heights from the box's left and top.
    """

    side: float = 1.0
    x: float = 0.5
    y: float = 0.5


class Detector(Protocol):
    """Finds things in pictures; `face` is the label that a crop is built on."""

    long_side: int  # pixels: the scale of the pictures it wants; 0 = it looks at none
    channels: Literal[1, 3]  # grey pictures (HW uint8), or colour (HWC uint8, RGB)
    together: int  # pictures that it likes to be given at once

    def __call__(self, images: Sequence[Pixels]) -> list[list[Detection]]:
        """What is in each picture, in its own pixels, best score first."""
        ...


def ordered(found: Sequence[Detection]) -> list[Detection]:
    """Best score first; the same order whatever order they were found in."""
    return sorted(found, key=lambda one: (-one.score, one.label, one.box))


def large_enough(found: Sequence[Detection], image: Pixels, min_face: float) -> list[Detection]:
    """Without the faces that are smaller than this share of the picture's longer side."""
    least = min_face * max(image.shape[:2])
    return [
        one for one in found if one.label != FACE or (one.box.width + one.box.height) / 2 >= least
    ]
