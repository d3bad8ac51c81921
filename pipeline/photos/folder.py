"""Where photos lie: which files there are, and their bytes, as long as they stay as they were.

A file lies on a file system, where it is a Path, or in an object store, where it is an Address.
"""

import errno
import hashlib
import os
import stat
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import chain, islice
from operator import attrgetter
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Protocol, TypeVar

from atelier.containers import is_whole_png
from atelier.listing import HEAD, HIDDEN, head_of, is_hidden, kind_by_content, kind_by_name, walk
from atelier.names import in_text
from atelier.options import is_address
from pipeline.options import SettingsError, located
from pipeline.photos.objects import (
    Address,
    ClosedError,
    Entry,
    GoneError,
    RemoteError,
    SourceChangedError,
    address,
    ahead,
)
from pipeline.photos.video import is_frame
from pipeline.rows import columns, manifest
from pipeline.rows.aside import Aside, Heaps, Stretch
from pipeline.rows.manifest import Item, Place, Row, digest, dropped

if TYPE_CHECKING:
    import pyarrow as pa

LISTED = ("id", "path", "size_bytes", "mtime_ns", "drop")  # what a listing says of a file
AT_ONCE = 1 << 16  # files
Thing = TypeVar("Thing")
NO_TEXT = "file name is not UTF-8"
ASKED = 1 << 10  # objects whose first bytes are asked for together
BLIND = (
    "neither a checksum nor a time: one that is replaced by another of its size is noticed with"
    " --rescan only"
)
HOLDS = "give the one that holds the photos"
MENDS = "`python -m pipeline verify --repair` makes it again"


class Readable(Protocol):
    """An open file, or an object in a store."""

    def read(self, number: int = -1, /) -> bytes:
        """The next bytes, or all that are left; of an object, the first or all."""


@dataclass(frozen=True)
class PhotoFolder:
    """Where photos lie: the source, or the reference set."""

    given: str
    option: str  # the one that gives it
    store: Path
    hidden: bool = False  # whether hidden files count

    @cached_property
    def root(self) -> Path | Address:
        if is_address(self.given):
            return address(self.given)
        return located(self.given or str(self.store / "raw"))

    @cached_property
    def scan(self) -> "Scan":
        """The folder as it is; looked at once."""
        return scanned(listing(self.root, self.store, self.option, self.hidden))

    @cached_property
    def inode(self) -> int | str:
        """Tells it from other folders that hold files of the same name, size and time."""
        return self.root.stat().st_ino if isinstance(self.root, Path) else str(self.root)

    def notes(self) -> list[str]:
        """What a person should know: of which objects the store does not say when they change."""
        if isinstance(self.root, Path):
            return []
        blind = sum(map(blind_count, map(self.scan.listed, self.scan.digests)))
        return [f"{blind} objects have {BLIND}"] if blind else []

    def file(self, row: Row) -> Place:
        """Where the photo of a row of Ingest's lies."""
        return (self.store if row.clip else self.root) / row.path

    def read(self, row: Row) -> bytes:
        """The bytes of the photo of a row of Ingest's, as they are now; or OSError."""
        return read_photo(Item("", row, self.file(row)))


class Scanned:
    """A stage whose rows come from a scan: its shards go by the files' paths."""

    @property
    def photo_folder(self) -> PhotoFolder:
        """What is scanned."""
        raise NotImplementedError

    def prefixes(self) -> list[str]:
        """Those that go on go by what the files hold, and are others."""
        return list(self.photo_folder.scan.digests)

    def portion(self, prefix: str, names: Sequence[str] = manifest.IN_MANIFEST) -> "pa.Table":
        """These columns of the rows of a shard."""
        return self.photo_folder.scan.table(prefix).select(list(names))

    def unread(self, prefix: str) -> "pa.Table":
        """They lie in no file that others see."""
        return self.portion(prefix)

    def portion_digest(self, prefix: str) -> str:
        """Stands for the files of a shard, in this folder."""
        return digest([self.photo_folder.scan.digests[prefix], self.photo_folder.inode])


@dataclass(frozen=True)
class Scan:
    """All files of a folder, in shards by the digests of their paths, each sorted by path."""

    aside: Aside
    places: Mapping[str, Stretch]  # of each shard's table
    digests: Mapping[str, str]

    def listed(self, prefix: str) -> "pa.Table":
        """What the listing says of the files of a shard, the columns LISTED."""
        return self.aside.get(self.places[prefix])

    def table(self, prefix: str) -> "pa.Table":
        """The rows of a shard."""
        return columns.completed(self.listed(prefix))

    @cached_property
    def digest(self) -> str:
        """Stands for all files, by place, size and time."""
        alone = self.digests.get("")
        return alone or manifest.digest_values(self.digests.items())


