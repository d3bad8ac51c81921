"""The detector for photos that are cropped already: the picture itself is the find."""

from collections.abc import Sequence
from typing import Literal

from atelier.boxes import Box
from atelier.pictures import Pixels
from detectors.base import Detection, Spec


def load_whole(spec: Spec, min_face: float) -> "WholePicture":
    """It takes no model and no options."""
    return WholePicture()


class WholePicture:
    """Finds one thing, labelled `photo`, that covers the picture."""

    long_side = 0
    channels: Literal[1, 3] = 1
    together = 1

    def __call__(self, images: Sequence[Pixels]) -> list[list[Detection]]:
        return [
            [Detection("photo", 1.0, Box(0, 0, image.shape[1], image.shape[0]))] for image in images
        ]
