"""Curves over two axes as SVG, without a library."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape

WIDTH, HEIGHT, MARGIN = 800, 400, 60  # pixels of one chart
TICKS = 6  # at most about so many on an axis
LINE_HEIGHT = 18  # pixels between the words of a legend
BESIDE = 0.3  # of the width: where a legend may meet a curve


@dataclass(frozen=True)
class Curve:
    """A line through (x, y); one with a label stands in the legend."""

    x: Sequence[float]
    y: Sequence[float]
    colour: str
    width: float = 2.5  # pixels
    label: str = ""


@dataclass(frozen=True)
class Axis:
    """What an axis shows, from `low` to `high`."""

    name: str
    low: float
    high: float

    def share(self, value: float) -> float:
        """0 at `low`, 1 at `high`."""
        return (value - self.low) / (self.high - self.low)

    def ticks(self) -> Iterator[float]:
        """Round values within it."""
        rough = (self.high - self.low) / TICKS
        power = 10.0 ** math.floor(math.log10(rough))
        step = next(power * factor for factor in (1, 2, 2.5, 5, 10) if power * factor >= rough)
        for number in range(math.ceil(self.low / step - 1e-9), math.floor(self.high / step) + 1):
            yield number * step


def axis(name: str, values: Sequence[float]) -> Axis:
    """An axis that holds all finite values."""
    known = [value for value in values if math.isfinite(value)] or [0.0]
    low, high = min(known), max(known)
    return Axis(name, low, high if high > low else low + max(1.0, abs(low)))


def page(charts: Sequence[str]) -> str:
    """Charts below each other, as one SVG."""
    height = HEIGHT * max(len(charts), 1)
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}"'
        ' font-family="sans-serif" font-size="13">'
        f'<rect width="{WIDTH}" height="{height}" fill="white"/>'
    )
    placed = [
        f'<g transform="translate(0 {HEIGHT * number})">\n{chart}\n</g>'
        for number, chart in enumerate(charts)
    ]
    return "\n".join([head, *placed, "</svg>\n"])


def chart(title: str, x: Axis, y: Axis, curves: Sequence[Curve]) -> str:
    """One chart: its axes, its curves and its words."""
    lines = [polyline(curve, x, y) for curve in curves]
    words = [text(WIDTH / 2, MARGIN / 2, title), text(WIDTH / 2, HEIGHT - 12, x.name)]
    if y.name:
        turned = f'transform="rotate(-90 16 {HEIGHT / 2})"'
        words.append(text(16, HEIGHT / 2, y.name, more=turned))
    return "\n".join([*grid(x, y), *lines, *words, *legend(curves, x, y)])


def across(share: float) -> float:
    return MARGIN + (WIDTH - 2 * MARGIN) * share


def down(share: float) -> float:
    return HEIGHT - MARGIN - (HEIGHT - 2 * MARGIN) * share


def grid(x: Axis, y: Axis) -> Iterator[str]:
    """Thin lines at round values, which are written beside them."""
    for value in x.ticks():
        at = across(x.share(value))
        yield f'<path d="M{at:.1f} {down(0)}V{down(1)}" stroke="#ddd"/>'
        yield text(at, down(0) + LINE_HEIGHT, said(value))
    for value in y.ticks():
        at = down(y.share(value))
        yield f'<path d="M{across(0)} {at:.1f}H{across(1)}" stroke="#ddd"/>'
        yield text(across(0) - 6, at + 4, said(value), "end")


def said(value: float) -> str:
    """A round number as people write it."""
    return f"{value:,.10g}"


def polyline(curve: Curve, x: Axis, y: Axis) -> str:
    """The line; where a value is not finite it has no point."""
    points = " ".join(
        f"{across(x.share(a)):.1f},{down(y.share(b)):.1f}"
        for a, b in zip(curve.x, curve.y, strict=True)
        if math.isfinite(b)
    )
    return (
        f'<polyline fill="none" stroke="{curve.colour}" stroke-width="{curve.width}"'
        f' points="{points}"/>'
    )


def legend(curves: Sequence[Curve], x: Axis, y: Axis) -> Iterator[str]:
    """The labels in the colours of their curves, at the left, above or below where these are."""
    told = [curve for curve in curves if curve.label]
    beside = [
        y.share(b)
        for curve in told
        for a, b in zip(curve.x, curve.y, strict=True)
        if math.isfinite(b) and x.share(a) < BESIDE
    ]
    high = down(1) + LINE_HEIGHT * len(told)
    first = high if beside and sum(beside) < len(beside) / 2 else down(0) - 12
    halo = 'stroke="white" stroke-width="4" paint-order="stroke"'
    for number, curve in enumerate(told):
        at = first - LINE_HEIGHT * number
        yield text(across(0) + 10, at, curve.label, "start", f'fill="{curve.colour}" {halo}')


def text(x: float, y: float, words: str, anchor: str = "middle", more: str = "") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" {more}>{escape(words)}</text>'
