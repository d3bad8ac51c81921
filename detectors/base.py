"""What every detector fulfils: pictures in, labelled boxes out."""

from collections.abc import Sequence
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]


class Box(NamedTuple):
    """A rectangle in pixels: left and top are inside, right and bottom are outside."""

    left: int
    top: int
    right: int
    bottom: int

    @property
    def width(self) -> int:
        return self.right - self.left

    @property
    def height(self) -> int:
        return self.bottom - self.top


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

    def __call__(self, images: Sequence[Image]) -> list[list[Detection]]:
        """What is in each grey picture (HW uint8), in its own pixels, best score first."""
        ...
