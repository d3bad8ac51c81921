"""Draws a folder of photos by code: portraits of nobody, and all that goes wrong with a source.

The same seed gives the same bytes. `recipes/sample.cfg` says what becomes of each file.
"""

import io
from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from atelier.files import replacing
from pipeline.sample.canvas import Canvas, Place
from pipeline.sample.hair import Beard, Style
from pipeline.sample.person import Person, invent, paint_person
from pipeline.sample.scenes import BACKGROUNDS, SCENES, dunes

Pixels = NDArray[np.uint8]
Features = tuple[int, str, Style, Beard, float]  # skin, hair, style, beard, age

QUALITY = 90
DRAWN_WIDE = 1000  # a smaller photo is drawn larger and reduced, as thumbnails are
GRAIN = 1.8  # sigma of the noise on every photo, in grey levels
ORIENTATION, TURN_RIGHT = 0x0112, 6  # EXIF: show it turned a quarter clockwise

CAST: dict[str, Features] = {
    "Ada": (1, "brown", "long", "", 0.0),
    "Bruno": (3, "black", "short", "full", 0.0),
    "Chiara": (0, "copper", "bob", "", 0.0),
    "Dayo": (6, "black", "afro", "", 0.0),
    "Emil": (2, "black", "swept", "stubble", 0.0),
    "Femi": (5, "black", "bald", "moustache", 0.4),
    "Greta": (1, "grey", "bun", "", 0.8),
    "Hana": (2, "black", "bob", "", 0.0),
    "Imani": (4, "black", "curly", "", 0.0),
    "Jonas": (0, "blond", "beanie", "stubble", 0.0),
    "Kamila": (3, "black", "scarf", "", 0.0),
    "Leo": (1, "chestnut", "curly", "", 0.0),
    "Mira": (0, "blond", "long", "", 0.0),
    "Noah": (0, "white", "short", "full", 0.9),
    "Oluchi": (5, "black", "bun", "", 0.0),
    "Pavel": (1, "brown", "swept", "full", 0.0),
    "Rosa": (3, "chestnut", "long", "", 0.0),
    "Sol": (2, "teal", "bob", "", 0.0),
    "Tariq": (4, "black", "short", "stubble", 0.0),
    "Uma": (4, "black", "long", "", 0.0),
}


@dataclass(frozen=True)
class Shot:
    """One photo: who is where on it. `size` is half a head's width; all shares of the width."""

    names: str
    width: int = 1200
    height: int = 1600
    size: float = 0.13
    x: float = 0.5
    y: float = 0.58


SHOTS: dict[str, Shot] = {
    "studio/Ada.jpg": Shot("Ada"),
    "studio/Bruno.jpg": Shot("Bruno"),
    "studio/Chiara.jpg": Shot("Chiara", 1600, 2400, 0.135, 0.5, 0.68),
    "studio/Dayo.jpg": Shot("Dayo"),
    "studio/Emil.jpg": Shot("Emil", 1600, 2400, 0.14, 0.5, 0.7),
    "studio/Femi.jpg": Shot("Femi"),
    "studio/Greta.jpg": Shot("Greta"),
    "outdoors/Hana.jpg": Shot("Hana", size=0.12, x=0.46),
    "outdoors/Imani.jpg": Shot("Imani", 1600, 2400, 0.14, 0.52, 0.7),
    "outdoors/Jonas.jpg": Shot("Jonas", size=0.11, x=0.56, y=0.62),
    "outdoors/Kamila.jpg": Shot("Kamila"),
    "outdoors/Leo in the evening.jpg": Shot("Leo", size=0.12, x=0.42),
    "phone/Mira, wide.jpg": Shot("Mira", 2000, 1500, 0.085, 0.3, 0.34),
    "phone/Noah, turned.jpg": Shot("Noah"),
    "scans/Oluchi, grey.jpg": Shot("Oluchi"),
    "scans/Pavel, CMYK.jpg": Shot("Pavel"),
    "scans/Rosa, cut out.png": Shot("Rosa"),
    "scans/Sol, thumbnail.jpg": Shot("Sol", 192, 252, 0.215, 0.5, 0.62),
    "family/Tariq and Uma.jpg": Shot("Tariq Uma", 2000, 1500, 0.085, 0.3, 0.33),
    "family/three friends.jpg": Shot("Ada Leo Oluchi", 2400, 1600, 0.062, 0.2, 0.3),
    "family/Emil, too close.jpg": Shot("Emil", 1600, 1200, 0.235, 0.5, 0.37),
    "family/Greta, half out.jpg": Shot("Greta", x=0.02),
    "holiday/Hana in the dunes.jpg": Shot("Hana", 1200, 1600, 0.027, 0.66, 1.17),
}
JPEG_MODES: dict[str, str] = {
    "scans/Oluchi, grey.jpg": "L",
    "scans/Pavel, CMYK.jpg": "CMYK",
}


