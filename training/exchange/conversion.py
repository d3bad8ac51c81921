"""A network that was trained elsewhere, as a run that training goes on from."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from atelier.arrays import save_arrays
from training.config import ConfigError
from training.exchange.described import is_pickle
from training.exchange.opening import OpenedGenerator, open_generator
from training.exchange.pickles import NetworkFileError
from training.exchange.tuning import network_options, pair_of
from training.run import checkpoints
from training.run.checkpoints import Checkpoint

ALL = ("G_ema", "G", "D")  # what training needs
COUNTERS = {"seen": 0, "minibatches": 0, "tally": {}}


def import_run(opened: OpenedGenerator, run: Path) -> Path:
    """Write a checkpoint after 0 images, without slots of Adam's; returns its path.

    `train --resume-from` goes on from it. Raises NetworkFileError where parts are missing.
    """
    if lacking := [part for part in ALL if part not in opened.arrays]:
        raise NetworkFileError(
            f"{opened.path} has no {' and no '.join(lacking)}: training needs all of"
            f" {', '.join(ALL)}, and pictures can be generated from it as it is"
        )
    if checkpoints.list_checkpoints(run):
        raise NetworkFileError(f"out = {run} has checkpoints already: choose another folder")
    about = {
        "key": opened.digest[:10],
        "network": pair_of(opened).saved(),
        "counters": COUNTERS,
        "imported": {"name": opened.path.name, "sha256": opened.digest, "source": opened.source},
    }
    path = checkpoints.checkpoint_path(run, 0)
    save_arrays(path, arrays_of(opened), about)
    return path


def arrays_of(opened: OpenedGenerator) -> dict[str, NDArray[Any]]:
    """What is there of the networks, as a checkpoint has it; where G is missing it is G_ema."""
    found = {"G": opened.arrays["G_ema"], **opened.arrays}
    arrays = {f"{part}/{name}": value for part in found for name, value in found[part].items()}
    shapes = {"p": (), "path_mean": (), "signs": (2,)}
    return arrays | {f"loss/{name}": np.zeros(shape, np.float32) for name, shape in shapes.items()}


def begun_checkpoint(path: Path) -> tuple[Checkpoint, list[str]]:
    """(what training begins with, notes), of whatever `open_generator` opens.

    A run and a checkpoint of one are that; all else is after 0 images, and without D where its file
    has none. Raises NetworkFileError, CheckpointError or ConfigError.
    """
    if path.is_dir():
        found, broken = checkpoints.newest(path)
        if found is None:
            raise ConfigError(f"resume_from = {path}: there is no whole checkpoint in it")
        return found, [f"{problem}; the one before is used" for problem in broken.values()]
    if not is_pickle(path) and is_of_run(own := checkpoints.load_checkpoint(path)):
        return own, []
    opened = open_generator(path, ALL)
    about = {"network": opened.saved(), "counters": COUNTERS}
    return Checkpoint(path, arrays_of(opened), about), [*opened.notes, *missing_parts(opened)]


def is_of_run(found: Checkpoint) -> bool:
    """Whether a run left it, with all that training needs."""
    parts = {name.partition("/")[0] for name in found.arrays}
    return "counters" in found.about and {*ALL, "loss"} <= parts


def missing_parts(opened: OpenedGenerator) -> Iterator[str]:
    """What training does without."""
    if "G" not in opened.arrays:
        yield f"{opened.path} has no G: it begins as G_ema"
    if "D" not in opened.arrays:
        yield (
            f"{opened.path} has no D: it begins anew, and while it learns, G forgets some of what"
            " it knew; a checkpoint or a pickle has one"
        )


def train_words(opened: OpenedGenerator) -> str:
    """The options that make a run's networks those of the file, as they are typed."""
    words = [f"--{name.replace('_', '-')}={v}" for name, v in network_options(opened).items()]
    return " ".join([*words, *(["--labels"] if opened.config.labels else [])])
