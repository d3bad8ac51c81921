"""What became of every photo, on one page that needs nothing else: rows in, HTML out."""

import hashlib
import heapq
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath

from markupsafe import Markup

from atelier.options import option
from pipeline.options import Settings
from pipeline.photos.folder import bytes_of
from pipeline.photos.thumbnails import Open, contact_sheet
from pipeline.report.charts import histogram
from pipeline.report.funnel import Chapter, Line, funnel, funnel_text
from pipeline.report.quality import copy_sheets, lowest_sheets, quality_charts
from pipeline.report.sheets import Gallery, Sheet
from pipeline.rows.manifest import Row, outcome
from pipeline.stages.framing import TOO_FEW, face_share

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


def page(
    chapters: Sequence[Chapter],
    config: ReportConfig,
    source: str,
    numbers: Mapping[str, float],
    open_photo: Open,
    open_picture: Open,
) -> str:
    """The whole page. The openers give the bytes of a row's photo or picture, None if gone.

    `numbers` are what the stages told: FilterPose's `limit`, Crop's `face_share`, `least_side` and
    `least_photo`.
    """
    from jinja2 import Environment, StrictUndefined

    first = chapters[0].rows if chapters else ()
    limit = numbers.get("limit")
    paths = {row.photo: row.path for row in first if row.drop is None}  # of copies, the one kept
    gallery = Gallery(open_photo, open_picture, paths)
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["number"] = lambda value: f"{value:,}"
    environment.filters["file_name"] = lambda path: PurePath(path).name
    template = environment.from_string(TEMPLATE.read_text(encoding="utf-8"))
    return template.render(
        source=source,
        lines=funnel(chapters),
        close_ups=sum(bool(row.parent) for row in ends(chapters)),
        anchor=anchor,
        charts=charts(chapters, numbers),
        parts=[
            ("In the dataset", list(kept_sheets(chapters, config, gallery))),
            ("Nearly the same", list(copy_sheets(chapters, config.per_reason, gallery))),
            ("Lowest first", list(lowest_sheets(chapters, config.per_reason, gallery))),
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
            pictures = [gallery.valued(row, f"{row.score:.1f}") for row in nearest]
            yield Sheet(name, title, len(group), pictures)


def scored_rows(chapters: Sequence[Chapter]) -> list[Row]:
    """The rows of the stage that scored them."""
    for chapter in chapters:
        rows = [row for row in chapter.rows if row.score is not None]
        if rows:
            return rows
    return []


def charts(chapters: Sequence[Chapter], numbers: Mapping[str, float]) -> list[tuple[str, str]]:
    """(title, SVG) of every distribution that there is something to show of."""
    photos = chapters[0].rows if chapters else ()
    sides = [max(row.width, row.height) for row in photos if row.width]
    scores = [row.score for row in scored_rows(chapters) if row.score is not None]
    pixels = "longer side, in pixels"
    share = "height of the face, as a share of the picture's"
    drawn = [
        ("Photos", histogram(sides, pixels, numbers.get("least_photo"), least=True)),
        ("Faces", histogram(shares(chapters, False), share, numbers.get("face_share"), "wanted")),
        ("Faces of close-ups", histogram(shares(chapters, True), share)),
        *quality_charts(chapters),
        ("Too few pixels", histogram(short_sides(chapters), pixels, numbers.get("least_side"))),
        ("Distance to the reference", histogram(scores, "score", numbers.get("limit"))),
    ]
    return [(title, Markup(svg)) for title, svg in drawn if svg]


def shares(chapters: Sequence[Chapter], close_ups: bool) -> list[float]:
    """The face's share of each picture of the dataset: of its close-ups, or of its portraits."""
    rows = [row for row in ends(chapters) if bool(row.parent) == close_ups]
    return [share for row in rows if (share := face_share(row)) is not None]


def short_sides(chapters: Sequence[Chapter]) -> list[int]:
    """The longer side of each portrait that was dropped for too few pixels."""
    dropped = [row for chapter in chapters for row in chapter.rows if row.drop is not None]
    short = [row.rectangle for row in dropped if outcome(row) == TOO_FEW]
    return [max(box.width, box.height) for box in short if box]
