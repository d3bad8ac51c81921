"""The only opener of photos: bytes -> upright pixels, scaled while decoding where that is cheap."""

import hashlib
import io
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import chain
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError
from pillow_heif import register_heif_opener

from atelier.boxes import Box, fitted, is_aligned, reduction
from atelier.colours import hdr_name, in_srgb, rgb
from atelier.containers import END, FILLING, TEXTLIKE, coding, scans_are_complete, without_ballast
from atelier.errors import Refusal, stand_in
from atelier.tiffs import as_told, narrower

Pixels = NDArray[np.uint8]

register_heif_opener()
Image.init()
Image.MAX_IMAGE_PIXELS = None  # Ingest checks the size itself, before any decode

FORMATS = ("JPEG", "PNG", "WEBP", "TIFF", "BMP", "DIB", "GIF", "HEIF", "AVIF", "PPM")
ORIENTATION = 0x0112  # EXIF tag
SIDEWAYS = (5, 6, 7, 8)  # orientations that swap width and height
TURNS = {  # orientation -> what makes it upright
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
FURTHER_IFDS = (34665, 34853, 40965)  # EXIF, GPS, interoperability
PIECE = 4_000_000  # of very many pixels: those that are finished at a time
MANY_PIXELS = 50_000_000  # from here on a picture is made smaller before it is copied
COLOUR_INFO = ("icc_profile", "gamma", "srgb")  # what `in_srgb` asks for
REDUCIBLE = ("L", "RGB", "RGBA", "CMYK", "LA", "YCbCr")
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
    mode: str = ""  # Pillow's, as stored

    @property
    def stored(self) -> tuple[int, int]:
        """(width, height) as the file has them, not turned upright."""
        sides = self.width, self.height
        return sides[::-1] if self.orientation in SIDEWAYS else sides


def id_of(data: bytes) -> str:
    """The photo's name everywhere: the same bytes, the same id."""
    return bytes_digest(data).hex()


def bytes_digest(data: bytes) -> bytes:
    """Stands for the bytes of a file, 16 of BLAKE2."""
    return hashlib.blake2b(data, digest_size=16).digest()


def picture_format(head: bytes) -> str:
    """Pillow's name of the format that a file's first bytes promise; nothing where it is none."""
    for name in FORMATS:
        accepts = Image.OPEN[name][1]
        if name != "DIB" and accepts and accepts(head) is True:
            return "" if name in TEXTLIKE and not TEXTLIKE[name].match(head) else name
    return ""


def header(data: bytes, pixel_limit: int) -> Header:
    """Look at the first bytes only. Raises UnreadableError with the reason to drop the photo.

    The beginning of a file may do for `data`; where it does not, it is unreadable.
    """
    if not data:
        raise UnreadableError("empty file")
    with readable(), open_picture(data) as image:
        width, height = image.size
        if width * height > pixel_limit:
            raise UnreadableError(
                f"too many pixels: {width} x {height}, the limit is {pixel_limit}"
            )
        turned = orientation(image)
        return Header(image.format or "", *upright_size(image, turned), turned, image.mode)


def channels_of(data: bytes) -> int:
    """1 for grey, 3 for colours, 4 for colours with transparency."""
    with readable(), open_picture(data) as image:
        if image.has_transparency_data:
            return 4
        return 1 if image.mode in ("1", "L", *WIDE_MODES) else 3


def is_plain(data: bytes, format: str, mode: str) -> bool:
    """Whether any program reads the same pixels from a file as we do, in this format and mode."""
    with readable(), open_picture(data) as image:
        if (image.format, image.mode) != (format, mode) or orientation(image) != 1:
            return False
        wide = format == "PNG" and data[24] > 8  # bits of a channel
        told = {"icc_profile", "gamma", "transparency"} & image.info.keys()
        return not (wide or told or coding(data))


def decode_grey(data: bytes, long_side: int) -> Pixels:
    """The whole photo as HW uint8, upright, at most `long_side` pixels long (0: full size)."""
    return decode_whole(data, long_side, "L")


def decode_colour(data: bytes, long_side: int) -> Pixels:
    """The whole photo as HWC uint8 sRGB, upright, at most `long_side` pixels long (0: full)."""
    return decode_whole(data, long_side, "RGB")


def decode_whole(data: bytes, long_side: int, mode: str) -> Pixels:
    with readable(), open_picture(data) as image:
        turned, said = orientation(image), coding(data)
        if long_side:
            image.draft("L" if mode == "L" else None, fitted_draft(image.size, long_side))
        image = loaded(image, data)
        image = smaller(image, long_side) if long_side else image
        whole = Box(0, 0, *(image.size[::-1] if turned in SIDEWAYS else image.size))
        flat = rendered(
            parts(image, turned, whole),
            lambda part: flattened(part if mode == "L" else in_srgb(part, said), "white", mode),
            whole.height,
        )
        if long_side and max(flat.shape[:2]) > long_side:
            size = fitted(whole.width, whole.height, into=(long_side, long_side))
            flat = np.asarray(Image.fromarray(flat).resize(size, Image.Resampling.BILINEAR))
        return flat


def decode(
    data: bytes,
    box: Box | None = None,
    into: tuple[int, int] | None = None,
    background: str = "white",
    mode: str = "RGB",
) -> Pixels:
    """The part `box` of the upright photo, HWC uint8 sRGB; `mode` RGBA keeps its transparency.

    With `into` a JPEG, and any photo of very many pixels, may come at 1/2, 1/4 or 1/8 of its size,
    as long as `box` stays 1.3 times larger than what fits into that (width, height), and cuts at
    whole pixels.
    """
    with readable(), open_picture(data) as image:
        turned, said = orientation(image), coding(data)
        width, height = upright_size(image, turned)
        photo = Box(0, 0, width, height)
        box = box or photo
        factor = scale_down(image, box, into, photo, turned) if into else 1
        if factor > 1:
            image.draft(None, (image.width // factor, image.height // factor))
        image = loaded(image, data)
        if factor > 1 and max(image.size) >= max(width, height):
            image = reduced(image, factor)  # only JPEG has drafts
        cut = image.size[::-1] if turned in SIDEWAYS else image.size
        if factor == 1 and cut != (width, height):
            raise UnreadableError("broken file: its header says another size than its pixels have")
        left, top = box.left // factor, box.top // factor
        right, bottom = -(-box.right // factor), -(-box.bottom // factor)
        part = Box(left, top, min(right, cut[0]), min(bottom, cut[1]))
        return rendered(
            parts(image, turned, part),
            lambda piece: flattened(in_srgb(piece, said), background, mode),
            part.height,
        )


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


def scale_down(image: Image.Image, box: Box, into: tuple[int, int], photo: Box, turned: int) -> int:
    """1, 2, 4 or 8: by what a photo may shrink while `box` still cuts at whole pixels."""
    if image.format not in ("JPEG", "MPO") and photo.width * photo.height < MANY_PIXELS:
        return 1
    # Turning moves the part pixel of a scaled decode from the right and bottom to the other edges.
    whole = turned == 1 or (photo.right % 8 == 0 and photo.bottom % 8 == 0)
    factor = reduction(box, into)
    return factor if whole and is_aligned(box, factor, photo) else 1


def smaller(image: Image.Image, long_side: int) -> Image.Image:
    """A photo of very many pixels, reduced as far as `long_side` allows before it is copied."""
    factor = max(image.size) // long_side
    many = image.width * image.height >= MANY_PIXELS
    return reduced(image, factor) if many and factor > 1 and image.mode in REDUCIBLE else image


def reduced(image: Image.Image, factor: int) -> Image.Image:
    """A decoded picture at 1/`factor` of its size, the mean of as many pixels each.

    Pillow reduces no palette and no 16 bits, and copies the whole of what is transparent.
    """
    if image.mode not in REDUCIBLE:
        image = flat_whole(image)
    small = Image.new(image.mode, [-(-side // factor) for side in image.size])
    small.info = image.info
    rows = max(PIECE // image.width // factor, 1) * factor
    for top in range(0, image.height, rows):
        strip = image.crop((0, top, image.width, min(top + rows, image.height)))
        small.paste(strip.reduce(factor), (0, top // factor))
    return small


def flat_whole(image: Image.Image) -> Image.Image:
    """A palette's colours, or 16 bits, as 8 bits a channel; what its numbers mean stays with it."""
    grey = image.mode in ("1", *WIDE_MODES)
    mode = "RGBA" if image.has_transparency_data else "L" if grey else "RGB"
    whole = Box(0, 0, *image.size)
    pixels = rendered(
        parts(image, 1, whole), lambda part: flattened(part, "white", mode), whole.height
    )
    flat = Image.fromarray(pixels)
    flat.info = {name: image.info[name] for name in COLOUR_INFO if name in image.info}
    return flat


def fitted_draft(size: tuple[int, int], long_side: int) -> tuple[int, int]:
    """The smallest size of the same ratio that a draft must not fall below."""
    scale = long_side / max(size)
    return max(1, int(size[0] * scale)), max(1, int(size[1] * scale))


def orientation(image: Image.Image) -> int:
    """The EXIF orientation, 1 to 8: 1 where metadata says nothing, or nothing that can be read."""
    try:
        # A PNG's own method decodes it first; what it waits for stands before the pixels here.
        exif = Image.Image.getexif(image) if image.format == "PNG" else image.getexif()
        value = exif.get(ORIENTATION, 1)
    except Exception:  # whatever odd metadata does to Pillow, it must not decide about pixels
        return 1
    return value if isinstance(value, int) and value in TURNS else 1


def upright_size(image: Image.Image, turned: int) -> tuple[int, int]:
    """(width, height) of the photo as people see it. Pillow tells that of a TIFF itself."""
    told = image.format == "TIFF" and image.tag_v2.get(ORIENTATION) in SIDEWAYS  # type: ignore[attr-defined]
    return image.size[::-1] if turned in SIDEWAYS and not told else image.size


def loaded(image: Image.Image, data: bytes) -> Image.Image:
    """The decoded picture; raises for a truncated file, unless only its end marker is missing."""
    try:
        if image.format == "TIFF":  # it reads directories that no pixel needs, and turns
            exif = image.getexif()
            for tag in (ORIENTATION, *FURTHER_IFDS):
                exif.pop(tag, None)
        image.load()
        image._size = image.im.size  # as stored, where Pillow told a TIFF's upright one
        return image
    except OSError:
        if image.format not in ("JPEG", "MPO") or not lacks_only_its_end(data):
            raise
    again = open_picture(data.removesuffix(b"\xff") + END)
    again.draft(image.mode, image.size)
    again.load()
    return again


def lacks_only_its_end(data: bytes) -> bool:
    """Whether all pixels of a JPEG are there: then what follows them changes none of them."""
    if not scans_are_complete(data):
        return False
    whole = data.removesuffix(b"\xff")  # half of the marker
    one, other = (np.asarray(open_picture(whole + more + END)) for more in (b"", FILLING))
    return np.array_equal(one, other)


def parts(image: Image.Image, turned: int, box: Box) -> Iterator[Image.Image]:
    """The part `box` of a decoded picture, upright, in pieces from top to bottom.

    Few pixels are one piece; of many, no more than a piece is held a second time.
    """
    many = box.width * box.height >= MANY_PIXELS
    rows = max(PIECE // box.width, 1) if many else max(box.height, 1)
    for top in range(box.top, box.bottom, rows):
        piece = box._replace(top=top, bottom=min(top + rows, box.bottom))
        edges = stored_edges(piece, turned, image.size)
        part = image if edges == (0, 0, *image.size) else image.crop(edges)
        yield part if turned == 1 else part.transpose(TURNS[turned])


def stored_edges(box: Box, turned: int, size: tuple[int, int]) -> Box:
    """A rectangle of the upright picture -> where it lies in the picture as stored."""
    left, top, right, bottom = box
    if turned in SIDEWAYS:
        left, top, right, bottom = top, left, bottom, right
    if turned in (2, 3, 7, 8):
        left, right = size[0] - right, size[0] - left
    if turned in (3, 4, 6, 7):
        top, bottom = size[1] - bottom, size[1] - top
    return Box(left, top, right, bottom)


def rendered(
    pieces: Iterator[Image.Image], finish: Callable[[Image.Image], Image.Image], height: int
) -> Pixels:
    """The pixels of finished pieces, one below the other."""
    pixels, bottom = np.asarray(finish(next(pieces))), 0
    if len(pixels) == height:
        return pixels
    whole = np.empty((height, *pixels.shape[1:]), np.uint8)
    for piece in chain([pixels], map(np.asarray, map(finish, pieces))):
        whole[bottom : bottom + len(piece)] = piece
        bottom += len(piece)
    return whole


def flattened(image: Image.Image, background: str, mode: str) -> Image.Image:
    """8 bits a channel in `mode` (L, RGB or RGBA); transparency is laid on the background."""
    if image.mode in WIDE_MODES:
        image = narrowed(image)
    if image.mode == "La":  # grey that is multiplied by its opacity
        image = image.convert("LA")
    if image.mode == "LAB":  # which Pillow itself does not convert
        image = in_srgb(image)
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
    """16 bits a pixel to 8: white becomes 255; of pixels of 32 bits only those that 16 hold."""
    wide = np.asarray(image)
    if wide.dtype != np.uint16 and not 0 <= wide.min() <= wide.max() <= 65535:
        raise UnreadableError("32-bit pixels: nothing says which value is white")
    return Image.fromarray(narrower(image)[wide.astype(np.uint16, copy=False)])


def open_picture(data: bytes) -> Image.Image:
    """The picture as it is stored, not yet decoded; to be read of within `readable`.

    Raises UnreadableError for one whose colours 8 bits cannot hold.
    """
    try:
        image = Image.open(io.BytesIO(without_ballast(data)), formats=FORMATS)
    except UnidentifiedImageError:
        raise UnreadableError(unknown(data)) from None
    as_told(image)
    if name := hdr_name(coding(data)):
        raise UnreadableError(f"high dynamic range: {name}")
    return image


def unknown(data: bytes) -> str:
    """Why bytes are no picture, as far as the first of them tell."""
    if known := picture_format(data[:64]):
        return f"broken file, or a kind of {known} that cannot be read"
    return f"content is {stand_in(data) or 'no picture in a known format'}"


@contextmanager
def readable() -> Iterator[None]:
    """Turns whatever Pillow says about bad bytes into UnreadableError; no memory is no drop."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            yield
        except (UnreadableError, MemoryError):
            raise
        except Exception as error:
            if "out of memory" in str(error):  # how Pillow says it
                raise MemoryError(str(error)) from error
            raise UnreadableError(f"broken file: {error or type(error).__name__}") from None
