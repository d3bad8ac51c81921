"""Sheets over seeds: styles of two mixed, truncation from one end to the other, directions."""

from collections.abc import Sequence
from dataclasses import replace

from training.explore.asked import Look, Move, rows_of
from training.explore.model import Model
from training.explore.sheets import Pixels, sheet


def seed_grid(model: Model, seeds: Sequence[int], look: Look, columns: int) -> Pixels:
    """One picture a seed, row by row; beside each row stands its first seed."""
    drawn = [pixels for _, pixels in model.drawn(seeds, look)]
    starts = range(0, len(seeds), columns)
    cells = [drawn[at : at + columns] for at in starts]
    return sheet(cells, [""] * columns, [str(seeds[at]) for at in starts])


def mix(
    model: Model, rows: Sequence[int], columns: Sequence[int], levels: Sequence[int], look: Look
) -> Pixels:
    """Styles of the row's seed, but at `levels` those of the column's (StyleGAN paper, 3.1).

    The first row and the first column show the seeds unmixed.
    """
    model.check(look)
    own, other = model.styles(rows, look), model.styles(columns, look)
    taken = rows_of(levels, model.top)
    blank = model.pictures(other[:1])[0] * 0 + 255
    cells = [[blank, *model.pictures(other, columns)]]
    for seed, ws in zip(rows, own, strict=True):
        mixed = ws[None].repeat(len(other), axis=0)
        mixed[:, taken] = other[:, taken]
        cells.append(
            [*model.pictures(ws[None], [seed]), *model.pictures(mixed, [seed] * len(other))]
        )
    return sheet(cells, ["", *map(str, columns)], ["", *map(str, rows)])


def truncation(model: Model, seeds: Sequence[int], psis: Sequence[float], look: Look) -> Pixels:
    """A row a seed, a column a psi; `look.psi` does not matter."""
    model.check(look)
    w = model.w(seeds, look.label)
    columns = [model.pictures(model.styled(w, replace(look, psi=psi)), seeds) for psi in psis]
    cells = [list(row) for row in zip(*columns, strict=True)]
    return sheet(cells, [f"psi {psi:.3g}" for psi in psis], [f"seed {seed}" for seed in seeds])


def along(
    model: Model, seeds: Sequence[int], moves: Sequence[Move], amounts: Sequence[float], look: Look
) -> Pixels:
    """A row a direction and seed, a column an amount; the moves' own amounts do not matter."""
    cells, names = [], []
    for move in moves:
        for seed in seeds:
            looks = [replace(look, moves=(replace(move, amount=a),)) for a in amounts]
            cells.append([next(model.drawn([seed], each))[1] for each in looks])
            names.append(f"{move.name}, seed {seed}")
    return sheet(cells, [f"{amount:+.2g}" if amount else "0" for amount in amounts], names)
