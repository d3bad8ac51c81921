"""When a run has collapsed: one rule over stats.jsonl, so that any recorded run can be replayed.

A tick jumps if at least two SIGNALS lie more than FACTOR deviations from their median over the
HISTORY ticks before, or the fakes have less than a QUARTER of the diversity they had, or of one
kind of steps more than half of those that were due were not finite. A deviation is 1.4826 times the
median absolute deviation, but at least a tenth of the median's size plus FLOOR. Two ticks that
jump, one after the other, are a collapse, and so is a single one in which MOST of the signals jump;
there is none before MINIMUM ticks. Ticks that jumped are no part of the history.
"""

import math
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

SIGNALS = (
    "Loss/scores/real",
    "Loss/scores/fake",
    "Loss/G/loss",
    "Loss/D/loss",
    "pl_lengths",
    "grad_norm/G",
    "grad_norm/D",
)
MOST = 5
FACTOR = 8.0
FLOOR = 0.05
QUARTER = 0.25
HISTORY = 20  # ticks
MINIMUM = 8  # ticks

Line = Mapping[str, Any]


@dataclass(frozen=True)
class Collapse:
    """Where it began (images seen at the last good tick), and what was seen."""

    good: int
    seen: int
    reason: str


class Watch:
    """Hears the lines of a stats.jsonl one by one, and says where they are a collapse."""

    def __init__(self, lines: Iterable[Line] = ()) -> None:
        self.history: deque[Line] = deque(maxlen=HISTORY)  # ticks that did not jump
        self.jumped = False
        for line in lines:
            self.hear(line)

    def hear(self, line: Line) -> Collapse | None:
        """The next line; gives the collapse that it completes, or None."""
        before, near = self.jumped, list(self.history)
        reason = jump(near, line) if len(near) >= MINIMUM else ""
        self.jumped = bool(reason)
        if not reason:
            self.history.append(line)
        elif before or len(far(near, line)) >= MOST:
            return Collapse(int(near[-1]["seen"]), int(line["seen"]), reason)
        return None


def found(lines: Sequence[Line]) -> Collapse | None:
    """The first collapse in the lines of a stats.jsonl, or None."""
    watch = Watch()
    return next((what for line in lines if (what := watch.hear(line))), None)


def jump(history: Sequence[Line], line: Line) -> str:
    """Why this tick jumps against those before it, or nothing."""
    for kind in (name.removeprefix("skipped/") for name in line if name.startswith("skipped/")):
        skipped = line[f"skipped/{kind}"]
        due = line.get(f"due/{kind}", line.get("minibatches", 0))  # lines of before do not say it
        if due and skipped > due / 2:
            return f"{skipped:.0f} of {due:.0f} {kind} steps were not finite"
    usual = median(old["diversity"] for old in history)
    if not line["diversity"] >= QUARTER * usual:
        return f"the fakes' diversity fell from {usual:.3f} to {line['diversity']:.3f}"
    names = far(history, line)
    if len(names) < 2:
        return ""
    usuals = {name: median(old[name] for old in history if name in old) for name in names}
    return ", ".join(f"{name} went from {usuals[name]:.3g} to {line[name]:.3g}" for name in names)


def far(history: Sequence[Line], line: Line) -> list[str]:
    """The signals that are far from what they were."""
    return [name for name in SIGNALS if name in line and deviations(history, line, name) > FACTOR]


def deviations(history: Sequence[Line], line: Line, name: str) -> float:
    """How far a signal is from its own median, in robust deviations."""
    values = [old[name] for old in history if name in old and math.isfinite(old[name])]
    if not math.isfinite(line[name]):
        return math.inf
    if len(values) < MINIMUM:
        return 0.0
    middle = median(values)
    spread = 1.4826 * median(abs(value - middle) for value in values)
    return float(abs(line[name] - middle) / max(spread, 0.1 * abs(middle) + FLOOR))