def scanned(rows: Iterable[Row]) -> Scan:
    """What a listing found, as columns: a row is gone before the next hundred thousand come."""
    aside, places, digests = Aside(), dict[str, Stretch](), dict[str, str]()
    for prefix, own in Heaps(map(listed_table, batched(rows, AT_ONCE))).shards():
        table = own.sort_by([("path", "ascending")])
        places[prefix] = aside.put(table)
        digests[prefix] = columns.digest_table(table) if prefix else digest_alone(table)
    return Scan(aside, places, digests)


def digest_alone(table: "pa.Table") -> str:
    """Stands for the files of the only shard."""
    return manifest.digest_rows(manifest.rows_of(table))


def listed_table(rows: Sequence[Row]) -> "pa.Table":
    """What a listing says of some files, as columns."""
    import pyarrow as pa

    kinds = manifest.schema()
    values = zip(*map(attrgetter(*LISTED), rows), strict=True)
    made = [pa.array(own, kinds[name]) for name, own in zip(LISTED, values, strict=True)]
    return pa.table(made, list(LISTED))


def blind_count(table: "pa.Table") -> int:
    """How many objects of a shard of a scan have neither a checksum nor a time."""
    import pyarrow.compute as pc

    blind = pc.and_(pc.equal(table.column("mtime_ns"), 0), pc.is_null(table.column("drop")))
    return int(pc.sum(blind).as_py() or 0)


def batched(things: Iterable[Thing], size: int) -> Iterator[list[Thing]]:
    waiting = iter(things)
    while some := list(islice(waiting, size)):
        yield some


def check_source(source: Path, store: Path, option: str) -> None:
    """Raise SettingsError, naming the option, where `source` cannot be a folder of photos."""
    if not source.exists():
        raise SettingsError(f"{option} = {source}: there is no such folder; {HOLDS}")
    if not source.is_dir():
        raise SettingsError(f"{option} = {source}: not a folder; {HOLDS}")
    inside = source.resolve()
    raw = (store / "raw").resolve()
    if inside.is_relative_to(store.resolve()) and not inside.is_relative_to(raw):
        raise SettingsError(
            f"{option} = {source}: it lies in the store {store}, which holds results; put photos"
            f" into {store / 'raw'} or elsewhere"
        )


def listing(
    source: Path | Address, store: Path, option: str = "[Ingest] source", hidden: bool = False
) -> Iterator[Row]:
    """One row per file below `source`, in any order; what need not be read is dropped already.

    Symbolic links are followed; a folder is walked once, so a loop ends; the store is left out.
    Reads the first bytes of files whose suffix says nothing. Raises SettingsError, naming the
    option, for a source that cannot be, or is empty; OSError for what a store says meanwhile.
    """
    if isinstance(source, Address):
        rows = described_objects(source, option, hidden)
    else:
        check_source(source, store, option)
        found = (described_by_name(path, source, hidden) for path in walk(source, but=store))
        rows = filter(None, found)
    first = next(rows, None)
    if first is None:
        raise SettingsError(f"{option} = {source}: the folder is empty; {HOLDS}")
    return chain([first], rows)


def described_objects(source: Address, option: str, hidden: bool) -> Iterator[Row]:
    """What a listing alone says about each object, or else its first bytes."""
    try:
        for some in batched(source.entries(), ASKED):
            rows = [named_row(entry.name.encode("utf-8", "surrogateescape")) for entry in some]
            asked = [e.name for e, row in zip(some, rows, strict=True) if is_asked(e, row, hidden)]
            heads = dict(zip(asked, source.heads(asked, HEAD), strict=True))
            for entry, row in zip(some, rows, strict=True):
                yield described_object(entry, row, hidden, heads.get(entry.name, b""))
    except ClosedError as error:
        raise SettingsError(f"{option} = {error}") from None
    except RemoteError as error:
        raise RemoteError(f"{option} = {error}") from None


def is_asked(entry: Entry, row: Row, hidden: bool) -> bool:
    """Whether the name of an object does not say what it is."""
    known = kind_by_name(row.path) or (not hidden and is_hidden(row.path))
    return bool(entry.is_file and entry.size_bytes and not known)


def described_object(entry: Entry, row: Row, hidden: bool, head: bytes | None) -> Row:
    """The row of an object, and its first bytes, if asked for; None: nobody may read them."""
    if not hidden and is_hidden(row.path):
        return dropped(row, HIDDEN)
    row = replace(row, size_bytes=entry.size_bytes, mtime_ns=entry.mark)
    if not entry.is_file:
        return dropped(row, "not a regular file")
    if head is None:
        return dropped(row, "no permission to read")
    reason = no_photo(row.path, lambda: head)
    if not reason and row.path != entry.name:
        reason = NO_TEXT
    return dropped(row, reason) if reason else row


