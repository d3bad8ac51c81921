"""TrainCropDetector: `python -m detectors train` on reviewed portraits, in a process of its own."""

import os
import re
import signal
import sys
from collections.abc import Callable, Iterator
from dataclasses import Field, dataclass, fields, make_dataclass
from pathlib import Path
from typing import Any, get_type_hints

from detectors.learning.options import (
    DETECTOR,
    NO_FILES,
    LearningConfig,
    LearningError,
    is_finished,
    key,
)
from pipeline import lock
from pipeline.options import Settings, SettingsError, located, option
from pipeline.train import PR_SET_PDEATHSIG, TrainError, forwarding, started

FOLDER = "detectors"  # in the store
PATHS = ("labels", "pictures", "held_labels")
WRONG_INPUT, STOPPED = 2, 130  # exit codes of `python -m detectors train`
STATUS = re.compile(r"epoch ([\d.]+) of (\d+): ")
# As for TrainStyleGAN: should its parent be killed, the child gets SIGTERM and saves.
BEGIN = f"""
import ctypes, os, sys
ctypes.CDLL(None).prctl({PR_SET_PDEATHSIG}, {signal.SIGTERM:d})
if os.getppid() == int(sys.argv[1]):
    os.execv(sys.executable, [sys.executable, "-m", "detectors", "train", *sys.argv[2:]])
"""

Say = Callable[[str, int], None]  # hears the status line and the percentage


@dataclass(frozen=True)
class CropTrainerConfig(Settings):
    """A detector of one's own crop: the options of `python -m detectors train`."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.-]*", getattr(self, "name", "")):
            self.refuse("name", "use letters, digits, _ - and . only")
        self.learning("")

    def learning(self, out: str) -> LearningConfig:
        """The same options as the training itself checks them; raises SettingsError."""
        given = {f.name: getattr(self, f.name) for f in fields(self) if f.name != "name"}
        files = [*PATHS, *(["weights"] if given["weights"] not in NO_FILES else [])]
        given |= {name: str(located(given[name])) for name in files if given[name]}
        try:
            return LearningConfig(**given, out=out)
        except LearningError as error:
            raise SettingsError(f"[TrainCropDetector] {error}") from None


def declared() -> Iterator[tuple[str, Any, Field[Any]]]:
    """The training's own options with its own sentences, as (name, type, field)."""
    yield "name", str, option("portrait", "name of the detector: its run is detectors/name-key")
    hints = get_type_hints(LearningConfig)
    for f in fields(LearningConfig):
        if f.name != "out":
            known = f.metadata
            yield (
                f.name,
                hints[f.name],
                option(f.default, known["help"], known["low"], known["high"]),
            )


TrainCropDetectorConfig: type[CropTrainerConfig] = make_dataclass(
    "TrainCropDetectorConfig",
    declared(),
    bases=(CropTrainerConfig,),
    frozen=True,
    namespace={"__doc__": CropTrainerConfig.__doc__},
)


def run_of(store: Path, config: CropTrainerConfig) -> Path:
    """The folder of the run of these options and labels."""
    name = f"{config.name}-{key(config.learning(''))}"  # type: ignore[attr-defined]
    return store / FOLDER / name


def finished(store: Path, config: CropTrainerConfig) -> bool:
    """Whether the detector of these options and labels is there."""
    return is_finished(run_of(store, config))


def train(store: Path, config: CropTrainerConfig, say: Say) -> Path:
    """Train to the end, or go on; returns the detector's folder, for `crop:FOLDER`.

    The store's lock is given back: a run has a lock of its own. After SIGINT or SIGTERM the
    trainer writes a checkpoint, then KeyboardInterrupt is raised. Raises SettingsError without
    labels, TrainError where training ends early for another reason.
    """
    out = run_of(store, config)
    learning = config.learning(str(out))
    if not learning.labels:
        raise SettingsError(
            "[TrainCropDetector] labels is empty: name a CSV file or a folder of XML files, as"
            " `python -m pipeline review --export FILE.csv` writes them"
        )
    lock.release(store)
    words = [f"--{f.name}={getattr(learning, f.name)}" for f in fields(learning)]
    follow([sys.executable, "-c", BEGIN, str(os.getpid()), *words], say)
    return out / DETECTOR


def follow(command: list[str], say: Say) -> None:
    """Run the trainer, pass on what it prints and the signals, and judge how it ended."""
    reason = ""
    with started(command) as trainer, forwarding(trainer) as received:
        assert trainer.stdout
        for line in trainer.stdout:
            if line.startswith("error: "):
                reason = line.strip().removeprefix("error: ")
                continue
            print(line, end="", flush=True)
            if found := STATUS.match(line):
                say(line.strip(), int(100 * float(found[1]) / int(found[2])))
    if received:
        raise KeyboardInterrupt
    judge(trainer.returncode, reason)


def judge(code: int, reason: str) -> None:
    """Raise TrainError unless the trainer says that it finished."""
    if code == WRONG_INPUT and reason:
        raise TrainError(reason)
    if code in (STOPPED, -signal.SIGTERM):  # the latter while it loads Python
        raise TrainError("somebody stopped the trainer; the same command goes on")
    if code < 0:
        raise TrainError(
            f"the trainer was killed by signal {-code} (for want of memory it is 9: take a smaller"
            " batch or size); the same command goes on from the newest checkpoint"
        )
    if code:
        raise TrainError(f"the trainer failed with exit code {code}; its last words are above")
