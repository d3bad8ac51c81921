"""Packs pictures into files that are laid out beforehand, each picture at its own place.

All pictures of a file are equally long: the bytes depend neither on who wrote them nor on when.
"""

import hashlib
import os
import shutil
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from atelier import pictures
from pipeline.dataset import mending, publish
from pipeline.dataset.labels import LabelRows
from pipeline.dataset.publish import ExportError
from pipeline.dataset.records import Pixels, Shape
from pipeline.engine import crew, unit
from pipeline.engine.crew import EngineConfig
from pipeline.engine.unit import Batch, Unit, Units, keys_of
from pipeline.photos.folder import read_photo
from pipeline.rows import manifest, memo
from pipeline.rows.manifest import Item, Row
from training.sources import Source, open_source

MODES = {1: "L", 3: "RGB", 4: "RGBA"}
WHOLE = "whole"  # the folder, in an unfinished export, that will get the final name

Progress = Callable[[int], None]


@dataclass(frozen=True)
class Plan:
    """What a worker knows beside its pictures: what the files are like, and who goes where."""

    name: str
    shape: Shape
    count: int  # of pictures
    places: Mapping[str, int] = field(default_factory=dict)  # of a unit: key -> place in each file
    exact: bool = False  # refuse a picture with other channels, instead of converting it
    dataset: Path | None = None  # where the pictures are, by their places, that are no files


class Layout(Protocol):
    """How the files of a dataset lie; `folder` is where they are while they are made."""

    help: str  # a sentence for people
    suffix: str  # of the one file that it makes; empty where it makes a folder

    def disk_need(self, count: int, shape: Shape) -> int:
        """Bytes that so many pictures take."""

    def lay_out(self, folder: Path, plan: Plan, count: int) -> None:
        """Make the files, or keep those that are there; raises ExportError for want of room."""

    def write_items(self, items: Sequence[Item], plan: Plan, folder: Path) -> list[list[Row]]:
        """The unit.Work that writes pictures; they are on the disk when it returns."""

    def finish(self, folder: Path, plan: Plan, labels: LabelRows | None) -> None:
        """Write what goes with the pictures, once all are there."""

    def notes(self, shape: Shape) -> list[str]:
        """Why what it is made for cannot read pictures of this shape; nothing where it can."""


class Export(Layout, Protocol):
    """A layout of ExportTFRecords, which describes itself in dataset.json."""

    def facts(self, name: str, shape: Shape, classes: Sequence[str] | None) -> dict[str, Any]:
        """What is in which file."""


def plan_of(
    items: Sequence[Item],
    name: str,
    shape: Shape,
    exact: bool = False,
    dataset: Path | None = None,
) -> Plan:
    """The plan for items in the order of the dataset."""
    assert len(set(keys_of(items))) == len(items), "two pictures have one key"
    return Plan(name, shape, len(items), {}, exact, dataset)


def pack_all(
    items: Sequence[Item],
    plan: Plan,
    layout: Layout,
    out: Path,
    store: Path,
    on: EngineConfig,
    progress: Progress,
) -> Path:
    """Write the pictures of the items; returns the folder of <name>/, which is to be finished.

    Pictures that an unfinished run packed are not packed again. Raises ExportError where one
    cannot be packed.
    """
    folder = unfinished(out)
    prepare(folder, plan, layout, items)
    done = memo.keys(folder / "parts")
    progress(len(done))
    units = Units(partial(cut, items, done, plan, layout, on, folder))
    failures = crew.map_units(units, on, store, progress)
    if failures := failures + killers(folder):
        raise ExportError(
            f"{len(failures)} of {len(items)} pictures are not packed yet; mend this and"
            f" run the same command again: {failures[0]}"
        )
    return folder / WHOLE


def unfinished(out: Path) -> Path:
    """Where an export lies until it is complete: its records in WHOLE, what is done in parts."""
    return out.with_name(f"{out.name}{publish.UNFINISHED}")


def clear(out: Path) -> None:
    """Remove what is left of the unfinished export once `out` is there."""
    shutil.rmtree(unfinished(out), ignore_errors=True)


def inside(folder: Path, plan: Plan) -> Path:
    """Where the files of an unfinished export lie."""
    return folder / WHOLE / plan.name


