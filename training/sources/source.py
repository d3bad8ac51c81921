"""What a source of images is, whichever it comes from."""

from collections.abc import Iterable
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from atelier.errors import Refusal

Pixels = NDArray[np.uint8]  # H, W, C
Size = tuple[int, int, int]  # H, W, C


class DataError(Refusal):
    """A dataset that cannot be used; the message names the file."""


class Source(Protocol):
    """Images by number; `labels` is [images, classes or 0], `digest` tells the content."""

    path: Path
    shape: Size
    labels: NDArray[np.float32]
    digest: str
    notes: list[str]  # what a person should know, in sentences

    def __len__(self) -> int: ...

    def read(self, number: int) -> Pixels:
        """Image `number`, H W C; may be called by several threads at once."""


def in_words(shape: Iterable[int]) -> str:
    """64 x 128 RGB, as people write it: width x height."""
    height, width, channels = shape
    kind = {1: "grey", 3: "RGB", 4: "RGBA"}.get(channels, f"with {channels} channels")
    return f"{width} x {height} {kind}"
