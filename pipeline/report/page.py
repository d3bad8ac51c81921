"""What became of every photo, on one page that needs nothing else: rows in, HTML out."""

import heapq
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from atelier.options import option
from pipeline.options import Settings
from pipeline.photos.folder import bytes_of
from pipeline.photos.thumbnails import Open, contact_sheet
from pipeline.report.charts import histogram
from pipeline.report.funnel import Chapter, Line, funnel, funnel_text
from pipeline.report.quality import copy_sheets, lowest_sheets, quality_charts
from pipeline.report.sheets import Gallery, Listed, Sheet
from pipeline.rows import columns
from pipeline.rows.manifest import Place, Row
from pipeline.rows.shards import Rows
from pipeline.stages.framing import TOO_FEW, face_shares

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["Chapter", "Line", "ReportConfig", "contact_sheet", "funnel", "funnel_text", "page"]

Values = NDArray[Any]

SCORING = "FilterPose"  # the stage whose rows have scores
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

    first = chapters[0].rows if chapters else Rows.of([])
    limit = numbers.get("limit")
    gallery = Gallery(open_photo, open_picture, Listed(first))
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["number"] = lambda value: f"{value:,}"
    environment.filters["file_name"] = lambda path: PurePath(path).name
    template = environment.from_string(TEMPLATE.read_text(encoding="utf-8"))
    return template.render(
        source=source,
        lines=funnel(chapters),
        close_ups=sum(map(bool, columns.ids(ends(chapters, "parent"), "parent"))),
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


def opener(path_of: Callable[[Row], Place | None]) -> Open:
    """Opens a row's file, as far as there is one."""
    return lambda row: bytes_of(path_of(row))


def ends(chapters: Sequence[Chapter], *names: str) -> "pa.Table":
    """These columns of the rows that came through everything; `at` are their numbers."""
    rows = chapters[-1].rows if chapters else Rows.of([])
    return columns.kept(columns.with_numbers(rows.columns(*names, "drop")))


def some(names: Sequence[str], number: int) -> list[int]:
    """A fair choice that stays the same while the source grows: the smallest hashes of the ids."""
    ranked = ((blake2b(name.encode()).digest(), at) for at, name in enumerate(names))
    return [at for _, at in heapq.nsmallest(number, ranked)]


def anchor(stage: str, reason: str) -> str:
    """The name of a contact sheet within the page."""
    return "s" + blake2b(f"{stage} {reason}".encode(), digest_size=5).hexdigest()


def kept_sheets(
    chapters: Sequence[Chapter], config: ReportConfig, gallery: Gallery
) -> Iterable[Sheet]:
    """What is in the dataset: portraits, and close-ups apart."""
    table = ends(chapters, "id", "parent")
    known = list(zip(*(columns.ids(table, name) for name in ("at", "id", "parent")), strict=True))
    for name, title, close_ups, number in (
        ("kept", "Kept", False, 2 * config.per_reason),
        ("close-ups", "Close-ups", True, config.per_reason),
    ):
        group = [(at, own) for at, own, parent in known if bool(parent) == close_ups]
        if group:
            chosen = [group[at][0] for at in some([own for _, own in group], number)]
            pictures = [gallery.kept(row) for row in chapters[-1].rows.at(chosen)]
            yield Sheet(name, title, len(group), pictures)


def drop_sheets(
    chapters: Sequence[Chapter], config: ReportConfig, gallery: Gallery
) -> Iterable[Sheet]:
    """One sheet for each reason of each stage, in the order of the funnel."""
    for chapter, line in zip(chapters, funnel(chapters), strict=True):
        groups = dropped_rows(chapter, line) if line.reasons else {}
        for reason, count in line.reasons.items():
            group = groups.get(reason, groups.get(OTHER, []))
            chosen = [group[at][0] for at in some([own for _, own in group], config.per_reason)]
            pictures = [gallery.dropped(row) for row in chapter.rows.at(chosen)]
            yield Sheet(anchor(chapter.stage, reason), reason, count, pictures)


def dropped_rows(chapter: Chapter, line: Line) -> dict[str, list[tuple[int, str]]]:
    """Reason -> the numbers and ids of the rows that a stage dropped for it."""
    table = columns.with_numbers(chapter.rows.columns("id", "drop"))
    table = table.filter(columns.array(~columns.is_kept(table)))
    reasons = columns.short_reasons(table).to_pylist()
    groups: dict[str, list[tuple[int, str]]] = {}
    for at, own, reason in zip(columns.ids(table, "at"), columns.ids(table), reasons, strict=True):
        groups.setdefault(reason if reason in line.reasons else OTHER, []).append((int(at), own))
    return groups


def strip(
    chapters: Sequence[Chapter], config: ReportConfig, limit: float | None, gallery: Gallery
) -> Iterable[Sheet]:
    """The pictures on both sides of the limit: where a person judges whether it is right."""
    if limit is None:
        return
    rows, table = scored_rows(chapters)
    kept, scores = columns.is_kept(table), columns.floats(table, "score")
    names, numbers = columns.ids(table), columns.ids(table, "at")
    for name, title, group, sign in (
        ("just-kept", "Just kept", np.flatnonzero(kept), -1),
        ("just-refused", "Just refused", np.flatnonzero(~kept), 1),
    ):
        ranked = ((sign * scores[at], names[at], int(numbers[at])) for at in group.tolist())
        nearest = [number for *_, number in heapq.nsmallest(config.per_reason, ranked)]
        if nearest:
            pictures = [gallery.valued(row, f"{row.score:.1f}") for row in rows.at(nearest)]
            yield Sheet(name, title, len(group), pictures)


def scored_rows(chapters: Sequence[Chapter]) -> "tuple[Rows, pa.Table]":
    """The rows of the stage that scored them, and id, score and drop of those with a score."""
    for chapter in chapters:
        if chapter.stage == SCORING:
            table = columns.with_numbers(chapter.rows.columns("id", "score", "drop"))
            seen = ~np.isnan(columns.floats(table, "score"))
            return chapter.rows, table.filter(columns.array(seen))
    return Rows.of([]), columns.with_numbers(Rows.of([]).columns("id", "score", "drop"))


def charts(chapters: Sequence[Chapter], numbers: Mapping[str, float]) -> list[tuple[str, str]]:
    """(title, SVG) of every distribution that there is something to show of."""
    sides = photo_sides(chapters[0].rows if chapters else Rows.of([]))
    scores = columns.floats(scored_rows(chapters)[1], "score")
    pixels = "longer side, in pixels"
    share = "height of the face, as a share of the picture's"
    portraits, close_ups = shares(chapters)
    drawn = [
        ("Photos", histogram(sides, pixels, numbers.get("least_photo"), least=True)),
        ("Faces", histogram(portraits, share, numbers.get("face_share"), "wanted")),
        ("Faces of close-ups", histogram(close_ups, share)),
        *quality_charts(chapters),
        ("Too few pixels", histogram(short_sides(chapters), pixels, numbers.get("least_side"))),
        ("Distance to the reference", histogram(scores, "score", numbers.get("limit"))),
    ]
    return [(title, Markup(svg)) for title, svg in drawn if svg]


def photo_sides(rows: Rows) -> Values:
    """The longer side of every photo whose size is known."""
    table = rows.columns("width", "height")
    width, height = (np.asarray(table.column(name)) for name in ("width", "height"))
    return np.asarray(np.maximum(width, height)[width > 0])


def shares(chapters: Sequence[Chapter]) -> tuple[Values, Values]:
    """The face's share of each picture of the dataset: of its portraits, and of its close-ups."""
    table = ends(chapters, "face", "rectangle", "parent")
    found = face_shares(table)
    close = np.array(list(map(bool, columns.ids(table, "parent"))), bool)
    return found[~close & ~np.isnan(found)], found[close & ~np.isnan(found)]


def short_sides(chapters: Sequence[Chapter]) -> Values:
    """The longer side of each portrait that was dropped for too few pixels."""
    found = [np.empty(0, np.int64)]
    for chapter in chapters:
        if TOO_FEW in chapter.rows.outcome():
            table = columns.dropped_for(chapter.rows.columns("rectangle", "drop"), TOO_FEW)
            edges, there = columns.boxes(table, "rectangle")
            found.append(np.maximum(*columns.spans(edges))[there])
    return np.concatenate(found)
