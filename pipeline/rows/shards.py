"""A manifest in shards: pieces of the list of rows, each small enough to be read in one go.

Ids are digests, so they fall evenly into the leaves of a trie over their hex digits. A small list
is one shard, and that is the manifest itself; a larger one's manifest is the list of its shards.
"""

import json
import shutil
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from atelier.files import json_of
from pipeline.rows import columns, manifest, parquet
from pipeline.rows.columns import DIGITS, Numbers
from pipeline.rows.making import Make, Tally
from pipeline.rows.manifest import Row
from pipeline.rows.parquet import SHARDS

if TYPE_CHECKING:
    import pyarrow as pa

MOST_ROWS = 4096  # of a shard, as Ingest cuts them


@dataclass(frozen=True)
class Shard:
    """A piece of a manifest: the rows whose ids begin so."""

    prefix: str  # hex digits; empty: all rows
    file: Path
    kept_digest: str  # stands for the rows that go on
    outcome: Mapping[str, int]
    tally: Mapping[str, Any] | None  # what the stage counts besides; None: it was not counted

    def __len__(self) -> int:
        return sum(self.outcome.values())

    def table(self, names: Sequence[str] = manifest.IN_MANIFEST) -> "pa.Table":
        """These columns of its rows, in order."""
        return manifest.read_columns(self.file, names)


def sharded_file(folder: Path, prefix: str, digest: str) -> Path:
    """Where a stage keeps what it made of a shard, named after what came in."""
    return folder / SHARDS / f"{prefix}-{digest}.parquet"


def write_shard(
    file: Path, prefix: str, table: "pa.Table", tally: Mapping[str, Any] | None
) -> Shard:
    """Write one piece of a longer list."""
    kept = columns.digest_table(columns.passed_columns(table))
    told = {"kept_digest": kept, "outcome": columns.outcomes(table), "tally": tally}
    parquet.write_table(file, parquet.with_header(table, told))
    return Shard(prefix, file, kept, told["outcome"], tally)  # type: ignore[arg-type]


def shard_at(file: Path, prefix: str) -> Shard:
    """The piece that was written there, by its header."""
    return Shard(prefix, file, **parquet.read_header(file))


def recorded(folder: Path) -> dict[Path, Shard]:
    """The shards that the newest manifest of a stage lists, by file: their headers are known."""
    lists = sorted(folder.glob("*.parquet"), key=lambda path: path.stat().st_mtime_ns)
    with suppress(parquet.DamagedError):
        return {shard.file: shard for path in lists[-1:] for shard in listed_shards(path)}
    return {}


def found_or_made(
    file: Path,
    prefix: str,
    make: Make,
    tally: Tally,
) -> Shard:
    """The shard in a file, which is made if it is not there."""
    if file.is_file():
        return shard_at(file, prefix)
    table = make()
    return write_shard(file, prefix, table, tally(table))


def write_list(
    path: Path, made: Sequence[Shard], notes: Sequence[str], numbers: Mapping[str, float]
) -> None:
    """Write the manifest of several shards; they lie in folders beside it."""
    import pyarrow as pa

    total: Counter[str] = Counter()
    for shard in made:
        total.update(shard.outcome)
    facts = {
        "kept_digest": digest_shards(made),
        "outcome": dict(sorted(total.items())),
        "notes": list(notes),
        "numbers": dict(numbers),
        "shards": len(made),
    }
    table = pa.table(
        {
            "shard": [shard.prefix for shard in made],
            "rows": [len(shard) for shard in made],
            "file": [str(shard.file.relative_to(path.parent)) for shard in made],
            "kept_digest": [shard.kept_digest for shard in made],
            "outcome": [json.dumps(shard.outcome) for shard in made],
            "tally": [json.dumps(shard.tally) for shard in made],
        }
    )
    parquet.write_table(path, parquet.with_header(table, facts))


def digest_shards(made: Iterable[Shard]) -> str:
    """Stands for the rows that go on, in all of them."""
    return manifest.digest_values((shard.prefix, shard.kept_digest) for shard in made)


@lru_cache(maxsize=64)
def listed_shards(path: Path) -> tuple[Shard, ...]:
    """The shards of a manifest, in order. It never changes, so it is read once."""
    facts = manifest.facts(path)
    if not facts.shards:
        return (Shard("", path, facts.kept_digest, facts.outcome, None),)
    names = ("shard", "file", "kept_digest", "outcome", "tally")
    lines = zip(*manifest.read_columns(path, names).to_pydict().values(), strict=True)
    with parquet.sound(path, *parquet.UNTOLD):
        found = tuple(
            Shard(prefix, path.parent / file, kept, json_of(outcome), json_of(tally))
            for prefix, file, kept, outcome, tally in lines
        )
        if digest_shards(found) != facts.kept_digest:
            raise ValueError("a page's header is damaged")
    return found


@lru_cache(maxsize=64)
def by_prefix(path: Path) -> dict[str, Shard]:
    """The shards of a manifest by their prefixes."""
    return {shard.prefix: shard for shard in listed_shards(path)}


def forget_made(folder: Path) -> None:
    """Let a stage put its rows together again from what it remembers."""
    shutil.rmtree(folder / SHARDS, ignore_errors=True)
    for known in folder.glob("*.parquet"):
        known.unlink()
    forget_cached()


