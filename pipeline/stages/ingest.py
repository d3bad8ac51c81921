"""Find the source photos, and give each an id that depends on its bytes alone."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from atelier import pictures
from atelier.listing import HEAD, VIDEOS
from atelier.options import option
from pipeline.options import Settings
from pipeline.photos import video
from pipeline.photos.folder import check_photo, head_of_photo, read_photo
from pipeline.rows.manifest import Item, Row, dropped

JPEGS = {".jpg", ".jpeg", ".jpe", ".jfif"}
LARGE = 64 << 20  # bytes; a file above is looked at before it is read
PIXEL_BYTES = 8  # of a pixel in the largest format, four channels of 16 bits


@dataclass(frozen=True)
class IngestConfig(Settings):
    """Which photos there are."""

    source: str = option(
        "",
        "folder of photos, searched recursively; empty: raw/ in the store",
        keyed="never",
        path=True,
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


def was_misread(row: Row) -> bool:
    """Whether 0.1 may have had a wrong size of it, or a wrong reason to drop it."""
    suffix = Path(row.path).suffix.lower()
    return row.drop is None and suffix not in VIDEOS | JPEGS


def describe(items: Sequence[Item], config: IngestConfig, folder: Path) -> Iterator[list[Row]]:
    """Read each file once: its id and its size; of a video, its frames."""
    for item in items:
        if item.path.suffix.lower() in VIDEOS:
            yield frames(item, config, folder)
        else:
            yield [describe_photo(item, config)]


def describe_photo(item: Item, config: IngestConfig) -> Row:
    """The row of one photo. Of a large file the head is looked at before all of it is read."""
    if item.size_bytes > LARGE and (reason := no_photo(item, config.pixel_limit)):
        return dropped(item.row, reason)
    data = read_photo(item)
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
    check_photo(item)
    if reason := video.too_large(item.path, config.pixel_limit):
        return [dropped(clip, reason)]
    looked_at, taken = video.take(item, config.video_every, folder)
    check_photo(item)
    if not looked_at:
        return [dropped(clip, "broken file: no frame can be read")]
    return [dropped(clip, f"video: {looked_at} frames looked at"), *taken]


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