def prepare(folder: Path, plan: Plan, layout: Layout, items: Sequence[Item]) -> None:
    """Lay out the files; those of an unfinished run stay if it had the same to do."""
    told = plan.name, plan.shape, plan.exact, type(layout).__name__
    hasher = hashlib.blake2b(repr(told).encode())
    for fact in items.facts() if isinstance(items, Batch) else map(fact_of, items):
        hasher.update(repr(fact).encode())
    to_do = folder / "to-do"
    same = to_do.is_file() and to_do.read_text() == hasher.hexdigest()
    if folder.exists() and not same:
        shutil.rmtree(folder)  # raises: what cannot be removed must not pass for packed
    layout.lay_out(inside(folder, plan), plan, len(items))
    to_do.write_text(hasher.hexdigest())
    killers(folder)


def fact_of(item: Item) -> tuple[str, str, int, int | None]:
    return item.key, str(item.path), item.size_bytes, item.mtime_ns


def killers(folder: Path) -> list[str]:
    """Pictures that killed their workers, a sentence each; they count as not packed."""
    found = list((folder / "parts").glob(f"{unit.KILLED}*.parquet"))
    rows = [row for part in found for row in manifest.read_manifest(part)]
    for part in found:
        part.unlink()
    return [f"{row.picture or row.id} {row.drop}" for row in rows]


def cut(
    items: Sequence[Item],
    done: Collection[str],
    plan: Plan,
    layout: Layout,
    on: EngineConfig,
    folder: Path,
) -> Iterator[Unit]:
    """Units of neighbours in the files, without what is done; each knows its own places only."""
    size, keys = on.rows_per_unit(len(items) - len(done)), keys_of(items)
    for start in range(0, len(items), size):
        own = enumerate(keys[start : start + size], start)
        places = {key: place for place, key in own if key not in done}
        if places:
            some = items[start : start + size]
            todo = some if len(places) == len(some) else [i for i in some if i.key in places]
            yield Unit(layout.write_items, replace(plan, places=places), todo, folder)


def write_places(
    items: Sequence[Item],
    plan: Plan,
    paths: Sequence[Path],
    write: Callable[[Sequence[int], int, Pixels], None],
) -> list[list[Row]]:
    """Write each picture at its place of the open files; they are on the disk when it returns."""
    with open_files(paths) as files:
        for item in items:
            write(files, plan.places[item.key], read_picture(item, plan))
        for file in files:
            os.fdatasync(file)
    return [[item.row] for item in items]


@contextmanager
def open_files(paths: Sequence[Path]) -> Iterator[list[int]]:
    """Files that are there, to be written."""
    with ExitStack() as stack:
        files = []
        for path in paths:
            files.append(os.open(path, os.O_WRONLY))
            stack.callback(os.close, files[-1])
        yield files


def read_picture(item: Item, plan: Plan) -> Pixels:
    """A picture, H W C; raises ExportError where it does not fit.

    One of the store's own that is not as it was written is out of the way then.
    """
    if plan.dataset:
        return open_dataset(plan.dataset).read(plan.places[item.key])
    if item.row.picture:
        with mending.checked(item.path):
            data = mending.read_own(item)
            return pixels_of(item, data, plan)
    return pixels_of(item, read_photo(item), plan)


def pixels_of(item: Item, data: bytes, plan: Plan) -> Pixels:
    """The pixels in a picture's file, H W C; raises ExportError where they do not fit."""
    channels, height, width = plan.shape
    try:
        if plan.exact and (own := pictures.channels_of(data)) != channels:
            raise ExportError(
                f"{item.path} has {channels_in_words(own)}, the first picture has {channels}:"
                " give all pictures the same channels"
            )
        image = pictures.decode(data, mode=MODES[channels])
    except pictures.UnreadableError as error:
        raise ExportError(f"{item.path}: {error}; mend or remove it") from None
    if image.shape[:2] != (height, width):
        raise ExportError(
            f"{item.path} is {image.shape[1]} x {image.shape[0]} pixels, the dataset is"
            f" {width} x {height}: give all pictures the same size"
        )
    return np.atleast_3d(image)


@lru_cache(maxsize=1)
def open_dataset(path: Path) -> Source:
    """The images of a dataset, which takes a look at each: once in a process."""
    return open_source(path)


def channels_in_words(channels: int) -> str:
    return f"{channels} channel{'s' if channels > 1 else ''}"
