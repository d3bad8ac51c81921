"""What became of every photo, on one page that needs nothing else: rows in, HTML out."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from itertools import chain
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from atelier.options import option
from pipeline.options import Settings
from pipeline.photos.thumbnails import Open, bytes_of
from pipeline.report.charts import histogram
from pipeline.report.choices import Extreme, Fair
from pipeline.report.funnel import Chapter, Line, funnel, rows_of_stage
from pipeline.report.quality import copy_sheets, lowest_sheets, quality_charts
from pipeline.report.sheets import Gallery, Listed, Sheet
from pipeline.rows import columns
from pipeline.rows.manifest import Place, Row
from pipeline.rows.shards import Rows
from pipeline.stages.framing import TOO_FEW, face_shares

if TYPE_CHECKING:
    import pyarrow as pa

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
        close_ups=sum(int(are_close(table).sum()) for table in ends(chapters, "parent")),
        anchor=anchor,
        charts=charts(chapters, numbers),
        parts=[
            ("In the dataset", list(kept_sheets(chapters, config, gallery))),
            ("Nearly the same", list(copy_sheets(chapters, config.per_reason, gallery))),
            ("Extremes", list(lowest_sheets(chapters, config.per_reason, gallery))),
            ("Around the limit", list(strip(chapters, config, limit, gallery))),
            ("Dropped", list(drop_sheets(chapters, config, gallery))),
        ],
        notes=[(chapter.stage, chapter.notes) for chapter in chapters if chapter.notes],
    )


def opener(path_of: Callable[[Row], Place | None]) -> Open:
    """Opens a row's file, as far as there is one."""
    return lambda row: bytes_of(path_of(row))


def ends(chapters: Sequence[Chapter], *names: str) -> "Iterator[pa.Table]":
    """These columns of the rows that came through everything, by shard; `at` are their numbers."""
    rows = chapters[-1].rows if chapters else Rows.of([])
    return map(columns.kept, rows.numbered(*names, "drop"))


def are_close(table: "pa.Table") -> columns.Mask:
    """Which rows are close-ups."""
    return columns.is_said(table, "parent")


def anchor(stage: str, reason: str) -> str:
    """The name of a contact sheet within the page."""
    return "s" + blake2b(f"{stage} {reason}".encode(), digest_size=5).hexdigest()


def kept_sheets(
    chapters: Sequence[Chapter], config: ReportConfig, gallery: Gallery
) -> Iterable[Sheet]:
    """What is in the dataset: portraits, and close-ups apart."""
    portraits, close_ups = Fair(2 * config.per_reason), Fair(config.per_reason)
    for table in ends(chapters, "id", "parent"):
        close = are_close(table)
        for choice, own in ((portraits, ~close), (close_ups, close)):
            group = table.filter(columns.array(own))
            choice.see(columns.ids(group), columns.ids(group, "at"))
    for name, title, choice in (
        ("kept", "Kept", portraits),
        ("close-ups", "Close-ups", close_ups),
    ):
        if choice.total:
            pictures = [gallery.kept(row) for row in chapters[-1].rows.at(choice.rows)]
            yield Sheet(name, title, choice.total, pictures)


def drop_sheets(
    chapters: Sequence[Chapter], config: ReportConfig, gallery: Gallery
) -> Iterable[Sheet]:
    """One sheet for each reason of each stage, in the order of the funnel."""
    for chapter, line in zip(chapters, funnel(chapters), strict=True):
        groups = dropped_rows(chapter, line, config.per_reason) if line.reasons else {}
        for reason, count in line.reasons.items():
            chosen = (groups.get(reason) or groups.get(OTHER) or Fair(0)).rows
            pictures = [gallery.dropped(row) for row in chapter.rows.at(chosen)]
            yield Sheet(anchor(chapter.stage, reason), reason, count, pictures)


def dropped_rows(chapter: Chapter, line: Line, most: int) -> dict[str, Fair]:
    """Reason -> a choice of the rows that a stage dropped for it."""
    groups: dict[str, Fair] = {}
    for table in chapter.rows.numbered("id", "drop"):
        own = table.filter(columns.array(~columns.is_kept(table)))
        found: dict[str, list[tuple[str, int]]] = {}
        reasons = columns.short_reasons(own).to_pylist()
        rows = zip(columns.ids(own), columns.ids(own, "at"), strict=True)
        for row, reason in zip(rows, reasons, strict=True):
            found.setdefault(reason if reason in line.reasons else OTHER, []).append(row)
        for reason, some in found.items():
            groups.setdefault(reason, Fair(most)).see(*zip(*some, strict=True))
    return groups


def strip(
    chapters: Sequence[Chapter], config: ReportConfig, limit: float | None, gallery: Gallery
) -> Iterable[Sheet]:
    """The pictures on both sides of the limit: where a person judges whether it is right."""
    if limit is None:
        return
    rows = rows_of_stage(chapters, SCORING)
    kept, refused = Extreme(config.per_reason), Extreme(config.per_reason)
    for table in rows.numbered("id", "score", "drop"):
        scores, own = columns.floats(table, "score"), columns.is_kept(table)
        for choice, side, sign in ((kept, own, -1), (refused, ~own, 1)):
            group = side & ~np.isnan(scores)
            choice.see(table.filter(columns.array(group)), sign * scores[group])
    for name, title, choice in (
        ("just-kept", "Just kept", kept),
        ("just-refused", "Just refused", refused),
    ):
        if choice.rows:
            pictures = [gallery.valued(row, f"{row.score:.1f}") for row in rows.at(choice.rows)]
            yield Sheet(name, title, choice.total, pictures)


def scores_of_rows(rows: Rows) -> Values:
    """The scores of those that have one."""
    found = [columns.floats(table, "score") for table in rows.numbered("score")]
    scores = np.concatenate(found)
    return scores[~np.isnan(scores)]


def charts(chapters: Sequence[Chapter], numbers: Mapping[str, float]) -> list[tuple[str, str]]:
    """(title, SVG) of every distribution that there is something to show of."""
    sides = photo_sides(chapters[0].rows if chapters else Rows.of([]))
    scores = scores_of_rows(rows_of_stage(chapters, SCORING))
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
    found = []
    for table in rows.numbered("width", "height"):
        width, height = (np.asarray(table.column(name)) for name in ("width", "height"))
        found.append(np.maximum(width, height)[width > 0])
    return np.concatenate(found)


def shares(chapters: Sequence[Chapter]) -> tuple[Values, Values]:
    """The face's share of each picture of the dataset: of its portraits, and of its close-ups."""
    portraits, close_ups = [np.empty(0)], [np.empty(0)]
    for table in ends(chapters, "face", "rectangle", "parent"):
        found, close = face_shares(table), are_close(table)
        known = ~np.isnan(found)
        portraits.append(found[~close & known])
        close_ups.append(found[close & known])
    return np.concatenate(portraits), np.concatenate(close_ups)


def short_sides(chapters: Sequence[Chapter]) -> Values:
    """The longer side of each portrait that was dropped for too few pixels."""
    found = [np.empty(0, np.int64)]
    few = (chapter for chapter in chapters if TOO_FEW in chapter.rows.outcome())
    for whole in chain.from_iterable(each.rows.tables(["rectangle", "drop"]) for each in few):
        edges, there = columns.boxes(columns.dropped_for(whole, TOO_FEW), "rectangle")
        found.append(np.maximum(*columns.spans(edges))[there])
    return np.concatenate(found)
