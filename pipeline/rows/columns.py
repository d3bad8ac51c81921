"""Rows as Arrow columns: what is done to very many of them without a Python object for each."""

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from detectors.base import Detection
from pipeline.rows.manifest import PLACES, VOUCHING, Row, rows_table, schema

if TYPE_CHECKING:
    import pyarrow as pa

Numbers = NDArray[np.int64]
Mask = NDArray[np.bool_]

Table: TypeAlias = "pa.Table"

AT_ONCE = 1 << 16  # values that become objects
WORDS = 6  # of eight bytes that hold an id
DIGITS = 6  # of an id that say in which shard it lies


def none() -> "pa.Table":
    """No rows."""
    return rows_table([])


def release() -> None:
    """Give memory back that Arrow holds for tables to come: of ten million rows it is much."""
    import pyarrow as pa

    pa.default_memory_pool().release_unused()


def array(values: Any) -> "pa.Array":
    """A NumPy array as Arrow has it."""
    import pyarrow as pa

    return pa.array(values)


def completed(table: "pa.Table") -> "pa.Table":
    """The table with all other columns of a manifest, which say nothing."""
    blank = rows_table([Row("")]).take([0] * len(table))
    return with_columns(blank, **{name: table.column(name) for name in table.column_names})


def table_of(found: "Mapping[str, pa.Array]") -> "pa.Table":
    """These columns as a table."""
    import pyarrow as pa

    return pa.table(dict(found))


def together(*tables: "pa.Table") -> "pa.Table":
    """The rows of several tables of the same columns, one after the other."""
    import pyarrow as pa

    return pa.concat_tables(tables)


def in_portions(tables: "Iterable[pa.Table]", rows: int = AT_ONCE) -> "Iterator[pa.Table]":
    """The same rows in tables of at least so many: what a small table costs is its number."""
    waiting: list[pa.Table] = []
    for table in tables:
        waiting.append(table)
        if sum(map(len, waiting)) >= rows:
            yield together(*waiting)
            waiting.clear()
    if waiting:
        yield together(*waiting)


def with_numbers(table: "pa.Table", start: int) -> "pa.Table":
    """The table with the number of each row as a further column, `at`; the first has `start`."""
    import pyarrow as pa

    return table.append_column("at", pa.array(np.arange(start, start + len(table))))


def kept(table: "pa.Table") -> "pa.Table":
    """The rows that were not dropped."""
    import pyarrow.compute as pc

    if table.column("drop").null_count == len(table):
        return table
    return table.filter(pc.is_null(table.column("drop")))


def passed_columns(table: "pa.Table") -> "pa.Table":
    """The kept rows as the next stage sees them: without the places where photos lie."""
    import pyarrow as pa

    found, kinds = kept(table), schema()
    blank = {
        name: pa.repeat(pa.scalar(value, kinds[name]), len(found))
        for name, value in PLACES.items()
        if name in found.column_names
    }
    return with_columns(found, **blank)


def with_columns(table: "pa.Table", **columns: Any) -> "pa.Table":
    """The table with other values in some of its columns."""
    import pyarrow as pa

    kinds = schema()
    for name, values in columns.items():
        if not isinstance(values, pa.Array | pa.ChunkedArray):
            values = pa.array(values, kinds[name])
        table = table.set_column(table.column_names.index(name), name, values)
    return table


def outcomes(table: "pa.Table") -> dict[str, int]:
    """`kept` and each reason, without its detail -> number of rows."""
    import pyarrow.compute as pc

    counts = pc.value_counts(short_reasons(table)).to_pylist()
    return dict(sorted((str(each["values"]), int(each["counts"])) for each in counts))


def short_reasons(table: "pa.Table") -> Any:
    """What became of each row: `kept`, or the reason without its detail."""
    import pyarrow.compute as pc

    reasons = pc.fill_null(table.column("drop"), "kept")
    return pc.list_element(pc.split_pattern(reasons, ":", max_splits=1), 0)


def dropped_for(table: "pa.Table", reason: str) -> "pa.Table":
    """The rows that were dropped for a reason, whatever its detail."""
    import pyarrow.compute as pc

    return table.filter(pc.equal(short_reasons(table), reason))


