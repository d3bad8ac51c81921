"""metrics.jsonl of a run: one row per figure, and the same for TensorBoard and as a chart."""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from training import charts

Row = dict[str, Any]


def read(run: Path) -> list[Row]:
    """All rows, in the order of measuring; a line that a crash cut short is left out."""
    path = run / "metrics.jsonl"
    rows = []
    for text in path.read_text().splitlines() if path.exists() else ():
        try:
            rows.append(json.loads(text))
        except ValueError:
            continue
    return rows


def write(run: Path, new: Sequence[Row]) -> list[Row]:
    """Add rows; one of the same moment and metric is replaced. Gives the rows as they are written.

    The Frechet distance comes last: by the metric of the last row the best checkpoint is kept.
    """
    order = sorted(new, key=lambda row: row["metric"].startswith(("fid", "frechet")))
    again = {(row["seen"], row["metric"]) for row in order}
    old = read(run)
    rewrite(run, [*(row for row in old if (row["seen"], row["metric"]) not in again), *order])
    from training.journal import Board

    board = Board(run / "tensorboard" / "metrics", map(line, order), anew=not old)
    board.close()
    return order


def forget_after(run: Path, seen: int) -> None:
    """Leave out what was measured of a future that was given up."""
    rows = read(run)
    kept = [row for row in rows if row["seen"] <= seen]
    if len(kept) == len(rows):
        return
    rewrite(run, kept)
    from training.journal import Board

    Board(run / "tensorboard" / "metrics", map(line, kept)).close()


def rewrite(run: Path, rows: Sequence[Row]) -> None:
    """Write beside, rename; then the chart."""
    path = run / "metrics.jsonl"
    partial = path.with_suffix(".partial")
    partial.write_text("".join(json.dumps(row) + "\n" for row in rows))
    partial.replace(path)
    charts.write_metrics(run / "metrics.svg", rows)


def line(row: Mapping[str, Any]) -> Row:
    """A row as TensorBoard shows it: Metrics/<name> over images seen."""
    return {"seen": row["seen"], "time": row["time"], f"Metrics/{row['metric']}": row["value"]}


def table(rows: Iterable[Mapping[str, Any]]) -> str:
    """For people: one line per figure."""
    return "\n".join(
        f"{row['seen'] / 1000:>10.1f} kimg  {row['metric']:<40} {row['value']:>12.5g}"
        f"   {row['seconds']:.0f} s"
        for row in rows
    )
