"""TrainCropDetector: `python -m detectors train` on reviewed portraits, in a process of its own."""

import re
from collections.abc import Iterator
from dataclasses import Field, dataclass, fields
from pathlib import Path
from typing import Any

from atelier import files
from atelier.options import hints_of, option
from detectors.learning.options import (
    DETECTOR,
    NO_FILES,
    LearningConfig,
    LearningError,
    is_finished,
    key,
)
from pipeline.engine import lock
from pipeline.options import Settings, SettingsError, located, with_options
from pipeline.train import child

FOLDER = "detectors"  # in the store
STATUS = re.compile(r"epoch ([\d.]+) of (\d+): ")


@dataclass(frozen=True)
class CropTrainerConfig(Settings):
    """A detector of one's own crop: the options of `python -m detectors train`."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if not files.is_name(getattr(self, "name", "")):
            self.refuse("name", files.NAMING)
        self.learning("")

    def learning(self, out: str) -> LearningConfig:
        """The same options as the training itself checks them; raises SettingsError."""
        given = {f.name: getattr(self, f.name) for f in fields(self) if f.name != "name"}
        paths = [f.name for f in fields(self) if f.metadata["path"] and given[f.name]]
        if given["weights"] in NO_FILES:
            paths.remove("weights")
        given |= {name: str(located(given[name])) for name in paths}
        try:
            return LearningConfig(**given, out=out)
        except LearningError as error:
            raise SettingsError(f"[TrainCropDetector] {error}") from None


def declared() -> Iterator[tuple[str, Any, Field[Any]]]:
    """The training's own options with its own sentences, as (name, type, field)."""
    yield "name", str, option("portrait", "name of the detector: its run is detectors/name-key")
    hints = hints_of(LearningConfig)
    for f in fields(LearningConfig):
        if f.name != "out":
            known = {name: f.metadata[name] for name in ("help", "low", "high", "path")}
            yield f.name, hints[f.name], option(f.default, **known)


TrainCropDetectorConfig = with_options(CropTrainerConfig, "TrainCropDetectorConfig", declared())


def run_of(store: Path, config: CropTrainerConfig) -> Path:
    """The folder of the run of these options and labels."""
    name = f"{config.name}-{key(config.learning(''))}"  # type: ignore[attr-defined]
    return store / FOLDER / name


def finished(store: Path, config: CropTrainerConfig) -> bool:
    """Whether the detector of these options and labels is there."""
    return is_finished(run_of(store, config))


def train_detector(store: Path, config: CropTrainerConfig, say: child.Say) -> Path:
    """Train to the end, or go on; returns the detector's folder, for `crop:FOLDER`.

    The store's lock is given back: a run has a lock of its own. After SIGINT or SIGTERM the
    trainer writes a checkpoint, then KeyboardInterrupt is raised. Raises SettingsError without
    labels, TrainError where training ends early for another reason.
    """
    out = run_of(store, config)
    learning = config.learning(str(out))
    if not learning.labels:
        raise SettingsError(
            "[TrainCropDetector] labels is empty: name a CSV or COCO file or a folder of XML,"
            " as `python -m pipeline review --export FILE.csv` writes them"
        )
    lock.release(store)
    words = [f"--{f.name}={getattr(learning, f.name)}" for f in fields(learning)]
    follow_trainer(child.command("detectors", words), say)
    return out / DETECTOR


def follow_trainer(command: list[str], say: child.Say) -> None:
    """Run the trainer to its end; raises TrainError unless it finished."""
    child.judge(*child.follow(command, STATUS, say), "batch or size")
