"""Find the source photos, and give each an id that depends on its bytes alone."""

import errno
import hashlib
import os
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from pipeline import manifest
from pipeline.manifest import Row, dropped
from pipeline.options import Settings, SettingsError, located, option
from pipeline.unit import Item

PHOTOS = {".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".tif", ".tiff", ".bmp", ".dib"}
PHOTOS |= {".gif", ".heic", ".heif", ".avif"}
VIDEOS = {".mp4", ".m4v", ".mkv", ".avi", ".mov", ".webm"}
RAW = {".3fr", ".arw", ".cr2", ".cr3", ".dng", ".erf", ".kdc", ".mrw", ".nef", ".nrw", ".orf"}
RAW |= {".pef", ".raf", ".raw", ".rw2", ".sr2", ".srw", ".x3f"}


@dataclass(frozen=True)
class IngestConfig(Settings):
    """Which photos there are."""

    source: str = option(
        "", "folder of photos, searched recursively; empty: raw/ in the store", keyed="never"
    )
    pixel_limit: int = option(
        200_000_000, "photos of more pixels are dropped before they are decoded", low=1
    )
    video_every: int = option(0, "take every Nth frame of videos; 0: videos are dropped", low=0)


@dataclass(frozen=True)
class PhotoFolder:
    """Where photos lie: the source, or the reference set."""

    given: str
    option: str  # the one that gives it
    store: Path

    @cached_property
    def root(self) -> Path:
        return located(self.given or str(self.store / "raw"))

    @cached_property
    def rows(self) -> list[Row]:
        """The folder as it is; scanned once."""
        return listing(self.root, self.store, self.option)

    @cached_property
    def digest(self) -> str:
        return manifest.digest(self.rows)

    @property
    def inode(self) -> int:
        return self.root.stat().st_ino

    def file(self, row: Row) -> Path:
        """Where the photo of a row of Ingest's lies."""
        return (self.store if row.clip else self.root) / row.path


def check_source(source: Path, store: Path, option: str) -> None:
    """Raise SettingsError, naming the option, where `source` cannot be a folder of photos."""
    if not source.exists():
        raise SettingsError(f"{option} = {source}: there is no such folder")
    if not source.is_dir():
        raise SettingsError(
            f"{option} = {source}: not a folder; give the one that holds the photos"
        )
    inside = source.resolve()
    raw = (store / "raw").resolve()
    if inside.is_relative_to(store) and not inside.is_relative_to(raw):
        raise SettingsError(
            f"{option} = {source}: it lies in the store {store}, which holds results; put photos"
            f" into {store / 'raw'} or elsewhere"
        )


def listing(source: Path, store: Path, option: str = "[Ingest] source") -> list[Row]:
    """One row per file below `source`, sorted by path; what need not be read is dropped already.

    Symbolic links are followed; a folder is walked once, so a loop ends. Reads no bytes. Raises
    SettingsError, naming the option, for a source that cannot be, or is empty.
    """
    check_source(source, store, option)
    rows = [described_by_name(path, source) for path in walk(source)]
    if not rows:
        raise SettingsError(f"{option} = {source}: the folder is empty")
    return sorted(rows, key=lambda row: row.path)


def walk(source: Path) -> Iterator[Path]:
    seen: set[tuple[int, int]] = set()
    for folder, folders, names in os.walk(source, followlinks=True, onerror=raise_error):
        facts = os.stat(folder)
        if (facts.st_dev, facts.st_ino) in seen:
            folders.clear()
            continue
        seen.add((facts.st_dev, facts.st_ino))
        folders.sort()
        yield from (Path(folder, name) for name in names)


def raise_error(error: OSError) -> None:
    raise error


def described_by_name(path: Path, source: Path) -> Row:
    """What the directory entry alone says about a file."""
    name = os.fsencode(path.relative_to(source)).decode("utf-8", "backslashreplace")
    row = Row(id=hashlib.blake2b(name.encode(), digest_size=16).hexdigest(), path=name)
    try:
        facts = path.stat()
    except OSError as error:
        if path.is_symlink() and error.errno in (errno.ENOENT, errno.ELOOP):
            return dropped(row, "broken link")
        raise
    row = replace(row, size_bytes=facts.st_size, mtime_ns=facts.st_mtime_ns)
    suffix = path.suffix.lower()
    if not stat.S_ISREG(facts.st_mode):
        return dropped(row, "not a regular file")
    if suffix in RAW:
        return dropped(row, f"camera raw file ({suffix})")
    if suffix not in PHOTOS | VIDEOS:
        return dropped(row, f"not a photo ({suffix or 'no suffix'})")
    if name.encode() != os.fsencode(path.relative_to(source)):
        return dropped(row, "file name is not UTF-8")
    if not os.access(path, os.R_OK):
        return dropped(row, "no permission to read")
    return row


def describe(items: Sequence[Item], config: IngestConfig, folder: Path) -> Iterator[list[Row]]:
    """Read each file once: its id and its size; of a video, its frames."""
    for item in items:
        if item.path.suffix.lower() in VIDEOS:
            yield frames(item, config, folder)
        else:
            yield [describe_photo(item, config)]


def describe_photo(item: Item, config: IngestConfig) -> Row:
    from pipeline import images

    data = images.read(item)
    name = images.id_of(data)
    row = replace(item.row, id=name, photo=name)
    try:
        header = images.header(data, config.pixel_limit)
    except images.UnreadableError as reason:
        return dropped(row, str(reason))
    return replace(row, format=header.format, width=header.width, height=header.height)


def frames(item: Item, config: IngestConfig, folder: Path) -> list[Row]:
    """The rows of a video: its own, dropped, and one for each frame that was taken."""
    from pipeline import images, video

    clip = replace(item.row, id=images.id_of(item.row.path.encode()), photo="")
    if not config.video_every:
        return [dropped(clip, "video: set video_every")]
    images.check(item)
    looked_at, taken = video.take(item, config.video_every, folder)
    images.check(item)
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
