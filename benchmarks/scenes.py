"""Made scenes to find portraits in: photos of one face pasted on larger made backgrounds."""

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, ImageOps

import detectors
from atelier.boxes import Box
from detectors.annotations import Annotated, Labelled
from detectors.base import FACE
from pipeline.sections import PortraitConfig

SIZES = ((640, 480), (480, 640), (560, 560))  # pixels of a scene
HEIGHTS = 0.2, 0.6  # of the portrait, as a share of the scene's height
SHAPES = 14  # drawn on a background, to be taken for somebody


def portraits(folders: Sequence[Path], yunet: Path) -> list[tuple[str, np.ndarray, np.ndarray]]:
    """(name, RGBA, portrait box) of every photo with one face: 3 by 4 canonical faces of YuNet."""
    spec = detectors.parse(f"yunet:{yunet}")
    detector, factors = detectors.load(spec, 0.05), detectors.face_factors(spec)
    found = []
    for path in sorted((path for folder in folders for path in folder.iterdir()), key=order):
        with Image.open(path) as image:
            pixels = np.asarray(ImageOps.contain(image.convert("RGBA"), (640, 640)))
        faces = [one.box for one in detector([on_white(pixels)])[0] if one.label == FACE]
        if len(faces) != 1:
            continue
        face, portrait = faces[0], PortraitConfig()
        side = factors.side * (face.width + face.height) / 2
        size = side * np.array([portrait.face_widths, portrait.face_heights])
        centre = [face.left + factors.x * face.width, face.top + factors.y * face.height]
        corner = centre - size * [portrait.face_x, portrait.face_y]
        found.append((path.name, pixels, np.concatenate([corner, corner + size])))
    return found


def order(path: Path) -> str:
    """Photos of one name, whatever their folder, stay together."""
    return path.name.lower()


def on_white(pixels: np.ndarray) -> np.ndarray:
    share = pixels[..., 3:] / 255
    return np.rint(pixels[..., :3] * share + 255 * (1 - share)).astype(np.uint8)


def write_scenes(
    folder: Path, some: Sequence[tuple[str, np.ndarray, np.ndarray]], times: int, seed: int
) -> list[Annotated]:
    """Paste every portrait `times` times; returns what a person would have labelled."""
    folder.mkdir(parents=True, exist_ok=True)
    made = []
    for number in range(len(some) * times):
        _, pixels, box = some[number % len(some)]
        rng = np.random.default_rng([seed, number])
        width, height = SIZES[rng.integers(len(SIZES))]
        canvas = background(width, height, rng)
        place = paste(canvas, pixels, box, rng)
        name = f"{seed}-{number:04d}.jpg"
        Image.fromarray(canvas).save(folder / name, quality=92)
        made.append(Annotated(name, width, height, (Labelled("portrait", place),)))
    return made


def background(width: int, height: int, rng: np.random.Generator) -> np.ndarray:
    """Noise of several sizes, and shapes of one colour."""
    canvas = np.full((height, width, 3), rng.uniform(40, 215, 3), np.float32)
    for cells in (2, 4, 8, 16, 64):
        coarse = rng.normal(0, 60 / cells**0.4, (cells, cells, 3)).astype(np.float32)
        canvas += cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
    drawn = np.clip(canvas, 0, 255).astype(np.uint8)
    for _ in range(int(rng.integers(0, SHAPES))):
        x, y = (int(value) for value in rng.uniform(0, [width, height]))
        a, b = (int(value) for value in rng.uniform(8, height / 4, 2))
        colour = [int(value) for value in rng.integers(0, 256, 3)]
        if rng.random() < 0.5:
            cv2.ellipse(drawn, (x, y), (a, b), rng.uniform(0, 180), 0, 360, colour, -1, cv2.LINE_AA)
        else:
            cv2.rectangle(drawn, (x - a, y - b), (x + a, y + b), colour, -1)
    return drawn


def paste(canvas: np.ndarray, pixels: np.ndarray, box: np.ndarray, rng: np.random.Generator) -> Box:
    """Draw a portrait so that its box lies somewhere in the canvas; returns where."""
    height, width = canvas.shape[:2]
    scale = min(
        rng.uniform(*HEIGHTS) * height / (box[3] - box[1]), 0.95 * width / (box[2] - box[0])
    )
    size = scale * (box[2:] - box[:2])
    corner = rng.uniform(0, 1, 2) * ([width, height] - size)
    offset = corner - scale * box[:2]
    matrix = np.array([[scale, 0, offset[0]], [0, scale, offset[1]]])
    premultiplied = pixels.astype(np.float32)
    premultiplied[..., :3] *= premultiplied[..., 3:] / 255
    drawn = cv2.warpAffine(premultiplied, matrix, (width, height), flags=cv2.INTER_AREA)
    canvas[:] = np.rint(drawn[..., :3] + canvas * (1 - drawn[..., 3:] / 255))
    left, top, right, bottom = np.rint([*corner, *(corner + size)]).astype(int).tolist()
    return Box(max(left, 0), max(top, 0), min(right, width), min(bottom, height))
