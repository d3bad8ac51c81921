"""The only opener of photos: bytes -> upright pixels, scaled while decoding where that is cheap."""

import hashlib
import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms, ImageColor, ImageOps, UnidentifiedImageError
from pillow_heif import register_heif_opener

from atelier.boxes import Box, fitted, is_aligned, reduction
from atelier.errors import Refusal

Pixels = NDArray[np.uint8]

register_heif_opener()
Image.init()
Image.MAX_IMAGE_PIXELS = None  # Ingest checks the size itself, before any decode

FORMATS = ("JPEG", "PNG", "WEBP", "TIFF", "BMP", "DIB", "GIF", "HEIF", "AVIF")
ORIENTATION = 0x0112  # EXIF tag
SIDEWAYS = (5, 6, 7, 8)  # orientations that swap width and height
PIXEL_LIMIT = 200_000_000  # of a picture, where nobody says otherwise
WIDE_MODES = ("I;16", "I;16B", "I;16L", "I;16N", "I")


class UnreadableError(Refusal):
    """The bytes are no picture that can be used; the message is the reason to drop it."""


class Header(NamedTuple):
    """What is known without decoding: Pillow's format name and the upright size in pixels."""

    format: str
    width: int
    height: int
    orientation: int = 1  # of EXIF, 1 to 8

    @property
    def stored(self) -> tuple[int, int]:
        """(width, height) as the file has them, not turned upright."""
        sides = self.width, self.height
        return sides[::-1] if self.orientation in SIDEWAYS else sides


def id_of(data: bytes) -> str:
    """The photo's name everywhere: the same bytes, the same id."""
    return hashlib.blake2b(data, digest_size=16).hexdigest()


def header(data: bytes, pixel_limit: int) -> Header:
    """Look at the first bytes only. Raises UnreadableError with the reason to drop the photo."""
    if not data:
        raise UnreadableError("empty file")
    with readable(), open_picture(data) as image:
        width, height = image.size
        if width * height > pixel_limit:
            raise UnreadableError(
                f"too many pixels: {width} x {height}, the limit is {pixel_limit}"
            )
        turned = orientation(image, data)
        if turned in SIDEWAYS:
            width, height = height, width
        return Header(image.format or "", width, height, turned)


def decode_grey(data: bytes, long_side: int) -> Pixels:
    """The whole photo as HW uint8, upright, at most `long_side` pixels long (0: full size)."""
    return decode_whole(data, long_side, "L")


def decode_colour(data: bytes, long_side: int) -> Pixels:
    """The whole photo as HWC uint8 sRGB, upright, at most `long_side` pixels long (0: full)."""
    return decode_whole(data, long_side, "RGB")


def decode_whole(data: bytes, long_side: int, mode: str) -> Pixels:
    with readable(), open_picture(data) as image:
        if long_side:
            image.draft("L" if mode == "L" else None, fitted_draft(image.size, long_side))
        turned = upright(image)
        flat = flattened(turned if mode == "L" else in_srgb(turned), "white", mode)
        if long_side and max(flat.size) > long_side:
            size = fitted(*flat.size, into=(long_side, long_side))
            flat = flat.resize(size, Image.Resampling.BILINEAR)
        return np.asarray(flat)


