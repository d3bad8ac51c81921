"""A network that was trained elsewhere, as a run that training goes on from."""

from dataclasses import fields
from pathlib import Path

import numpy as np

from atelier.arrays import save_arrays
from training.config import ArchitectureConfig
from training.exchange.opening import OpenedGenerator
from training.exchange.pickles import NetworkFileError
from training.networks.architecture import Pair
from training.run import checkpoints

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
    pair = pair_of(opened)
    arrays = {
        f"{part}/{name}": value for part in ALL for name, value in opened.arrays[part].items()
    }
    shapes = {"p": (), "path_mean": (), "signs": (2,)}
    arrays |= {f"loss/{name}": np.zeros(shape, np.float32) for name, shape in shapes.items()}
    about = {
        "key": opened.digest[:10],
        "network": pair.saved(),
        "counters": COUNTERS,
        "imported": {"name": opened.path.name, "sha256": opened.digest, "source": opened.source},
    }
    path = checkpoints.checkpoint_path(run, 0)
    save_arrays(path, arrays, about)
    return path


def pair_of(opened: OpenedGenerator) -> Pair:
    """Both configs; raises NetworkFileError where options of a run cannot say both."""
    if opened.discriminator is None:
        raise NetworkFileError(f"{opened.path} does not say what its D is")
    pair = Pair(opened.config, opened.discriminator)
    known = pair.named()
    for name in ("fmap_base", "fmap_max", "conv_clamp", "labels", "height", "channels"):
        if known[name] != known[f"d_{name}"]:
            raise NetworkFileError(
                f"{opened.path} has {name} = {known[name]} in G and {known[f'd_{name}']} in D: a"
                " run has the same in both"
            )
    return pair


def train_words(opened: OpenedGenerator) -> str:
    """The options that make a run's networks those of the file, as they are typed."""
    known = pair_of(opened).named()
    names = [f.name for f in fields(ArchitectureConfig) if f.name in known]
    words = [f"--{name.replace('_', '-')}={known[name]}" for name in names]
    return " ".join([*words, *(["--labels"] if known["labels"] else [])])
