"""What became of every photo, on one page that needs nothing else: rows in, HTML out."""

import hashlib
import heapq
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from markupsafe import Markup

from atelier.options import option
from pipeline.options import Settings
from pipeline.photos.folder import bytes_of
from pipeline.photos.thumbnails import Open, Thumbnail, contact_sheet, thumbnail
from pipeline.report.charts import histogram
from pipeline.report.funnel import Chapter, Line, funnel, funnel_text
from pipeline.rows.manifest import Row, outcome

__all__ = ["Chapter", "Line", "ReportConfig", "contact_sheet", "funnel", "funnel_text", "page"]

OTHER = ""  # stands for the reasons that share a line
TEMPLATE = Path(__file__).with_name("page.html")


@dataclass(frozen=True)
class ReportConfig(Settings):
    """How much the report shows."""

    per_reason: int = option(
        12,
        "pictures shown for each reason to drop a photo; twice as many of the kept",
        low=0,
        high=500,
    )


@dataclass(frozen=True)
class Sheet:
    """A titled contact sheet."""

    anchor: str
    title: str
    total: int  # rows that it stands for
    pictures: Sequence[Thumbnail]


@dataclass(frozen=True)
class Gallery:
    """Makes the thumbnails of rows: knows where their bytes and names are."""

    open_photo: Open
    open_picture: Open
    paths: dict[str, str]  # photo -> path below the source

    def dropped(self, row: Row) -> Thumbnail:
        """What was dropped: the rectangle if there was one already, otherwise the whole photo."""
        detail = (row.drop or "").partition(":")[2].strip()
        return thumbnail(row, self.photo(row), False, self.name(row), detail)

    def kept(self, row: Row) -> Thumbnail:
        """The written picture; before there is one, what it is going to show."""
        picture = self.open_picture(row) if row.picture else None
        data = self.photo(row) if picture is None else picture
        return thumbnail(row, data, picture is not None, self.name(row), "")

    def scored(self, row: Row) -> Thumbnail:
        return thumbnail(row, self.photo(row), False, self.name(row), f"{row.score:.1f}")

    def photo(self, row: Row) -> bytes | None:
        """The bytes of a photo of known size; another one is shown as words, and not opened."""
        return self.open_photo(row) if row.width else None

    def name(self, row: Row) -> str:
        return row.path or self.paths.get(row.photo) or row.id


def page(
    chapters: Sequence[Chapter],
    config: ReportConfig,
    source: str,
    limit: float | None,
    open_photo: Open,
    open_picture: Open,
) -> str:
    """The whole page. The openers give the bytes of a row's photo or picture, None if gone."""
    from jinja2 import Environment, StrictUndefined

    first = chapters[0].rows if chapters else ()
    paths = {row.photo: row.path for row in first if row.drop is None}  # of copies, the one kept
    gallery = Gallery(open_photo, open_picture, paths)
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["number"] = lambda value: f"{value:,}"
    template = environment.from_string(TEMPLATE.read_text(encoding="utf-8"))
    return template.render(
        source=source,
        lines=funnel(chapters),
        close_ups=sum(bool(row.parent) for row in ends(chapters)),
        anchor=anchor,
        charts=charts(chapters, limit),
        parts=[
            ("In the dataset", list(kept_sheets(chapters, config, gallery))),
            ("Around the limit", list(strip(chapters, config, limit, gallery))),
            ("Dropped", list(drop_sheets(chapters, config, gallery))),
        ],
        notes=[(chapter.stage, chapter.notes) for chapter in chapters if chapter.notes],
    )


def opener(path_of: Callable[[Row], Path | None]) -> Open:
    """Opens a row's file, as far as there is one."""
    return lambda row: bytes_of(path_of(row))


def ends(chapters: Sequence[Chapter]) -> list[Row]:
    """The rows that came through everything."""
    return [row for row in chapters[-1].rows if row.drop is None] if chapters else []


