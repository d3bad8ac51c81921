"""Choose close-ups: pictures of the face alone, cut from the source photo. No pixels here."""

import hashlib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from atelier.boxes import Box, aligned
from atelier.options import option
from pipeline.options import Settings
from pipeline.photos.geometry import around
from pipeline.rows.manifest import Row
from pipeline.sections import DatasetConfig, PortraitConfig

SAME_PICTURE = 0.75  # of face_share: a parent whose face is larger is nearly its own close-up


@dataclass(frozen=True)
class ZoomConfig(Settings):
    """How many close-ups there are, and how close."""

    share: float = option(0.28, "close-ups, as a share of the dataset; 0: none", low=0, high=0.9)
    face_share: float = option(
        0.5, "height of the face, as a share of the close-up's height", low=0.05, high=0.95
    )
    seed: int = option(0, "another seed, another choice among the photos that qualify", low=0)


def zoom(
    rows: Sequence[Row], config: ZoomConfig, portrait: PortraitConfig, dataset: DatasetConfig
) -> tuple[list[Row], list[str]]:
    """All rows, each followed by its close-up if it was chosen, and what was passed over.

    The rows with the smallest hash(seed, id) are taken: while the source grows, a choice leaves
    only for a newcomer with a smaller hash.
    """
    reasons = {row.id: passed_over(row, config, dataset) for row in rows}
    able = [row for row in rows if not reasons[row.id]]
    wanted = int(len(rows) * config.share / (1 - config.share))
    chosen = {row.id for row in sorted(able, key=lambda row: rank(row, config.seed))[:wanted]}
    counts = Counter(reason for reason in reasons.values() if reason)
    notes = [f"{len(chosen)} close-ups of {wanted} wanted; {len(able)} of {len(rows)} qualify"]
    notes += [f"{count} passed over: {reason}" for reason, count in sorted(counts.items())]
    return list(with_close_ups(rows, chosen, config, portrait, dataset)), notes


def passed_over(row: Row, config: ZoomConfig, dataset: DatasetConfig) -> str:
    """Why no close-up can be made of `row`, or nothing."""
    if row.face is None or row.rectangle is None:
        return "no face was looked for"
    if row.face.height / row.rectangle.height > SAME_PICTURE * config.face_share:
        return "the portrait is that close already"
    width, height = dataset.width_height
    tall = row.face.height / config.face_share
    wide = tall * row.rectangle.width / row.rectangle.height
    if wide < width and tall < height:
        return "too few pixels: a close-up would be enlarged"
    return ""


def rank(row: Row, seed: int) -> bytes:
    return hashlib.blake2b(f"{seed} {row.id}".encode(), digest_size=16).digest()


def with_close_ups(
    rows: Sequence[Row],
    chosen: set[str],
    config: ZoomConfig,
    portrait: PortraitConfig,
    dataset: DatasetConfig,
) -> Iterator[Row]:
    for row in rows:
        yield row
        if row.id in chosen:
            rectangle = close_up(row, config, portrait, dataset)
            yield replace(row, id=f"{row.id}.z", parent=row.id, rectangle=rectangle)


def close_up(row: Row, config: ZoomConfig, portrait: PortraitConfig, dataset: DatasetConfig) -> Box:
    """The rectangle of the portrait's ratio in which the face has the wanted share."""
    assert row.face is not None
    photo = Box(0, 0, row.width, row.height)
    tall = row.face.height / config.face_share
    wide = tall * portrait.face_widths / portrait.face_heights
    place = portrait.face_x, portrait.face_y
    rectangle = around(row.face, (wide, tall), place, photo, portrait.headroom)
    return aligned(rectangle, dataset.width_height, photo)
