"""Make the picture: the rectangle of a photo, fitted, padded, encoded once. Through ImageMagick.

The one place where pixels are written.
"""

import os
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from detectors.base import Image as Pixels
from pipeline import geometry
from pipeline.dataset import DatasetConfig
from pipeline.manifest import Row, dropped
from pipeline.unit import Item

TRUECOLOR = 6  # in ImageMagick's ImageType
SUFFIXES = {"jpeg": "jpg", "png": "png"}


def resize(items: Sequence[Item], config: DatasetConfig, folder: Path) -> Iterator[list[Row]]:
    """Write one picture per row, named after its row key."""
    from pipeline import images

    one_thread()
    for item in items:
        row = item.row
        assert row.rectangle is not None
        data = images.read(item)
        mode = "RGBA" if config.channels == "rgba" else "RGB"
        try:
            pixels = images.decode(
                data, row.rectangle, config.width_height, config.background, mode
            )
        except images.UnreadableError as reason:
            yield [dropped(row, str(reason))]
            continue
        name = Path("pictures", item.key[:2], f"{item.key}.{SUFFIXES[config.format]}")
        write(folder / name, picture(pixels, config))
        yield [replace(row, picture=str(Path(*folder.parts[-2:], name)))]


def usual_bytes(config: DatasetConfig) -> int:
    """About the size of a picture's file: a photo in JPEG at quality 95, or in PNG."""
    width, height = config.width_height
    return width * height * (2 if config.format == "png" else 1) // 3


def one_thread() -> None:
    """Each worker is one of many: ImageMagick must not use all cores for itself."""
    from wand.resource import limits

    limits["thread"] = 1


def picture(pixels: Pixels, config: DatasetConfig) -> bytes:
    """HWC uint8 -> an encoded picture of exactly the dataset's size.

    The same as `convert -resize WxH`, then `-gravity center -background COLOUR -extent WxH`.
    """
    from wand.color import Color
    from wand.image import Image

    width, height = config.width_height
    clear = pixels.shape[2] == 4
    with Image.from_array(
        np.ascontiguousarray(pixels), "RGBA" if clear else "RGB", "char"
    ) as image:
        size = geometry.fitted(image.width, image.height, into=(width, height))
        if size != image.size:
            image.resize(*size)
        image.background_color = Color("transparent" if clear else config.background)
        left, top = image.width // 2 - width // 2, image.height // 2 - height // 2
        image.extent(width, height, left, top)
        return encoded(image, config)


def encoded(image: "wand.image.Image", config: DatasetConfig) -> bytes:  # type: ignore[name-defined]  # noqa: F821
    """The file's bytes: always the dataset's channels, no metadata, no date."""
    from wand.api import library

    image.strip()
    if config.channels == "grey":
        image.type = "grayscale"
    elif config.channels == "rgb":
        # The writer's own type: without it a picture without colour is written with one channel.
        library.MagickSetType(image.wand, TRUECOLOR)
    image.compression_quality = config.quality if config.format == "jpeg" else 75
    if config.format == "png":
        image.options["png:exclude-chunk"] = "all"
        image.options["png:include-chunk"] = "none"
        formats = {"rgb": "png24", "grey": "png", "rgba": "png32"}
        return bytes(image.make_blob(formats[config.channels]))
    return bytes(image.make_blob("jpeg"))


def write(path: Path, data: bytes) -> None:
    """Write beside, rename into place."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        partial.write_bytes(data)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
