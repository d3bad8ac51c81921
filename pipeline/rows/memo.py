"""The memo of a stage: results by row key, in parts that are written once and never changed.

A part of a stage of several shards holds results of one shard, whose prefix its name begins with.
Once a shard is done its parts become one.
"""

import hashlib
import time
from bisect import bisect_left
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import chain, islice, takewhile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from atelier.errors import Failure
from pipeline.rows import columns, manifest, parquet, shards
from pipeline.rows.columns import Numbers
from pipeline.rows.manifest import Row
from pipeline.rows.shards import Shard

if TYPE_CHECKING:
    import pyarrow as pa

KILLED = "killed-"  # how parts begin whose photo killed its worker: `run --retry` forgets them
MOST_PARTS = 4  # of a shard that are left as they are
AT_ONCE = 1 << 28  # bytes of results that are held while parts are cut into shards
LOOK_AGAIN = (0, 1, 20)  # seconds: for so long a network drive may show a folder as it was

Results = dict[str, list[Row]]


class UnseenError(Failure):
    """Rows have results that this machine does not see: nothing is made of the shard."""


def keys(folder: Path) -> set[str]:
    """The row keys that have a result."""
    return {key for part in files(folder) for key in columns.ids(read(part, ["key"]), "key")}


def outcomes(folder: Path, wanted: Collection[str]) -> dict[str, str]:
    """What became of the wanted keys that have a result: `kept`, or the reason without detail."""
    found: dict[str, str] = {}
    for part in files(folder):
        with suppress(FileNotFoundError):  # a run at the same time makes one part of many
            table = read(part, ["key", "drop"])
            said = columns.short_reasons(table).to_pylist()
            pairs = zip(columns.ids(table, "key"), said, strict=True)
            found |= {key: outcome for key, outcome in pairs if key in wanted}
    return found


def write_part(folder: Path, results: Results, shard: str = "", killed: bool = False) -> None:
    """Write one part; its name is the digest of the keys in it."""
    import pyarrow as pa

    pairs = [(key, row) for key in sorted(results) for row in results[key]]
    more: dict[str, tuple[pa.DataType, list[Any]]] = {
        "key": (pa.string(), [key for key, _ in pairs])
    }
    if any(row.features for _, row in pairs):
        more["features"] = (pa.binary(), [row.features for _, row in pairs])
    table = manifest.rows_table([row for _, row in pairs], **more)
    parquet.write_table(part_of(folder, shard, sorted(results), killed), table)


def part_of(folder: Path, shard: str, known: Sequence[str], killed: bool = False) -> Path:
    """The file of a part with results for these keys."""
    name = hashlib.blake2b("".join(known).encode(), digest_size=10).hexdigest()
    return folder / f"{KILLED * killed}{f'{shard}-' if shard else ''}{name}.parquet"


def shard_of(part: Path) -> str:
    """The prefix of the ids of the rows in a part; empty where it holds any."""
    return part.name.removeprefix(KILLED).rpartition("-")[0]


def read(part: Path, names: Sequence[str]) -> "pa.Table":
    """These columns of a part."""
    return manifest.read_columns(part, names)