def where(table: "pa.Table", name: str, value: str) -> "pa.Table":
    """The rows with this value in a column."""
    import pyarrow.compute as pc

    return table.filter(pc.equal(table.column(name), value))


def among(table: "pa.Table", name: str, values: Sequence[str]) -> "pa.Table":
    """The rows with one of these values in a column."""
    import pyarrow as pa
    import pyarrow.compute as pc

    return table.filter(pc.is_in(table.column(name), pa.array(values, pa.string())))


def ids(table: "pa.Table", name: str = "id") -> list[Any]:
    """A column as a list."""
    found: list[Any] = table.column(name).to_pylist()
    return found


def boxes(table: "pa.Table", name: str) -> tuple[Numbers, Mask]:
    """A column of boxes as [rows, 4] left, top, right, bottom, and which rows have one."""
    import pyarrow as pa

    column = pa.chunked_array(table.column(name)).combine_chunks()
    there = column.is_valid().to_numpy(zero_copy_only=False)
    found = np.zeros((len(table), 4), np.int64)
    found[there] = column.flatten().to_numpy(zero_copy_only=False).reshape(-1, 4)
    return found, there


def emptied(column: Any, where: Sequence[bool]) -> Any:
    """A column without its values in some of the rows."""
    import pyarrow as pa

    at = [None if empty else row for row, empty in enumerate(where)]
    return combined(column).take(pa.array(at, pa.int64()))


def boxes_column(found: Sequence[Sequence[Detection]]) -> "pa.Array":
    """What was found in each photo, as a column: without a dict for each find."""
    import pyarrow as pa

    kind = schema()["boxes"]
    inner = [kind.value_type.field(name) for name in Detection._fields]
    finds = [each for some in found for each in some]
    values = [pa.array([f[at] for f in finds], field.type) for at, field in enumerate(inner)]
    ends = np.cumsum([0, *map(len, found)])
    fields = pa.StructArray.from_arrays(values, fields=inner)
    return pa.ListArray.from_arrays(pa.array(ends, pa.int32()), fields).cast(kind)


def spans(edges: Numbers) -> tuple[Numbers, Numbers]:
    """The widths and heights of boxes."""
    return edges[:, 2] - edges[:, 0], edges[:, 3] - edges[:, 1]


def floats(table: "pa.Table", name: str, inner: str = "") -> NDArray[np.float64]:
    """A column of numbers, or a field of a column of structs, NaN where there is none."""
    import pyarrow.compute as pc

    column = table.column(name)
    column = pc.struct_field(column, inner) if inner else column
    return np.asarray(pc.fill_null(pc.cast(column, "double"), np.nan).to_numpy())


def is_kept(table: "pa.Table") -> Mask:
    """Which rows were not dropped."""
    import pyarrow.compute as pc

    return np.asarray(pc.is_null(table.column("drop")).to_numpy())


def is_said(table: "pa.Table", name: str) -> Mask:
    """Which rows have words in a column of strings."""
    import pyarrow.compute as pc

    return np.asarray(pc.fill_null(pc.not_equal(table.column(name), ""), False).to_numpy())


def leading(column: Any) -> Numbers:
    """The first DIGITS hex digits of ids, as numbers."""
    numbers = np.zeros(len(column), np.int64)
    for byte in opening(column, DIGITS).T:
        numbers = 16 * numbers + np.where(byte >= ord("a"), byte - ord("a") + 10, byte - ord("0"))
    return numbers


def opening(column: Any, length: int) -> NDArray[np.uint8]:
    """The first so many bytes of strings, [rows, length]; zeros behind the end of a shorter one."""
    whole = combined(column)
    _, offsets, data = whole.buffers()
    found = np.zeros((len(whole), length), np.uint8)
    if not len(whole) or data is None:
        return found
    ends, held = np.frombuffer(offsets, np.int32)[: len(whole) + 1], np.frombuffer(data, np.uint8)
    for start in range(0, len(whole), AT_ONCE):
        own = ends[start : start + AT_ONCE + 1]
        for byte in range(length):
            at = np.minimum(own[:-1] + byte, len(held) - 1)
            found[start : start + AT_ONCE, byte] = np.where(own[:-1] + byte < own[1:], held[at], 0)
    return found


