"""Charts as SVG, without a library."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

Line = tuple[Sequence[float], str, float]  # values, colour, width in pixels

WIDTH, HEIGHT, MARGIN = 800, 400, 60  # pixels


def write_scores(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """D's scores of the same real images over kimg: each one thin, their median thick."""
    kimg = [row["seen"] / 1000 for row in rows]
    scores = np.array([row["scores"] for row in rows], np.float64)  # [times, images]
    scores = np.nan_to_num(scores, nan=0.0, posinf=0.0, neginf=0.0)
    lines = [(line, "#9ab", 0.5) for line in scores.T]
    lines.append((np.median(scores, axis=1), "#c30", 2.5))
    path.write_text(drawn("D's scores of the same real images (red: median)", kimg, lines))


def write_metrics(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Every metric over kimg, one chart below the other: their units have nothing in common."""
    panels = []
    for name in sorted({row["metric"] for row in rows}):
        own = sorted((row for row in rows if row["metric"] == name), key=lambda row: row["seen"])
        kimg = [row["seen"] / 1000 for row in own]
        title = f"{name}: {own[-1]['value']:.4g} ({own[0].get('better', 'lower')} is better)"
        panels.append(curves(title, kimg, [([row["value"] for row in own], "#c30", 2.5)]))
    path.write_text(page(panels))


def drawn(title: str, kimg: Sequence[float], lines: Sequence[Line]) -> str:
    """An SVG of (values, colour, width) over kimg."""
    return page([curves(title, kimg, lines)])


def page(panels: Sequence[str]) -> str:
    """Charts below each other, as one SVG."""
    height = HEIGHT * max(len(panels), 1)
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}"'
        ' font-family="sans-serif" font-size="13">'
        f'<rect width="{WIDTH}" height="{height}" fill="white"/>'
    )
    placed = [
        f'<g transform="translate(0 {HEIGHT * number})">\n{panel}\n</g>'
        for number, panel in enumerate(panels)
    ]
    return "\n".join([head, *placed, "</svg>\n"])


def curves(title: str, kimg: Sequence[float], lines: Sequence[Line]) -> str:
    """One chart: its curves and its words."""
    values = [value for line, _, _ in lines for value in line]
    low, high = min(values), max(values)
    high += (high == low) * 1.0
    last = max(kimg[-1], 1e-9)

    def at(x: float, y: float) -> str:
        across = MARGIN + (WIDTH - 2 * MARGIN) * x / last
        down = HEIGHT - MARGIN - (HEIGHT - 2 * MARGIN) * (y - low) / (high - low)
        return f"{across:.1f},{down:.1f}"

    drawn = [
        f'<polyline fill="none" stroke="{colour}" stroke-width="{width}" points="'
        + " ".join(at(x, y) for x, y in zip(kimg, line, strict=True))
        + '"/>'
        for line, colour, width in lines
    ]
    words = [
        (WIDTH / 2, MARGIN / 2, "middle", title),
        (MARGIN - 6, MARGIN, "end", f"{high:.4g}"),
        (MARGIN - 6, HEIGHT - MARGIN, "end", f"{low:.4g}"),
        (MARGIN, HEIGHT - MARGIN + 20, "middle", "0"),
        (WIDTH - MARGIN, HEIGHT - MARGIN + 20, "middle", f"{kimg[-1]:g} kimg"),
    ]
    texts = [
        f'<text x="{x}" y="{y}" text-anchor="{anchor}">{word}</text>'
        for x, y, anchor, word in words
    ]
    return "\n".join([*drawn, *texts])
