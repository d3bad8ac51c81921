"""Labelled pictures -> examples: upright JPEGs of a modest size with their boxes, split in two."""

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import numpy as np

from atelier.commands import number_of
from atelier.pictures import (
    PIXEL_LIMIT,
    Pixels,
    UnreadableError,
    decode_colour,
    encode,
    header,
)
from detectors import annotations
from detectors.annotations import Annotated
from detectors.learning import Example, records
from detectors.learning.options import LearningError

QUALITY = 95
RECORDS = (".record", ".tfrecord", ".tfrecords")


def gather(
    labels: Path, pictures: str, wanted: Sequence[str], longest: int, say: Callable[[str], None]
) -> tuple[list[Example], list[str]]:
    """All examples and the names of their classes; what was mended is said.

    Without `wanted` the classes are those of the labels; with it another one is an error. The
    longer side of a picture becomes at most `longest` pixels. Raises LearningError or
    AnnotationError with one sentence for what cannot be learnt from.
    """
    if labels.suffix in RECORDS:
        found, classes = records.examples(labels, wanted)
    else:
        found, classes = from_annotations(labels, pictures, wanted, longest, say)
    if not sum(len(each.boxes) for each in found):
        raise LearningError(
            f"{labels}: no box in {number_of(len(found), 'picture')}; draw some first"
        )
    return found, classes


def from_annotations(
    labels: Path, folder: str, wanted: Sequence[str], longest: int, say: Callable[[str], None]
) -> tuple[list[Example], list[str]]:
    """The photos of a CSV table, a COCO file or a folder of XML files."""
    pictures = Path(folder)
    if not folder or not pictures.is_dir():
        raise LearningError(f"pictures = {folder!r}: give the folder of the pictures")
    read = annotations.read_annotations(labels, pictures, wanted or None)
    for warning in read.warnings:
        say(f"warning: {warning}")
    if not read.photos:
        raise LearningError(f"{labels}: none of its pictures is in {pictures}; name their folder")
    classes = list(wanted) or sorted({each.label for p in read.photos for each in p.boxes})
    return [example(photo, pictures, classes, longest) for photo in read.photos], classes


def example(photo: Annotated, pictures: Path, classes: Sequence[str], longest: int) -> Example:
    """One photo, upright, RGB, its longer side at most `longest` pixels."""
    data = (pictures / photo.filename).read_bytes()
    encoded, width, height = stored(data, photo.filename, longest)
    sides = np.array([photo.width, photo.height] * 2)
    boxes = np.array([np.array(each.box) / sides for each in photo.boxes], np.float32).reshape(
        -1, 4
    )
    numbers = np.array([classes.index(each.label) for each in photo.boxes], np.int32)
    origin = hashlib.sha256(data).hexdigest()
    return Example(photo.filename, encoded, width, height, boxes, numbers, origin)


def stored(data: bytes, name: str, longest: int) -> tuple[bytes, int, int]:
    """A photo as it is kept: JPEG bytes, width, height."""
    pixels = shrink(pixels_of(data, name), longest)
    height, width = pixels.shape[:2]
    return encode(pixels, "jpeg", QUALITY), width, height


def shrink(pixels: Pixels, longest: int) -> Pixels:
    """Pixels HWC whose longer side is at most `longest`."""
    scale = longest / max(pixels.shape[:2])
    if scale >= 1:
        return pixels
    height, width = (max(round(side * scale), 1) for side in pixels.shape[:2])
    small = cv2.resize(pixels, (width, height), interpolation=cv2.INTER_AREA)
    return np.asarray(small, np.uint8)


def pixels_of(data: bytes, name: str) -> Pixels:
    """Pixels of an image file as the pipeline sees them: HWC, uint8, sRGB, upright, on white."""
    try:
        header(data, PIXEL_LIMIT)
        return decode_colour(data, 0)
    except UnreadableError as error:
        raise LearningError(f"{name} cannot be opened ({error}); take it out") from None


def decoded(example: Example) -> Pixels:
    """The pixels of an example: HWC, uint8, RGB."""
    pixels = cv2.imdecode(
        np.frombuffer(example.encoded, np.uint8), cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION
    )
    if pixels is None:
        raise LearningError(f"{example.name}: its record holds no JPEG or PNG; write it again")
    return np.ascontiguousarray(pixels[:, :, ::-1])


def split(
    examples: Sequence[Example], share: float, seed: int
) -> tuple[list[Example], list[Example]]:
    """(to learn from, to measure with): copies of one file stay on one side.

    Who is held out follows from the files and the seed, not from names or their order.
    """
    copies: dict[str, list[Example]] = {}
    for each in examples:
        copies.setdefault(each.origin, []).append(each)
    if len(copies) < 2:
        raise LearningError(
            f"{examples[0].name} is the only picture; one to learn from and one to measure with are"
            " the least, a hundred are a beginning"
        )
    drawn = sorted(copies, key=lambda origin: hashlib.sha256(f"{seed} {origin}".encode()).digest())
    wanted = min(max(round(share * len(examples)), 1), len(examples) - 1)
    held: set[str] = set()
    for origin in drawn:
        if sum(len(copies[one]) for one in held) + len(copies[origin]) <= wanted:
            held.add(origin)
    held = held or set(drawn[:1])
    learnt = [each for each in examples if each.origin not in held]
    return learnt, [each for each in examples if each.origin in held]


def apart(
    learnt: Sequence[Example], held: Sequence[Example], say: Callable[[str], None]
) -> tuple[list[Example], list[Example]]:
    """The two sides that a person drew; copies of held-out pictures are not learnt from."""
    origins = {each.origin for each in held}
    kept = [each for each in learnt if each.origin not in origins]
    if len(kept) < len(learnt):
        left = number_of(len(learnt) - len(kept), "picture")
        say(f"warning: {left} held out, too; not learnt from")
    if not kept:
        raise LearningError("held_labels: no picture is left to learn from; give other ones")
    return kept, list(held)
