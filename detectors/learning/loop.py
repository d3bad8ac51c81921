"""The loop of a run: step by step, measured, saved, stopped and gone on with."""

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from atelier import files
from atelier.arrays import save_arrays
from atelier.stop import Interruption
from detectors.learning import Example, state
from detectors.learning.batches import Batches
from detectors.learning.learner import Learner, found
from detectors.learning.measures import Measured, measure
from detectors.learning.options import LearningError

FIGURES = ("map", "map50", "map5095", "mean_iou")
CHECKPOINT, HISTORY = "checkpoint.npz", "history.jsonl"

End = Literal["finished", "stopped"]
Losses = Mapping[str, float]


class Course:
    """How far a run is, what was measured on the way, and its best weights."""

    def __init__(
        self,
        learner: Learner,
        learnt: Sequence[Example],
        held: Sequence[Example],
        say: Callable[[str], None],
    ) -> None:
        """Goes on from the run's checkpoint, where there is one."""
        self.learner, self.held, self.say = learner, held, say
        self.config = learner.config
        self.path = Path(self.config.out) / CHECKPOINT
        self.batches = Batches(learnt, self.config, learner.kinds)
        self.step = 0
        self.history: list[dict[str, Any]] = []
        self.best: dict[str, Any] = {}  # a row of the history
        self.weights: dict[str, Any] = {}  # of the best measurement
        self.losses: list[Losses] = []  # since the last measurement
        if self.path.is_file():
            self.load()
            say(f"goes on after step {self.step} of {self.batches.steps}")
        else:
            say(learner.begin())

    def learn(self) -> End:
        """To the last step, or until nothing gets better, or until it is told to stop."""
        if self.stale:
            return "finished"
        with Interruption() as stop:
            for step, batch in self.batches.since(self.step):
                self.losses.append(self.learner.step(step, batch, self.batches.steps))
                self.step = step + 1
                if not math.isfinite(sum(self.losses[-1].values())):
                    raise LearningError(f"the loss is {self.losses[-1]} at step {step}: lower rate")
                if self.due:
                    self.check()
                if stop.signal:
                    self.save()
                    self.say("stopped, a checkpoint is written: the same command goes on")
                    return "stopped"
                if self.stale:
                    break
        return "finished"

    @property
    def due(self) -> bool:
        """Whether it is time to measure."""
        every = self.config.check_every * self.batches.per_epoch
        return self.step % every == 0 or self.step == self.batches.steps

    @property
    def stale(self) -> bool:
        """Whether the last `patience` measurements brought nothing better."""
        since = [row for row in self.history if row["step"] > self.best["step"]]
        return 0 < self.config.patience <= len(since)

    def check(self) -> None:
        """Measure the average, keep it if it is the best, write history and checkpoint."""
        row = self.row(measure(found(self.learner.find, self.held), self.held, self.learner.kinds))
        self.history.append(row)
        if not self.best or row["map"] > self.best["map"]:
            self.best = row
            self.weights = state.gathered({"best": list(self.learner.average.weights)})
        self.say(status_line(row, self.config.epochs, self.best))
        self.losses = []
        files.write_lines(self.path.with_name(HISTORY), self.history)  # whole, once this is saved
        self.save()

    def row(self, measured: Measured) -> dict[str, Any]:
        names = self.losses[0]
        means = {name: sum(one[name] for one in self.losses) / len(self.losses) for name in names}
        figures = {name: getattr(measured, name) for name in FIGURES}
        return {
            "step": self.step,
            "epoch": round(self.step / self.batches.per_epoch, 3),
            **{name: finite(value) for name, value in {**means, **figures}.items()},
        }

    def save(self) -> None:
        arrays = state.gathered(self.learner.groups()) | self.weights
        names = ("step", "history", "best", "losses")
        save_arrays(self.path, arrays, {name: getattr(self, name) for name in names})

    def load(self) -> None:
        arrays, about = state.load_state(self.path)
        state.spread(arrays, self.learner.groups(), self.path)
        self.weights = {name: value for name, value in arrays.items() if name.startswith("best/")}
        for name, value in about.items():
            setattr(self, name, value)

    def take_best(self) -> None:
        """Put the best weights into the average."""
        state.spread(self.weights, {"best": list(self.learner.average.weights)}, self.path)


def finite(value: float) -> float:
    """A figure for JSON; what could not be measured is 0."""
    return round(value, 6) if math.isfinite(value) else 0.0


def status_line(row: Mapping[str, Any], epochs: int, best: Mapping[str, Any]) -> str:
    return (
        f"epoch {row['epoch']:g} of {epochs}: loss {row['centres']:.3f} + {row['boxes']:.3f},"
        f" mAP@0.5 {row['map50']:.3f}, @0.5:0.95 {row['map5095']:.3f},"
        f" IoU {row['mean_iou']:.3f} (best at {best['epoch']:g}:"
        f" {best['map50']:.3f}, {best['map5095']:.3f})"
    )
