"""Choose close-ups: pictures of the face alone, cut from the source photo. No pixels here."""

import hashlib
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from atelier.boxes import Box, aligned
from atelier.options import option
from pipeline.options import Settings
from pipeline.photos.geometry import around
from pipeline.rows import columns, manifest
from pipeline.rows.columns import Mask
from pipeline.rows.manifest import Row, Told
from pipeline.rows.sharded import Survey
from pipeline.sections import DatasetConfig, PortraitConfig

if TYPE_CHECKING:
    import pyarrow as pa

Ranks = NDArray[np.uint64]

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


class Parents(Mapping[str, Mapping[str, str]]):
    """A verdict by shard, of which only the ids are held, as columns."""

    def __init__(self, names: "Mapping[str, pa.Array]") -> None:
        self.names = names

    def __getitem__(self, prefix: str) -> dict[str, str]:
        return dict.fromkeys(self.names[prefix].to_pylist(), "close-up")

    def __iter__(self) -> Iterator[str]:
        return iter(self.names)

    def __len__(self) -> int:
        return len(self.names)


def chosen_parents(
    tables: "Iterable[tuple[str, pa.Table]]", config: ZoomConfig, dataset: DatasetConfig
) -> Survey:
    """The ids of the rows that get a close-up, and what was passed over.

    From the columns READS of all rows, shard by shard. Those with the smallest hash(seed, id) are
    taken: while the source grows, a choice leaves only for a newcomer with a smaller hash.
    """
    names, ranks, total = dict[str, Any](), [np.empty((0, 2), np.uint64)], 0
    counted: Counter[str] = Counter()
    for prefix, table in tables:
        reasons, able = passed_over(table, config, dataset)
        counted.update({reason: int(mask.sum()) for reason, mask in reasons.items()})
        own = columns.combined(table.filter(columns.array(able)).column("id"))
        ranks.append(ranked(own.to_pylist(), config.seed))
        names[prefix] = own
        total += len(table)
    wanted = int(total * config.share / (1 - config.share))
    best, start = least(np.concatenate(ranks), wanted), 0
    for prefix, own in names.items():
        names[prefix] = own.filter(columns.array(best[start : start + len(own)]))
        start += len(own)
    found = int(best.sum())
    notes = [f"{found} close-ups of {wanted} wanted; {len(best)} of {total} qualify"]
    notes += [
        f"{count} passed over: {reason}" for reason, count in sorted(counted.items()) if count
    ]
    return Survey(Parents(names), Told(notes))


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


def ranked(names: Sequence[str], seed: int) -> Ranks:
    """hash(seed, id) of each id, [n, 2]: the halves of it, as numbers."""
    hashes = b"".join(rank(name, seed) for name in names)
    return np.frombuffer(hashes, ">u8").reshape(-1, 2).astype(np.uint64)


def least(ranks: Ranks, wanted: int) -> Mask:
    """Which are among the smallest so many; the second half counts where the first is equal."""
    if wanted >= len(ranks) or not wanted:
        return np.full(len(ranks), bool(wanted))
    first = ranks[:, 0]
    last = np.partition(first, wanted - 1)[wanted - 1]
    chosen = first < last
    tied = np.flatnonzero(first == last)
    order = np.argsort(ranks[tied, 1], kind="stable")
    chosen[tied[order[: wanted - int(chosen.sum())]]] = True
    return np.asarray(chosen)


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
