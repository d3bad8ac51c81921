"""What a shard is made of, put down before anybody makes it: a worker can, as well as this process.

All that it takes travels with it: a function of a module, files to read, and plain values.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.rows import columns, manifest

if TYPE_CHECKING:
    import pyarrow as pa

Make = Callable[[], "pa.Table"]
Tally = Callable[["pa.Table"], Mapping[str, Any]]


@dataclass(frozen=True)
class Portion:
    """The rows of a shard that go on to the next stage, as long as nobody has read them."""

    file: Path

    def table(self, names: Sequence[str] = manifest.IN_MANIFEST) -> "pa.Table":
        """These columns of them; `drop` is among them."""
        return columns.passed_columns(manifest.read_columns(self.file, names))


def later(function: "Callable[..., pa.Table]", *given: Any) -> Make:
    """The call of a function of a module, to be made elsewhere; it gets a Portion as a table."""
    return partial(applied, function, given)


def applied(function: "Callable[..., pa.Table]", given: Sequence[Any]) -> "pa.Table":
    """The call itself."""
    return function(*(each.table() if isinstance(each, Portion) else each for each in given))


def as_it_came(table: "pa.Table") -> "pa.Table":
    """What becomes of rows that all go on as they are."""
    return table


def nothing_counted(_: "pa.Table") -> dict[str, Any]:
    """The tally of a stage that counts nothing."""
    return {}
