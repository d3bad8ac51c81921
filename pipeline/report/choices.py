"""Which few of very many rows the report shows: chosen shard by shard, so that no more are held."""

import heapq
from collections.abc import Iterable
from hashlib import blake2b
from itertools import chain
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pipeline.rows import columns

if TYPE_CHECKING:
    import pyarrow as pa


class Fair:
    """A fair choice that stays the same while the source grows: the smallest hashes of the ids."""

    def __init__(self, most: int) -> None:
        self.most, self.total = most, 0  # rows that are chosen, and that were seen
        self.best: list[tuple[bytes, int]] = []

    def see(self, names: Iterable[str], numbers: Iterable[int]) -> None:
        """Some more rows, by their ids."""
        pairs = [(blake2b(n.encode()).digest(), at) for n, at in zip(names, numbers, strict=True)]
        self.total += len(pairs)
        self.best = heapq.nsmallest(self.most, chain(self.best, pairs))

    @property
    def rows(self) -> list[int]:
        """The numbers of those chosen."""
        return [at for _, at in self.best]


class Extreme:
    """The rows with the least of a measure, or the most of it, the first of them first."""

    def __init__(self, most: int, low: bool = True) -> None:
        self.most, self.low, self.total = most, low, 0
        self.best: list[tuple[float, str, int]] = []

    def see(self, table: "pa.Table", values: NDArray[Any]) -> None:
        """Some more rows, with columns `id` and `at`, and what was measured; NaN is nothing."""
        self.total += len(table)
        table, values = table.filter(columns.array(~np.isnan(values))), values[~np.isnan(values)]
        candidates = worst_of(values if self.low else -values, self.most)
        own = table.select(["id", "at"]).take(columns.array(np.array(candidates, np.int64)))
        few = zip(values[candidates], columns.ids(own), columns.ids(own, "at"), strict=True)
        pick = heapq.nsmallest if self.low else heapq.nlargest
        self.best = pick(self.most, chain(self.best, few))

    @property
    def rows(self) -> list[int]:
        """Their numbers."""
        return [at for *_, at in self.best]


def worst_of(values: NDArray[Any], number: int) -> list[int]:
    """Which values are among the least so many; all that are equal to the last of them."""
    if len(values) <= number or not number:
        return list(range(len(values)))
    last = np.partition(values, number - 1)[number - 1]
    return np.flatnonzero(~(values > last)).tolist()
