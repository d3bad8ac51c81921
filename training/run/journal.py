"""What a run writes down: stats.jsonl, the same for TensorBoard, one status line per tick."""

import json
import math
import os
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from atelier import files
from training.networks.parameters import Tensor
from training.run.board import show_layout

Line = dict[str, Any]


class Tally:
    """Means over the finite values of a tick; what it holds so far is part of a checkpoint.

    Tensors are added up where they are, in one array, which is read once a tick.
    """

    def __init__(self, totals: Mapping[str, tuple[float, int]]) -> None:
        self.names = list(totals)  # in the order of the array
        self.here = set(totals)  # of this tick
        rows = [[float(total), float(count)] for total, count in totals.values()]
        self.sums: Any = tf.constant(np.array(rows, np.float32).reshape(-1, 2))
        self.tallied = tf.function(tallied, autograph=False)
        self.nothing = tf.constant(math.nan)

    def add(self, measures: Mapping[str, Any]) -> None:
        """Add the numbers of one minibatch, without waiting for the device."""
        new = [name for name in measures if name not in self.names]
        if new:
            self.names += new
            self.sums = tf.concat([self.sums, tf.zeros([len(new), 2])], axis=0)
        self.here |= set(measures)
        plain = {n: v for n, v in measures.items() if isinstance(v, (int, float))}
        numbers = np.array([plain.get(name, math.nan) for name in self.names], np.float32)
        tensors = {name: value for name, value in measures.items() if name not in plain}
        given = [tensors.get(name, self.nothing) for name in self.names]
        self.sums = self.tallied(self.sums, tf.constant(numbers), given)

    def plain(self) -> dict[str, tuple[float, int]]:
        """(total, how many were finite) by name: the one moment that waits for the device."""
        sums = zip(self.names, self.sums.numpy(), strict=True)
        return {name: (float(t), int(count)) for name, (t, count) in sums if name in self.here}

    def close(self) -> Line:
        """The means (of steps left out: their number, and how many were due), and an empty tally.

        What was never finite is NaN.
        """
        totals = self.plain()
        line: Line = {"minibatches": max(count for _, count in totals.values())}
        for name, (total, count) in totals.items():
            mean = total / count if count else math.nan
            left_out = name.startswith("skipped/")
            line[name] = total if left_out else mean
            if left_out:
                line[f"due/{name.removeprefix('skipped/')}"] = count
        self.here, self.sums = set(), tf.zeros([len(self.names), 2])
        return line


def tallied(sums: Tensor, numbers: Tensor, tensors: list[Tensor]) -> Tensor:
    """sums [names, 2] with the numbers, or the tensors, that are finite."""
    several = [numbers, tf.stack([tf.cast(tensor, tf.float32) for tensor in tensors])]
    for values in several:
        finite = tf.math.is_finite(values)
        counted = tf.stack([tf.where(finite, values, 0.0), tf.cast(finite, tf.float32)], axis=1)
        sums = sums + counted
    return sums


class Pace:
    """Seconds per kimg since this moment."""

    def __init__(self, seen: int) -> None:
        self.seen, self.clock = seen, time.perf_counter()

    def per_kimg(self, seen: int) -> float:
        """0 before there was anything to measure."""
        images = seen - self.seen
        return 1000 * (time.perf_counter() - self.clock) / images if images else 0.0


class Journal:
    """stats.jsonl of a run, cut back to what its checkpoint has seen.

    Of several processes that train together, one `writes` it.
    """

    def __init__(self, run: Path, seen: int, writes: bool = True) -> None:
        path = run / "stats.jsonl"
        self.lines = [line for line in read_stats(path) if line["seen"] <= seen]
        self.writes = writes
        if writes:
            files.write_lines(path, map(plain, self.lines))
            self.file = path.open("a")
            self.board = Board(run / "tensorboard", self.lines)
            show_layout(run)

    def write(self, line: Line) -> None:
        self.lines.append(line)
        if self.writes:
            self.file.write(json.dumps(plain(line)) + "\n")
            self.file.flush()
            os.fsync(self.file.fileno())  # before the checkpoint that goes on from it
            self.board.write(line)

    def close(self) -> None:
        if self.writes:
            self.file.close()
            self.board.close()


