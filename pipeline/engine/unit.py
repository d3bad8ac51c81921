"""A unit of work: some rows of one stage, done by one worker, written as one part."""

from collections.abc import Callable, Container, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pipeline.rows import memo
from pipeline.rows.manifest import Item, Row, dropped

KILLED = "killed-"  # the prefix of parts whose photo killed its worker: `run --retry` forgets them


# Says what becomes of each item, in order; reads the photos, decides by the settings. `folder` is
# the stage's own: work that writes pictures writes them below it.
Work = Callable[[Sequence[Item], Any, Path], Iterable[list[Row]]]


@dataclass(frozen=True)
class Unit:
    """Rows of one stage that one worker does in one go."""

    work: Work
    settings: Any
    items: tuple[Item, ...]
    folder: Path

    def run(self) -> int:
        """Do the work and write the part; returns how many rows were done."""
        outcomes = self.work(self.items, self.settings, self.folder)
        results = dict(zip((item.key for item in self.items), outcomes, strict=True))
        memo.write_part(self.folder / "parts", results)
        return len(results)

    def split(self) -> list["Unit"]:
        """The same work row by row."""
        return [Unit(self.work, self.settings, (item,), self.folder) for item in self.items]

    def without(self, done: Container[str]) -> "Unit":
        """The rows of it whose keys are not among these."""
        return replace(self, items=tuple(item for item in self.items if item.key not in done))

    def give_up(self, reason: str) -> None:
        """Record that these rows are dropped because they cannot be done."""
        results = {item.key: [dropped(item.row, reason)] for item in self.items}
        memo.write_part(self.folder / "parts", results, prefix=KILLED)


def cut(items: Sequence[Item], size: int, work: Work, settings: Any, folder: Path) -> list[Unit]:
    """Cut the items into units of at most `size` rows."""
    return [
        Unit(work, settings, tuple(items[start : start + size]), folder)
        for start in range(0, len(items), size)
    ]
