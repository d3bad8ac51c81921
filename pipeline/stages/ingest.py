"""Find the source photos, and give each an id that depends on its bytes alone."""

import hashlib
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from atelier import pictures
from atelier.listing import HEAD, VIDEOS
from atelier.options import option
from pipeline.options import Settings, current
from pipeline.photos import video
from pipeline.photos.folder import (
    PhotoFolder,
    Scan,
    head_of_photo,
    on_disk,
    read_photo,
    read_photos,
)
from pipeline.rows import columns, manifest, shards
from pipeline.rows.aside import Heaps
from pipeline.rows.columns import Numbers
from pipeline.rows.manifest import PLACES, Item, Row, digest, dropped
from pipeline.rows.shards import Rows, Shard
from pipeline.stages.filter_pose import FilterPoseConfig

if TYPE_CHECKING:
    import pyarrow as pa

JPEGS = {".jpg", ".jpeg", ".jpe", ".jfif"}
LARGE = 64 << 20  # bytes; a file above is looked at before it is read
DESCRIBED = ("id", "photo", *PLACES, "format", "width", "height", "drop")  # what Ingest knows
PIXEL_BYTES = 8  # of a pixel in the largest format, four channels of 16 bits


@dataclass(frozen=True)
class IngestConfig(Settings):
    """Which photos there are."""

    source: str = option(
        "",
        "folder of photos, searched recursively, or an address, as s3://bucket/photos; empty: raw/"
        " in the store",
        keyed="never",
        path=True,
        remote=True,
    )
    pixel_limit: int = option(
        pictures.PIXEL_LIMIT, "photos of more pixels are dropped before they are decoded", low=1
    )
    video_every: int = option(0, "take every Nth frame of videos; 0: videos are dropped", low=0)
    hidden: bool = option(
        False,
        "take hidden files, and what lies in folders of devices (trash, thumbnails), too",
        keyed="never",  # it says which rows come in, and changes none
        later=True,
    )


def anew(row: Row) -> list[str]:
    """A word for the key of what 0.1 may have had a wrong size of, or a wrong reason to drop."""
    suffix = Path(row.path).suffix.lower()
    return ["anew"] if row.drop is None and suffix not in VIDEOS | JPEGS else []


def describe(items: Sequence[Item], config: IngestConfig, folder: Path) -> Iterator[list[Row]]:
    """Read each file once: its id and its size; of a video, its frames."""
    usual = [item for item in items if not is_video(item) and item.size_bytes <= LARGE]
    photos = read_photos(usual)
    for item in items:
        if is_video(item):
            yield frames(item, config, folder)
        elif item.size_bytes > LARGE:
            yield [describe_large(item, config)]
        else:
            yield [describe_photo(*next(photos), config)]


def is_video(item: Item) -> bool:
    return item.path.suffix.lower() in VIDEOS


def describe_large(item: Item, config: IngestConfig) -> Row:
    """The row of a large file, of which the head is looked at before all of it is read."""
    if reason := no_photo(item, config.pixel_limit):
        return dropped(item.row, reason)
    return describe_photo(item, read_photo(item), config)


def describe_photo(item: Item, data: bytes, config: IngestConfig) -> Row:
    """The row of one photo."""
    name = pictures.id_of(data)
    row = replace(item.row, id=name, photo=name)
    try:
        header = pictures.header(data, config.pixel_limit)
    except pictures.UnreadableError as reason:
        return dropped(row, str(reason))
    return replace(row, format=header.format, width=header.width, height=header.height)


def no_photo(item: Item, pixel_limit: int) -> str:
    """Why a large file need not be read, from its size and its first bytes."""
    most = pixel_limit * PIXEL_BYTES + LARGE
    if item.size_bytes > most:
        return (
            f"too many bytes: {item.size_bytes:,}, and {pixel_limit:,} pixels take no more than"
            f" {most:,}"
        )
    known = pictures.picture_format(head_of_photo(item, HEAD))
    return "" if known else "content is no picture in a known format"


def frames(item: Item, config: IngestConfig, folder: Path) -> list[Row]:
    """The rows of a video: its own, dropped, and one for each frame that was taken."""
    clip = replace(item.row, id=pictures.id_of(item.row.path.encode()), photo="")
    if not config.video_every:
        return [dropped(clip, "video: set video_every")]
    with on_disk(item) as file:
        if reason := video.refusal(file, config.pixel_limit):
            return [dropped(clip, reason)]
        seen, taken = video.take(item.row, file, config.video_every, folder)
    if not seen:
        return [dropped(clip, "broken file: no frame can be read")]
    return [dropped(clip, f"video: {seen}"), *taken]


