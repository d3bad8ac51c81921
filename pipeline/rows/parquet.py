"""Parquet files that are whole or not there, and say so when they are damaged.

A seal lies between a file's pages and its footer, where no reader of Parquet looks: one checksum
of the pages, one of all that comes after them. So a header is checked by the end of the file alone.
Pages have checksums of their own besides; those of earlier versions have nothing else, or not even
those.
"""

import errno
import io
import json
import os
import stat
import struct
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import google_crc32c

from atelier import files
from atelier.errors import Failure, reason_in

if TYPE_CHECKING:
    import pyarrow as pa

HEADER = b"atelier"
SEALED = b"sealed"  # a second sign of the seal, in the footer: no single damage hides both
MARK = b"\0sealed\1"
SEAL = struct.Struct("<8sII")  # mark, CRC32C of the pages, CRC32C of all else
END = struct.Struct("<I4s")  # of Parquet: how long the footer is, and a word
SHARDS = "shards"  # the folder of a stage's shards, beside its manifests
PARTS = "parts"  # that of what it remembers row by row
UNTOLD = (ValueError, LookupError, TypeError)  # of a header that does not tell what it should
ASIDE = ".damaged"  # how the name of a damaged file ends


class DamagedError(Failure):
    """A file of the store cannot be read; it was set aside, and what it held is to do again."""


class PartGoneError(Failure, FileNotFoundError):
    """Results that were listed are gone: who may look again does."""


class BrokenSealError(ValueError):
    """A file is not what was written."""


def write_table(path: Path, table: "pa.Table") -> None:
    """Write a file in one go."""
    import pyarrow.parquet as pq

    known = {**(table.schema.metadata or {}), SEALED: b"1"}
    sink = io.BytesIO()
    pq.write_table(table.replace_schema_metadata(known), sink, write_page_checksum=True)
    pages, end = halves(memoryview(sink.getvalue()))
    with files.replacing(path) as partial, partial.open("wb") as file:
        file.writelines([pages, seal_of(pages, end), end])


def read_table(path: Path, names: Sequence[str] | None = None) -> "pa.Table":
    """Those of these columns that the file has; all where none are named.

    Of a column of structs a name with a dot, as `measures.light`, is one field.
    """
    with sound(path):
        return checked_table(path, names)


def checked_table(path: Path, names: Sequence[str] | None = None) -> "pa.Table":
    """The same, but a damaged file raises what `broken` lists, and stays where it is."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    check_is_file(path)
    data = path.read_bytes()
    is_sealed = check_seal(*halves(memoryview(data)))
    with (
        as_written(path, is_sealed),
        pq.ParquetFile(pa.BufferReader(data), page_checksum_verification=True) as file,
    ):
        check_both(is_sealed, file.metadata.metadata)
        there = set(file.schema_arrow.names)
        wanted = None if names is None else [n for n in names if n.partition(".")[0] in there]
        return file.read(wanted, use_threads=False)


def check_is_file(path: Path) -> None:
    """Raise BrokenSealError where a folder, a pipe or a link to nowhere has the name of a file."""
    if os.path.lexists(path) and not is_file(path):
        raise BrokenSealError("it is no file")


def is_file(path: Path) -> bool:
    """Whether there is a file, through links too; OSError where the machine cannot tell."""
    try:
        return stat.S_ISREG(path.stat().st_mode)
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP):
            return False
        raise


def broken() -> tuple[type[Exception], ...]:
    """What reading a damaged file raises."""
    import pyarrow as pa

    return OSError, pa.ArrowInvalid, pa.ArrowNotImplementedError, BrokenSealError


def read_header(path: Path) -> dict[str, Any]:
    """What a file's header tells of its rows; only the end of the file is read."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    with sound(path, *UNTOLD):
        check_is_file(path)
        seal, end = end_of(path)
        is_sealed = check_end(seal, end)
        with as_written(path, is_sealed):
            known = pq.read_schema(pa.BufferReader(end)).metadata
        check_both(is_sealed, known)
        found: dict[str, Any] = files.json_of(known[HEADER])
        return found


def header_of(table: "pa.Table") -> dict[str, Any]:
    """What the header of a table that was read tells."""
    found: dict[str, Any] = files.json_of((table.schema.metadata or {})[HEADER])
    return found


def halves(data: memoryview) -> tuple[memoryview, memoryview]:
    """A file's pages, with the seal where there is one, and its footer."""
    start = len(data) - footer_bytes(data[-END.size :])
    if start < 0:
        raise BrokenSealError("the file is cut off")
    return data[:start], data[start:]


def footer_bytes(end: "bytes | memoryview") -> int:
    """How long a footer is that ends so, its end included."""
    if len(end) < END.size:
        raise BrokenSealError("the file is cut off")
    return int(END.unpack(end)[0]) + END.size


