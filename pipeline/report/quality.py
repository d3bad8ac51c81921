"""What the report shows of quality: copies side by side, the lowest of each measure, its spread."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from pipeline.photos.thumbnails import Thumbnail
from pipeline.report.charts import histogram
from pipeline.report.choices import Extreme
from pipeline.report.funnel import Chapter, rows_of_stage
from pipeline.report.sheets import Gallery, Sheet
from pipeline.rows import columns
from pipeline.rows.manifest import NUMBERS, Row
from pipeline.rows.shards import Rows
from pipeline.stages.filter_quality import COPY

if TYPE_CHECKING:
    import pyarrow as pa

# A measure, what its worst are called, whether those are the lowest, and the option that limits it.
WORST = (
    ("sharpness", "Least sharp", True, "sharpness"),
    ("light", "Darkest", True, "dark"),
    ("light", "Brightest", False, "bright"),
    ("colour", "Least colour", True, "colour"),
)
UNITS = {
    "sharpness": "Laplacian variance of the face at 160 px",
    "light": "mean of the face, 0 to 255",
    "colour": "chroma beside what lightness explains, in levels",
}


def measures_of(rows: Rows) -> "Iterator[pa.Table]":
    """Number, id and measures of those that were measured, by shard."""
    for table in rows.numbered("id", *NUMBERS):
        yield table.filter(table.column("measures").is_valid())


def copy_sheets(chapters: Sequence[Chapter], most: int, gallery: Gallery) -> Iterator[Sheet]:
    """Groups of nearly the same picture, the largest first: what stays, then what it replaces."""
    rows = rows_of_stage(chapters, "FilterQuality")
    if COPY not in rows.outcome():
        return
    groups = copied_rows(rows)
    ranked = sorted(groups, key=lambda name: (-len(groups[name]), name))[:most]
    best = numbers_of(rows, ranked)
    for number, name in enumerate(ranked):
        group = [best[name], *groups[name]]
        pictures = [sized(gallery, row) for row in rows.at(group[: most + 1])]
        yield Sheet(f"copies-{number}", "The first stays", len(group), pictures)


def copied_rows(rows: Rows) -> dict[str, list[int]]:
    """The id of what stays -> the numbers of what it replaces."""
    groups: dict[str, list[int]] = {}
    for table in rows.numbered("drop"):
        own = columns.dropped_for(table, COPY)
        for at, drop in zip(columns.ids(own, "at"), columns.ids(own, "drop"), strict=True):
            groups.setdefault(drop.partition(": ")[2], []).append(at)
    return groups


def numbers_of(rows: Rows, names: Sequence[str]) -> dict[str, int]:
    """The numbers of the rows of these ids; of several the last."""
    tables = (columns.among(table, "id", names) for table in rows.numbered("id"))
    return {
        name: at
        for own in tables
        for name, at in zip(columns.ids(own), columns.ids(own, "at"), strict=True)
    }


def sized(gallery: Gallery, row: Row) -> Thumbnail:
    """A picture with the pixels of its rectangle."""
    assert row.rectangle is not None
    return gallery.valued(row, f"{row.rectangle.width} x {row.rectangle.height}")


def lowest_sheets(chapters: Sequence[Chapter], most: int, gallery: Gallery) -> Iterator[Sheet]:
    """The portraits with the lowest, and brightest, of each measure, the worst first."""
    rows = rows_of_stage(chapters, "Measure")
    choices = [Extreme(most, low) for _, _, low, _ in WORST]
    for table in measures_of(rows):
        for choice, (name, *_) in zip(choices, WORST, strict=True):
            choice.see(table, columns.floats(table, "measures", name))
    for choice, (name, title, *_) in zip(choices, WORST, strict=True):
        if choice.rows:
            shown = rows.at(choice.rows)
            pictures = [gallery.valued(row, f"{getattr(row.measures, name):.4g}") for row in shown]
            yield Sheet(f"lowest-{title.replace(' ', '-')}", title, choice.total, pictures)


def quality_charts(chapters: Sequence[Chapter]) -> Iterator[tuple[str, str]]:
    """(title, SVG) of each measure's spread: one for each limit of it, or one without."""
    found: dict[str, list[NDArray[np.float64]]] = {name: [] for name in UNITS}
    for table in measures_of(rows_of_stage(chapters, "Measure")):
        for name, some in found.items():
            some.append(columns.floats(table, "measures", name))
    numbers = {name: n for chapter in chapters for name, n in chapter.numbers.items()}
    for name, unit in UNITS.items():
        values = np.concatenate(found.pop(name))
        limits: list[tuple[float | None, bool]] = [
            (numbers[option], low)
            for measure, _, low, option in WORST
            if measure == name and option in numbers
        ]
        for limit, low in limits or [(None, False)]:
            yield name.capitalize(), histogram(values, unit, limit, least=low)
