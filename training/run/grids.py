"""Pictures of a run: grids of the same latents, a film of them, and samples by seed."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from atelier import files
from training.run import films
from training.sampler import Pixels
from training.sources.labels import one_hot

FILM_SIDE = 1920  # pixels: the longer side of the film, at most


def seeded_latents(seeds: Iterable[int], z_dim: int) -> NDArray[np.float32]:
    """The z of each seed, as NVlabs' commands draw it."""
    chance, drawn = np.random.RandomState(0), []
    for seed in seeds:
        chance.seed(words(seed))  # in a fortieth of the time of a new one
        drawn.append(chance.randn(z_dim))
    return np.array(drawn, np.float32).reshape(-1, z_dim)


def words(seed: int) -> int | list[int]:
    """A seed as numpy's oldest generator takes it: from 2^32 on by words of 32 bits."""
    if seed < 2**32:
        return seed
    return [seed >> bits & 0xFFFFFFFF for bits in range(0, seed.bit_length(), 32)]


def seeded_labels(
    seeds: Sequence[int], classes: int, label: int | None = None
) -> NDArray[np.float32]:
    """One-hot labels: the given class, or one drawn from each seed; [n, 0] without classes."""
    if not classes:
        return np.zeros((len(seeds), 0), np.float32)
    drawn = [int(np.random.default_rng(seed).integers(classes)) for seed in seeds]
    return one_hot(drawn if label is None else [label] * len(seeds), classes)


def grid_size(height: int, width: int, columns: int = 0, rows: int = 0) -> tuple[int, int]:
    """(columns, rows) of a grid; what is 0 follows NVlabs' rule of a picture of 7680 x 4320."""
    wide = columns or int(np.clip(7680 // width, 7, 32))
    high = rows or int(np.clip(4320 // height, 4, 32))
    return wide, high


def tiled(pictures: Pixels, columns: int) -> Pixels:
    """[n, H, W, C] -> one picture, row by row; n is a multiple of `columns`."""
    count, height, width, channels = pictures.shape
    rows = pictures.reshape(count // columns, columns, height, width, channels)
    return rows.transpose(0, 2, 1, 3, 4).reshape(-1, columns * width, channels)


def write_png(path: Path, pixels: Pixels) -> None:
    """Write a picture in one go."""
    image = Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels)
    with files.replacing(path) as partial:
        image.save(partial, format="png", compress_level=4)


def write_film(path: Path, grids: Sequence[Path], per_second: int = 8) -> Sequence[Path]:
    """An mp4 of these pictures; transparent ones are shown on white. Gives those it has.

    What cannot be read is left out: a run does not fail at its end for an old picture. Raises
    OSError where none can.
    """
    import cv2

    film, shown = None, list[Path]()
    with files.replacing(path) as partial:
        for grid, frame in readable(grids):
            if film is None:
                scale = min(1.0, FILM_SIDE / max(frame.shape[:2]))
                size = (films.even(frame.shape[1] * scale), films.even(frame.shape[0] * scale))
                film = films.Film(partial, size, per_second)
            film.write(cv2.resize(frame, film.size, interpolation=cv2.INTER_AREA))
            shown.append(grid)
        if film is None:
            raise OSError(f"{grids[0].parent}: none of its {len(grids)} grids can be read")
        film.close()
    return shown


def readable(paths: Sequence[Path]) -> Iterator[tuple[Path, Pixels]]:
    """Those pictures that can be read to their end, as RGB."""
    for path in paths:
        try:
            with Image.open(path) as image:
                mode = "RGBA" if image.mode == "RGBA" else "RGB"
                frame = films.on_white(np.asarray(image.convert(mode)))
        except (OSError, SyntaxError, ValueError, Image.DecompressionBombError):
            continue
        yield path, frame
