"""Where photos lie: which files there are, and their bytes, as long as they stay as they were."""

import errno
import hashlib
import os
import stat
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import numpy as np

from atelier.containers import is_whole_png
from atelier.listing import HIDDEN, head_of, is_hidden, kind_by_content, walk
from pipeline.options import SettingsError, located
from pipeline.rows import columns, manifest, shards
from pipeline.rows.manifest import Item, Row, digest, dropped

if TYPE_CHECKING:
    import pyarrow as pa

LISTED = ("id", "path", "size_bytes", "mtime_ns", "drop")  # what a listing says of a file
AT_ONCE = 1 << 16  # files
MENDS = "`python -m pipeline verify --repair` makes it again"


class SourceChangedError(OSError):
    """The file is not the one that Ingest saw, or is gone: a reason to run again, not to drop."""


@dataclass(frozen=True)
class PhotoFolder:
    """Where photos lie: the source, or the reference set."""

    given: str
    option: str  # the one that gives it
    store: Path
    hidden: bool = False  # whether hidden files count

    @cached_property
    def root(self) -> Path:
        return located(self.given or str(self.store / "raw"))

    @cached_property
    def scan(self) -> "Scan":
        """The folder as it is; looked at once."""
        return scanned(listing(self.root, self.store, self.option, self.hidden))

    @cached_property
    def inode(self) -> int:
        return self.root.stat().st_ino

    def file(self, row: Row) -> Path:
        """Where the photo of a row of Ingest's lies."""
        return (self.store if row.clip else self.root) / row.path


class Scanned:
    """A stage whose rows come from a scan: its shards go by the files' paths."""

    @property
    def photo_folder(self) -> PhotoFolder:
        """What is scanned."""
        raise NotImplementedError

    def prefixes(self) -> list[str]:
        """Those that go on go by what the files hold, and are others."""
        return list(self.photo_folder.scan.tables)

    def portion(self, prefix: str) -> "pa.Table":
        """The rows of a shard."""
        return self.photo_folder.scan.table(prefix)

    def portion_digest(self, prefix: str) -> str:
        """Stands for the files of a shard, in this folder."""
        return digest([self.photo_folder.scan.digests[prefix], self.photo_folder.inode])


@dataclass(frozen=True)
class Scan:
    """All files of a folder, in shards by the digests of their paths, each sorted by path."""

    tables: "Mapping[str, pa.Table]"
    digests: Mapping[str, str]

    def table(self, prefix: str) -> "pa.Table":
        """The rows of a shard."""
        return columns.completed(self.tables[prefix])

    @cached_property
    def digest(self) -> str:
        """Stands for all files, by place, size and time."""
        alone = self.digests.get("")
        return alone or manifest.digest_values(self.digests.items())


def scanned(rows: Iterable[Row]) -> Scan:
    """What a listing found, as columns: a row is gone before the next hundred thousand come."""
    import pyarrow as pa

    kinds = manifest.schema()
    seen = [
        pa.table({name: pa.array([getattr(r, name) for r in some], kinds[name]) for name in LISTED})
        for some in batched(rows, AT_ONCE)
    ]
    whole = pa.concat_tables(seen).sort_by([("path", "ascending")])
    numbers = columns.leading(whole.column("id"))
    prefixes = shards.leaves(np.sort(numbers))
    tables = dict(shards.parted(whole, numbers, prefixes))
    if prefixes == [""]:
        return Scan(tables, {"": manifest.digest_rows(manifest.rows_of(whole))})
    return Scan(tables, {prefix: columns.digest_table(table) for prefix, table in tables.items()})


def batched(rows: Iterable[Row], size: int) -> Iterator[list[Row]]:
    waiting = iter(rows)
    while some := list(islice(waiting, size)):
        yield some


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


def listing(
    source: Path, store: Path, option: str = "[Ingest] source", hidden: bool = False
) -> Iterator[Row]:
    """One row per file below `source`, in any order; what need not be read is dropped already.

    Symbolic links are followed; a folder is walked once, so a loop ends. Reads the first bytes
    of files whose suffix says nothing. Raises SettingsError, naming the option, for a source that
    cannot be, or is empty.
    """
    check_source(source, store, option)
    paths = walk(source)
    first = next(paths, None)
    if first is None:
        raise SettingsError(f"{option} = {source}: the folder is empty")
    return (described_by_name(path, source, hidden) for path in chain([first], paths))


def described_by_name(path: Path, source: Path, hidden: bool) -> Row:
    """What the directory entry alone says about a file."""
    name = os.fsencode(path.relative_to(source)).decode("utf-8", "backslashreplace")
    row = Row(id=hashlib.blake2b(name.encode(), digest_size=16).hexdigest(), path=name)
    if not hidden and is_hidden(name):
        return dropped(row, HIDDEN)
    try:
        facts = path.stat()
    except OSError as error:
        if path.is_symlink() and error.errno in (errno.ENOENT, errno.ELOOP):
            return dropped(row, "broken link")
        raise
    row = replace(row, size_bytes=facts.st_size, mtime_ns=facts.st_mtime_ns)
    if not stat.S_ISREG(facts.st_mode):
        return dropped(row, "not a regular file")
    reason = no_photo(path, name)
    if not reason and name.encode() != os.fsencode(path.relative_to(source)):
        reason = "file name is not UTF-8"
    return dropped(row, reason) if reason else row


def no_photo(path: Path, name: str) -> str:
    """Why a file need not be read whole; nothing where it may be a photo or a video."""
    readable = os.access(path, os.R_OK)
    kind = kind_by_content(name, lambda: head_of(path) if readable else b"")
    suffix = path.suffix.lower()
    if kind == "raw":
        return f"camera raw file ({suffix})"
    if kind == "other":
        return f"not a photo ({suffix or 'no suffix'})"
    return "" if readable else "no permission to read"


def read_photo(item: Item) -> bytes:
    """The bytes of a photo; raises OSError where it is gone, changed, or cannot be read."""
    with unchanged(item) as file:
        data = file.read()
    if is_frame(item) and not is_whole_png(data):
        raise SourceChangedError(f"{item.path} is damaged: {MENDS}")
    return data


def is_frame(item: Item) -> bool:
    """Whether it is a frame of a video, which the store keeps as a PNG."""
    ours = item.mtime_ns is None and item.path.parts[-3:-2] == ("pictures",)
    return ours and not item.row.picture


def head_of_photo(item: Item, number: int) -> bytes:
    """The first bytes of a photo; raises OSError as `read_photo` does."""
    with unchanged(item) as file:
        return file.read(number)


def check_photo(item: Item) -> None:
    """Raise OSError where a file is gone, changed, or cannot be read to its end."""
    with unchanged(item) as file:
        while file.read(1 << 24):
            pass


@contextmanager
def unchanged(item: Item) -> Iterator[BinaryIO]:
    """The open file of an item, if it still is the one that Ingest saw."""
    try:
        file = item.path.open("rb")
    except FileNotFoundError:
        why = f"is gone: {MENDS}" if is_frame(item) else "vanished while this ran"
        raise SourceChangedError(f"{item.path} {why}") from None
    with file:
        seen = os.fstat(file.fileno())
        now = seen.st_size, seen.st_mtime_ns
        if item.mtime_ns is not None and now != (item.size_bytes, item.mtime_ns):
            raise SourceChangedError(f"{item.path} changed while this ran")
        yield file


def bytes_of(path: Path | None) -> bytes | None:
    """The bytes of a file for a page that does without it, None if it cannot be read."""
    try:
        return path.read_bytes() if path and path.is_file() else None
    except OSError:
        return None
