"""What TIFFs say of their pixels that Pillow passes over (TIFF 6.0): pages, planes, white."""

import ctypes
from contextlib import suppress
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image, TiffImagePlugin, _imaging

PAGE, BITS, COMPRESSION, PHOTOMETRIC, PLANES = 254, 258, 259, 262, 284  # tags
SMALLER, LZW, WHITE_IS_ZERO, YCBCR, APART = 1, 5, 0, 6, 2  # what they say
MOST_PAGES = 16  # that are looked at for one that is no thumbnail
BLACK_WHITE = "black and white"  # in `info`: the numbers of a grey of over 8 bits that mean them

# libtiff prints nothing of a broken file: Pillow raises what there is to say.
with suppress(OSError, AttributeError):  # a Pillow without it, or with it inside
    ctypes.CDLL(_imaging.__file__).TIFFSetErrorHandler(None)


def as_told(image: Image.Image) -> None:
    """Have an open TIFF show its first whole page, read as that is laid out."""
    if not isinstance(image, TiffImagePlugin.TiffImageFile):
        return
    seek_whole(image)
    tags = image.tag_v2
    if image.mode.startswith("I;16"):
        highest = 2 ** tags.get(BITS, (16,))[0] - 1
        inverted = tags.get(PHOTOMETRIC, WHITE_IS_ZERO) == WHITE_IS_ZERO
        image.info[BLACK_WHITE] = (highest, 0) if inverted else (0, highest)
    apart = tags.get(PLANES) == APART or tags.get(PHOTOMETRIC) == YCBCR
    if apart and image.tile and image.tile[0].codec_name == "raw":
        by_libtiff(image)


def seek_whole(image: TiffImagePlugin.TiffImageFile) -> None:
    """Go to the first page that is no smaller version of another; stay where there is none."""
    if not told_smaller(image):
        return
    for page in range(1, MOST_PAGES):
        try:
            image.seek(page)
        except EOFError:
            break
        if not told_smaller(image):
            return
    image.seek(0)


def told_smaller(image: TiffImagePlugin.TiffImageFile) -> bool:
    kind = image.tag_v2.get(PAGE, 0)
    return isinstance(kind, int) and bool(kind & SMALLER)


def by_libtiff(image: TiffImagePlugin.TiffImageFile) -> None:
    """Leave pixels that are not compressed to libtiff.

    Pillow's own reader takes planes of 16 bits for such of 8, and samples of colour that several
    pixels share for one pixel's.
    """
    image.tag_v2[COMPRESSION] = LZW  # so says the copy of the tags; libtiff reads the file's own
    image._setup()


def narrower(image: Image.Image) -> NDArray[np.uint8]:
    """Each number of 16 bits in 8, as the file of this image has black and white."""
    return narrowing(*image.info.get(BLACK_WHITE, (0, 65535)))


@lru_cache(maxsize=8)
def narrowing(black: int, white: int) -> NDArray[np.uint8]:
    shares = (np.arange(65536) - black) / (white - black)
    table: NDArray[np.uint8] = np.rint(shares.clip(0, 1) * 255).astype(np.uint8)
    return table
