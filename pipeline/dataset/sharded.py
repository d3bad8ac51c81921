"""The layout `sharded`: many files of records, by ids, so that what grows touches a few of them."""

import hashlib
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from importlib.metadata import version
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from atelier import files, pictures
from atelier.containers import pixels_alone
from atelier.names import in_text
from pipeline.dataset import finished, growth, leaves, nvlabs, pack, records
from pipeline.dataset.ada_pytorch import are_classes
from pipeline.dataset.finished import ExportError
from pipeline.dataset.labels import LabelRows
from pipeline.dataset.ordered import Ordered
from pipeline.dataset.pack import MODES, Content, Part, Plan, ToDo
from pipeline.dataset.records import Pixels, Shape
from pipeline.engine.crew import EngineConfig
from pipeline.engine.unit import Batch, Unit, Units, keys_of
from pipeline.rows.manifest import Item, Row
from training.sources.records import straight

if TYPE_CHECKING:
    import pyarrow as pa

FORMAT = 2  # of the files: another one keeps none of those before
FEATURE_BYTES = 50  # about what a record holds besides its shape and data

Held = tuple[Shape, Pixels | bytes]  # a level of a picture: pixels C H W, or a file's bytes
LabelValues = NDArray[np.int64] | LabelRows  # class numbers, or a vector for each picture


@dataclass(frozen=True)
class PartWork:
    """A part that is to be written: its pictures, and what its files are called."""

    plan: Plan
    names: Sequence[str]  # the full size first
    items: Sequence[Item]
    labels: LabelValues | None


class ShardedLayout:
    """Files of some dozens to hundreds of pictures, whose ids are neighbours."""

    help = "TFRecords in many files, of which ten photos more touch ten"
    suffix = ""
    pixels: Sequence[str] = ("raw", "png", "jpeg")
    levels: Sequence[str] = ("full", "all")

    def order(self, table: "pa.Table") -> "pa.Array":
        """The numbers of the rows by id: the trainer shuffles."""
        import pyarrow.compute as pc

        return pc.sort_indices(table, [("id", "ascending")])

    def parts(self, content: Content, plan: Plan) -> Sequence[Part]:
        """The leaves that the pictures fall into, each with a digest of all that it holds."""
        items = content.items
        numbers = items.numbers() if isinstance(items, Ordered) else leaves.evenly(plan.count)
        sizes = leaves.leaf_sizes(numbers)
        how = (FORMAT, plan.shape, plan.pixels, plan.levels, plan.quality, plan.exact)
        told = (*how, version("pillow"))  # which reads and writes the pixels
        labels = label_values(content.labels)
        found = []
        for start, end in part_spans(sizes):
            own = labels[start:end].tolist() if labels is not None else None
            held = repr((told, facts_of(items[start:end]), own)).encode()
            found.append(Part(hashlib.blake2b(held, digest_size=10).hexdigest(), end - start))
        return found

    def to_write(self, plan: Plan, changed: int, exports: Path) -> int:
        """Those that no earlier export has, and the neighbours of each that changed."""
        new = max(plan.count - growth.held_already(plan, exports), 0)
        return min(plan.count, new + changed * leaves.largest(plan.count))

    def disk_need(self, plan: Plan) -> int:
        """About the bytes of the records, if their labels are class numbers."""
        sizes = [records.usual_bytes(level.shape, plan.pixels) for level in level_list(plan)]
        return plan.count * sum(size + FEATURE_BYTES for size in sizes)

    def files(self, plan: Plan) -> Mapping[str, None]:
        """The record files, part by part."""
        return {name: None for own in file_names(plan) for name in own}

    def lay_out(self, folder: Path, plan: Plan, content: Content) -> None:
        """Bring in the files of earlier exports that hold what a part does."""
        names = file_names(plan)
        kept = growth.kept_files(plan, names, content.earlier)
        there = {each.name for each in kept}
        missing = [
            part.pictures
            for part, own in zip(plan.parts, names, strict=True)
            if own[0] not in there and not all((folder / name).exists() for name in own)
        ]
        finished.check_room(folder, self.disk_need(replace(plan, count=sum(missing))))
        folder.mkdir(parents=True, exist_ok=True)
        growth.keep_files(kept, folder)
        told = {"parts": growth.described_parts(plan, names, None)}
        files.write_json(folder.parents[1] / growth.UNFINISHED_PARTS, told)

    def to_do(self, folder: Path, plan: Plan, content: Content, on: EngineConfig) -> ToDo:
        """The parts whose files are not there: what has its name is whole."""
        where, names = pack.inside(folder, plan), file_names(plan)
        there = {path.name for path in where.iterdir()}
        missing = [at for at, own in enumerate(names) if not there.issuperset(own)]
        left = sum(plan.parts[at].pictures for at in missing)
        units = Units(partial(cut_parts, missing, plan, content, on, folder))
        return ToDo(plan.count - left, units, len(missing))

    def finish(self, folder: Path, plan: Plan, labels: LabelRows | None) -> None:
        """Remove what dead workers left, write the labels; raises ExportError for a hole."""
        names, there = self.files(plan), {path.name: path for path in folder.iterdir()}
        if lacking := names.keys() - there.keys():
            raise ExportError(f"{folder / min(lacking)} is gone: run the same command again")
        for name in there.keys() - names:
            there[name].unlink()
        if labels is not None:
            nvlabs.write_labels(folder, plan, labels)

    def facts(self, folder: Path, plan: Plan, classes: Sequence[str] | None) -> dict[str, Any]:
        """What dataset.json says of this layout; by `parts` a later export keeps files."""
        alpha = "premultiplied" if plan.pixels == "raw" else "straight"
        return {
            "alpha": alpha if plan.shape[0] == 4 else None,
            "pixels": plan.pixels,
            "all_levels": plan.levels == "all",
            "classes": classes,
            "parts": growth.described_parts(plan, file_names(plan), folder),
        }

    def notes(self, shape: Shape) -> list[str]:
        """Nothing: any reader of TFRecords takes any shape."""
        return []