def files(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.parquet"))


def forget(folder: Path, keys: Collection[str]) -> None:
    """Let the rows of these keys be to do again."""
    for part in files(folder):
        known = columns.ids(read(part, ["key"]), "key")
        left = [at for at, key in enumerate(known) if key not in keys]
        if len(left) < len(known):
            keep(part, left)


def keep(part: Path, numbers: Sequence[int]) -> None:
    """Leave only these of a part's rows, in a part that is named after them."""
    if numbers:
        table = parquet.read_table(part).take(numbers)
        known = sorted(set(columns.ids(table, "key")))
        killed = part.name.startswith(KILLED)
        parquet.write_table(part_of(part.parent, shard_of(part), known, killed), table)
    part.unlink()


class Memo:
    """The parts of a stage, as its shards ask for them."""

    def __init__(self, folder: Path, prefixes: Sequence[str]) -> None:
        self.folder, self.prefixes = folder, prefixes
        self.parts: dict[str, list[Path]] = {}
        self.names: list[str] = []
        self.look()

    def look(self) -> None:
        """See which parts there are."""
        self.parts = {}
        for part in files(self.folder):
            self.parts.setdefault(shard_of(part), []).append(part)
        self.names = sorted(self.parts)

    def of(self, prefix: str) -> list[Path]:
        """The parts that may hold results of a shard's rows."""
        if len(self.parts) == 1 and prefix in self.parts:
            return self.parts[prefix]
        outer = [prefix[:length] for length in range(len(prefix))]
        first = bisect_left(self.names, prefix)
        inner = takewhile(lambda own: own.startswith(prefix), islice(self.names, first, None))
        near = [*(own for own in outer if own in self.parts), *inner]
        return [part for own in near for part in self.parts[own]]

    def keys(self, prefix: str) -> "pa.Array":
        """The row keys of a shard that have a result."""
        return results(self.of(prefix), []).column("key").combine_chunks()

    def vectors_of(self, made: Shard) -> Iterator[tuple[str, bytes]]:
        """(key, float32 vector as bytes) of the embeddings of a shard's kept rows."""
        names = columns.kept(made.table(("id", "embedding", "drop")))
        wanted = dict(zip(*(columns.ids(names, name) for name in ("embedding", "id")), strict=True))
        for key, vector in self.vectors(made.prefix, wanted):
            del wanted[key]
            yield key, vector
        if wanted:
            shards.forget_made(self.folder.parent)
            raise parquet.DamagedError(
                f"{self.folder} has lost the feature vectors of {len(wanted)} portraits: give the"
                " same command again, and they are made anew"
            )

    def vectors_of_all(self, made: Sequence[Shard]) -> Iterator[tuple[str, bytes]]:
        """The same of several shards."""
        return chain.from_iterable(map(self.vectors_of, made))

    def vectors(self, prefix: str, wanted: Mapping[str, str]) -> Iterator[tuple[str, bytes]]:
        """(key, float32 vector as bytes) of the wanted keys, each with its row's id, part by part.

        Of vectors a part is large: only those are read that can hold one which is not found yet.
        """
        left = dict(wanted)
        for part in self.of(prefix):
            own = shard_of(part)
            if not any(name.startswith(own) for name in left.values()):
                continue
            table = read(part, ["key", "features"])
            pairs = zip(*(columns.ids(table, name) for name in ("key", "features")), strict=True)
            for key, vector in pairs:
                if vector and left.pop(key, None) is not None:
                    yield key, vector

    def cut(self, leaf_numbers: Callable[["pa.Table"], Numbers]) -> None:
        """Give each shard its own parts, where parts of the stage still span several of them.

        `leaf_numbers` says which ids a table's rows are found by.
        """
        wanted = set(self.prefixes)
        spanning = [
            own
            for own in self.parts
            if own not in wanted and any(p.startswith(own) for p in self.prefixes)
        ]
        waiting: list[tuple[Path, pa.Table]] = []
        for part in [part for own in sorted(spanning) for part in self.parts[own]]:
            if part.name.startswith(KILLED):
                self.scatter([(part, parquet.read_table(part))], leaf_numbers)
                continue
            waiting.append((part, parquet.read_table(part)))
            if sum(table.nbytes for _, table in waiting) > AT_ONCE:
                self.scatter(waiting, leaf_numbers)
                waiting = []
        self.scatter(waiting, leaf_numbers)
        if spanning:
            self.look()

    def scatter(
        self,
        waiting: "Sequence[tuple[Path, pa.Table]]",
        leaf_numbers: Callable[["pa.Table"], Numbers],
    ) -> None:
        """Write the rows of these parts into parts of their shards, and remove the parts."""
        if not waiting:
            return
        table = joined_parts([table for _, table in waiting])
        killed = waiting[0][0].name.startswith(KILLED)
        for prefix, own in shards.parted(table, leaf_numbers(table), self.prefixes):
            known = sorted(set(columns.ids(own, "key")))
            parquet.write_table(part_of(self.folder, prefix, known, killed), own)
        for part, _ in waiting:
            part.unlink()


def merged(
    table: "pa.Table",
    parts: list[Path],
    folder: Path,
    prefix: str,
    keys: "pa.Array",
    names: Sequence[str],
) -> "pa.Table":
    """The rows of a shard with the values that their results have in these columns.

    `parts` are those that may hold their results, `keys` are the rows' own. Many parts are made one
    beforehand.
    """
    import pyarrow as pa

    known = complete(parts, folder, prefix, keys, names)
    rows, found = matched(keys, known.column("key"))
    values = pa.concat_tables([known.select(list(names)), table.select(list(names))])
    made = {name: table.column(name).take(rows) for name in manifest.IN_MANIFEST}
    return pa.table(made | {name: values.column(name).take(found) for name in names})


def complete(
    parts: list[Path], folder: Path, prefix: str, keys: "pa.Array", names: Sequence[str]
) -> "pa.Table":
    """The results of a shard; raises UnseenError where the folder still lacks those of some keys.

    It is looked at again before: others may have written them, or made one part of many.
    """
    lacking = len(keys) - keys.null_count
    for seen in looks(parts, folder, prefix):
        with suppress(FileNotFoundError):
            known = results(compacted(folder, prefix, seen), names)
            lacking = len(still_open(keys, known.column("key")))
            if not lacking:
                return known
    raise UnseenError(
        f"the results of {lacking} rows are not to be seen in {folder}, as where a network drive"
        " shows a folder as it was a while ago: give the same command again"
    )


def looks(parts: list[Path], folder: Path, prefix: str) -> Iterator[list[Path]]:
    """The parts that may hold results of a shard, as they were seen, and then as they are."""
    yield parts
    for pause in LOOK_AGAIN:
        time.sleep(pause)
        yield Memo(folder, [prefix]).of(prefix)


def results(parts: Sequence[Path], names: Sequence[str]) -> "pa.Table":
    """The results in these parts, with their keys; of one in two parts those of the last."""
    import pyarrow as pa

    none = columns.none().append_column("key", pa.array([], pa.string()))
    tables = [read(part, ["key", *names]) for part in parts]
    found = pa.concat_tables([none.select(["key", *names]), *tables])
    part = np.repeat(np.arange(len(tables)), [len(table) for table in tables])
    return found.take(latest(found.column("key"), part)) if len(tables) > 1 else found


def compacted(folder: Path, prefix: str, parts: Sequence[Path]) -> list[Path]:
    """The parts of a shard; where they were many, one is made of them."""
    own = [part for part in parts if not part.name.startswith(KILLED)]
    if not prefix or len(own) <= MOST_PARTS:
        return list(parts)
    tables = [parquet.read_table(part) for part in own]
    table, part = joined_parts(tables), np.repeat(np.arange(len(own)), list(map(len, tables)))
    table = table.take(latest(table.column("key"), part))
    made = part_of(folder, prefix, sorted(set(columns.ids(table, "key"))))
    parquet.write_table(made, table)
    for old in own:
        if old != made:
            old.unlink()
    return [*(part for part in parts if part not in own), made]


def joined_parts(tables: "Sequence[pa.Table]") -> "pa.Table":
    """Parts together; a column that one of them lacks is empty there."""
    import pyarrow as pa

    return pa.concat_tables(tables, promote_options="default")


def latest(known: Any, part: Numbers) -> "pa.Array":
    """The numbers of the rows to take where a key may have results in several parts.

    In order of the keys; a key's results stay in their order.
    """
    import pyarrow as pa

    encoded = columns.combined(known).dictionary_encode()
    codes = encoded.indices.to_numpy(zero_copy_only=False).astype(np.int64)
    last = np.zeros(len(encoded.dictionary), np.int64)
    np.maximum.at(last, codes, part)
    return pa.array(np.flatnonzero(last[codes] == part))


def still_open(keys: "pa.Array", done: "pa.Array") -> "pa.Array":
    """The numbers of the rows without a result; of rows of one key the first."""
    import pyarrow as pa
    import pyarrow.compute as pc

    known = pc.or_(pc.is_null(keys), pc.is_in(keys, done)).to_numpy(zero_copy_only=False)
    numbers = np.flatnonzero(~known)
    codes = keys.dictionary_encode().indices.take(pa.array(numbers)).to_numpy(zero_copy_only=False)
    return pa.array(np.sort(numbers[np.unique(codes, return_index=True)[1]]), pa.int64())


def matched(keys: "pa.Array", known: Any) -> "tuple[pa.Array, pa.Array]":
    """Each row as often as it has results, and which; a row without a key, once, is its own.

    Its own results come behind the known ones.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    encoded = columns.combined(known).dictionary_encode()
    codes = encoded.indices.to_numpy(zero_copy_only=False).astype(np.int64)
    order, counts = np.argsort(codes, kind="stable"), np.bincount(codes, minlength=1)
    starts = np.cumsum(counts) - counts
    code = pc.fill_null(pc.index_in(keys, encoded.dictionary), -1).to_numpy(zero_copy_only=False)
    own = code < 0
    times = np.where(own, 1, counts[code])
    rows = np.repeat(np.arange(len(keys)), times)
    offset = np.arange(len(rows)) - np.repeat(np.cumsum(times) - times, times)
    place = np.minimum(starts[code[rows]] + offset, max(len(order) - 1, 0))
    found = np.where(own[rows], len(codes) + rows, order[place] if len(order) else 0)
    return pa.array(rows), pa.array(found)
