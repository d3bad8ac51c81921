"""How the portraits fill the wanted shape, and how short those of too few pixels fell."""

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from pipeline.rows import columns
from pipeline.rows.columns import Numbers
from pipeline.rows.manifest import Told
from pipeline.rows.shards import Rows
from pipeline.sections import DatasetConfig, size_in_words
from pipeline.stages.crop import Recipe

if TYPE_CHECKING:
    import pyarrow as pa

Shares = NDArray[np.float64]

TOO_FEW = "too few pixels"
SMALLEST = 128  # pixels a side: no smaller dataset is proposed
ENLARGED = 1.15  # the factor that is proposed
ROUNDED = 1.02  # times the wanted share: what is more is no rounding of pixels


def told_portraits(made: Rows, recipe: Recipe, notes: Sequence[str]) -> Told:
    """What Crop tells of all its rows, other notes first."""
    said = framing_notes(made.tables(("face", "rectangle", "drop")), recipe)
    return Told([*notes, *said], framing_numbers(recipe))


def framing_notes(tables: "Iterable[pa.Table]", recipe: Recipe) -> list[str]:
    """What a person should know about the crops: columns face, rectangle, drop of all rows."""
    seen = [(face_shares(table)[columns.is_kept(table)], short_sides(table)) for table in tables]
    shares = np.concatenate([own for own, _ in seen])
    width, height = np.concatenate([own for _, own in seen], axis=1)
    return [*tightness(shares, recipe), *shortfall((width, height), recipe)]


def framing_numbers(recipe: Recipe) -> dict[str, float]:
    """What the report draws the portraits against."""
    least = recipe.crop.least(recipe.dataset)
    shown = {"face_share": recipe.portrait.face_share, "least_side": max(least)}
    # One side that is long enough will do, so of a photo that is not even this no portrait can be.
    return shown | ({"least_photo": min(least)} if any(least) else {})


def face_shares(table: "pa.Table") -> Shares:
    """The height of the face as a share of the picture's, NaN where there is no face."""
    (faces, with_face), (pictures, with_picture) = (
        columns.boxes(table, name) for name in ("face", "rectangle")
    )
    there = with_face & with_picture
    heights = np.where(there, columns.spans(pictures)[1], 1)
    return np.where(there, columns.spans(faces)[1] / heights, np.nan)


def tightness(shares: Shares, recipe: Recipe) -> Iterator[str]:
    """A sentence on how many photos are too tight for the portrait that is wanted."""
    shares = shares[~np.isnan(shares)]
    wanted = recipe.portrait.face_share
    wide = int((shares <= ROUNDED * wanted).sum())
    if wide < len(shares):
        yield (
            f"{wide} of {len(shares)} portraits {'has' if wide == 1 else 'have'} the room that is"
            f" wanted, the face {wanted:.2f} of the height; it is {np.median(shares):.2f} in the"
            f" middle one, {shares.max():.2f} at most; [Portrait] shrink says how much it may be"
        )


def short_sides(table: "pa.Table") -> Numbers:
    """The widths and heights, [2, rows], of the portraits that have too few pixels."""
    few = columns.dropped_for(table, TOO_FEW)
    return np.stack(columns.spans(columns.boxes(few, "rectangle")[0]))


def shortfall(sides: tuple[Numbers, Numbers], recipe: Recipe) -> Iterator[str]:
    """A sentence on how short too few pixels fell, and on what would let more in.

    `sides` are the widths and heights of the portraits that have too few.
    """
    count = len(sides[0])
    if not count:
        return
    reached = filled(sides, recipe, recipe.dataset.width_height)
    more = [
        (f"at size {size_in_words(*size)}", int((filled(sides, recipe, size) >= 1).sum()))
        for size in smaller(recipe.dataset)
    ]
    factor = recipe.crop.enlarge or 1.0
    if factor < ENLARGED:
        gained = int((reached >= factor / ENLARGED).sum())
        more.append((f"with [Crop] enlarge = {ENLARGED}", gained))
    told = "".join(f"; {how}, {count:,} more" for how, count in more)
    yield (
        f"too few pixels: {count:,}, of which the middle one reaches {np.median(reached):.2f} of"
        f" the side that is wanted{told}"
    )


def filled(sides: tuple[Numbers, Numbers], recipe: Recipe, size: tuple[int, int]) -> Shares:
    """The portraits' sides, widths and heights, as shares of the least wanted at this size."""
    width, height = size
    factor = recipe.crop.enlarge or 1.0
    return np.asarray(factor * np.maximum(sides[0] / width, sides[1] / height))


def smaller(dataset: DatasetConfig) -> list[tuple[int, int]]:
    """A half and a quarter of the dataset's size, as far as those are sensible."""
    width, height = dataset.width_height
    halves = [(width // step, height // step) for step in (2, 4)]
    return [size for size in halves if min(size) >= SMALLEST]