def facts_of(items: Sequence[Item]) -> list[tuple[Any, ...]]:
    """What tells each picture from any other, wherever the store lies."""
    if isinstance(items, Batch):
        return list(zip(*items.values(("key", "file", "picture_digest")), strict=True))
    return [(i.key, str(i.path), i.size_bytes, i.mtime_ns) for i in items]


def label_values(labels: LabelRows | None) -> LabelValues | None:
    """Class numbers, where they say as much as the rows do."""
    if labels is None or not are_classes(labels):
        return labels
    numbers: LabelValues = labels.argmax(axis=1)
    return numbers


def part_spans(sizes: Sequence[int]) -> list[tuple[int, int]]:
    """Where parts of these sizes begin and end."""
    ends = list(accumulate(sizes))
    return list(zip([0, *ends], ends, strict=False))


def level_list(plan: Plan) -> list[records.Level]:
    """The levels that are written, the full size first."""
    found = records.levels(*plan.shape)
    return found if plan.levels == "all" else found[:1]


def file_names(plan: Plan) -> list[list[str]]:
    """Of each part its file on every level, the full size first."""
    of = f"of-{len(plan.parts):05}"
    levels = [level.number for level in level_list(plan)]
    return [
        [f"{plan.name}-r{number:02}-{at:05}-{of}.tfrecords" for number in levels]
        for at in range(len(plan.parts))
    ]


def cut_parts(
    missing: Sequence[int], plan: Plan, content: Content, on: EngineConfig, folder: Path
) -> Iterator[Unit]:
    """Units of files that are to be written: each is one row of the work."""
    names, labels = file_names(plan), label_values(content.labels)
    places = part_spans([part.pictures for part in plan.parts])
    left = sum(plan.parts[at].pictures for at in missing)
    size = max(on.rows_per_unit(left) * len(missing) // max(left, 1), 1)  # files of so many
    for first in range(0, len(missing), size):
        parts, rows = {}, []
        for at in missing[first : first + size]:
            start, end = places[at]
            some = content.items[start:end]
            known = {key: start + n for n, key in enumerate(keys_of(some))}
            own = labels[start:end] if labels is not None else None
            holds = plan.parts[at].holds
            parts[holds] = PartWork(replace(plan, places=known, parts=()), names[at], some, own)
            first_of_it = in_text(str(some[0].path))
            row = Row(holds, picture=f"one of {len(some)} pictures, {first_of_it} the first,")
            rows.append(Item(holds, row, some[0].path))
        yield Unit(write_parts, parts, rows, folder)


def write_parts(
    rows: Sequence[Item], parts: Mapping[str, PartWork], folder: Path
) -> list[list[Row]]:
    """Write whole files, which are on the disk when they get their names."""
    for row in rows:
        part = parts[row.key]
        write_files(part, pack.inside(folder, part.plan))
    return [[row.row] for row in rows]


def write_files(part: PartWork, folder: Path) -> None:
    """Write the files of a part, one for each level."""
    with ExitStack() as stack:
        paths = [files.replacing(folder / name, lasting=False) for name in part.names]
        opened = [stack.enter_context(stack.enter_context(each).open("wb")) for each in paths]
        for number, item in enumerate(part.items):
            more = further_features(part, number)
            for file, (shape, data) in zip(opened, contents(item, part.plan), strict=True):
                file.writelines(records.framed(shape, data, more))
        for file in opened:
            file.flush()
            os.fdatasync(file.fileno())


def further_features(part: PartWork, number: int) -> bytes:
    """What a record has besides its shape and data: the format of a file's bytes, and a label."""
    pixels = part.plan.pixels
    found = b"" if pixels == "raw" else records.word_feature("format", pixels)
    if part.labels is None:
        return found
    label = part.labels[number]
    if label.ndim:
        return found + records.float_feature("label", label)
    return found + records.int_feature("label", [int(label)])


def contents(item: Item, plan: Plan) -> list[Held]:
    """A picture on each level, as its records hold it."""
    picture, data = pack.read_both(item, plan)
    height, width, channels = picture.shape
    first = nvlabs.planes(picture)
    lower = records.pyramid(first)[1:] if plan.levels == "all" else []
    if plan.pixels == "raw":
        return [(each.shape, each) for each in [first, *lower]]
    as_it_is = data and pictures.is_plain(data, plan.pixels.upper(), MODES[channels])
    whole = pixels_alone(data) if as_it_is else coded(picture, plan)
    return [((channels, height, width), whole), *(lower_level(each, plan) for each in lower)]


def lower_level(planes: Pixels, plan: Plan) -> Held:
    """A lower level as a file's bytes, whose colours are not multiplied by the opacity."""
    pixels = planes.transpose(1, 2, 0)
    return planes.shape, coded(straight(pixels) if len(planes) == 4 else pixels, plan)


def coded(pixels: Pixels, plan: Plan) -> bytes:
    """H W C -> a file's bytes."""
    grey = pixels.shape[2] == 1
    plain = np.ascontiguousarray(pixels[..., 0] if grey else pixels)
    return pictures.encode(plain, plan.pixels, plan.quality)
