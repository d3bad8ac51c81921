"""A bar on the terminal for work that takes a while."""

import sys
from collections.abc import Iterable, Iterator
from typing import Any, TypeVar

from tqdm import tqdm

from atelier.commands import say

LINES = 10  # that tell of steps where there is no terminal
T = TypeVar("T")


def bar(total: int, unit: str) -> "tqdm[Any]":
    """A bar where somebody looks at it; nothing else is written elsewhere."""
    shown = sys.stderr is not None and sys.stderr.isatty()
    return tqdm(total=total, unit=f" {unit}", disable=not shown)


def with_bar(items: Iterable[T], total: int, unit: str) -> Iterator[T]:
    """The items, one after the other; the bar goes on with each."""
    with bar(total, unit) as shown:
        for item in items:
            yield item
            shown.update()


class Steps:
    """Counts steps, with a distance, on the terminal; where there is none, in some lines."""

    def __init__(self, total: int) -> None:
        self.total, self.bar = total, bar(total, "steps")

    def __enter__(self) -> "Steps":
        return self

    def __exit__(self, *_: object) -> None:
        self.bar.close()

    def tell(self, step: int, distance: float) -> None:
        """After each step."""
        self.bar.set_postfix_str(f"distance {distance:.4g}", refresh=False)
        self.bar.update()
        if self.bar.disable and (step % max(1, self.total // LINES) == 0 or step == self.total):
            say(f"step {step} of {self.total}: distance {distance:.4g}")
