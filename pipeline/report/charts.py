"""Numbers to inline SVG. Colours come from the page's style sheet, so that it is light or dark."""

from collections.abc import Callable, Iterator, Sequence
from html import escape
from math import ceil, floor, log10
from typing import Any

import numpy as np
from numpy.typing import NDArray

WIDTH, HEIGHT = 380, 190  # of the drawing, in its own units
LEFT, RIGHT, TOP, BOTTOM = 34, 18, 20, 38  # room around the bars
BARS_PER_TICK = 4
NEAR = 18  # of the edge: the words of a limit begin no nearer
TICKS = 6  # at most about this many on an axis

Values = Sequence[float] | NDArray[Any]
Scale = Callable[[float], float]


def histogram(
    values: Values,
    label: str,
    limit: float | None = None,
    called: str = "limit",
    least: bool = False,
) -> str:
    """How often each value occurs, as SVG, with the limit drawn and the bars past it marked.

    `least`: the limit is the least that is kept, not the most.
    """
    if not len(values):
        return ""
    shown = [*([limit] if limit is not None else []), float(np.min(values)), float(np.max(values))]
    first, last = min(shown), max(shown)
    step = tick_step((last - first) or abs(first) or 1.0)
    low, high = floor(first / step), max(ceil(last / step), floor(first / step) + 1)
    counts, edges = np.histogram(
        values, bins=(high - low) * BARS_PER_TICK, range=(low * step, high * step)
    )
    most = int(counts.max())

    def x(value: float) -> float:
        return LEFT + (value - low * step) / ((high - low) * step) * (WIDTH - LEFT - RIGHT)

    def y(count: float) -> float:
        return HEIGHT - BOTTOM - count / most * (HEIGHT - TOP - BOTTOM)

    parts = [
        f'<svg class="histogram" viewBox="0 0 {WIDTH} {HEIGHT}" role="img"'
        f' aria-label="{escape(summary(values, label, limit, called))}">',
        *guides(most, y),
        *bars(counts.tolist(), edges.tolist(), limit if called == "limit" else None, least, x, y),
        f'<line class="axis" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y(0)}" y2="{y(0)}"/>',
        *(svg_text(x(k * step), y(0) + 15, f"{k * step:g}") for k in range(low, high + 1)),
        svg_text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 6, label, "label"),
    ]
    if limit is not None:
        at = x(limit)
        parts.append(
            f'<line class="limit" x1="{at:.1f}" x2="{at:.1f}" y1="{TOP - 6}" y2="{y(0)}"/>'
        )
        inside = min(max(at, LEFT + NEAR), WIDTH - RIGHT - NEAR)
        parts.append(svg_text(inside, TOP - 9, f"{called} {limit:.4g}", "limit"))
    return "".join([*parts, "</svg>"])


def summary(values: Values, label: str, limit: float | None, called: str) -> str:
    """The drawing in words."""
    low, middle, high = np.percentile(values, (0, 50, 100))
    words = f"{label}: {low:.4g} to {high:.4g}, half of them at most {middle:.4g}"
    return words if limit is None else f"{words}, the {called} is {limit:.4g}"


def tick_step(wide: float) -> float:
    """A round distance between the ticks of so wide an axis: 1, 2 or 5 times a power of ten."""
    size = 10.0 ** floor(log10(wide / TICKS))
    return next(step * size for step in (1, 2, 5, 10) if step * size * TICKS >= wide)


def bars(
    counts: Sequence[int],
    edges: Sequence[float],
    limit: float | None,
    least: bool,
    x: Scale,
    y: Scale,
) -> Iterator[str]:
    for count, first, last in zip(counts, edges, edges[1:], strict=False):
        if count:
            past = limit is not None and (last <= limit if least else first >= limit)
            left, wide = x(first) + 0.75, max(x(last) - x(first) - 1.5, 0.5)
            yield (
                f'<rect class="{"bar past" if past else "bar"}" x="{left:.1f}" y="{y(count):.1f}"'
                f' rx="1.5" width="{wide:.1f}" height="{y(0) - y(count):.1f}">'
                f"<title>{first:.4g} to {last:.4g}: {count}</title></rect>"
            )


def guides(most: int, y: Scale) -> Iterator[str]:
    """Thin lines at half and full height, with their counts."""
    for count in sorted({most, most // 2} - {0}):
        at = f"{y(count):.1f}"
        yield f'<line class="guide" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{at}" y2="{at}"/>'
        yield svg_text(LEFT - 6, y(count) + 3.5, f"{count}", "count")


def svg_text(x: float, y: float, words: str, kind: str = "tick") -> str:
    return f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}">{escape(words)}</text>'
