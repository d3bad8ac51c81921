"""The charts of a run: D's scores of the same real images, and its metrics, over kimg."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from atelier import files, svg
from atelier.svg import Curve

THIN, THICK = ("#9ab", 0.5), ("#c30", 2.5)  # colour, width in pixels


def write_scores(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """D's scores of the same real images over kimg: each one thin, their median thick.

    A score that is no number has no point.
    """
    kimg = [row["seen"] / 1000 for row in rows]
    scores = np.array([row["scores"] for row in rows], np.float64)  # [times, images]
    curves = [Curve(kimg, line.tolist(), *THIN) for line in scores.T]
    known = [row[np.isfinite(row)] for row in scores]
    medians = [float(np.median(row)) if len(row) else np.nan for row in known]
    curves.append(Curve(kimg, medians, *THICK))
    title = "D's scores of the same real images (red: median)"
    chart = svg.chart(title, over(kimg), svg.axis("", scores.ravel().tolist()), curves)
    files.write(path, svg.page([chart]))


def write_metrics(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Every metric over kimg, one chart below the other: their units have nothing in common."""
    charts = []
    for name in sorted({row["metric"] for row in rows}):
        own = sorted((row for row in rows if row["metric"] == name), key=lambda row: row["seen"])
        kimg, values = [row["seen"] / 1000 for row in own], [row["value"] for row in own]
        title = f"{name}: {values[-1]:.4g} ({own[0].get('better', 'lower')} is better)"
        curve = Curve(kimg, values, *THICK)
        charts.append(svg.chart(title, over(kimg), svg.axis("", values), [curve]))
    files.write(path, svg.page(charts))


def over(kimg: Sequence[float]) -> svg.Axis:
    """From the beginning of the run."""
    return svg.axis("kimg", [0.0, *kimg])
