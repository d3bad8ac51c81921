"""What a dataset is packed from, what a layout of it must know, and how the work is handed out."""

import hashlib
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import numpy as np

from atelier import files, pictures
from atelier.commands import number_of
from pipeline.dataset import finished, mending
from pipeline.dataset.finished import ExportError
from pipeline.dataset.labels import LabelRows
from pipeline.dataset.ordered import Ordered
from pipeline.dataset.records import Pixels, Shape
from pipeline.engine import crew
from pipeline.engine.crew import EngineConfig
from pipeline.engine.unit import Units
from pipeline.photos.folder import read_photo
from pipeline.rows import manifest, memo
from pipeline.rows.manifest import Item
from pipeline.rows.parquet import PARTS
from training.sources import Source, open_source

if TYPE_CHECKING:
    import pyarrow as pa

MODES = {1: "L", 3: "RGB", 4: "RGBA"}
WHOLE = "whole"  # the folder, in an unfinished export, that will get the final name
TO_DO = "to-do"  # the file, in it, that says what it is to be
LOCK = "lock"  # the file, in it, that `python -m pipeline records` holds

Progress = Callable[[int], None]


@dataclass(frozen=True)
class Content:
    """The pictures of a dataset, in its order."""

    items: Sequence[Item]
    labels: LabelRows | None = None
    earlier: Path | None = None  # where exports lie whose files may be kept


class Part(NamedTuple):
    """One of the files that a layout cuts its pictures into."""

    holds: str  # a digest: parts that say the same have the same bytes
    pictures: int


@dataclass(frozen=True)
class Plan:
    """What a worker knows beside its pictures: what the files are like, and who goes where."""

    name: str
    shape: Shape
    count: int  # of pictures
    places: Mapping[str, int] = field(default_factory=dict)  # of a unit: key -> place in the order
    exact: bool = False  # refuse a picture with other channels, instead of converting it
    dataset: Path | None = None  # where the pictures are, by their places, that are no files
    pixels: str = "raw"  # how they are held: raw, png, jpeg
    levels: str = "all"  # all, or the full size only
    quality: int = 95  # of a JPEG that is made
    parts: Sequence[Part] = ()  # of a layout that cuts them into several files


class ToDo(NamedTuple):
    """What is left of an export."""

    done: int  # pictures that are packed already
    units: Units
    rows: int  # in all units: pictures, or files of pictures


class Layout(Protocol):
    """How the files of a dataset lie; `folder` is where they are while they are made."""

    help: str  # a sentence for people
    suffix: str  # of the one file that it makes; empty where it makes a folder
    pixels: Sequence[str]  # how it can hold them
    levels: Sequence[str]  # of the records: the first is what it has if nobody asks

    def parts(self, content: Content, plan: Plan) -> Sequence[Part]:
        """The files that the pictures are cut into; none where each picture has its place."""

    def disk_need(self, plan: Plan) -> int:
        """Bytes that `plan.count` pictures take, or about so many where their files decide."""

    def lay_out(self, folder: Path, plan: Plan, content: Content) -> None:
        """Make what is there before the work; raises ExportError for want of room."""

    def to_do(self, folder: Path, plan: Plan, content: Content, on: EngineConfig) -> ToDo:
        """The work, without what an unfinished run did; here `folder` is all of the export."""

    def finish(self, folder: Path, plan: Plan, labels: LabelRows | None) -> None:
        """Write what goes with the pictures, once all are there."""

    def notes(self, shape: Shape) -> list[str]:
        """Why what it is made for cannot read pictures of this shape; nothing where it can."""


class Export(Layout, Protocol):
    """A layout of ExportTFRecords, which describes itself in dataset.json."""

    def order(self, table: "pa.Table") -> "pa.Array":
        """The numbers of the rows, with `id` and `name`, in the order of the dataset."""

    def to_write(self, plan: Plan, changed: int, exports: Path) -> int:
        """How many pictures are to be packed at most, if so many changed since earlier exports."""

    def files(self, plan: Plan) -> Mapping[str, int | None]:
        """The files that hold pictures -> their bytes, where the plan alone says that."""

    def facts(self, folder: Path, plan: Plan, classes: Sequence[str] | None) -> dict[str, Any]:
        """What is in which file."""


def plan_of(content: Content, layout: Layout, name: str, shape: Shape, **more: Any) -> Plan:
    """The plan for pictures in the order of the dataset; `more` are further fields of it."""
    assert have_distinct_keys(content.items), "two pictures have one key"
    held = {"pixels": layout.pixels[0], "levels": layout.levels[0]}
    plan = Plan(name, shape, len(content.items), **held | more)
    return replace(plan, parts=layout.parts(content, plan))


