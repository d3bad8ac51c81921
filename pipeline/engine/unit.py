"""A unit of work: some rows of one stage, done by one worker, written as one part."""

from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

from pipeline.rows import columns, manifest, memo, shards
from pipeline.rows.making import Make, Tally
from pipeline.rows.manifest import Item, Place, Row, dropped
from pipeline.rows.parquet import PARTS

if TYPE_CHECKING:
    import pyarrow as pa

# Says what becomes of each item, in order; reads the photos, decides by the settings. `folder` is
# the stage's own: work that writes pictures writes them below it.
Work = Callable[[Sequence[Item], Any, Path], Iterable[list[Row]]]


FACTS = ("key", "file", "made", "seen_bytes", "seen_ns")


class Columnar(Sequence[Item]):
    """Items that lie in columns: neighbours are taken together."""

    def one(self, at: int) -> Item:
        """The item at a place, which may count from the end."""
        raise NotImplementedError

    def some(self, start: int, stop: int) -> "Batch":
        """Those from here to there."""
        raise NotImplementedError

    @overload
    def __getitem__(self, at: int) -> Item: ...
    @overload
    def __getitem__(self, at: slice) -> Sequence[Item]: ...
    def __getitem__(self, at: int | slice) -> Item | Sequence[Item]:
        if isinstance(at, int):
            return self.one(at)
        start, stop, step = at.indices(len(self))
        assert step == 1
        return self.some(start, max(start, stop))


class Batch(Columnar):
    """Items as columns, which travel as such: only the worker that does them makes rows of them.

    Besides the rows' own columns: `key`, and of the photo's place `file`, `seen_bytes`, `seen_ns`,
    and `made`: whether the file is the store's own, not the source's.
    """

    def __init__(self, table: "pa.Table", source: Place, store: Path) -> None:
        self.table, self.source, self.store = table, source, store

    def __reduce__(self) -> tuple[Any, ...]:
        import pyarrow as pa

        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, self.table.schema) as stream:
            stream.write_table(self.table)
        return unpacked, (sink.getvalue().to_pybytes(), self.source, self.store)

    def __len__(self) -> int:
        return len(self.table)

    def one(self, at: int) -> Item:
        return self.items[at]

    def some(self, start: int, stop: int) -> "Batch":
        return Batch(self.table.slice(start, stop - start), self.source, self.store)

    def __iter__(self) -> Iterator[Item]:
        return iter(self.items)

    @property
    def keys(self) -> list[str]:
        return columns.ids(self.table, "key")

    def digest(self) -> str:
        """Stands for all items: their keys, and their files as seen."""
        own = columns.digest_table(self.table.select(FACTS))
        return f"{self.source} {self.store} {own}"

    def values(self, names: Sequence[str]) -> list[list[Any]]:
        return [columns.ids(self.table, name) for name in names]

    @cached_property
    def items(self) -> list[Item]:
        told = self.values(FACTS)
        return [
            Item(key, row, (self.store if made else self.source) / file, size, seen)
            for row, key, file, made, size, seen in zip(
                manifest.rows_of(self.table), *told, strict=True
            )
        ]


def batch(
    table: "pa.Table",
    keys: "pa.Array",
    places: "pa.Table",
    names: Sequence[str],
    source: Place,
    store: Path,
) -> Batch:
    """Rows to do, of which workers get these columns, each with the file that holds its photo.

    `places` are the rows of Ingest's that say where photos lie; or `table` itself, there.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    if places is not table:
        at = pc.index_in(table.column("photo"), columns.combined(places.column("photo")))
        places = places.take(columns.combined(at))
    made = pc.not_equal(places.column("clip"), "")
    told = {
        "key": keys,
        "file": places.column("path"),
        "made": made,
        "seen_bytes": places.column("size_bytes"),
        "seen_ns": pc.if_else(made, pa.scalar(None, pa.int64()), places.column("mtime_ns")),
    }
    own = {name: table.column(name) for name in names}
    return Batch(pa.table(own | told).combine_chunks(), source, store)


def unpacked(data: bytes, source: Place, store: Path) -> Batch:
    """A batch that has travelled."""
    import pyarrow as pa

    with pa.ipc.open_stream(data) as stream:
        return Batch(stream.read_all(), source, store)


@dataclass(frozen=True)
class Unit:
    """Rows of one stage that one worker does in one go."""

    work: Work
    settings: Any = field(repr=False)  # a worker logs what failed: they may hold a password
    items: Sequence[Item]
    folder: Path
    shard: str = ""  # the prefix of all the rows' ids

    def run(self) -> None:
        """Do the work and write the part."""
        outcomes = self.work(self.items, self.settings, self.folder)
        results = dict(zip((item.key for item in self.items), outcomes, strict=True))
        memo.write_part(self.folder / PARTS, results, self.shard)

    def split(self) -> list["Unit"]:
        """The same work row by row."""
        singles = [(item,) for item in self.items]
        return [Unit(self.work, self.settings, one, self.folder, self.shard) for one in singles]

    def without(self, done: Container[str]) -> "Unit":
        """The rows of it whose keys are not among these."""
        left = [number for number, key in enumerate(self.keys) if key not in done]
        if len(left) == len(self.items):
            return self
        return replace(self, items=tuple(self.items[number] for number in left))

    @property
    def keys(self) -> list[str]:
        """The keys of its rows, which need not be objects for it."""
        return keys_of(self.items)

    @property
    def photos(self) -> Place:
        """Where its photos lie: the source, or the folder of one whose source is not known."""
        return self.items.source if isinstance(self.items, Batch) else self.items[0].path.parent

    def give_up(self, reason: str) -> None:
        """Record that these rows are dropped because they cannot be done."""
        results = {item.key: [dropped(item.row, reason)] for item in self.items}
        memo.write_part(self.folder / PARTS, results, self.shard, killed=True)


@dataclass(frozen=True)
class ShardUnit(Unit):
    """A shard that a worker makes, and no row of which it can be blamed on; its item is the file.

    `settings` is how it is made and what is counted of it.
    """

    def run(self) -> None:
        """Make the shard, unless it is there."""
        (make, tally), file = self.settings, self.items[0].path
        assert isinstance(file, Path)
        shards.found_or_made(file, self.shard, make, tally)

    def split(self) -> list[Unit]:
        return [self]

    def give_up(self, reason: str) -> None:
        """Leave it to the process that asked for it."""


def shard_unit(file: Path, prefix: str, make: Make, tally: Tally) -> ShardUnit:
    """The shard in a file, to be made."""
    return ShardUnit(
        nothing_done, (make, tally), (Item(str(file), Row(prefix), file),), file, prefix
    )


def nothing_done(items: Sequence[Item], settings: Any, folder: Path) -> list[list[Row]]:
    """The Work of a shard, which does no rows."""
    return [[] for _ in items]


@dataclass(frozen=True)
class Units(Iterable[Unit]):
    """Units that are made as they are asked for; they may be asked for again."""

    make: Callable[[], Iterator[Unit]]

    def __iter__(self) -> Iterator[Unit]:
        return self.make()


def keys_of(items: Sequence[Item]) -> list[str]:
    """The keys of items, which need not be objects for it."""
    return items.keys if isinstance(items, Batch) else [item.key for item in items]


def cut(
    items: Sequence[Item], size: int, work: Work, settings: Any, folder: Path, shard: str = ""
) -> list[Unit]:
    """Cut the items into units of at most `size` rows."""
    return [
        Unit(work, settings, items[start : start + size], folder, shard)
        for start in range(0, len(items), size)
    ]