class Board:
    """TensorBoard's event file: derived from a jsonl file, so written anew at every start.

    With `anew` false the files before it stay, and it adds to them.
    """

    def __init__(self, folder: Path, lines: Iterable[Line], anew: bool = True) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        before = list(folder.glob("events.out.tfevents.*"))
        for old in before if anew else ():
            old.unlink()
        started = int(time.time())
        number = 0 if anew else len(before)  # TensorBoard reads them by name
        path = folder / f"events.out.tfevents.{started}.{os.getpid()}.{number:06}"
        self.writer = tf.io.TFRecordWriter(str(path))
        version = tf.compat.v1.Event(wall_time=started, file_version="brain.Event:2")
        self.writer.write(version.SerializeToString())
        for line in lines:
            self.write(line)

    def write(self, line: Line) -> None:
        """Every number of a line; the step is the images seen."""
        value = tf.compat.v1.Summary.Value
        numbers = [
            value(tag=name, simple_value=number)
            for name, number in line.items()
            if name not in ("seen", "time")
        ]
        event = tf.compat.v1.Event(
            wall_time=line["time"],
            step=line["seen"],
            summary=tf.compat.v1.Summary(value=numbers),
        )
        self.writer.write(event.SerializeToString())
        self.writer.flush()

    def close(self) -> None:
        self.writer.close()


def plain(line: Line) -> Line:
    """JSON has no NaN and no infinity: those become words."""
    return {
        k: v if not isinstance(v, float) or math.isfinite(v) else str(v) for k, v in line.items()
    }


def read_stats(path: Path) -> list[Line]:
    """The whole lines of a stats.jsonl, their words for what is not finite as numbers again."""
    number = int | float
    lines = files.read_lines(path, seen=int, time=number, diversity=number | str)
    try:
        return [
            {k: v if type(v) in (int, float) else float(v) for k, v in line.items()}
            for line in lines
        ]
    except (TypeError, ValueError):
        raise files.BrokenLineError(
            f"{path} holds what is no number: mend its line or delete it"
        ) from None


LONG = 1800  # seconds
SHOWN = (  # what a status line tells of a tick, where there is such a number
    ("Loss/perceptual", "perceptual", ".3f"),
    ("Loss/scores/real", "real", "+.2f"),
    ("Loss/scores/fake", "fake", "+.2f"),
    ("pl_lengths", "path", ".3g"),
    ("diversity", "diversity", ".3f"),
    ("grad_norm/G", "grad", ".2g"),
    ("grad_norm/D", "D's", ".2g"),
)


def status(line: Line, total_kimg: float) -> str:
    """One line for people: progress, time left, and the signals of a collapse."""
    left = (total_kimg * 1000 - line["seen"]) * line["seconds_per_kimg"] / 1000
    skipped = sum(v for k, v in line.items() if k.startswith("skipped/"))
    shown = [
        f"{line['seen'] / 1000:.{1 if total_kimg >= 100 else 3}f} of {total_kimg:g} kimg",
        f"{duration(left)} left",
        f"{line['seconds_per_kimg']:.1f} s/kimg",
        *(f"{word} {line[name]:{form}}" for name, word, form in SHOWN if name in line),
    ]
    if line.get("augment_p"):
        shown.append(f"p {line['augment_p']:.3f}")
    return "  ".join(shown + ([f"{skipped:.0f} steps left out"] if skipped else []))


def outlook(pace: float, tick: int, left: int) -> str:
    """What to tell who would wait long for the first line of figures; or "".

    `pace` is in s/kimg, the others are images: of a line, and of all that is still to come.
    """
    first = pace * tick / 1000
    if first < LONG:
        return ""
    return (
        f"note: at {pace:.0f} s/kimg the first line of figures comes in {duration(first)}, and"
        f" {left / 1000:g} kimg take {duration(pace * left / 1000)}: smaller pictures, a smaller"
        " fmap_base or a GPU take less"
    )


def duration(seconds: float) -> str:
    """1 d 02 h, 3 h 04 min, 5 min 06 s."""
    minutes, s = divmod(max(int(seconds), 0), 60)
    hours, m = divmod(minutes, 60)
    days, h = divmod(hours, 24)
    if days:
        return f"{days} d {h:02} h"
    return f"{h} h {m:02} min" if h else f"{m} min {s:02} s"