def named_row(name: bytes) -> Row:
    """The row of a file by its path below the source."""
    path = in_text(name)
    return Row(id=hashlib.blake2b(path.encode(), digest_size=16).hexdigest(), path=path)


def described_by_name(path: Path, source: Path, hidden: bool) -> Row | None:
    """What the directory entry alone says about a file; None where it is gone since."""
    given, letters = os.fsencode(path.relative_to(source)), sys.getfilesystemencoding()
    row = named_row(given)
    if letters != "utf-8" and not row.path.isascii():
        raise SettingsError(f"{row.path!r}: names of files are {letters} here: set PYTHONUTF8=1")
    if not hidden and is_hidden(row.path):
        return dropped(row, HIDDEN)
    try:
        facts = path.stat()
    except OSError as error:
        return described_by_error(path, row, error)
    row = replace(row, size_bytes=facts.st_size, mtime_ns=time_of(facts))
    if not stat.S_ISREG(facts.st_mode):
        return dropped(row, "not a regular file")
    readable = os.access(path, os.R_OK)
    reason = no_photo(row.path, lambda: head_of(path) if readable else b"")
    if not reason and not readable:
        reason = "no permission to read"
    if not reason and row.path.encode() != given:
        reason = NO_TEXT
    return dropped(row, reason) if reason else row


def described_by_error(path: Path, row: Row, error: OSError) -> Row | None:
    """The same of a file that cannot be looked at; raises what is no fault of the file."""
    gone = error.errno == errno.ENOENT
    if path.is_symlink() and (gone or error.errno == errno.ELOOP):
        return dropped(row, "broken link")
    if not gone:
        raise error
    return None


def time_of(facts: os.stat_result) -> int:
    """When a file changed, in nanoseconds; the nearest of 64 bits, which end in the year 2262."""
    return min(max(facts.st_mtime_ns, -(1 << 63)), (1 << 63) - 1)


def no_photo(name: str, head: Callable[[], bytes]) -> str:
    """Why a file need not be read whole; nothing where it may be a photo or a video."""
    kind, suffix = kind_by_content(name, head), PurePosixPath(name).suffix.lower()
    if kind == "raw":
        return f"camera raw file ({suffix})"
    return f"not a photo ({suffix or 'no suffix'})" if kind == "other" else ""


def read_photos(items: Sequence[Item]) -> Iterator[tuple[Item, bytes]]:
    """Each item and the bytes of its photo, as `read_photo`; a store is asked ahead of need."""
    if any(isinstance(item.path, Address) for item in items):
        return zip(items, ahead(read_photo, items), strict=True)
    return ((item, read_photo(item)) for item in items)


def read_photo(item: Item) -> bytes:
    """The bytes of a photo; raises OSError where it is gone, changed, or cannot be read."""
    with unchanged(item) as file:
        data = file.read()
    if is_frame(item) and not is_whole_png(data):
        raise SourceChangedError(f"{item.path} is damaged: {MENDS}")
    return data


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
def on_disk(item: Item) -> Iterator[Path]:
    """The file of an item for a library that reads no other, whole and as Ingest saw it.

    Of an object it is a copy, among the temporary files of this machine for a while.
    """
    if isinstance(item.path, Path):
        with unchanged(item):
            pass
        yield item.path
        check_photo(item)  # whatever the library made of what it could not read
        return
    assert isinstance(item.path, Address)
    with TemporaryDirectory(prefix="atelier-") as folder:
        file = Path(folder, f"copy{item.path.suffix}")
        with unchanged_object(item, item.path):
            item.path.fetch(file)
        yield file


@contextmanager
def unchanged_object(item: Item, place: Address) -> Iterator[Address]:
    """The object of an item, if at the end it still is the one that Ingest saw.

    Where the store gives neither a checksum nor a time, by its size alone.
    """
    try:
        yield place
        if item.mtime_ns is not None and place.facts() != (item.size_bytes, item.mtime_ns):
            raise SourceChangedError(f"{place} changed while this ran")
    except GoneError:
        raise SourceChangedError(f"{place} vanished while this ran") from None


@contextmanager
def unchanged(item: Item) -> Iterator[Readable]:
    """The open file of an item, if it still is the one that Ingest saw."""
    if isinstance(item.path, Address):
        with unchanged_object(item, item.path) as found:
            yield found
        return
    assert isinstance(item.path, Path)
    try:
        file = item.path.open("rb")
    except FileNotFoundError:
        why = f"is gone: {MENDS}" if is_frame(item) else "vanished while this ran"
        raise SourceChangedError(f"{item.path} {why}") from None
    with file:
        seen = os.fstat(file.fileno())
        now = seen.st_size, time_of(seen)
        if item.mtime_ns is not None and now != (item.size_bytes, item.mtime_ns):
            raise SourceChangedError(f"{item.path} changed while this ran")
        yield file