def folder_of(photos: str, config: IngestConfig, store: Path) -> PhotoFolder:
    """The folder of photos, or of the reference set."""
    if photos == "reference":
        named, option = current(FilterPoseConfig).folder(), "[FilterPose] reference"
    else:
        named, option = config.source, "[Ingest] source"
    return PhotoFolder(named, option, store, config.hidden)


def came_in(scan: Scan) -> str:
    """Stands for a folder; one with files that 0.1 misread is another one than it saw."""
    anew = any(map(any_misread, map(scan.listed, scan.digests)))
    return digest([scan.digest, "anew"]) if anew else scan.digest


def any_misread(table: "pa.Table") -> bool:
    """Whether `anew` says so of any row of a listing."""
    import pyarrow.compute as pc

    # Most names end so plainly that nobody needs to take them apart.
    ends = "|".join(re.escape(suffix) for suffix in sorted(VIDEOS | JPEGS))
    plain = pc.match_substring_regex(table.column("path"), f"(?i)(^|/)[^/.][^/]*({ends})$")
    odd = table.filter(pc.invert(plain)).select(["id", "path", "drop"])
    return any(map(anew, manifest.rows_of(odd)))


def listed_at(table: "pa.Table") -> Numbers:
    """Where among the shards of a listing the files of these rows are: it goes by their paths."""
    paths = zip(columns.ids(table, "clip"), columns.ids(table, "path"), strict=True)
    names = (hashlib.blake2b((clip or path).encode(), digest_size=16) for clip, path in paths)
    found = (int(name.hexdigest()[: columns.DIGITS], 16) for name in names)
    return np.fromiter(found, np.int64, len(table))


def gathered_rows(
    described: Rows, folder: Path, tally: Callable[["pa.Table"], Mapping[str, Any]]
) -> Rows:
    """The rows of a listing in the order of their ids, copies dropped; shards lie in `folder`.

    What shards there are follows from the ids of all rows; then each is written that is not there.
    """
    if len(described) <= shards.MOST_ROWS:
        return Rows((), settled(described.columns(*DESCRIBED)))
    made, known = list[Shard](), shards.recorded(folder)
    for prefix, some in Heaps(described.tables(DESCRIBED)).shards():
        table = some.take(columns.in_order(some, "id", "path"))
        file = shards.sharded_file(folder, prefix, columns.digest_table(table))
        own = known.get(file) if file.is_file() else None
        made.append(own or shards.found_or_made(file, prefix, partial(settled, table), tally))
    return Rows(made)


def settled(table: "pa.Table") -> "pa.Table":
    """Rows in the order of their ids, with exact copies dropped; only those become objects."""
    import pyarrow as pa
    import pyarrow.compute as pc

    table = columns.completed(table)
    kept = pc.is_null(table.column("drop"))
    counts = pc.value_counts(columns.combined(table.column("id").filter(kept)))
    several = counts.field("values").filter(pc.greater(counts.field("counts"), 1))
    if len(several):
        copied = pc.and_(kept, pc.is_in(table.column("id"), several))
        judged = drop_copies(manifest.rows_of(table.filter(copied)))
        table = pa.concat_tables([table.filter(pc.invert(copied)), manifest.rows_table(judged)])
    return table.take(columns.in_order(table, "id", "path"))


def tally(table: "pa.Table") -> dict[str, Any]:
    """How many rows are frames of videos, and what stands for the places of the photos."""
    import pyarrow.compute as pc

    places = columns.kept(table).select(["photo", "clip", "path"])
    frames = pc.sum(pc.not_equal(table.column("clip"), "")).as_py() or 0
    return {"frames": frames, "places": columns.digest_table(places)}


def drop_copies(rows: Sequence[Row]) -> list[Row]:
    """Of exact copies the smallest path stays; the others are dropped with its name.

    The rows come back in the order of their ids, so that a renamed photo changes nothing after it.
    """
    first: dict[str, Row] = {}
    for row in sorted(rows, key=lambda row: (row.path, row.clip, row.second or 0)):
        if row.drop is None:
            first.setdefault(row.id, row)
    judged = [
        dropped(row, f"exact copy: {first[row.id].clip or first[row.id].path}")
        if row.drop is None and first[row.id] is not row
        else row
        for row in rows
    ]
    return sorted(judged, key=lambda row: (row.id, row.path))
