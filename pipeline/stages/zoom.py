"""Choose close-ups: pictures of the face alone, cut from the source photo. No pixels here."""

import hashlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from atelier.boxes import Box, aligned
from atelier.options import option
from pipeline.options import Settings
from pipeline.photos.geometry import around
from pipeline.rows import columns, manifest
from pipeline.rows.columns import Mask, Numbers
from pipeline.rows.manifest import Row, Told, Verdict
from pipeline.sections import DatasetConfig, PortraitConfig

if TYPE_CHECKING:
    import pyarrow as pa

READS = ("id", "face", "rectangle")
SAME_PICTURE = 0.75  # of face_share: a parent whose face is larger is nearly its own close-up


@dataclass(frozen=True)
class ZoomConfig(Settings):
    """How many close-ups there are, and how close."""

    share: float = option(0.28, "close-ups, as a share of the dataset; 0: none", low=0, high=0.9)
    face_share: float = option(
        0.5, "height of the face, as a share of the close-up's height", low=0.05, high=0.95
    )
    seed: int = option(0, "another seed, another choice among the photos that qualify", low=0)


def chosen_parents(table: "pa.Table", config: ZoomConfig, dataset: DatasetConfig) -> Verdict:
    """The ids of the rows that get a close-up, and what was passed over.

    From the columns READS of all rows. Those with the smallest hash(seed, id) are
    taken: while the source grows, a choice leaves only for a newcomer with a smaller hash.
    """
    reasons, able = passed_over(table, config, dataset)
    names = columns.ids(table.filter(columns.array(able)))
    wanted = int(len(table) * config.share / (1 - config.share))
    found = [names[at] for at in least(names, config.seed)[:wanted].tolist()]
    notes = [f"{len(found)} close-ups of {wanted} wanted; {len(names)} of {len(table)} qualify"]
    counted = sorted((reason, int(mask.sum())) for reason, mask in reasons.items())
    notes += [f"{count} passed over: {reason}" for reason, count in counted if count]
    return Verdict(dict.fromkeys(found, "close-up"), Told(notes))


def passed_over(
    table: "pa.Table", config: ZoomConfig, dataset: DatasetConfig
) -> tuple[dict[str, Mask], Mask]:
    """Reason -> of which rows no close-up can be made for it; and of which one can."""
    (faces, with_face), (pictures, with_picture) = (
        columns.boxes(table, name) for name in ("face", "rectangle")
    )
    there = with_face & with_picture
    across, down = (np.where(there, side, 1) for side in columns.spans(pictures))
    face = columns.spans(faces)[1]
    close = there & (face / down > SAME_PICTURE * config.face_share)
    width, height = dataset.width_height
    tall = face / config.face_share
    few = there & ~close & (tall * across / down < width) & (tall < height)
    reasons = {
        "no face was looked for": ~there,
        "the portrait is that close already": close,
        "too few pixels: a close-up would be enlarged": few,
    }
    return reasons, there & ~close & ~few


def least(names: Sequence[str], seed: int) -> Numbers:
    """The numbers of the ids, the one with the smallest hash(seed, id) first."""
    hashes = b"".join(rank(name, seed) for name in names)
    halves = np.frombuffer(hashes, ">u8").reshape(-1, 2)
    return np.lexsort((halves[:, 1], halves[:, 0]))


def rank(name: str, seed: int) -> bytes:
    return hashlib.blake2b(f"{seed} {name}".encode(), digest_size=16).digest()


def with_close_ups(
    table: "pa.Table",
    parents: Collection[str],
    config: ZoomConfig,
    portrait: PortraitConfig,
    dataset: DatasetConfig,
) -> "pa.Table":
    """The rows, each followed by its close-up if it was chosen."""
    names = columns.ids(table)
    numbers = [at for at, name in enumerate(names) if name in parents]
    if not numbers:
        return table
    own = table.take(numbers)
    rows = manifest.rows_of(own.select(["id", "width", "height", "face", "rectangle"]))
    made = columns.with_columns(
        own,
        id=[f"{row.id}.z" for row in rows],
        parent=[row.id for row in rows],
        rectangle=[close_up(row, config, portrait, dataset) for row in rows],
    )
    places = np.concatenate([np.arange(len(names)), np.array(numbers)])
    return columns.together(table, made).take(np.argsort(places, kind="stable"))


def close_up(row: Row, config: ZoomConfig, portrait: PortraitConfig, dataset: DatasetConfig) -> Box:
    """The rectangle of the portrait's ratio in which the face has the wanted share."""
    assert row.face is not None
    photo = Box(0, 0, row.width, row.height)
    tall = row.face.height / config.face_share
    wide = tall * portrait.face_widths / portrait.face_heights
    place = portrait.face_x, portrait.face_y
    rectangle = around(row.face, (wide, tall), place, photo, portrait.headroom)
    return aligned(rectangle, dataset.width_height, photo)