def forget_cached() -> None:
    """Read manifests anew that were taken out of the way."""
    for cached in (manifest.facts, listed_shards, by_prefix):
        cached.cache_clear()


def leaves(numbers: Numbers, prefix: str = "") -> list[str]:
    """The leaves of the trie in which rows of these ids lie, empty ones too; all below `prefix`.

    `numbers` are the ids' first digits, sorted. Equal rows, equal leaves, whoever asks.
    """
    if len(numbers) <= MOST_ROWS or len(prefix) == DIGITS:
        return [prefix]
    found = []
    for digit in "0123456789abcdef":
        low, high = bounds(prefix + digit)
        start, end = np.searchsorted(numbers, (low, high))
        found += leaves(numbers[start:end], prefix + digit)
    return found


def bounds(prefix: str) -> tuple[int, int]:
    """The least number of an id that begins so, and the least of those after it."""
    step = 16 ** (DIGITS - len(prefix))
    low = int(prefix or "0", 16) * step
    return low, low + step


def placed(numbers: Numbers, prefixes: Sequence[str]) -> Numbers:
    """In which of these disjoint sorted prefixes each id lies; -1 where in none."""
    lows, highs = np.array([bounds(prefix) for prefix in prefixes], np.int64).reshape(-1, 2).T
    at = np.searchsorted(lows, numbers, "right") - 1
    inside = (at >= 0) & (numbers < highs[np.maximum(at, 0)])
    return np.where(inside, at, -1)


def parted(
    table: "pa.Table", numbers: Numbers, prefixes: Sequence[str]
) -> "Iterator[tuple[str, pa.Table]]":
    """The rows of each prefix; of an id that lies in none its first digits are one."""
    at = placed(numbers, prefixes)
    for place, rows in of_equal(at):
        if place >= 0:
            yield prefixes[place], table.take(rows)
        else:
            depth = max(map(len, prefixes))
            for head, own in of_equal(numbers[rows] >> (4 * (columns.DIGITS - depth))):
                yield f"{head:0{depth}x}", table.take(rows[own])


def of_equal(values: Numbers) -> Iterator[tuple[int, Numbers]]:
    """Each value, and where it stands."""
    order = np.argsort(values, kind="stable")
    found, starts = np.unique(values[order], return_index=True)
    yield from zip(found.tolist(), np.split(order, starts[1:]), strict=False)


def of_each(found: Mapping[str, Any], prefixes: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Values by id, cut into those of each shard."""
    lengths, own = sorted({len(prefix) for prefix in prefixes}), dict[str, dict[str, Any]]()
    own |= {prefix: {} for prefix in prefixes}
    for name, value in found.items():
        for length in lengths:
            if (inside := own.get(name[:length])) is not None:
                inside[name] = value
                break
    return own


class Rows:
    """The rows of a manifest, or of memory, read shard by shard and only as far as asked for."""

    def __init__(self, made: Sequence[Shard], held: "pa.Table | None" = None) -> None:
        self.made, self.held = made, held

    @classmethod
    def of(cls, rows: Sequence[Row]) -> "Rows":
        """Rows that are in memory."""
        return cls((), manifest.rows_table(rows))

    def __len__(self) -> int:
        return sum(map(len, self.made)) if self.held is None else len(self.held)

    def __iter__(self) -> Iterator[Row]:
        for table in self.tables(manifest.IN_MANIFEST):
            yield from manifest.rows_of(table)

    def outcome(self) -> dict[str, int]:
        """`kept` and each reason, without its detail -> number of rows."""
        if self.held is not None:
            return columns.outcomes(self.held)
        return dict(sum((Counter(shard.outcome) for shard in self.made), Counter[str]()))

    def tables(self, names: Sequence[str]) -> "Iterator[pa.Table]":
        """These columns, a table for each shard."""
        if self.held is not None:
            yield self.held.select(manifest.top_names(names))
        for shard in self.made:
            yield shard.table(names)

    def numbered(self, *names: str) -> "Iterator[pa.Table]":
        """The same with the number of each row as a further column, `at`; tables of many rows."""
        start = 0
        for table in columns.in_portions(self.tables(names)):
            yield columns.with_numbers(table, start)
            start += len(table)

    def part(self, number: int, names: Sequence[str]) -> "pa.Table":
        """These columns of one shard; of memory there is one."""
        if self.held is not None:
            return self.held.select(list(names))
        return self.made[number].table(names)

    def columns(self, *names: str) -> "pa.Table":
        """These columns of all rows."""
        import pyarrow as pa

        if not (self.made or self.held):
            return columns.none().select(manifest.top_names(names))
        return pa.concat_tables(self.tables(names))

    def at(self, numbers: Sequence[int]) -> list[Row]:
        """The rows of these numbers, in this order; reads only the shards that they lie in."""
        ends = np.cumsum([len(self)] if self.held is not None else [len(s) for s in self.made])
        found: dict[int, Row] = {}
        wanted = np.asarray(sorted(set(numbers)), np.int64)
        inside = np.searchsorted(ends, wanted, "right")
        for number in np.unique(inside).tolist():
            own = wanted[inside == number]
            start = ends[number - 1] if number else 0
            table = self.made[number].table() if self.held is None else self.held
            rows = manifest.rows_of(table.take(own - start))
            found |= dict(zip(own.tolist(), rows, strict=True))
        return [found[number] for number in numbers]
