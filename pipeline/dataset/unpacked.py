"""The layout `pictures`: a folder of PNGs and their labels, an ada-pytorch zip unpacked."""

import json
from collections.abc import Sequence
from pathlib import Path

from atelier import files, pictures
from pipeline.dataset import ada_pytorch, archive, finished, pack
from pipeline.dataset.labels import LabelRows
from pipeline.dataset.pack import Content, Plan
from pipeline.dataset.places import Placed
from pipeline.dataset.records import Shape
from pipeline.rows.manifest import Item, Row

FIRST = archive.member_name(0).split("/")[0]  # the folder by which one is known


class PicturesLayout(Placed):
    """A PNG for each picture."""

    help = "a folder of PNGs"
    suffix = ""
    pixels: Sequence[str] = ("png",)
    levels: Sequence[str] = ("full",)

    def disk_need(self, plan: Plan) -> int:
        """Bytes that the pictures take at most."""
        return plan.count * archive.png_bytes(plan.shape)

    def lay_out(self, folder: Path, plan: Plan, content: Content) -> None:
        """Make the folder, where there is room for all."""
        if not folder.is_dir():
            finished.check_room(folder, self.disk_need(plan))
            folder.mkdir(parents=True)

    def write_items(self, items: Sequence[Item], plan: Plan, folder: Path) -> list[list[Row]]:
        """Write a file for each picture."""
        for item in items:
            picture = pack.read_picture(item, plan)
            name = archive.member_name(plan.places[item.key])
            pixels = picture[..., 0] if picture.shape[2] == 1 else picture
            files.write(pack.inside(folder, plan) / name, pictures.encode(pixels, "png", 0))
        return [[item.row] for item in items]

    def finish(self, folder: Path, plan: Plan, labels: LabelRows | None) -> None:
        """Write the labels."""
        found = ada_pytorch.labels_json(labels, plan.count)
        (folder / ada_pytorch.LABELS).write_text(json.dumps(found))

    def notes(self, shape: Shape) -> list[str]:
        """Nothing: any program opens a PNG."""
        return []
