"""The layout `zip`: one zip of PNGs with its labels, as stylegan2-ada-pytorch has it."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.dataset import archive, finished, pack, places
from pipeline.dataset.labels import LabelRows
from pipeline.dataset.nvlabs import unlike_nvlabs
from pipeline.dataset.pack import Content, Plan
from pipeline.dataset.places import Placed
from pipeline.dataset.records import Pixels, Shape
from pipeline.rows.manifest import Item, Row

LABELS = "dataset.json"
LISTED_BYTES = 200  # about what a picture takes in the zip's directory and in the labels


class ZipLayout(Placed):
    """One zip, in a folder with its description or by itself."""

    help = "one zip of PNGs, which stylegan2-ada-pytorch reads"
    suffix = ".zip"  # of the one file that it makes
    pixels: Sequence[str] = ("png",)
    levels: Sequence[str] = ("full",)

    def files(self, plan: Plan) -> Mapping[str, None]:
        """The zip; how long its directory is depends on the labels."""
        return {f"{plan.name}{self.suffix}": None}

    def disk_need(self, plan: Plan) -> int:
        """Bytes that the zip takes, if its labels are class numbers."""
        return plan.count * (archive.member_bytes(plan.shape) + LISTED_BYTES)

    def lay_out(self, folder: Path, plan: Plan, content: Content) -> None:
        """Make the zip as long as its pictures, or keep what is there of it."""
        finished.reserve({zip_of(folder, plan): plan.count * archive.member_bytes(plan.shape)})

    def write_items(self, items: Sequence[Item], plan: Plan, folder: Path) -> list[list[Row]]:
        """Write the items' pictures into the zip; they are on the disk when it returns."""
        return places.write_places(
            items, plan, [zip_of(pack.inside(folder, plan), plan)], self.write
        )

    def write(self, files: Sequence[int], place: int, picture: Pixels) -> None:
        """Write one picture, H W C; colours are not multiplied by the opacity: PNG says so."""
        archive.write_member(files[0], place, picture)

    def finish(self, folder: Path, plan: Plan, labels: LabelRows | None) -> None:
        """Write the labels and the zip's directory; raises ExportError where one is missing."""
        count, file = plan.count, zip_of(folder, plan)
        more = {LABELS: json.dumps(labels_json(labels, count)).encode()}
        with places.no_holes(file):
            archive.close_zip(file, count, plan.shape, more)

    def facts(self, folder: Path, plan: Plan, classes: Sequence[str] | None) -> dict[str, Any]:
        """What dataset.json beside the zip says of this layout."""
        return {
            "alpha": "straight" if plan.shape[0] == 4 else None,
            "file": zip_of(folder, plan).name,
            "classes": classes,
            "read_by_stylegan2_ada_pytorch": not self.notes(plan.shape),
        }

    def notes(self, shape: Shape) -> list[str]:
        """Why stylegan2-ada-pytorch cannot read a zip of this shape; nothing where it can."""
        reasons = ", ".join(unlike_nvlabs(shape))
        return [f"stylegan2-ada-pytorch cannot read this zip: {reasons}"] if reasons else []


def labels_json(labels: LabelRows | None, count: int) -> dict[str, Any]:
    """What dataset.json in the zip holds: {"labels": [[name, class or vector], ...]}, or null."""
    if labels is None:
        return {"labels": None}
    names = [archive.member_name(place) for place in range(count)]
    values = labels.argmax(axis=1).tolist() if are_classes(labels) else labels.tolist()
    return {"labels": [list(pair) for pair in zip(names, values, strict=True)]}


def are_classes(labels: LabelRows) -> bool:
    """Whether class numbers tell as much: a reader takes the greatest one for the last class."""
    one_hot = np.isin(labels, (0, 1)).all() and (labels.sum(axis=1) == 1).all()
    return bool(one_hot and labels[:, -1].any())


def zip_of(folder: Path, plan: Plan) -> Path:
    return folder / f"{plan.name}.zip"
