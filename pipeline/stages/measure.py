"""Measure how each portrait looks to a person: hashes, sharpness, light, colour. No decisions."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image

from atelier import pictures
from atelier.boxes import Box, aligned, within
from atelier.pictures import Pixels
from pipeline.photos.folder import read_photos
from pipeline.rows.manifest import Item, Measures, Row, dropped
from pipeline.stages.hashes import FINE, difference_hash, frequency_hash

FACE = 160  # pixels a side, at which sharpness is measured
COLOURS = 64  # pixels of the longer side, at which colour is measured


def measure_portraits(items: Sequence[Item], config: object, folder: Path) -> Iterator[list[Row]]:
    """Decode each portrait once, as small as its face allows, and write down its measures."""
    for item, data in read_photos(items):
        try:
            yield [replace(item.row, measures=measured(*looked_at(data, item.row)))]
        except pictures.UnreadableError as reason:
            yield [dropped(item.row, str(reason))]


def looked_at(data: bytes, row: Row) -> tuple[Pixels, Box]:
    """A portrait's pixels, and where its face is in them; without one, the whole."""
    assert row.rectangle is not None
    rectangle = row.rectangle
    face = within(row.face, rectangle) if row.face else rectangle
    scale = FACE / min(face.width, face.height)
    into = round(rectangle.width * scale), round(rectangle.height * scale)
    cut = aligned(rectangle, into, Box(0, 0, row.width, row.height))
    pixels = pictures.decode(data, cut, into)
    across, down = pixels.shape[1] / cut.width, pixels.shape[0] / cut.height
    place = Box(
        round((face.left - cut.left) * across),
        round((face.top - cut.top) * down),
        round((face.right - cut.left) * across),
        round((face.bottom - cut.top) * down),
    )
    return pixels, within(place, Box(0, 0, pixels.shape[1], pixels.shape[0]))


def measured(pixels: Pixels, place: Box) -> Measures:
    """The measures of a portrait, HWC uint8 RGB, whose face is at `place` in it."""
    import cv2

    grey = np.asarray(Image.fromarray(pixels).convert("L"))
    face = grey[place.top : place.bottom, place.left : place.right]
    filters = cv2.INTER_AREA if min(face.shape) > FACE else cv2.INTER_CUBIC
    fixed = cv2.resize(face, (FACE, FACE), interpolation=filters)
    return Measures(
        crop_hash=difference_hash(grey),
        crop_fine=difference_hash(grey, FINE),
        face_hash=frequency_hash(face),
        face_fine=frequency_hash(face, FINE),
        sharpness=round(float(cv2.Laplacian(fixed, cv2.CV_64F).var()), 2),
        light=round(float(fixed.mean()), 2),
        colour=round(colourfulness(pixels), 2),
    )


def colourfulness(pixels: Pixels) -> float:
    """How much chroma varies beside what lightness explains, in levels: grey and sepia have none.

    The residual deviation of Cb and Cr after a parabola in Y is taken away.
    """
    small = Image.fromarray(pixels)
    small.thumbnail((COLOURS, COLOURS), Image.Resampling.BOX)
    luma, *chroma = np.asarray(small.convert("YCbCr"), np.float64).reshape(-1, 3).T
    tones = np.stack([np.ones_like(luma), luma / 255, (luma / 255) ** 2], axis=1)
    toned = tones @ np.linalg.lstsq(tones, np.stack(chroma, axis=1))[0]
    return float(np.sqrt(((np.stack(chroma, axis=1) - toned) ** 2).mean(axis=0).sum()))
