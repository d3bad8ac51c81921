"""Decide which part of each photo is the portrait. Boxes in, rectangle out; no pixels."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal

from detectors.base import Box, FaceFactors
from pipeline.dataset import DatasetConfig
from pipeline.geometry import aligned, around, canonical_face, contains
from pipeline.manifest import Row, dropped
from pipeline.options import Settings, option

COUNTS = 1 / 3  # faces under this share of the largest one's height are bystanders


@dataclass(frozen=True)
class PortraitConfig(Settings):
    """The shape of a portrait, in faces."""

    face_widths: float = option(3.0, "width of the portrait, in face boxes", low=1)
    face_heights: float = option(4.0, "height of the portrait, in face boxes", low=1)
    face_x: float = option(
        0.5, "where the face's centre is, as a share of the width", low=0, high=1
    )
    face_y: float = option(
        0.4, "where the face's centre is, as a share of the height", low=0, high=1
    )


@dataclass(frozen=True)
class CropConfig(Settings):
    """Which faces become portraits."""

    faces: Literal["largest", "each"] = option(
        "largest", "largest: one portrait per photo; each: one for every face, left to right"
    )
    max_faces: int = option(
        1, "drop photos with more faces; those under a third of the largest do not count", low=1
    )
    min_face: int = option(48, "drop faces lower than this, in pixels of the photo", low=1)
    max_face_share: float = option(
        0.7, "drop portraits whose face is more than this share of their height", low=0.05, high=1
    )
    enlarge: bool = option(
        False, "keep portraits whose longer side is under the dataset's: they would be enlarged"
    )


def crop(
    row: Row,
    config: CropConfig,
    portrait: PortraitConfig,
    dataset: DatasetConfig,
    factors: FaceFactors,
) -> Iterator[Row]:
    """Yield the row once per portrait in it, or once, dropped."""
    whole = [found.box for found in row.boxes if found.label == "photo"]
    if whole:
        yield sized(replace(row, rectangle=whole[0]), config, dataset)
        return
    faces = counted([canonical_face(f.box, factors) for f in row.boxes if f.label == "face"])
    if not faces:
        yield dropped(row, "no face")
    elif len(faces) > config.max_faces:
        yield dropped(row, f"several faces: {len(faces)}")
    elif config.faces == "largest":
        yield one(row, faces[0], config, portrait, dataset)
    else:
        for number, face in enumerate(sorted(faces), start=1):
            named = replace(row, id=f"{row.id}.f{number}")
            yield one(named, face, config, portrait, dataset)


def counted(faces: list[Box]) -> list[Box]:
    """The faces that count, largest first."""
    faces = sorted(faces, key=lambda face: (-face.height, face))
    return [face for face in faces if face.height >= COUNTS * faces[0].height]


def one(
    row: Row, face: Box, config: CropConfig, portrait: PortraitConfig, dataset: DatasetConfig
) -> Row:
    """The row with the portrait rectangle around `face`, or dropped."""
    if face.height < config.min_face:
        return dropped(row, f"face too small: {face.height} pixels")
    photo = Box(0, 0, row.width, row.height)
    size = face.width * portrait.face_widths, face.height * portrait.face_heights
    place = portrait.face_x, portrait.face_y
    rectangle = aligned(around(face, size, place, photo), dataset.width_height, photo)
    row = replace(row, face=face, rectangle=rectangle)
    if not contains(rectangle, face):
        return dropped(row, "face would be cut")
    if face.height > config.max_face_share * rectangle.height:
        return dropped(row, f"face too close: {face.height / rectangle.height:.2f} of the height")
    return sized(row, config, dataset)


def sized(row: Row, config: CropConfig, dataset: DatasetConfig) -> Row:
    """The row, dropped where its picture would have to be enlarged."""
    assert row.rectangle is not None
    width, height = dataset.width_height
    enlarged = row.rectangle.width < width and row.rectangle.height < height
    if enlarged and not config.enlarge:
        return dropped(row, f"too few pixels: {row.rectangle.width} x {row.rectangle.height}")
    return row