def end_of(path: Path) -> tuple[bytes, bytes]:
    """The place of the seal, and the footer."""
    with path.open("rb") as file:
        length = file.seek(0, io.SEEK_END)
        file.seek(max(length - END.size, 0))
        size = footer_bytes(file.read())
        if size > length:
            raise BrokenSealError("the file is cut off")
        file.seek(max(length - size - SEAL.size, 0))
        data = file.read()
    return data[:-size], data[-size:]


def seal_of(pages: "bytes | memoryview", end: "bytes | memoryview") -> bytes:
    """What comes between them."""
    of_pages = google_crc32c.value(bytes(pages))
    return SEAL.pack(MARK, of_pages, crc_of_end(of_pages, end))


def crc_of_end(of_pages: int, end: "bytes | memoryview") -> int:
    return int(google_crc32c.extend(google_crc32c.value(struct.pack("<I", of_pages)), bytes(end)))


def check_seal(pages: memoryview, end: memoryview) -> bool:
    """Whether a file has a seal; raises BrokenSealError where that does not hold."""
    own = pages[-SEAL.size :]
    if not check_end(own, end):
        return False
    if google_crc32c.value(bytes(pages[: -SEAL.size])) != SEAL.unpack(own)[1]:
        raise BrokenSealError("its pages are not those that were written")
    return True


def check_end(seal: "bytes | memoryview", end: "bytes | memoryview") -> bool:
    """The same of all but the pages."""
    if bytes(seal[: len(MARK)]) != MARK or len(seal) != SEAL.size:
        return False
    _, of_pages, of_end = SEAL.unpack(seal)
    if crc_of_end(of_pages, end) != of_end:
        raise BrokenSealError("its footer is not the one that was written")
    return True


def check_both(is_sealed: bool, known: Mapping[bytes, bytes] | None) -> None:
    """Raise BrokenSealError where the footer knows of a seal, and there is none."""
    if not is_sealed and SEALED in (known or {}):
        raise BrokenSealError("it has no seal")


@contextmanager
def as_written(path: Path, is_sealed: bool) -> Iterator[None]:
    """Raise OSError, with an errno, for a file whose seal holds: the machine cannot read it."""
    import pyarrow as pa

    try:
        yield
    except (OSError, pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        if not is_sealed:
            raise
        said = f"pyarrow {pa.__version__} cannot read what was written ({reason_in(str(error))})"
        raise OSError(
            errno.ENOTSUP, f"{said}: `make setup` installs one that can", str(path)
        ) from None


def with_header(table: "pa.Table", header: Mapping[str, Any]) -> "pa.Table":
    """The table with what its file's header is to tell."""
    return table.replace_schema_metadata({HEADER: json.dumps(header).encode()})


@contextmanager
def sound(path: Path, *more: type[Exception]) -> Iterator[None]:
    """Raise DamagedError for a file that is no Parquet any more, once it is out of the way.

    `more` say so, too. What the machine cannot read is another matter: it has an errno, and the
    file may be whole. A shard that is gone was listed: another reader may have set it aside.
    So was a part, which is PartGoneError: a run at the same time may have made one of many.
    """
    try:
        yield
    except FileNotFoundError:
        if path.parent.name == PARTS:
            raise PartGoneError(
                f"{path} is gone, and its folder lists it, as after a network drive was away: give"
                f" the same command again, and what {path.parents[2].name} lacks is made anew"
            ) from None
        if path.parent.name != SHARDS:
            raise
        set_aside(path)
        raise DamagedError(
            f"{path} is gone: give the same command again, and what it held is made anew"
        ) from None
    except (*broken(), *more) as error:
        if isinstance(error, OSError) and error.errno:
            raise
        set_aside(path)
        raise DamagedError(
            f"{path} is damaged, and now called {path.name}{ASIDE}: give the same command again,"
            " and what it held is made anew"
        ) from None


def set_aside(path: Path) -> None:
    """Take a damaged file out of the way, and what was made of it in its stage."""
    with suppress(OSError):  # in a store that cannot be written
        put_aside(path)
        if path.parent.name in (SHARDS, PARTS):
            stage = path.parent.parent
            gone = [*stage.glob("*.parquet")]
            if path.parent.name == PARTS:
                gone += stage.glob(f"{SHARDS}/*.parquet")
            for made in gone:
                made.unlink(missing_ok=True)


def put_aside(path: Path) -> None:
    """Give a damaged file or folder another name, if it is still there: others may see it, too."""
    aside = path.with_name(f"{path.name}{ASIDE}")
    with suppress(FileNotFoundError):
        if path.is_dir() or aside.is_dir():
            files.remove(aside)
        path.replace(aside)
