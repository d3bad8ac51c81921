"""The layout `nvlabs`: multi-resolution records, one file per level, as NVlabs/stylegan2."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.dataset import finished, pack, places, records
from pipeline.dataset.labels import LabelRows
from pipeline.dataset.pack import Content, Plan
from pipeline.dataset.places import Placed
from pipeline.dataset.records import Pixels, Shape
from pipeline.rows.manifest import Item, Row


class NvlabsLayout(Placed):
    """A file of records per level."""

    help = "multi-resolution TFRecords, which NVlabs/stylegan2 reads"
    suffix = ""  # it makes a folder
    pixels: Sequence[str] = ("raw",)
    levels: Sequence[str] = ("all",)

    def files(self, plan: Plan) -> Mapping[str, int]:
        """The record files, the full size first, and their bytes."""
        return {
            file_name(plan.name, level): plan.count * records.record_bytes(level.shape)
            for level in records.levels(*plan.shape)
        }

    def disk_need(self, plan: Plan) -> int:
        """Bytes that the records take."""
        return sum(self.files(plan).values())

    def lay_out(self, folder: Path, plan: Plan, content: Content) -> None:
        """Make the files of all levels in full length, or keep those that are there."""
        finished.reserve({folder / name: size for name, size in self.files(plan).items()})

    def write_items(self, items: Sequence[Item], plan: Plan, folder: Path) -> list[list[Row]]:
        """Write the items' pictures into the record files; they are on the disk when it returns."""
        paths = [pack.inside(folder, plan) / name for name in self.files(plan)]
        return places.write_places(items, plan, paths, self.write)

    def write(self, files: Sequence[int], place: int, picture: Pixels) -> None:
        """Write one picture, H W C, on every level."""
        for file, pixels in zip(files, records.pyramid(planes(picture)), strict=True):
            records.write(file, place, pixels)

    def finish(self, folder: Path, plan: Plan, labels: LabelRows | None) -> None:
        """Write the labels, row i for record i; raises ExportError where a picture is missing."""
        for name, level in zip(self.files(plan), records.levels(*plan.shape), strict=True):
            with places.no_holes(folder / name):
                records.check_written(folder / name, plan.count, level.shape)
        (folder / f"{plan.name}-rxx.labels").unlink(missing_ok=True)
        if labels is not None:
            write_labels(folder, plan, labels)

    def facts(self, folder: Path, plan: Plan, classes: Sequence[str] | None) -> dict[str, Any]:
        """What dataset.json says of this layout."""
        named = zip(self.files(plan), records.levels(*plan.shape), strict=True)
        return {
            "alpha": "premultiplied" if plan.shape[0] == 4 else None,
            "levels": [{"file": name, "shape": level.shape} for name, level in named],
            "classes": classes,
            "read_by_nvlabs_stylegan2": not self.notes(plan.shape),
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


def write_labels(folder: Path, plan: Plan, labels: LabelRows) -> None:
    """Write the labels of all records into one file, row i for record i."""
    with (folder / f"{plan.name}-rxx.labels").open("wb") as file:
        np.save(file, labels)


def file_name(name: str, level: records.Level) -> str:
    return f"{name}-r{level.number:02}.tfrecords"


def planes(picture: Pixels) -> Pixels:
    """H W C -> C H W, as records hold it: the colours of RGBA are products with the opacity."""
    picture = premultiplied(picture) if picture.shape[2] == 4 else picture
    return np.ascontiguousarray(picture.transpose(2, 0, 1))


def premultiplied(image: Pixels) -> Pixels:
    """Colours times opacity, to the nearest (halves cannot occur); H W C with alpha last."""
    colours = image[..., :3].astype(np.uint16)
    colours *= image[..., 3:]
    colours += 127
    colours //= 255
    return np.concatenate([colours.astype(np.uint8), image[..., 3:]], axis=2)
