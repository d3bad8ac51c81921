"""metrics.jsonl of a run: one row per figure, and the same for TensorBoard and as a chart."""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from atelier import files
from training.run import charts
from training.run.journal import Board

DISTANCES = ("fid", "frechet", "kid")  # how names of metrics begin: less is better

Row = dict[str, Any]


def read_figures(run: Path) -> list[Row]:
    """All rows, in the order of measuring."""
    return files.read_lines(run / "metrics.jsonl", seen=int, metric=str, value=int | float)


def write_figures(run: Path, new: Sequence[Row]) -> list[Row]:
    """Add rows, and give them back; one of the same moment and metric is replaced."""
    again = {(row["seen"], row["metric"]) for row in new}
    with alone(run):
        old = read_figures(run)
        rewrite(run, [*(row for row in old if (row["seen"], row["metric"]) not in again), *new])
    board = Board(run / "tensorboard" / "metrics", map(line, new), anew=not old)
    board.close()
    return list(new)


def best(run: Path) -> set[int]:
    """The images seen at the best figure of each distance: FID, KID, and those of stand-ins."""
    leading: dict[str, Row] = {}
    for row in read_figures(run):
        name = row["metric"]
        if name.startswith(DISTANCES) and (
            name not in leading or row["value"] < leading[name]["value"]
        ):
            leading[name] = row
    return {row["seen"] for row in leading.values()}


def forget_after(run: Path, seen: int) -> None:
    """Leave out what was measured of a future that was given up."""
    with alone(run):
        rows = read_figures(run)
        kept = [row for row in rows if row["seen"] <= seen]
        if len(kept) == len(rows):
            return
        rewrite(run, kept)
    Board(run / "tensorboard" / "metrics", map(line, kept)).close()


def alone(run: Path) -> AbstractContextManager[None]:
    """Training and `python -m training metrics` may both write: one after the other."""
    return files.alone(run / "metrics.lock")


def rewrite(run: Path, rows: Sequence[Row]) -> None:
    """The file, then the chart."""
    files.write_lines(run / "metrics.jsonl", rows)
    charts.write_metrics(run / "metrics.svg", rows)


def line(row: Mapping[str, Any]) -> Row:
    """A row as TensorBoard shows it: Metrics/<name> over images seen."""
    return {
        "seen": row["seen"],
        "time": row.get("time", 0.0),
        f"Metrics/{row['metric']}": row["value"],
    }


def figures_table(rows: Iterable[Mapping[str, Any]]) -> str:
    """For people: one line per figure."""
    return "\n".join(
        f"{row['seen'] / 1000:>10.1f} kimg  {row['metric']:<40} {row['value']:>12.5g}"
        f"   {row['seconds']:.0f} s"
        for row in rows
    )
