"""What every detector is told and fulfils: a `Spec`; pictures in, labelled boxes out."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, Protocol

from atelier.boxes import Box
from atelier.pictures import Pixels

FACE = "face"  # what a crop is built on
# In the order of YuNet's outputs. Right and left are the person's own: the right eye is at the
# left of the picture.
FACE_POINTS = ("right eye", "left eye", "nose", "right mouth", "left mouth")
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


@dataclass(frozen=True)
class Spec:
    """One detector and its options; None is the detector's own default."""

    kind: str
    model: str = ""  # a cascade's name, a file, a folder or a Hub handle
    labels: str = ""  # a label map, .pbtxt
    names: tuple[str, ...] = ()  # of class 1, 2, ...
    min_score: float | None = None  # finds below it are not written down
    face: FaceFactors | None = None
    long_side: int | None = None  # pixels: how large it sees the photo

    @property
    def given(self) -> dict[str, Any]:
        """The `min_score` and the `long_side` that a person gave: the others have defaults."""
        stated = {"min_score": self.min_score, "long_side": self.long_side}
        return {name: value for name, value in stated.items() if value is not None}


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
