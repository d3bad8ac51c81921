"""What a person asks of a model, in words: seeds, levels, psi, a class, directions."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from atelier import files
from training.config import KERAS, ConfigError

Floats = NDArray[np.float32]
MOST_SEEDS = 1_000_000
PICTURES = (".png", ".jpg", ".jpeg")
# As the StyleGAN paper (section 3.1) calls the styles of 4 and 8, of 16 and 32, of more pixels.
WORDS = {"coarse": (0, 1), "middle": (2, 3), "fine": (4, 99)}


@dataclass(frozen=True)
class Move:
    """`amount` standard deviations of w along a direction, at some levels."""

    name: str
    amount: float
    step: Floats  # [w_dim], one standard deviation long
    levels: tuple[int, ...]


@dataclass(frozen=True)
class Look:
    """How seeds become styles: truncation, class, directions."""

    psi: float = 1.0
    cutoff: int | None = None  # the highest level that is truncated; None: all are
    label: int | None = None  # a class; None: each seed draws its own
    moves: tuple[Move, ...] = ()

    def said(self) -> dict[str, str]:
        """What a picture's metadata say of it."""
        known = {"psi": f"{self.psi:g}"}
        if self.cutoff is not None:
            known["cutoff"] = str(self.cutoff)
        if self.label is not None:
            known["label"] = str(self.label)
        if self.moves:
            known["directions"] = ",".join(f"{m.name}={m.amount:g}" for m in self.moves)
        return known


def pairs_in(text: str) -> list[tuple[int, int]]:
    """0-3,7 -> (0, 3), (7, 7); raises ValueError."""
    parts = [part.strip().partition("-") for part in text.split(",")]
    return [
        (whole_number(first), whole_number(last if dash else first)) for first, dash, last in parts
    ]


def whole_number(text: str) -> int:
    """One from 0 on, in figures; raises ValueError."""
    if not text.strip().isdecimal():
        raise ValueError(f"{text!r} is no whole number")
    return int(text)


def check_upward(text: str, name: str) -> None:
    """Raise ConfigError where a range of an option would be left out: it ends before it begins."""
    for first, last in pairs_in(text):
        if last < first:
            raise ConfigError(f"{name} = {text!r}: {first}-{last} holds none: write {last}-{first}")


def parsed_seeds(text: str, name: str = "seeds", least: int = 1) -> list[int]:
    """The seeds of an option called `name`: 0-3,7 -> 0, 1, 2, 3, 7; raises ConfigError."""
    try:
        ranges = [range(first, last + 1) for first, last in pairs_in(text)]
    except ValueError:
        raise ConfigError(f"{name} = {text!r}: write numbers and ranges, as in 0-15,7083") from None
    if (many := sum(max(r.stop - r.start, 0) for r in ranges)) > MOST_SEEDS:
        raise ConfigError(f"{name} = {text!r}: that is {many}; give at most {MOST_SEEDS} at once")
    check_upward(text, name)
    if many < least:
        raise ConfigError(f"{name} = {text!r}: that is {many}; give at least {least}")
    return [seed for each in ranges for seed in each]


def parsed_levels(text: str, top: int) -> list[int]:
    """coarse, middle, fine, or 0-1,4 -> levels of a model whose highest is `top`."""
    if text in WORDS:
        first, last = WORDS[text]
        found = list(range(first, min(last, top) + 1))
        if not found:
            raise ConfigError(f"levels = {text}: this model has none of them, only 0 to {top}")
        return found
    try:
        pairs = pairs_in(text)
    except ValueError:
        raise ConfigError(
            f"levels = {text!r}: write coarse, middle, fine, or numbers, as in 0-1,4"
        ) from None
    for level in (level for pair in pairs for level in pair):
        if level > top:
            raise ConfigError(f"levels = {text}: this model has levels 0 to {top}")
    check_upward(text, "levels")
    return sorted({level for first, last in pairs for level in range(first, last + 1)})


def check_names(names: Sequence[str]) -> None:
    """Raise ConfigError for the name of a direction that no file of them can hold."""
    for name in names:
        if not files.is_name(name) or name == "about":
            raise ConfigError(f"names = {name}: {files.NAMING}")


def rows_of(levels: Sequence[int], top: int) -> list[int]:
    """The rows of ws that belong to levels: those that their convolutions read.

    Level 0 has row 0, level l rows 2 l - 1 and 2 l, and the highest the last row too, which only
    its colours read. The colours of a lower level read the first row of the next one.
    """
    return [row for row in range(2 * top + 2) if min((row + 1) // 2, top) in levels]


def check_model(path: Path | None, name: str = "model") -> None:
    """Raise ConfigError where there is nothing at all, before TensorFlow is loaded for it."""
    check_named(path, name, "run or checkpoint")


def check_named(path: Path | None, name: str, kind: str = "file") -> None:
    """Raise ConfigError for an option that names what is not there; one may be left out."""
    if path is not None and not path.exists():
        raise ConfigError(f"{name} = {path}: there is no such {kind}")


def check_label(label: int | None, classes: int) -> None:
    """Raise ConfigError for a class that a model of so many has not."""
    if label is not None and not 0 <= label < classes:
        way_out = f"give 0 to {classes - 1}" if classes else "leave it out"
        raise ConfigError(f"label = {label}: this model has {classes} classes: {way_out}")


def check_vgg(source: str) -> None:
    """Raise ConfigError where a file of VGG19's weights is named that is not there."""
    if source not in ("", KERAS) and not Path(source).is_file():
        raise ConfigError(f"vgg = {source}: there is no such file; leave it out, or give keras")


def check_inception(source: str, name: str = "inception") -> None:
    """Raise ConfigError where a file of Inception's weights is named that is not there."""
    if source and not Path(source).is_file():
        raise ConfigError(f"{name} = {source}: there is no such file")


def check_folder(path: Path, name: str = "out") -> None:
    """Raise ConfigError where no folder can be made or written to."""
    if not files.is_writable(path):
        raise ConfigError(f"{name} = {path}: that is no folder one can write to: choose another")


def check_file(
    path: Path, suffixes: Sequence[str] = PICTURES, name: str = "out", read: Sequence[Path] = ()
) -> None:
    """Raise ConfigError unless a file of one of these kinds can be written here.

    What is `read` is not to be written over, nor to get company: a file, the pictures of a folder,
    the checkpoints of a run.
    """
    if path.suffix.lower() not in suffixes or (path.exists() and not path.is_file()):
        kinds = " or ".join(suffixes[:2])
        raise ConfigError(f"{name} = {path}: name a file that ends with {kinds}")
    if any(is_among(path, each) for each in read):
        raise ConfigError(f"{name} = {path}: this is what is read: choose another name")
    check_folder(path.parent, name)


def is_among(path: Path, read: Path) -> bool:
    """Whether a file is, or would be, one of those that are read there."""
    if not read.is_dir():
        return path.exists() and read.exists() and path.samefile(read)
    checkpoints = read / "checkpoints"
    if checkpoints.is_dir():
        return path.resolve().is_relative_to(checkpoints.resolve())
    return path.suffix.lower() in PICTURES and path.resolve().is_relative_to(read.resolve())