def decode(
    data: bytes,
    box: Box | None = None,
    into: tuple[int, int] | None = None,
    background: str = "white",
    mode: str = "RGB",
) -> Pixels:
    """The part `box` of the upright photo, HWC uint8 sRGB; `mode` RGBA keeps its transparency.

    With `into` a JPEG may come at 1/2, 1/4 or 1/8 of its size, as long as `box` stays 1.3 times
    larger than what fits into that (width, height), and cuts at whole pixels.
    """
    with readable(), open_picture(data) as image:
        turned = orientation(image, data)
        width, height = image.size[::-1] if turned in SIDEWAYS else image.size
        photo = Box(0, 0, width, height)
        box = box or photo
        factor = scale_down(image, box, into, photo, turned) if into else 1
        if factor > 1:
            image.draft(None, (image.width // factor, image.height // factor))
        cut = upright(image)
        if factor == 1 and cut.size != (width, height):
            raise UnreadableError("broken file: its header says another size than its pixels have")
        left, top = box.left // factor, box.top // factor
        right, bottom = -(-box.right // factor), -(-box.bottom // factor)
        part = cut.crop((left, top, min(right, cut.width), min(bottom, cut.height)))
        return np.asarray(flattened(in_srgb(part), background, mode))


def encode(pixels: Pixels, format: str, quality: int, grey: bool = False) -> bytes:
    """HWC uint8 -> a file's bytes, without metadata; JPEG keeps all of the colour (4:4:4)."""
    image = Image.fromarray(pixels)
    image = image.convert("L") if grey else image
    file = io.BytesIO()
    if format == "png":
        image.save(file, "PNG")
    else:
        image.save(file, "JPEG", quality=quality, subsampling=0)
    return file.getvalue()


def rgb(colour: str) -> tuple[int, int, int]:
    """A colour's name or #rrggbb -> red, green, blue."""
    red, green, blue = ImageColor.getrgb(colour)[:3]
    return red, green, blue


def scale_down(image: Image.Image, box: Box, into: tuple[int, int], photo: Box, turned: int) -> int:
    """1, 2, 4 or 8: what libjpeg may leave out while `box` still cuts at whole pixels."""
    if image.format not in ("JPEG", "MPO"):
        return 1
    # Turning moves the part pixel of a scaled decode from the right and bottom to the other edges.
    whole = turned == 1 or (photo.right % 8 == 0 and photo.bottom % 8 == 0)
    factor = reduction(box, into)
    return factor if whole and is_aligned(box, factor, photo) else 1


def fitted_draft(size: tuple[int, int], long_side: int) -> tuple[int, int]:
    """The smallest size of the same ratio that a draft must not fall below."""
    scale = long_side / max(size)
    return max(1, int(size[0] * scale)), max(1, int(size[1] * scale))


def orientation(image: Image.Image, data: bytes) -> int:
    """The EXIF orientation, 1 to 8. A PNG is asked only if it has one: asking decodes it."""
    if (
        image.format == "PNG"
        and b"eXIf" not in data
        and b"adobe.xmp" not in data
        and b"exif" not in data
    ):
        return 1
    value = image.getexif().get(ORIENTATION, 1)
    return value if value in range(1, 9) else 1


def upright(image: Image.Image) -> Image.Image:
    """Decode, and turn as the EXIF orientation says. Raises for a truncated file."""
    image.load()
    ImageOps.exif_transpose(image, in_place=True)
    return image


def in_srgb(image: Image.Image) -> Image.Image:
    """Colours as its profile means them, in sRGB; a broken profile is ignored, as browsers do."""
    profile = image.info.get("icc_profile")
    if image.mode == "LAB":
        lab, srgb = ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB")
        return ImageCms.profileToProfile(image, lab, srgb, outputMode="RGB") or image
    if profile and image.mode in ("P", "PA", "LA"):
        image = image.convert("RGBA" if image.has_transparency_data else "RGB")
    if not profile or image.mode not in ("RGB", "RGBA", "CMYK", "L"):
        return image
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        if "srgb" in ImageCms.getProfileDescription(source).lower():
            return image
        output = "RGBA" if image.mode == "RGBA" else "RGB"
        srgb = ImageCms.createProfile("sRGB")
        return ImageCms.profileToProfile(image, source, srgb, outputMode=output) or image
    except (ImageCms.PyCMSError, OSError, ValueError):
        return image


def flattened(image: Image.Image, background: str, mode: str) -> Image.Image:
    """8 bits a channel in `mode` (L, RGB or RGBA); transparency is laid on the background."""
    if image.mode in WIDE_MODES:
        image = narrowed(image)
    if image.mode == "F":
        raise UnreadableError("floating-point pixels: nothing says which value is white")
    if not image.has_transparency_data:
        return image if image.mode == mode else image.convert(mode)
    clear = image if image.mode == "RGBA" else image.convert("RGBA")
    if mode == "RGBA":
        return clear
    ground = Image.new("RGBA", clear.size, rgb(background))
    ground.alpha_composite(clear)
    return ground.convert(mode)


def narrowed(image: Image.Image) -> Image.Image:
    """16 bits a pixel to 8: 65535 becomes 255."""
    wide = np.clip(np.asarray(image).astype(np.int64), 0, 65535)
    return Image.fromarray(((wide + 128) // 257).astype(np.uint8))


def open_picture(data: bytes) -> Image.Image:
    """The picture as it is stored, not yet decoded; to be read of within `readable`."""
    return Image.open(io.BytesIO(data), formats=FORMATS)


@contextmanager
def readable() -> Iterator[None]:
    """Turns whatever Pillow says about bad bytes into UnreadableError; no memory is no drop."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            yield
        except (UnreadableError, MemoryError):
            raise
        except UnidentifiedImageError:
            raise UnreadableError("content is no picture in a known format") from None
        except Exception as error:
            if "out of memory" in str(error):  # how Pillow says it
                raise MemoryError(str(error)) from error
            raise UnreadableError(f"broken file: {error or type(error).__name__}") from None
