"""How the portraits fill the wanted shape, and how short those of too few pixels fell."""

from collections.abc import Iterator, Sequence
from statistics import median

from pipeline.rows.manifest import Row, outcome
from pipeline.sections import DatasetConfig, size_in_words
from pipeline.stages.crop import Recipe

TOO_FEW = "too few pixels"
SMALLEST = 128  # pixels a side: no smaller dataset is proposed
ENLARGED = 1.15  # the factor that is proposed
ROUNDED = 1.02  # times the wanted share: what is more is no rounding of pixels


def framing_notes(rows: Sequence[Row], recipe: Recipe) -> list[str]:
    """What a person should know about the crops of these rows."""
    return [*tightness(rows, recipe), *shortfall(rows, recipe)]


def framing_numbers(recipe: Recipe) -> dict[str, float]:
    """What the report draws the portraits against."""
    least = recipe.crop.least(recipe.dataset)
    shown = {"face_share": recipe.portrait.face_share, "least_side": max(least)}
    # One side that is long enough will do, so of a photo that is not even this no portrait can be.
    return shown | ({"least_photo": min(least)} if any(least) else {})


def face_share(row: Row) -> float | None:
    """The height of the face, as a share of the picture's; None where there is no face."""
    if row.face is None or row.rectangle is None:
        return None
    return row.face.height / row.rectangle.height


def tightness(rows: Sequence[Row], recipe: Recipe) -> Iterator[str]:
    """A sentence on how many photos are too tight for the portrait that is wanted."""
    kept = [face_share(row) for row in rows if row.drop is None]
    shares = [share for share in kept if share is not None]
    wanted = recipe.portrait.face_share
    tight = sum(share > ROUNDED * wanted for share in shares)
    if tight:
        yield (
            f"{len(shares) - tight} of {len(shares)} portraits have the room that is wanted, the"
            f" face {wanted:.2f} of the height; it is {median(shares):.2f} in the middle one,"
            f" {max(shares):.2f} at most; [Portrait] shrink says how much it may be"
        )


def shortfall(rows: Sequence[Row], recipe: Recipe) -> Iterator[str]:
    """A sentence on how short too few pixels fell, and on what would let more in."""
    short = [row for row in rows if row.drop is not None and outcome(row) == TOO_FEW]
    if not short:
        return
    reached = [filled(row, recipe, recipe.dataset.width_height) for row in short]
    more = [
        (f"at size {size_in_words(*size)}", sum(filled(row, recipe, size) >= 1 for row in short))
        for size in smaller(recipe.dataset)
    ]
    factor = recipe.crop.enlarge or 1.0
    if factor < ENLARGED:
        gained = sum(share >= factor / ENLARGED for share in reached)
        more.append((f"with [Crop] enlarge = {ENLARGED}", gained))
    told = "".join(f"; {how}, {count:,} more" for how, count in more)
    yield (
        f"too few pixels: {len(short):,}, of which the middle one reaches {median(reached):.2f} of"
        f" the side that is wanted{told}"
    )


def filled(row: Row, recipe: Recipe, size: tuple[int, int]) -> float:
    """The portrait's side as a share of the least that is wanted at this size."""
    assert row.rectangle is not None
    width, height = size
    factor = recipe.crop.enlarge or 1.0
    return factor * max(row.rectangle.width / width, row.rectangle.height / height)


def smaller(dataset: DatasetConfig) -> list[tuple[int, int]]:
    """A half and a quarter of the dataset's size, as far as those are sensible."""
    width, height = dataset.width_height
    halves = [(width // step, height // step) for step in (2, 4)]
    return [size for size in halves if min(size) >= SMALLEST]
