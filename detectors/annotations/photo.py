"""What annotations say about one photo."""

from dataclasses import dataclass, field
from typing import NamedTuple

from atelier.boxes import Box
from atelier.errors import Refusal

COLUMNS = ("filename", "width", "height", "class", "xmin", "ymin", "xmax", "ymax")
EDGES = COLUMNS[4:]


class AnnotationError(Refusal):
    """What annotations say cannot be; the message names the file, the line and the way out."""


@dataclass(frozen=True)
class Labelled:
    """One box and its class."""

    label: str
    box: Box


@dataclass(frozen=True)
class Annotated:
    """All boxes of one photo: its path below the folder of pictures, its upright size."""

    filename: str
    width: int
    height: int
    boxes: tuple[Labelled, ...] = ()


@dataclass(frozen=True)
class Annotations:
    """What was read, and a sentence, with file and line, for everything that was mended."""

    photos: list[Annotated] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


class Entry(NamedTuple):
    """One photo with one of its boxes (or none) as it stands in a file, at `place`."""

    place: str
    filename: str
    size: tuple[str, str]
    label: str
    edges: tuple[str, ...]
    turn: str = ""  # degrees by which the box is turned about its middle


def counted_from_1(box: Box) -> tuple[int, int, int, int]:
    """xmin, ymin, xmax, ymax: all four pixels belong to the box."""
    return box.left + 1, box.top + 1, box.right, box.bottom
