"""Opens labelled photos in the formats that the pipeline takes, HEIC and 16 bits of grey too."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image
from pillow_heif import register_heif_opener

register_heif_opener()

WIDE_MODES = ("I;16", "I;16B", "I;16L", "I;16N", "I")


class UnreadableError(ValueError):
    """The file is no picture that can be used; the message says why."""


@contextmanager
def opened(file: Path | BytesIO) -> Iterator[Image.Image]:
    """The picture as it is stored; raises UnreadableError, also for what is read of it later."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            with Image.open(file) as image:
                yield image
        except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
            raise UnreadableError(str(error)) from None


def narrowed(image: Image.Image) -> Image.Image:
    """16 bits a pixel to 8, where 65535 becomes 255; others as they are."""
    if image.mode not in WIDE_MODES:
        return image
    wide = np.clip(np.asarray(image).astype(np.int64), 0, 65535)
    return Image.fromarray(((wide + 128) // 257).astype(np.uint8))