def have_distinct_keys(items: Sequence[Item]) -> bool:
    """Whether no two items have one key."""
    if isinstance(items, Ordered):
        return items.are_distinct()
    return len({item.key for item in items}) == len(items)


def pack_all(
    content: Content,
    plan: Plan,
    layout: Layout,
    out: Path,
    store: Path,
    on: EngineConfig,
    progress: Progress,
) -> Path:
    """Write the pictures; returns the folder of <name>/, which is to be finished.

    Pictures that an unfinished run packed are not packed again. Raises ExportError where one
    cannot be packed.
    """
    folder = unfinished(out)
    prepare(folder, plan, layout, content)
    left = layout.to_do(folder, plan, content, on)
    progress(left.done)
    shared = in_shares(progress, plan.count - left.done, left.rows)
    failures = crew.map_units(left.units, on, store, shared)
    if failures := failures + killers(folder):
        raise ExportError(
            f"{len(failures)} of {len(plan.parts) or len(content.items)}"
            f" {'files' if plan.parts else 'pictures'} are not packed yet; mend this and"
            f" run the same command again: {failures[0]}"
        )
    return folder / WHOLE


def in_shares(progress: Progress, total: int, rows: int) -> Progress:
    """Tells of pictures where rows of the work are told of: each stands for its share of them."""
    done = 0

    def advance(more: int) -> None:
        nonlocal done
        before, done = done, done + more
        progress(done * total // rows - before * total // rows)

    return advance


def unfinished(out: Path) -> Path:
    """Where an export lies until it is complete: its records in WHOLE, what is done in parts."""
    return out.with_name(f"{out.name}{finished.UNFINISHED}")


def clear(out: Path) -> None:
    """Remove what is left of the unfinished export once `out` is there."""
    shutil.rmtree(unfinished(out), ignore_errors=True)


def inside(folder: Path, plan: Plan) -> Path:
    """Where the files of an unfinished export lie."""
    return folder / WHOLE / plan.name


def prepare(folder: Path, plan: Plan, layout: Layout, content: Content) -> None:
    """Lay out the files; those of an unfinished run stay if it had the same to do."""
    told = plan.name, plan.shape, plan.exact, type(layout).__name__
    hasher = hashlib.blake2b(repr(told).encode())
    hasher.update("".join(part.holds for part in plan.parts).encode())
    items = content.items
    for fact in [items.digest()] if isinstance(items, Ordered) else map(fact_of, items):
        hasher.update(repr(fact).encode())
    to_do = folder / TO_DO
    if not to_do.is_file() or to_do.read_text() != hasher.hexdigest():
        to_do.unlink(missing_ok=True)  # first: what is half removed must not pass for packed
        for path in folder.iterdir() if folder.exists() else []:
            if path.name != LOCK:
                files.remove(path)
    layout.lay_out(inside(folder, plan), plan, content)
    to_do.write_text(hasher.hexdigest())
    killers(folder)


def fact_of(item: Item) -> tuple[str, str, int, int | None]:
    return item.key, str(item.path), item.size_bytes, item.mtime_ns


def killers(folder: Path) -> list[str]:
    """Pictures that killed their workers, a sentence each; they count as not packed."""
    found = list((folder / PARTS).glob(f"{memo.KILLED}*.parquet"))
    rows = [row for part in found for row in manifest.read_manifest(part)]
    for part in found:
        part.unlink()
    return [f"{row.picture or row.id} {row.drop}" for row in rows]


def read_picture(item: Item, plan: Plan) -> Pixels:
    """A picture, H W C; raises ExportError where it does not fit."""
    return read_both(item, plan)[0]


def read_both(item: Item, plan: Plan) -> tuple[Pixels, bytes]:
    """A picture, H W C, and its file, empty where it has none of its own.

    One of the store's own that is not as it was written is out of the way then.
    """
    if plan.dataset:
        return open_dataset(plan.dataset).read(plan.places[item.key]), b""
    if item.row.picture and isinstance(item.path, Path):
        with mending.checked(item.path):
            data = mending.read_own(item)
            return pixels_of(item, data, plan), data
    data = read_photo(item)
    return pixels_of(item, data, plan), data


def pixels_of(item: Item, data: bytes, plan: Plan) -> Pixels:
    """The pixels in a picture's file, H W C; raises ExportError where they do not fit."""
    channels, height, width = plan.shape
    try:
        if plan.exact and (own := pictures.channels_of(data)) != channels:
            raise ExportError(
                f"{item.path} has {number_of(own, 'channel')}, the first picture has {channels}:"
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
