"""Layouts whose files are laid out beforehand, each picture at its own place in them.

All pictures of a file are equally long: the bytes depend neither on who wrote them nor on when.
"""

import os
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pipeline.dataset import pack
from pipeline.dataset.finished import ExportError
from pipeline.dataset.pack import Content, Part, Plan, ToDo
from pipeline.dataset.records import HoleError, Pixels
from pipeline.engine.crew import EngineConfig
from pipeline.engine.unit import Unit, Units, keys_of
from pipeline.rows import columns, memo
from pipeline.rows.manifest import Item, Row
from pipeline.rows.parquet import PARTS

if TYPE_CHECKING:
    import pyarrow as pa

SHUFFLE_SEED = 123  # dataset_tool's


class Placed:
    """What such layouts share: NVlabs' order, and units of neighbours."""

    def order(self, table: "pa.Table") -> "pa.Array":
        """The numbers of the rows as dataset_tool shuffles their pictures."""
        return columns.array(by_name(table)[shuffled(len(table))])

    def to_write(self, plan: Plan, changed: int, exports: Path) -> int:
        """All: with one more each has another place."""
        return plan.count

    def parts(self, content: Content, plan: Plan) -> Sequence[Part]:
        """None: a picture's place says where it goes."""
        return ()

    def to_do(self, folder: Path, plan: Plan, content: Content, on: EngineConfig) -> ToDo:
        """The pictures whose writing is not remembered."""
        done = memo.keys(folder / PARTS)
        units = Units(partial(cut_places, content.items, done, plan, self.write_items, on, folder))
        return ToDo(len(done), units, len(content.items) - len(done))

    def write_items(self, items: Sequence[Item], plan: Plan, folder: Path) -> list[list[Row]]:
        """The unit.Work that writes pictures; they are on the disk when it returns."""
        raise NotImplementedError


def by_name(table: "pa.Table") -> columns.Numbers:
    """The numbers of the rows in the order of their pictures' file names."""
    return columns.in_order(table, "name", "id")


def shuffled(count: int) -> columns.Numbers:
    """Which of the pictures, sorted by file name, comes at each place: as dataset_tool shuffles."""
    indices = np.arange(count)
    np.random.RandomState(SHUFFLE_SEED).shuffle(indices)
    return indices


def cut_places(
    items: Sequence[Item],
    done: Collection[str],
    plan: Plan,
    work: Any,
    on: EngineConfig,
    folder: Path,
) -> Iterator[Unit]:
    """Units of neighbours in the files, without what is done; each knows its own places only."""
    size = on.rows_per_unit(len(items) - len(done))
    for start in range(0, len(items), size):
        some = items[start : start + size]
        own = enumerate(keys_of(some), start)
        places = {key: place for place, key in own if key not in done}
        if places:
            todo = some if len(places) == len(some) else [i for i in some if i.key in places]
            yield Unit(work, replace(plan, places=places), todo, folder)


def write_places(
    items: Sequence[Item],
    plan: Plan,
    paths: Sequence[Path],
    write: Callable[[Sequence[int], int, Pixels], None],
) -> list[list[Row]]:
    """Write each picture at its place of the open files; they are on the disk when it returns."""
    with open_files(paths) as files:
        for item in items:
            write(files, plan.places[item.key], pack.read_picture(item, plan))
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


@contextmanager
def no_holes(file: Path) -> Iterator[None]:
    """Let ExportError say what to do where a picture was not written into this file."""
    try:
        yield
    except HoleError as error:
        raise ExportError(
            f"{file}: {error}: remove {file.parents[2]}, and run the same command again"
        ) from None
