"""Photos to measure with: the sample's portraits at camera size, each one different."""

import io
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from pipeline import sample

SIZE = 1920, 2880
GRAIN = 4.0  # sigma in grey levels: about the file size of a photo of the same size
PORTRAITS = [path for path, shot in sample.SHOTS.items() if shot.height > shot.width][:12]


def draw(folder: Path, count: int, size: tuple[int, int] = SIZE) -> list[Path]:
    """Write `count` JPEGs of this width and height, or keep those that are there."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"{number:05d}.jpg" for number in range(count)]
    missing = [number for number, path in enumerate(paths) if not path.exists()]
    originals = [original(path, size) for path in PORTRAITS[:count]] if missing else []
    for number in missing:
        image = originals[number % len(originals)]
        rng = np.random.default_rng(number)
        grain = rng.normal(0, GRAIN, image.shape[:2]).astype(np.int16)[:, :, None]
        pixels = np.clip(image + grain, 0, 255).astype(np.uint8)
        Image.fromarray(pixels).save(paths[number], quality=90)
    return paths


def original(path: str, size: tuple[int, int]) -> "np.ndarray[tuple[int, ...], np.dtype[np.int16]]":
    image = ImageOps.exif_transpose(Image.open(io.BytesIO(sample.photo(path)))).convert("RGB")
    return np.asarray(ImageOps.fit(image, size, Image.Resampling.LANCZOS)).astype(np.int16)
