"""Rows of any order, put aside until those of a shard come together; they take no memory meanwhile.

A run of ten million would otherwise be held as often as it is cut.
"""

import io
import os
from collections.abc import Iterable, Iterator
from tempfile import TemporaryFile
from typing import IO, TYPE_CHECKING, Any, NamedTuple
from weakref import finalize

import numpy as np
from numpy.typing import NDArray

from pipeline.rows import columns, shards
from pipeline.rows.columns import AT_ONCE

if TYPE_CHECKING:
    import pyarrow as pa

IN_MEMORY = 16 << 20  # bytes of what was put aside; what is more lies in a file
HEAP_DIGITS = 1  # of an id that say in which heap it lies: a sixteenth of all rows is one


class Stretch(NamedTuple):
    """Where a table lies among those that were put aside."""

    start: int
    length: int


class Aside:
    """Tables out of the way, compressed: in memory, or where they are many in a temporary file."""

    def __init__(self) -> None:
        self.held = io.BytesIO()
        self.file: IO[bytes] | None = None  # without a name: it is gone when nobody needs it
        self.length = 0

    def put(self, table: "pa.Table") -> Stretch:
        """Take a table; returns what it is got back by."""
        data = compressed(table)
        place = Stretch(self.length, len(data))
        self.length += len(data)
        if self.file is None and self.length > IN_MEMORY:
            self.file = TemporaryFile()  # noqa: SIM115
            finalize(self, self.file.close)
            self.file.write(self.held.getvalue())
            self.held = io.BytesIO()
        (self.file or self.held).write(data)
        return place

    def get(self, place: Stretch) -> "pa.Table":
        """The table of a place."""
        if self.file is None:
            self.held.seek(place.start)
            data = self.held.read(place.length)
            self.held.seek(0, io.SEEK_END)
            return decompressed(data)
        self.file.flush()
        return decompressed(os.pread(self.file.fileno(), place.length, place.start))


class Heaps:
    """Rows by the first digit of their ids; those of equal ids stay in the order they came in."""

    def __init__(self, tables: "Iterable[pa.Table]") -> None:
        self.aside = Aside()
        self.places: list[list[Stretch]] = [[] for _ in range(16**HEAP_DIGITS)]
        self.numbers: list[list[NDArray[np.int32]]] = [[] for _ in self.places]
        for table in columns.in_portions(tables, AT_ONCE):
            self.add(table.combine_chunks())

    def add(self, table: "pa.Table") -> None:
        """Put some rows on their heaps."""
        numbers = columns.leading(table.column("id")).astype(np.int32)
        for heap, rows in shards.of_equal(numbers >> 4 * (columns.DIGITS - HEAP_DIGITS)):
            self.places[heap].append(self.aside.put(table.take(rows)))
            self.numbers[heap].append(numbers[rows])

    def shards(self) -> "Iterator[tuple[str, pa.Table]]":
        """Each shard that all the rows make, with its own; of few rows there is one, of none none.

        They can be asked for once.
        """
        count = sum(len(own) for some in self.numbers for own in some)
        if count <= shards.MOST_ROWS:
            tables = [self.aside.get(place) for some in self.places for place in some]
            yield from ([("", columns.together(*tables))] if tables else [])
            return
        for heap, (places, some) in enumerate(zip(self.places, self.numbers, strict=True)):
            if places:
                numbers = np.concatenate(some).astype(np.int64)
                some.clear()
                whole = columns.together(*map(self.aside.get, places))
                prefixes = shards.leaves(np.sort(numbers), f"{heap:0{HEAP_DIGITS}x}")
                # What is taken from a table in one piece takes a fifth of the time.
                yield from shards.parted(whole.combine_chunks(), numbers, prefixes)


def compressed(table: "pa.Table") -> memoryview:
    """A table as bytes."""
    import pyarrow as pa

    sink = pa.BufferOutputStream()
    codec = pa.Codec("zstd", compression_level=1)
    how: Any = pa.ipc.IpcWriteOptions(compression=codec, use_threads=False)
    with pa.ipc.new_stream(sink, table.schema, options=how) as stream:
        stream.write_table(table)
    return memoryview(sink.getvalue())


def decompressed(data: "bytes | memoryview") -> "pa.Table":
    """The table that the bytes are."""
    import pyarrow as pa

    how: Any = pa.ipc.IpcReadOptions(use_threads=False)
    with pa.ipc.open_stream(data, options=how) as stream:
        return stream.read_all()
