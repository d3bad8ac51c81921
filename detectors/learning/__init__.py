"""Trains a detector of one's own crop from a hundred labelled pictures, and measures it.

Boxes inside this package are shares of the picture's width and height: left, top, right, bottom.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Boxes = NDArray[np.float32]  # [n, 4]: left, top, right, bottom as shares of the picture
Classes = NDArray[np.int32]  # [n], from 0


@dataclass(frozen=True)
class Example:
    """One picture, encoded, with its boxes; `origin` is the digest of the file it came from."""

    name: str
    encoded: bytes
    width: int
    height: int
    boxes: Boxes
    classes: Classes
    origin: str
