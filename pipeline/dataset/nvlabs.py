"""The layout `nvlabs`: multi-resolution records, one file per level, as NVlabs/stylegan2."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.dataset import pack, publish, records
from pipeline.dataset.labels import LabelRows
from pipeline.dataset.pack import Plan
from pipeline.dataset.records import Pixels, Shape
from pipeline.rows.manifest import Item, Row


class NvlabsLayout:
    """A file of records per level."""

    help = "multi-resolution TFRecords, which NVlabs/stylegan2 reads"
    suffix = ""  # it makes a folder

    def disk_need(self, count: int, shape: Shape) -> int:
        """Bytes that the records of `count` pictures take."""
        return count * sum(records.record_bytes(level.shape) for level in records.levels(*shape))

    def lay_out(self, folder: Path, plan: Plan, count: int) -> None:
        """Make the files of all levels in full length, or keep those that are there."""
        levels = records.levels(*plan.shape)
        sizes = [count * records.record_bytes(level.shape) for level in levels]
        publish.reserve(dict(zip(paths(folder, plan), sizes, strict=True)))

    def write_items(self, items: Sequence[Item], plan: Plan, folder: Path) -> list[list[Row]]:
        """Write the items' pictures into the record files; they are on the disk when it returns."""
        return pack.write_places(items, plan, paths(pack.inside(folder, plan), plan), self.write)

    def write(self, files: Sequence[int], place: int, picture: Pixels) -> None:
        """Write one picture, H W C, on every level."""
        if picture.shape[2] == 4:
            picture = premultiplied(picture)
        levels = records.pyramid(np.ascontiguousarray(picture.transpose(2, 0, 1)))
        for file, pixels in zip(files, levels, strict=True):
            records.write(file, place, pixels)

    def finish(self, folder: Path, plan: Plan, labels: LabelRows | None) -> None:
        """Write the labels, row i for record i."""
        path = folder / f"{plan.name}-rxx.labels"
        path.unlink(missing_ok=True)
        if labels is not None:
            with path.open("wb") as file:
                np.save(file, labels)

    def facts(self, name: str, shape: Shape, classes: Sequence[str] | None) -> dict[str, Any]:
        """What dataset.json says of this layout."""
        levels = records.levels(*shape)
        return {
            "alpha": "premultiplied" if shape[0] == 4 else None,
            "levels": [{"file": file_name(name, level), "shape": level.shape} for level in levels],
            "classes": classes,
            "read_by_nvlabs_stylegan2": not self.notes(shape),
        }

    def notes(self, shape: Shape) -> list[str]:
        """Why NVlabs/stylegan2 cannot read records of this shape; nothing where it can."""
        reasons = ", ".join(unlike_nvlabs(shape))
        return [f"NVlabs/stylegan2 cannot read these records: {reasons}"] if reasons else []


def unlike_nvlabs(shape: Shape) -> list[str]:
    """What no program of NVlabs' takes in pictures of this shape."""
    channels, height, width = shape
    reasons = []
    if channels == 4:
        reasons.append("they have 4 channels, it reads 1 or 3")
    if height != width:
        reasons.append(f"{width} x {height} is not square")
    elif height < 4 or height & (height - 1):
        reasons.append(f"{height} is no power of two")
    return reasons


def paths(folder: Path, plan: Plan) -> list[Path]:
    """The record files, the full size first."""
    return [folder / file_name(plan.name, level) for level in records.levels(*plan.shape)]


def file_name(name: str, level: records.Level) -> str:
    return f"{name}-r{level.number:02}.tfrecords"


def premultiplied(image: Pixels) -> Pixels:
    """Colours times opacity, to the nearest (halves cannot occur); H W C with alpha last."""
    colours = image[..., :3].astype(np.uint16)
    colours *= image[..., 3:]
    colours += 127
    colours //= 255
    return np.concatenate([colours.astype(np.uint8), image[..., 3:]], axis=2)
