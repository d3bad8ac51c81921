"""What the report shows of quality: copies side by side, the lowest of each measure, its spread."""

import heapq
from collections.abc import Iterator, Sequence

from pipeline.photos.thumbnails import Thumbnail
from pipeline.report.charts import histogram
from pipeline.report.funnel import Chapter
from pipeline.report.sheets import Gallery, Sheet
from pipeline.rows.manifest import Row
from pipeline.stages.filter_quality import COPY

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


def measured_rows(chapters: Sequence[Chapter]) -> list[Row]:
    """The portraits of the stage that measured them."""
    named = (chapter for chapter in chapters if chapter.stage == "Measure")
    return [row for chapter in named for row in chapter.rows if row.measures is not None]


def copy_sheets(chapters: Sequence[Chapter], most: int, gallery: Gallery) -> Iterator[Sheet]:
    """Groups of nearly the same picture, the largest first: what stays, then what it replaces."""
    rows = [row for chapter in chapters if chapter.stage == "FilterQuality" for row in chapter.rows]
    groups: dict[str, list[Row]] = {}
    for row in rows:
        reason, _, other = (row.drop or "").partition(": ")
        if reason == COPY:
            groups.setdefault(other, []).append(row)
    best = {row.id: row for row in rows if row.id in groups}
    ranked = sorted(groups, key=lambda name: (-len(groups[name]), name))[:most]
    for number, name in enumerate(ranked):
        group = [best[name], *groups[name]]
        pictures = [sized(gallery, row) for row in group[: most + 1]]
        yield Sheet(f"copies-{number}", "The first stays", len(group), pictures)


def sized(gallery: Gallery, row: Row) -> Thumbnail:
    """A picture with the pixels of its rectangle."""
    assert row.rectangle is not None
    return gallery.valued(row, f"{row.rectangle.width} x {row.rectangle.height}")


def lowest_sheets(chapters: Sequence[Chapter], most: int, gallery: Gallery) -> Iterator[Sheet]:
    """The portraits with the lowest, and brightest, of each measure, the worst first."""
    rows = measured_rows(chapters)
    for name, title, low, _ in WORST:
        pick = heapq.nsmallest if low else heapq.nlargest
        worst = pick(most, rows, key=lambda row: (getattr(row.measures, name), row.id))
        if worst:
            pictures = [gallery.valued(row, f"{getattr(row.measures, name):.4g}") for row in worst]
            yield Sheet(f"lowest-{title.replace(' ', '-')}", title, len(rows), pictures)


def quality_charts(chapters: Sequence[Chapter]) -> Iterator[tuple[str, str]]:
    """(title, SVG) of each measure's spread: one for each limit of it, or one without."""
    rows = measured_rows(chapters)
    numbers = {name: n for chapter in chapters for name, n in chapter.numbers.items()}
    for name, unit in UNITS.items():
        values = [getattr(row.measures, name) for row in rows]
        limits: list[tuple[float | None, bool]] = [
            (numbers[option], low)
            for measure, _, low, option in WORST
            if measure == name and option in numbers
        ]
        for limit, low in limits or [(None, False)]:
            yield name.capitalize(), histogram(values, unit, limit, least=low)
