"""Directions of w that change what is seen, found without labels, and kept by name in a file."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from atelier.arrays import CheckpointError, load_arrays, save_arrays
from atelier.files import is_name
from atelier.options import nearest
from training.config import ConfigError
from training.explore.asked import Floats, Move
from training.explore.model import Model

LARGEST = 1e6  # number of a step: w is about 1
SAMPLES = 4096  # seeds, 0 and following, of which the mean and spread of w are measured


@dataclass(frozen=True)
class Direction:
    """One direction: its step of one standard deviation of w, and where it is taken."""

    name: str
    step: Floats  # [w_dim]
    levels: tuple[int, ...]
    share: float  # of the sum of all eigenvalues

    def move(self, amount: float) -> Move:
        """So many standard deviations along it."""
        return Move(self.name, amount, self.step, self.levels)


def find(model: Model, method: str, levels: Sequence[int], count: int) -> list[Direction]:
    """The first `count` directions: sefa at these levels, or pca of w applied at these levels."""
    samples = model.w(range(SAMPLES)).astype(np.float64)
    matrix = style_matrix(model, levels) if method == "sefa" else np.cov(samples.T)
    values, vectors = np.linalg.eigh(np.atleast_2d(matrix))
    found = []
    for number in range(min(count, len(values))):
        own = vectors[:, -1 - number]
        own = own * np.sign(own[np.abs(own).argmax()])  # eigenvectors have no sign of their own
        step = np.asarray(own * (samples @ own).std(), np.float32)
        share = float(values[-1 - number] / (values.sum() or 1.0))
        found.append(Direction(f"{method}{number + 1}", step, tuple(levels), share))
    return found


def style_matrix(model: Model, levels: Sequence[int]) -> Any:
    """A^T A of the styles' affine weights of these levels (SeFa, Shen and Zhou 2021, eq. 4).

    A [styles, w_dim] are those of the convolutions, one above the other, without their biases.
    """
    config, values = model.config, model.generator.values
    weights = [
        values[name].numpy().astype(np.float64)
        for level in levels
        for conv in ("conv0", "conv1")
        if (name := f"synthesis/{config.block(level)}/{conv}/affine/weight") in values
    ]
    stacked = np.concatenate(weights, axis=1) / np.sqrt(config.w_dim)
    return stacked @ stacked.T


def save_directions(path: Path, found: Sequence[Direction], digest: str) -> None:
    """Write directions by name beside those that the file has; raises ConfigError.

    `digest` is that of the model's file; one file holds directions of one model.
    """
    known: dict[str, Direction] = {}
    if path.exists():
        known, model = load_directions(path)
        if model != digest:
            raise ConfigError(f"{path} holds directions of another model: choose another file")
    known |= {each.name: each for each in found}
    about = {name: {"levels": d.levels, "share": d.share} for name, d in known.items()}
    arrays = {name: d.step for name, d in known.items()}
    save_arrays(path, arrays, {"directions": about, "model": digest})


def load_directions(path: Path) -> tuple[dict[str, Direction], str]:
    """(directions by name, digest of the model's file); raises ConfigError."""
    try:
        arrays, about = load_arrays(path)
        found = {n: direction_of(n, arrays[n], said) for n, said in about["directions"].items()}
        return found, str(about["model"])
    except (CheckpointError, LookupError, TypeError, AttributeError, ValueError, OverflowError):
        raise ConfigError(f"{path} holds no directions: write it with `directions`") from None


def direction_of(name: str, step: Any, said: Mapping[str, Any]) -> Direction:
    """A direction of a file; raises ValueError, or what Python does, where it is none."""
    levels, share = said["levels"], float(said["share"])
    whole = bool(levels) and all(type(level) is int and level >= 0 for level in levels)
    plain = step.ndim == 1 and step.dtype.kind == "f" and is_name(name)
    if not (whole and plain and math.isfinite(share) and (abs(step) < LARGEST).all()):
        raise ValueError(name)
    return Direction(name, step.astype(np.float32), tuple(levels), share)


def moves(
    model: Model, path: Path, wanted: Mapping[str, float]
) -> tuple[tuple[Move, ...], list[str]]:
    """(what NAME=AMOUNT asks for, what a person should know); raises ConfigError."""
    found, digest = load_directions(path)
    for name in wanted:
        if name not in found:
            raise ConfigError(f"direction = {name}: {path} has none{nearest(name, list(found))}")
    notes = []
    if digest != model.opened.digest:
        notes = [f"note: the directions of {path} were found in another file than this model"]
    return tuple(found[name].move(amount) for name, amount in wanted.items()), notes