def some(rows: Iterable[Row], number: int) -> list[Row]:
    """A fair choice that stays the same while the source grows: the smallest hashes of the id."""
    return heapq.nsmallest(number, rows, key=lambda row: hashlib.blake2b(row.id.encode()).digest())


def anchor(stage: str, reason: str) -> str:
    """The name of a contact sheet within the page."""
    return "s" + hashlib.blake2b(f"{stage} {reason}".encode(), digest_size=5).hexdigest()


def kept_sheets(
    chapters: Sequence[Chapter], config: ReportConfig, gallery: Gallery
) -> Iterable[Sheet]:
    """What is in the dataset: portraits, and close-ups apart."""
    rows = ends(chapters)
    portraits = [row for row in rows if not row.parent]
    close_ups = [row for row in rows if row.parent]
    for name, title, group, number in (
        ("kept", "Kept", portraits, 2 * config.per_reason),
        ("close-ups", "Close-ups", close_ups, config.per_reason),
    ):
        if group:
            chosen = some(group, number)
            yield Sheet(name, title, len(group), [gallery.kept(row) for row in chosen])


def drop_sheets(
    chapters: Sequence[Chapter], config: ReportConfig, gallery: Gallery
) -> Iterable[Sheet]:
    """One sheet for each reason of each stage, in the order of the funnel."""
    for chapter, line in zip(chapters, funnel(chapters), strict=True):
        groups: dict[str, list[Row]] = {}
        for row in chapter.rows:
            if row.drop is not None:
                reason = outcome(row)
                groups.setdefault(reason if reason in line.reasons else OTHER, []).append(row)
        for reason, count in line.reasons.items():
            chosen = some(groups.get(reason, groups.get(OTHER, [])), config.per_reason)
            pictures = [gallery.dropped(row) for row in chosen]
            yield Sheet(anchor(chapter.stage, reason), reason, count, pictures)


def strip(
    chapters: Sequence[Chapter], config: ReportConfig, limit: float | None, gallery: Gallery
) -> Iterable[Sheet]:
    """The pictures on both sides of the limit: where a person judges whether it is right."""
    if limit is None:
        return
    rows = scored_rows(chapters)
    kept = [row for row in rows if row.drop is None]
    refused = [row for row in rows if row.drop is not None]
    sides: tuple[tuple[str, str, list[Row], Callable[[Row], tuple[float, str]]], ...] = (
        ("just-kept", "Just kept", kept, lambda row: (-(row.score or 0), row.id)),
        ("just-refused", "Just refused", refused, lambda row: (row.score or 0, row.id)),
    )
    for name, title, group, order in sides:
        nearest = heapq.nsmallest(config.per_reason, group, key=order)
        if nearest:
            pictures = [gallery.scored(row) for row in nearest]
            yield Sheet(name, title, len(group), pictures)


def scored_rows(chapters: Sequence[Chapter]) -> list[Row]:
    """The rows of the stage that scored them."""
    for chapter in chapters:
        rows = [row for row in chapter.rows if row.score is not None]
        if rows:
            return rows
    return []


def charts(chapters: Sequence[Chapter], limit: float | None) -> list[tuple[str, str]]:
    """(title, SVG) of every distribution that there is something to show of."""
    sides = (
        [max(row.width, row.height) for row in chapters[0].rows if row.width] if chapters else []
    )
    faces = [
        row.face.height / row.rectangle.height
        for row in ends(chapters)
        if row.face and row.rectangle
    ]
    scores = [row.score for row in scored_rows(chapters) if row.score is not None]
    drawn = [
        ("Photos", histogram(sides, "longer side, in pixels")),
        ("Faces", histogram(faces, "height of the face, as a share of the picture's")),
        ("Distance to the reference", histogram(scores, "score", limit)),
    ]
    return [(title, Markup(svg)) for title, svg in drawn if svg]
