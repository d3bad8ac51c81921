"""Find the source photos, and give each an id that depends on its bytes alone."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from atelier import pictures
from atelier.listing import VIDEOS
from atelier.options import option
from pipeline.options import Settings
from pipeline.photos import video
from pipeline.photos.folder import check_photo, read_photo
from pipeline.rows.manifest import Item, Row, dropped


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


def describe(items: Sequence[Item], config: IngestConfig, folder: Path) -> Iterator[list[Row]]:
    """Read each file once: its id and its size; of a video, its frames."""
    for item in items:
        if item.path.suffix.lower() in VIDEOS:
            yield frames(item, config, folder)
        else:
            yield [describe_photo(item, config)]


def describe_photo(item: Item, config: IngestConfig) -> Row:
    data = read_photo(item)
    name = pictures.id_of(data)
    row = replace(item.row, id=name, photo=name)
    try:
        header = pictures.header(data, config.pixel_limit)
    except pictures.UnreadableError as reason:
        return dropped(row, str(reason))
    return replace(row, format=header.format, width=header.width, height=header.height)


def frames(item: Item, config: IngestConfig, folder: Path) -> list[Row]:
    """The rows of a video: its own, dropped, and one for each frame that was taken."""
    clip = replace(item.row, id=pictures.id_of(item.row.path.encode()), photo="")
    if not config.video_every:
        return [dropped(clip, "video: set video_every")]
    check_photo(item)
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
