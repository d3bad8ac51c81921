"""metrics.jsonl of a run: one row per figure, and the same for TensorBoard and as a chart."""

import fcntl
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from training.run import charts

DISTANCES = ("fid", "frechet", "kid")  # how names of metrics begin: less is better

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
    """Add rows, and give them back; one of the same moment and metric is replaced."""
    again = {(row["seen"], row["metric"]) for row in new}
    with alone(run):
        old = read(run)
        rewrite(run, [*(row for row in old if (row["seen"], row["metric"]) not in again), *new])
    from training.run.journal import Board

    board = Board(run / "tensorboard" / "metrics", map(line, new), anew=not old)
    board.close()
    return list(new)


def best(run: Path) -> set[int]:
    """The images seen at the best figure of each distance: FID, KID, and those of stand-ins."""
    leading: dict[str, Row] = {}
    for row in read(run):
        name = row["metric"]
        if name.startswith(DISTANCES) and (
            name not in leading or row["value"] < leading[name]["value"]
        ):
            leading[name] = row
    return {row["seen"] for row in leading.values()}


def forget_after(run: Path, seen: int) -> None:
    """Leave out what was measured of a future that was given up."""
    with alone(run):
        rows = read(run)
        kept = [row for row in rows if row["seen"] <= seen]
        if len(kept) == len(rows):
            return
        rewrite(run, kept)
    from training.run.journal import Board

    Board(run / "tensorboard" / "metrics", map(line, kept)).close()


@contextmanager
def alone(run: Path) -> Iterator[None]:
    """Training and `python -m training metrics` may both write: one after the other."""
    run.mkdir(parents=True, exist_ok=True)
    with (run / "metrics.lock").open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


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
