"""The pictures of a dataset in its order: all of them as columns, items of a few at a time.

Ten million have to fit: of their paths the folders, which are few, are held once.
"""

import hashlib
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pipeline.engine.unit import Batch, Columnar
from pipeline.rows import columns
from pipeline.rows.columns import AT_ONCE, Numbers
from pipeline.rows.manifest import Item

if TYPE_CHECKING:
    import pyarrow as pa


class Ordered(Columnar):
    """Pictures of the store; each slice is a Batch of its own."""

    def __init__(self, table: "pa.Table", order: "pa.Array", store: Path) -> None:
        """`table` is as `narrowed` makes it, `order` the numbers of its rows."""
        self.table, self.order, self.store = table, order, store
        self.near: tuple[int, Batch] | None = None

    def __len__(self) -> int:
        return len(self.order)

    def one(self, at: int) -> Item:
        place = range(len(self))[at]
        return self.taken(place, place + 1).one(0)

    def some(self, start: int, stop: int) -> Batch:
        first = start - start % AT_ONCE
        if stop <= first + AT_ONCE:
            return self.portion(first).some(start - first, stop - first)
        return self.taken(start, stop)

    def portion(self, first: int) -> Batch:
        """Those from here on that are looked at together; what was asked for last is held."""
        if self.near is None or self.near[0] != first:
            self.near = first, self.taken(first, min(first + AT_ONCE, len(self)))
        return self.near[1]

    def taken(self, start: int, stop: int) -> Batch:
        """The pictures from here to there."""
        return pictures_of(self.table.take(self.order.slice(start, stop - start)), self.store)

    def __iter__(self) -> Iterator[Item]:
        for start in self.starts():
            yield from self.portion(start)

    def starts(self) -> range:
        """Where portions begin that are looked at together."""
        return range(0, len(self), AT_ONCE)

    def portions(self, name: str) -> "Iterator[pa.ChunkedArray]":
        """A column, AT_ONCE rows at a time."""
        for start in self.starts():
            yield self.table.column(name).take(self.order.slice(start, AT_ONCE))

    def numbers(self) -> Numbers:
        """The first digits of the ids."""
        found = [columns.leading(some) for some in self.portions("id")]
        return np.concatenate([np.empty(0, np.int64), *found])

    def are_distinct(self) -> bool:
        """Whether no two have one id."""
        return columns.are_distinct(self.table.column("id"))

    def digest(self) -> str:
        """Stands for all of them: their ids, and their files."""
        found = [self.portion(start).digest() for start in self.starts()]
        whole = os.fsencode("".join(found))  # with the path of the store, whatever its bytes are
        return found[0] if len(found) == 1 else hashlib.blake2b(whole, digest_size=10).hexdigest()


def narrowed(tables: "Iterable[pa.Table]") -> "pa.Table":
    """The tables as one, with `folder` and `name` in place of `picture`, each column in one piece.

    They are read as they come: never do all paths exist together.
    """
    parted = map(parted_paths, columns.in_portions(tables))
    table = columns.together(*parted).unify_dictionaries()
    whole = {}
    for name in table.column_names:
        whole[name] = columns.combined(table.column(name))
        table = table.drop_columns(name)  # so that no two columns exist twice
        columns.release()
    return columns.table_of(whole)


def parted_paths(table: "pa.Table") -> "pa.Table":
    """The paths of pictures cut into the folder, up to its slash, and the name."""
    import pyarrow.compute as pc

    paths = table.column("picture")
    folder = pc.replace_substring_regex(paths, "[^/]*$", "").dictionary_encode()
    name = pc.replace_substring_regex(paths, "^.*/", "")
    rest = table.drop_columns("picture")
    return rest.append_column("folder", folder).append_column("name", name)


def pictures_of(table: "pa.Table", store: Path) -> Batch:
    """The pictures of these rows, as work for whoever packs them."""
    import pyarrow as pa
    import pyarrow.compute as pc

    count, folder = len(table), pc.cast(table.column("folder"), pa.string())
    file = pc.binary_join_element_wise(folder, table.column("name"), "")
    told = {
        "id": table.column("id"),
        "picture": file,
        "picture_digest": table.column("picture_digest"),
        "key": table.column("id"),
        "file": file,
        "made": pa.repeat(True, count),
        "seen_bytes": pa.repeat(0, count),
        "seen_ns": pa.nulls(count, pa.int64()),
    }
    return Batch(pa.table(told).combine_chunks(), store, store)
