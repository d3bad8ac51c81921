"""Checkpoints: one .npz each, complete as soon as it has its name."""

import os
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from atelier import files
from atelier.arrays import CheckpointError, load_arrays
from atelier.errors import words_of
from training.networks.architecture import saved_pair


@dataclass(frozen=True)
class Checkpoint:
    """What a file holds: arrays by name, and what describes them."""

    path: Path
    arrays: Mapping[str, NDArray[Any]]
    about: dict[str, Any]  # network, counters, key of the run


def checkpoint_path(run: Path, seen: int) -> Path:
    """Where the checkpoint after `seen` images lies."""
    return run / "checkpoints" / f"{seen:010d}.npz"


def seen_at(path: Path) -> int:
    """The images seen by a checkpoint, from its name."""
    return int(path.stem)


def list_checkpoints(run: Path) -> list[Path]:
    """All complete checkpoints of a run, the oldest first; a copy under another name is none."""
    found = (run / "checkpoints").glob("*.npz")
    return sorted((path for path in found if re.fullmatch("[0-9]+", path.stem)), key=seen_at)


def images_seen(run: Path) -> int:
    """How far a run's newest checkpoint is."""
    saved = list_checkpoints(run)
    return seen_at(saved[-1]) if saved else 0


def load_checkpoint(path: Path, part: str = "") -> Checkpoint:
    """Read a checkpoint, or a part of it: G, D, G_ema, adam_G, adam_D, loss.

    Raises CheckpointError where it is truncated or something else.
    """
    return Checkpoint(path, *load_arrays(path, f"{part}/" if part else ""))


def newest(
    run: Path, until: int | None = None, part: str = ""
) -> tuple[Checkpoint | None, dict[Path, str]]:
    """The newest whole checkpoint (after at most `until` images), and why others were not.

    Only `part` of it is read, if that is named. Raises CheckpointError where there are some and
    none of them is whole.
    """
    broken: dict[Path, str] = {}
    for path in reversed(list_checkpoints(run)):
        if until is not None and seen_at(path) > until:
            continue
        try:
            return told_whole(load_checkpoint(path, part)), broken
        except (CheckpointError, FileNotFoundError) as error:
            if is_gone(path):
                return newest(run, until, part)
            broken[path] = words_of(error)
    if broken:
        raise CheckpointError(
            f"none of the {len(broken)} checkpoints of {run} can be read"
            f" ({next(iter(broken.values()))}): bring one back, or choose another --out"
        )
    return None, broken


def told_whole(found: Checkpoint) -> Checkpoint:
    """The same; raises CheckpointError where it does not say its network and how far it is."""
    counters = found.about.get("counters", {})
    kinds = {"seen": int, "minibatches": int, "tally": dict}
    if (
        not files.has(found.about, "network", dict)
        or not all(files.has(counters, name, kind) for name, kind in kinds.items())
        or not all(map(is_pair, counters["tally"].values()))
    ):
        raise CheckpointError(f"{found.path} does not say its network and how far it is")
    return found


def is_pair(value: Any) -> bool:
    """Whether a JSON value is two numbers."""
    return isinstance(value, list) and [type(n) in (int, float) for n in value] == [True, True]


def is_gone(path: Path) -> bool:
    """Whether there is no such file any more: the run is in training, and has newer ones by now."""
    return not os.path.lexists(path)


def set_aside(broken: Iterable[Path]) -> None:
    """Rename what is no whole checkpoint: it counts no more, and nothing is deleted."""
    for path in broken:
        path.rename(path.with_suffix(".broken"))


def retain(run: Path, keep: int, best: Collection[int]) -> None:
    """Delete all but the last `keep` checkpoints and the best ones."""
    for path in list_checkpoints(run)[:-keep]:
        if seen_at(path) not in best:
            path.unlink()


def forget_after(run: Path, seen: int) -> None:
    """Delete the checkpoints of a future that was given up."""
    for path in list_checkpoints(run):
        if seen_at(path) > seen:
            path.unlink()


@contextmanager
def telling_its_network(path: Path) -> Iterator[None]:
    """Raise CheckpointError for what a file says of its networks and no network can be."""
    try:
        yield
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        raise CheckpointError(f"{path} does not say what network it is of: {error}") from None


def same_network(here: Mapping[str, Any], there: Mapping[str, Any], path: Path) -> None:
    """Raise CheckpointError naming both where a checkpoint is of another network."""
    with telling_its_network(path):
        pairs = [saved_pair(saved) for saved in (here, there)]
    sides = [f"{g.width} x {g.height} x {g.channels}" for g in (pair.generator for pair in pairs)]
    if sides[0] != sides[1]:
        raise CheckpointError(
            f"{path} is of a network for {sides[1]} images, this run's are {sides[0]}:"
            " use a dataset of that shape, or start without it"
        )
    own, other = (pair.named() for pair in pairs)
    own, other = ({"architecture": "stylegan2"} | named for named in (own, other))
    differing = {n: (own[n], other[n]) for n in own if own[n] != other[n]}
    twice = {n for n, both in differing.items() if differing.get(n.removeprefix("d_"), ()) == both}
    differing = {n: both for n, both in differing.items() if n not in twice or n[:2] != "d_"}
    if differing:
        said = [f"{name} = {b} (here {a})" for name, (a, b) in differing.items()]
        raise CheckpointError(f"{path} is of another network: {', '.join(said)}; give the same")