def draw(folder: Path, seed: int = 0) -> None:
    """Draw the sample's files into the new `folder`. Raises FileExistsError where it is there."""
    if folder.exists():
        raise FileExistsError(f"{folder} exists already: remove it, or give another name")
    with replacing(folder) as beside:
        for path, data in files(seed):
            place = beside / path
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(data)


def files(seed: int = 0) -> Iterator[tuple[str, bytes]]:
    """(path, bytes) of every file, good ones first."""
    for path in SHOTS:
        yield path, photo(path, seed)
    for number, paint in enumerate(SCENES):
        yield f"holiday/{paint.__name__}.jpg", scene(number, seed)
    first = photo("studio/Ada.jpg", seed)
    yield "to sort/Ada again.jpg", first
    yield "to sort/download stopped.jpg", first[: len(first) * 3 // 5]
    yield "to sort/shopping list.jpg", b"Not a picture: two lemons, basil, film for the camera.\n"
    yield "to sort/read me.txt", b"Photos that still want a place.\n"


def people(seed: int) -> dict[str, Person]:
    """The cast; what is not fixed in CAST depends on the seed."""
    return {
        name: invent(np.random.default_rng([seed, 2000 + number]), *features)
        for number, (name, features) in enumerate(CAST.items())
    }


def photo(path: str, seed: int = 0) -> bytes:
    """One of the SHOTS, as its file holds it."""
    shot, number, cast = SHOTS[path], list(SHOTS).index(path), people(seed)
    rng = np.random.default_rng([seed, number])
    if path.endswith(".png"):
        return png(cut_out(shot, cast, rng))
    background = BACKGROUNDS[number % len(BACKGROUNDS)] if shot.size > 0.05 else dunes
    larger = max(1, DRAWN_WIDE // shot.width)
    canvas = Canvas(shot.width * larger, shot.height * larger)
    background(canvas, rng)
    paint_all(canvas, shot, cast, rng)
    canvas.grain(rng, GRAIN)
    pixels = np.asarray(Image.fromarray(canvas.finished()).reduce(larger))
    if "turned" in path:
        return jpeg(np.rot90(pixels), orientation=TURN_RIGHT)
    return jpeg(pixels, JPEG_MODES.get(path, "RGB"))


def scene(number: int, seed: int = 0) -> bytes:
    """One of the SCENES, without anybody."""
    rng = np.random.default_rng([seed, 1000 + number])
    canvas = Canvas(1800, 1350)
    SCENES[number](canvas, rng)
    canvas.grain(rng, GRAIN)
    return jpeg(canvas.finished())


def paint_all(
    canvas: Canvas, shot: Shot, cast: dict[str, Person], rng: np.random.Generator
) -> None:
    """Paint everyone on the shot side by side, from left to right."""
    names = shot.names.split()
    apart = (1 - 2 * shot.x) / max(1, len(names) - 1)
    for number, name in enumerate(names):
        x, y = shot.x + number * apart, shot.y + 0.02 * (number % 2)
        tilt = float(rng.uniform(-0.045, 0.045))
        size = shot.size * float(rng.uniform(0.98, 1.02))
        place = Place(x * canvas.width, y * canvas.width, size * canvas.width, tilt)
        paint_person(canvas, cast[name], place)


def cut_out(shot: Shot, cast: dict[str, Person], rng: np.random.Generator) -> Pixels:
    """The people alone, HWC RGBA: what differs on black and on white is transparent."""
    black, white = (Canvas(shot.width, shot.height) for _ in range(2))
    white.pixels += 255
    for canvas, dice in ((black, deepcopy(rng)), (white, rng)):
        paint_all(canvas, shot, cast, dice)
    difference = (white.pixels - black.pixels).mean(axis=2, keepdims=True)
    alpha = np.clip(255 - difference, 0, 255)
    colour = np.where(alpha > 0, black.pixels * 255 / np.maximum(alpha, 1), 0)
    return np.clip(np.round(np.concatenate([colour, alpha], axis=2)), 0, 255).astype(np.uint8)


def jpeg(pixels: Pixels, mode: str = "RGB", orientation: int = 1) -> bytes:
    image = Image.fromarray(np.ascontiguousarray(pixels)).convert(mode)
    exif = Image.Exif()
    if orientation != 1:
        exif[ORIENTATION] = orientation
    return saved(lambda file: image.save(file, "JPEG", quality=QUALITY, exif=exif))


def png(pixels: Pixels) -> bytes:
    image = Image.fromarray(pixels)
    return saved(lambda file: image.save(file, "PNG", compress_level=3))


def saved(save: Callable[[io.BytesIO], None]) -> bytes:
    file = io.BytesIO()
    save(file)
    return file.getvalue()
