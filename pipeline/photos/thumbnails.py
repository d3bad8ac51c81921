"""Small pictures for people to look at, in the report."""

import base64
import io
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from atelier import pictures
from atelier.boxes import Box, aligned, fitted
from atelier.pictures import Pixels
from pipeline.photos.folder import read_photo
from pipeline.rows.manifest import Item, Place, Row

TALL = 160  # height of a thumbnail on the page, in CSS pixels
WIDEST = 2 * TALL
SHARP = 1.5  # pixels in the file for one on the page, for sharp screens
QUALITY = 80

Open = Callable[[Row], bytes | None]


@dataclass(frozen=True)
class Mark:
    """A face on a thumbnail, in per cent of its sides."""

    left: float
    top: float
    width: float
    height: float


@dataclass(frozen=True)
class Thumbnail:
    """What one figure of the page shows; without `source` it is a tile with words."""

    caption: str
    detail: str  # the reason's detail, or the score
    width: int  # in CSS pixels
    height: int
    source: str = ""  # data: URI
    marks: tuple[Mark, ...] = ()


def thumbnail(row: Row, data: bytes | None, whole: bool, caption: str, detail: str) -> Thumbnail:
    """The row's picture, small. `whole`: all of `data`; otherwise its rectangle, if it has one."""
    words = Thumbnail(caption, detail, TALL * 3 // 4, TALL)
    if data is None or not (whole or row.width):  # Ingest found no size, or one too large
        return words
    box = None if whole else row.rectangle
    into = (round(WIDEST * SHARP), round(TALL * SHARP))
    if box and row.width:
        box = aligned(box, into, Box(0, 0, row.width, row.height))
    try:
        pixels = pictures.decode(data, box, into)
    except pictures.UnreadableError:
        return words
    small = shrunk(pixels, into)
    width, height = fitted(small.shape[1], small.shape[0], (WIDEST, TALL))
    marks = () if whole or box else tuple(marks_of(row))
    return Thumbnail(caption, detail, width, height, jpeg_uri(small), marks)


def marks_of(row: Row) -> list[Mark]:
    """Where the detector saw faces on the whole photo."""
    across, down = 100 / max(1, row.width), 100 / max(1, row.height)
    return [
        Mark(box.left * across, box.top * down, box.width * across, box.height * down)
        for label, _, box in row.boxes
        if label == "face"
    ]


def shrunk(pixels: Pixels, into: tuple[int, int]) -> Pixels:
    """The picture fitted into (width, height); never enlarged."""
    height, width = pixels.shape[:2]
    size = fitted(width, height, into)
    if size[0] >= width or size[1] >= height:
        return pixels
    return np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.LANCZOS))


def jpeg_uri(pixels: Pixels) -> str:
    """The picture inside a page."""
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=QUALITY, optimize=True)
    return "data:image/jpeg;base64," + base64.b64encode(file.getvalue()).decode()


def bytes_of(path: Place | None) -> bytes | None:
    """The bytes of a file for a page that does without it, None if it cannot be read."""
    if path is None or (isinstance(path, Path) and not path.is_file()):
        return None
    try:
        return read_photo(Item("", Row(""), path))
    except OSError:
        return None
