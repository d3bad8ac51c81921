"""Pictures and films in files, which say what they were made of."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path

from PIL import Image
from PIL.PngImagePlugin import PngInfo

from atelier import files
from training.config import ConfigError
from training.explore.sheets import Pixels, enlarged
from training.run import films

QUALITY = 92  # of a JPEG
LONGEST_SIDE, LONGEST_COMMENT = 65_500, 65_533  # pixels and bytes: no JPEG has more


def check_side(path: Path, side: int) -> None:
    """Raise ConfigError for a picture that no JPEG can hold."""
    if path.suffix.lower() != ".png" and side > LONGEST_SIDE:
        raise ConfigError(
            f"out = {path}: {side} pixels are more than the {LONGEST_SIDE} of a JPEG: name a .png,"
            " or ask for fewer pictures"
        )


def write_picture(path: Path, pixels: Pixels, about: Mapping[str, str]) -> None:
    """[H, W, C] as PNG with a tEXt chunk per fact, or as JPEG with a comment in JSON.

    Raises ConfigError for what a JPEG cannot hold.
    """
    check_side(path, max(pixels.shape[:2]))
    with files.replacing(path) as partial:
        if path.suffix.lower() == ".png":
            image = Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels)
            info = PngInfo()
            for name, value in about.items():
                info.add_text(name, value)
            image.save(partial, format="png", compress_level=4, pnginfo=info)
        else:
            comment = json.dumps(dict(about)).encode()
            if len(comment) > LONGEST_COMMENT:
                raise ConfigError(f"out = {path}: no JPEG can say as much: name a .png")
            image = Image.fromarray(films.on_white(pixels))
            image.save(partial, format="jpeg", quality=QUALITY, comment=comment)


def write_frames(
    path: Path,
    frames: Iterable[Pixels],
    per_second: int,
    about: Mapping[str, str],
    side: int = 0,
    way: str = "lanczos",
) -> None:
    """[H, W, C] after [H, W, C] as mp4, `side` pixels long (0: as they are); facts as JSON."""
    known = json.dumps(dict(about))
    with files.replacing(path) as partial:
        film = None
        for pixels in map(films.on_white, frames):
            height, width = pixels.shape[:2]
            scale = (side or max(height, width)) / max(height, width)
            size = films.even(width * scale), films.even(height * scale)
            film = film or films.Film(partial, size, per_second)
            film.write(enlarged(pixels, size, way))
        if film:
            film.close(known)
