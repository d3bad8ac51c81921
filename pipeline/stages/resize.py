"""Make the picture: the rectangle of a photo, fitted by ImageMagick, padded, encoded once.

The one place where pixels are written.
"""

import ctypes
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
from PIL import Image as Pillow

from atelier import files, pictures
from atelier.boxes import fitted
from atelier.colours import rgb
from atelier.errors import Failure
from atelier.pictures import Pixels
from pipeline.photos.folder import read_photos
from pipeline.rows.manifest import Item, Row, dropped
from pipeline.sections import DatasetConfig

# ImageMagick's policy on Debian: sides of 16,000 pixels, and 256 MiB at 8 bytes a pixel.
LONGEST = 16_000
MOST_PIXELS = 32_000_000
LIMITS = {
    "width": LONGEST,
    "height": LONGEST,
    "area": MOST_PIXELS,
    "memory": 256 << 20,
    "time": 1 << 20,
}
SUFFIXES = {"jpeg": "jpg", "png": "png"}


def resize(items: Sequence[Item], config: DatasetConfig, folder: Path) -> Iterator[list[Row]]:
    """Write one picture per row, named after its row key."""
    for item, data in read_photos(items):
        row = item.row
        assert row.rectangle is not None
        mode = "RGBA" if config.channels == "rgba" else "RGB"
        try:
            pixels = pictures.decode(
                data, row.rectangle, config.width_height, config.background, mode
            )
        except pictures.UnreadableError as reason:
            yield [dropped(row, str(reason))]
            continue
        name = Path("pictures", item.key[:2], f"{item.key}.{SUFFIXES[config.format]}")
        encoded = picture(pixels, config)
        files.write(folder / name, encoded, lasting=False)
        written = str(Path(*folder.parts[-2:], name))
        yield [replace(row, picture=written, picture_digest=pictures.bytes_digest(encoded))]


def picture(pixels: Pixels, config: DatasetConfig) -> bytes:
    """HWC uint8 -> an encoded picture of exactly the dataset's size and channels.

    The same as `convert -resize WxH`, then `-gravity center -background COLOUR -extent WxH`.
    """
    width, height = config.width_height
    small = scaled(pixels, fitted(pixels.shape[1], pixels.shape[0], (width, height)))
    colour = (0, 0, 0, 0) if pixels.shape[2] == 4 else rgb(config.background)
    canvas = np.full((height, width, pixels.shape[2]), colour, np.uint8)
    left, top = width // 2 - small.shape[1] // 2, height // 2 - small.shape[0] // 2
    canvas[top : top + small.shape[0], left : left + small.shape[1]] = small
    return pictures.encode(canvas, config.format, config.quality, grey=config.channels == "grey")


def manageable(pixels: Pixels) -> Pixels:
    """Halved until ImageMagick takes it: beyond its limits it ends the process."""
    while max(pixels.shape[:2]) > LONGEST or pixels.shape[0] * pixels.shape[1] > MOST_PIXELS:
        pixels = np.asarray(Pillow.fromarray(pixels).reduce(2))
    return pixels


@cache
def own_limits() -> None:
    """One thread, as each worker is one of many; else what Debian's policy allows.

    Where a limit is passed ImageMagick ends the process. The environment's are lifted; raises
    Failure where the policy of this machine allows less.
    """
    from wand.resource import limits

    limits["thread"] = 1
    for name, least in LIMITS.items():
        if limits[name] < least:
            limits[name] = least
        if (allowed := limits[name]) < least:
            raise Failure(
                f"ImageMagick's policy allows a {name} of {allowed:,} on this machine: let its"
                f" policy.xml allow {least:,}"
            )


def scaled(pixels: Pixels, size: tuple[int, int]) -> Pixels:
    """ImageMagick's resize to (width, height), with its own choice of filter."""
    from wand.api import library
    from wand.image import STORAGE_TYPES, Image

    width, height = size
    if pixels.shape[:2] == (height, width):
        return pixels
    own_limits()
    pixels = manageable(pixels)
    channels = "RGBA" if pixels.shape[2] == 4 else "RGB"
    with Image.from_array(np.ascontiguousarray(pixels), channels, "char") as image:
        image.resize(width, height)
        out = np.empty((height, width, len(channels)), np.uint8)
        # Wand's own export makes a Python object of every byte.
        kind, place = STORAGE_TYPES.index("char"), out.ctypes.data_as(ctypes.c_void_p)
        area = (0, 0, width, height, channels.encode(), kind, place)
        if not library.MagickExportImagePixels(image.wand, *area):
            image.raise_exception()
    return out
