"""Packs pictures into record files that are laid out beforehand, each picture at its own place.

All records of a file are equally long: the bytes depend neither on who wrote them nor on when.
"""

import hashlib
import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from atelier import pictures
from pipeline.dataset import publish, records
from pipeline.dataset.publish import ExportError
from pipeline.dataset.records import Level, Pixels, Shape
from pipeline.engine import crew, unit
from pipeline.engine.crew import EngineConfig
from pipeline.engine.unit import Unit
from pipeline.photos.folder import read_photo
from pipeline.rows import manifest, memo
from pipeline.rows.manifest import Item, Row

MODES = {1: "L", 3: "RGB", 4: "RGBA"}
WHOLE = "whole"  # the folder, in an unfinished export, that will get the final name

Progress = Callable[[int], None]


@dataclass(frozen=True)
class Plan:
    """What a worker knows beside its pictures: what the files are like, and who goes where."""

    name: str
    shape: Shape
    places: Mapping[str, int]  # an item's key -> its place in every record file
    exact: bool = False  # refuse a picture with other channels, instead of converting it

    @property
    def levels(self) -> list[Level]:
        return records.levels(*self.shape)

    def path(self, level: Level) -> Path:
        """The file of a level, below the folder of the unfinished export."""
        return Path(WHOLE, self.name, f"{self.name}-r{level.number:02}.tfrecords")


def pack_all(
    items: Sequence[Item],
    name: str,
    shape: Shape,
    out: Path,
    store: Path,
    on: EngineConfig,
    progress: Progress,
    exact: bool = False,
) -> Path:
    """Write the records of the items, which come in record order; returns the folder of <name>/.

    Pictures that an unfinished run packed are not packed again. Raises ExportError where one
    cannot be packed.
    """
    folder = unfinished(out)
    plan = Plan(name, shape, {item.key: place for place, item in enumerate(items)}, exact)
    assert len(plan.places) == len(items), "two pictures have one key"
    prepare(folder, plan, items)
    done = memo.keys(folder / "parts")
    to_do = [item for item in items if item.key not in done]
    progress(len(items) - len(to_do))
    failures = crew.map_units(cut(to_do, plan, on, folder), on, store, progress)
    if failures := failures + killers(folder):
        raise ExportError(
            f"{len(failures)} of {len(items)} pictures are not in the records yet; mend this and"
            f" run the same command again: {failures[0]}"
        )
    return folder / WHOLE


def unfinished(out: Path) -> Path:
    """Where an export lies until it is complete: its records in WHOLE, what is done in parts."""
    return out.with_name(f"{out.name}{publish.UNFINISHED}")


def clear(out: Path) -> None:
    """Remove what is left of the unfinished export once `out` is there."""
    shutil.rmtree(unfinished(out), ignore_errors=True)


def prepare(folder: Path, plan: Plan, items: Sequence[Item]) -> None:
    """Lay out the record files; those of an unfinished run stay if it had the same to do."""
    hasher = hashlib.blake2b(repr((plan.name, plan.shape, plan.exact)).encode())
    for item in items:
        hasher.update(repr((item.key, str(item.path), item.size_bytes, item.mtime_ns)).encode())
    to_do = folder / "to-do"
    same = to_do.is_file() and to_do.read_text() == hasher.hexdigest()
    if folder.exists() and not same:
        shutil.rmtree(folder)  # raises: what cannot be removed must not pass for packed
    sizes = {level: len(items) * records.record_bytes(level.shape) for level in plan.levels}
    publish.reserve({folder / plan.path(level): size for level, size in sizes.items()})
    to_do.write_text(hasher.hexdigest())
    killers(folder)


def killers(folder: Path) -> list[str]:
    """Pictures that killed their workers, a sentence each; they count as not packed."""
    found = list((folder / "parts").glob(f"{unit.KILLED}*.parquet"))
    rows = [row for part in found for row in manifest.read_manifest(part)]
    for part in found:
        part.unlink()
    return [f"{row.picture or row.id} {row.drop}" for row in rows]


def cut(items: Sequence[Item], plan: Plan, on: EngineConfig, folder: Path) -> list[Unit]:
    """Units of neighbours in the files; each is told the places of its own pictures only."""
    units = unit.cut(items, on.rows_per_unit(len(items)), pack, plan, folder)
    own = [{item.key: plan.places[item.key] for item in whole.items} for whole in units]
    return [
        replace(whole, settings=replace(plan, places=places))
        for whole, places in zip(units, own, strict=True)
    ]


def pack(items: Sequence[Item], plan: Plan, folder: Path) -> list[list[Row]]:
    """Write the items' pictures into the record files; they are on the disk when it returns."""
    with open_records(plan, folder) as files:
        for item in items:
            place = plan.places[item.key]
            for file, pixels in zip(files, records.pyramid(read_picture(item, plan)), strict=True):
                records.write_record(file, place, pixels)
        for file in files:
            os.fdatasync(file)
    return [[item.row] for item in items]


@contextmanager
def open_records(plan: Plan, folder: Path) -> Iterator[list[int]]:
    """The record files, the full size first."""
    with ExitStack() as stack:
        files = []
        for level in plan.levels:
            files.append(os.open(folder / plan.path(level), os.O_WRONLY))
            stack.callback(os.close, files[-1])
        yield files


def read_picture(item: Item, plan: Plan) -> Pixels:
    """A picture, C H W, as the records hold it; raises ExportError where it does not fit."""
    channels, height, width = plan.shape
    data = read_photo(item)
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
    if channels == 4:
        image = premultiplied(image)
    return np.ascontiguousarray(np.atleast_3d(image).transpose(2, 0, 1))


def channels_in_words(channels: int) -> str:
    return f"{channels} channel{'s' if channels > 1 else ''}"


def premultiplied(image: Pixels) -> Pixels:
    """Colours times opacity, to the nearest (halves cannot occur); H W C with alpha last."""
    colours = image[..., :3].astype(np.uint16)
    colours *= image[..., 3:]
    colours += 127
    colours //= 255
    return np.concatenate([colours.astype(np.uint8), image[..., 3:]], axis=2)
