"""Before a run begins: what a person is told of it, and the folder that it gets."""

import errno
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from atelier import files
from atelier.commands import number_of, say
from training.config import Config, ConfigError
from training.run import folder
from training.run.checkpoints import images_seen

MANY_EPOCHS = 1000
FIRST = {"lock", "metrics.lock", "config.json"}  # of a run that has not begun to learn

# What it writes then. Checkpoints without a config.json are gone on from.
LATER = {"grids", "tensorboard", "metrics", "metrics.jsonl", "metrics.svg", "progress.mp4"}
LATER |= {"real_scores.jsonl", "real_scores.svg", "stats.jsonl"}


def check_apart(config: Config) -> None:
    """Raise ConfigError where the run would lie in its own dataset, and become part of it.

    Or where TensorFlow could not write its part of it.
    """
    data, out = Path(config.data.data).resolve(), Path(config.run.out).resolve()
    if not files.is_text(out):
        raise ConfigError(f"out = {config.run.out}: this name is not UTF-8: choose another")
    if config.run.out and data.is_dir() and out.is_relative_to(data):
        raise ConfigError(
            f"out = {config.run.out} lies in data = {config.data.data}, and the run's own pictures"
            " would be learnt from: choose a folder beside it"
        )


def few_pictures(config: Config, count: int) -> Iterator[str]:
    """What a person should know of a small dataset."""
    batch, epochs = config.run.batch, config.run.total_kimg * 1000 / count
    if count < batch:
        yield f"{number_of(count, 'picture')} for a batch of {batch}: some are in it several times"
    if epochs > MANY_EPOCHS:
        yield (
            f"total_kimg = {config.run.total_kimg:g} shows each of {count} pictures"
            f" {epochs:.0f} times: more pictures, or a smaller total_kimg, may do better"
        )


def in_ten_lines(first: str, config: Config, dataset: Mapping[str, Any]) -> str:
    """What is not as every option is by itself."""
    said = [f"{first}; {folder.dataset_in_words(dataset)}"]
    for title, section in asdict(config).items():
        own = {f.name: f.default for f in fields(getattr(config, title))}
        given = [f"{name} = {value}" for name, value in section.items() if value != own[name]]
        said.append(f"{title + ':':9}{', '.join(given) or 'all by default'}")
    return "\n".join([*said, "every option: --dry-run, and config.json in the folder of the run:"])


def is_kept_finished(run: Path, config: Config, dataset: Mapping[str, Any]) -> bool:
    """Whether a run is at its end where nothing can be written: a finished one is finished anew.

    Raises ConfigError for one that would go on there.
    """
    why = files.why_not_writable(run) if run.is_dir() else None
    if not why or why.errno not in (errno.EROFS, errno.EACCES, errno.EPERM):
        return False  # a full disk speaks for itself
    if known := folder.whole_run(run):
        folder.check_same(run, known, config, dataset)
        if images_seen(run) >= round(config.run.total_kimg * 1000):
            say(f"{run} is finished, and can only be read there: nothing is to do")
            return True
    raise ConfigError(
        f"out = {run}: it can only be read there: make it writable, or choose another"
    )


@contextmanager
def made_for(run: Path) -> Iterator[None]:
    """Make the folder of a run; where the command is refused, what was made for it goes again."""
    refusal = ConfigError(f"out = {run}: no folder can be made there: choose another")
    with files.made_for(run, FIRST, refusal):
        check_others_files(run, set(os.listdir(run)))
        yield


def check_others_files(run: Path, there: set[str]) -> None:
    """Raise ConfigError where a run that begins would write over files that are no run's."""
    if not there or "config.json" in there:
        return
    if "checkpoints" not in there and (taken := sorted(there & LATER)):
        raise ConfigError(
            f"out = {run}: {taken[0]} there is of no run, and would be written over: choose"
            " another out"
        )
    say(f"note: {run} has other files in it, and the run is written beside them")
