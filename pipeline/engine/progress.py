"""A bar on the terminal, or a line now and then where there is none."""

import sys
import time
from collections.abc import Callable
from typing import Any

from tqdm import tqdm

from atelier.commands import said

SECONDS_BETWEEN_LINES = 30


class Bar:
    """Counts rows of one stage; `tell(done, total)` hears of it too."""

    def __init__(
        self, name: str, total: int, tell: Callable[[int, int], None], what: str = "rows"
    ) -> None:
        self.name, self.total, self.tell, self.what = name, total, tell, what
        self.done = 0
        self.began = self.told = time.monotonic()
        self.bar: tqdm[Any] = tqdm(
            total=total, desc=name, unit=f" {what}", disable=not total or not is_terminal()
        )

    def __enter__(self) -> "Bar":
        return self

    def __exit__(self, *_: object) -> None:
        self.bar.close()
        if self.bar.disable and self.total:
            self.line()

    def advance(self, rows: int) -> None:
        self.done += rows
        self.bar.update(rows)
        self.tell(self.done, self.total)
        if self.bar.disable and time.monotonic() - self.told > SECONDS_BETWEEN_LINES:
            self.told = time.monotonic()
            self.line()

    def line(self) -> None:
        rate = self.done / max(time.monotonic() - self.began, 1e-9)
        said(f"{self.name}: {self.done} of {self.total} {self.what}, {rate:.1f}/s", 0)


def is_terminal() -> bool:
    """Whether somebody looks at what is said; no standard error at all is nobody."""
    return sys.stderr is not None and sys.stderr.isatty()
