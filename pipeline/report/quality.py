"""What the report shows of quality: copies side by side, the lowest of each measure, its spread."""

import heapq
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pipeline.photos.thumbnails import Thumbnail
from pipeline.report.charts import histogram
from pipeline.report.funnel import Chapter
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


def measured_rows(chapters: Sequence[Chapter]) -> "tuple[Rows, pa.Table]":
    """The rows of the stage that measured them; number, id and measures of those measured."""
    named = [chapter.rows for chapter in chapters if chapter.stage == "Measure"]
    rows = named[0] if named else Rows.of([])
    table = columns.with_numbers(rows.columns("id", *NUMBERS))
    return rows, table.filter(table.column("measures").is_valid())


def copy_sheets(chapters: Sequence[Chapter], most: int, gallery: Gallery) -> Iterator[Sheet]:
    """Groups of nearly the same picture, the largest first: what stays, then what it replaces."""
    named = [chapter.rows for chapter in chapters if chapter.stage == "FilterQuality"]
    if not named or COPY not in named[0].outcome():
        return
    table = named[0].columns("id", "drop")
    groups: dict[str, list[int]] = {}
    for at, drop in enumerate(columns.ids(table, "drop")):
        reason, _, other = (drop or "").partition(": ")
        if reason == COPY:
            groups.setdefault(other, []).append(at)
    best = {name: at for at, name in enumerate(columns.ids(table)) if name in groups}
    ranked = sorted(groups, key=lambda name: (-len(groups[name]), name))[:most]
    for number, name in enumerate(ranked):
        group = [best[name], *groups[name]]
        pictures = [sized(gallery, row) for row in named[0].at(group[: most + 1])]
        yield Sheet(f"copies-{number}", "The first stays", len(group), pictures)


def sized(gallery: Gallery, row: Row) -> Thumbnail:
    """A picture with the pixels of its rectangle."""
    assert row.rectangle is not None
    return gallery.valued(row, f"{row.rectangle.width} x {row.rectangle.height}")


def lowest_sheets(chapters: Sequence[Chapter], most: int, gallery: Gallery) -> Iterator[Sheet]:
    """The portraits with the lowest, and brightest, of each measure, the worst first."""
    rows, table = measured_rows(chapters)
    names = columns.ids(table)
    for name, title, low, _ in WORST:
        pick = heapq.nsmallest if low else heapq.nlargest
        values = columns.floats(table, "measures", name)
        few = ((values[at], names[at], at) for at in worst_of(values if low else -values, most))
        worst = pick(most, few)
        if worst:
            numbers = columns.ids(table, "at")
            shown = rows.at([numbers[at] for *_, at in worst])
            pictures = [gallery.valued(row, f"{getattr(row.measures, name):.4g}") for row in shown]
            yield Sheet(f"lowest-{title.replace(' ', '-')}", title, len(table), pictures)


def worst_of(values: NDArray[Any], number: int) -> list[int]:
    """Which values are among the least so many; all that are equal to the last of them."""
    if len(values) <= number or not number:
        return list(range(len(values)))
    last = np.partition(values, number - 1)[number - 1]
    return np.flatnonzero(~(values > last)).tolist()


def quality_charts(chapters: Sequence[Chapter]) -> Iterator[tuple[str, str]]:
    """(title, SVG) of each measure's spread: one for each limit of it, or one without."""
    _, table = measured_rows(chapters)
    numbers = {name: n for chapter in chapters for name, n in chapter.numbers.items()}
    for name, unit in UNITS.items():
        values = columns.floats(table, "measures", name)
        limits: list[tuple[float | None, bool]] = [
            (numbers[option], low)
            for measure, _, low, option in WORST
            if measure == name and option in numbers
        ]
        for limit, low in limits or [(None, False)]:
            yield name.capitalize(), histogram(values, unit, limit, least=low)