def are_distinct(column: Any) -> bool:
    """Whether no two strings are equal; they are compared one by one only where sums are equal."""
    import pyarrow.compute as pc

    odd = np.random.default_rng(0).integers(1 << 63, size=WORDS, dtype=np.uint64) * 2 + 1
    portions = (column.slice(start, AT_ONCE) for start in range(0, len(column), AT_ONCE))
    words = (opening(some, WORDS * 8).view(np.uint64) for some in portions)
    sums = np.sort(np.concatenate([(own * odd).sum(axis=1, dtype=np.uint64) for own in words]))
    if not (sums[1:] == sums[:-1]).any():
        return True
    return int(pc.count_distinct(column).as_py()) == len(column)


def in_order(table: "pa.Table", first: str, then: str) -> Numbers:
    """The numbers of the rows, sorted by two columns of strings.

    By the numbers that the first eight bytes are; only where those are equal by the strings.
    """
    import pyarrow.compute as pc

    heads = opening(table.column(first), 8).view(">u8").ravel().astype(np.uint64)
    order = np.argsort(heads, kind="stable")
    heads = heads[order]
    same = heads[1:] == heads[:-1]
    tied = np.flatnonzero(np.append(same, False) | np.insert(same, 0, False))
    if len(tied):
        rows = table.select([first, then]).take(order[tied])
        by_string = pc.sort_indices(rows, [(first, "ascending"), (then, "ascending")])
        order[tied] = order[tied][by_string.to_numpy()]
    return order


def located_rows(rows: Sequence[Row]) -> "tuple[pa.Table, Numbers]":
    """Rows as columns, and where among the shards they lie."""
    table = rows_table(rows)
    return table, leading(table.column("id"))


def digest_table(table: "pa.Table") -> str:
    """Stands for these rows in this order, however Arrow holds them: equal rows, equal digest.

    A column that says nothing of any row leaves it as it is, so that new ones may come.
    """
    hasher = hashlib.blake2b(digest_size=10)
    hasher.update(str(len(table)).encode())
    for name in (each for each in table.column_names if each not in VOUCHING):
        column = combined(table.column(name))
        if column.null_count < len(column):
            hasher.update(name.encode())
            for data in content(column):
                hasher.update(data)
    return hasher.hexdigest()


def combined(column: Any) -> "pa.Array":
    """A column as one array that begins at its own first value."""
    import pyarrow as pa

    chunks = column.chunks if isinstance(column, pa.ChunkedArray) else [column]
    if len(chunks) == 1 and chunks[0].offset == 0:
        return chunks[0]
    whole = pa.concat_arrays(chunks) if chunks else pa.array([], column.type)
    return whole if whole.offset == 0 else whole.take(pa.array(np.arange(len(whole))))


def content(array: "pa.Array") -> Iterator[Any]:
    """The bytes that tell one array from any other of its kind: which are null, lengths, values."""
    import pyarrow as pa
    import pyarrow.compute as pc

    yield np.packbits(array.is_valid().to_numpy(zero_copy_only=False)).tobytes()
    kind = array.type
    if pa.types.is_struct(kind):
        for inner in array.flatten():
            yield from content(inner)
    elif pa.types.is_list(kind) or pa.types.is_fixed_size_list(kind):
        if pa.types.is_list(kind):
            yield pc.fill_null(pc.list_value_length(array), 0).to_numpy().tobytes()
        yield from content(array.flatten())
    elif pa.types.is_string(kind) or pa.types.is_binary(kind):
        filled = pc.fill_null(array, b"" if pa.types.is_binary(kind) else "")
        _, offsets, data = filled.buffers()
        if len(filled):
            ends = np.frombuffer(offsets, np.int32)[filled.offset : filled.offset + len(filled) + 1]
            yield np.diff(ends).tobytes()
            yield memoryview(data)[ends[0] : ends[-1]] if data else b""
    else:
        nothing = False if pa.types.is_boolean(kind) else 0
        yield pc.fill_null(array, nothing).to_numpy(zero_copy_only=False).tobytes()
