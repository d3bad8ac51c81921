"""Parquet files that are whole or not there, and say so when they are damaged.

Every page has a checksum, which is looked at when it is read: of single bits that flip in a file
without, a third or more reads as other values.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from atelier import files
from atelier.errors import Failure

if TYPE_CHECKING:
    import pyarrow as pa

HEADER = b"atelier"
SHARDS = "shards"  # the folder of a stage's shards, beside its manifests
UNTOLD = (ValueError, LookupError, TypeError)  # of a header that does not tell what it should
ASIDE = ".damaged"  # how the name of a damaged file ends


class DamagedError(Failure):
    """A file of the store cannot be read; it was set aside, and what it held is to do again."""


def write_table(path: Path, table: "pa.Table") -> None:
    """Write a file in one go."""
    import pyarrow.parquet as pq

    with files.replacing(path) as partial:
        pq.write_table(table, partial, write_page_checksum=True)


def read_table(path: Path, names: Sequence[str] | None = None) -> "pa.Table":
    """Those of these columns that the file has; all where none are named.

    Of a column of structs a name with a dot, as `measures.light`, is one field.
    """
    import pyarrow.parquet as pq

    with sound(path), pq.ParquetFile(path, page_checksum_verification=True) as file:
        there = set(file.schema_arrow.names)
        wanted = None if names is None else [n for n in names if n.partition(".")[0] in there]
        return file.read(wanted, use_threads=False)


def read_header(path: Path) -> dict[str, Any]:
    """What a file's header tells of its rows."""
    import pyarrow.parquet as pq

    with sound(path, *UNTOLD):
        found: dict[str, Any] = json.loads(pq.read_schema(path).metadata[HEADER])
        return found


def with_header(table: "pa.Table", header: Mapping[str, Any]) -> "pa.Table":
    """The table with what its file's header is to tell."""
    return table.replace_schema_metadata({HEADER: json.dumps(header).encode()})


@contextmanager
def sound(path: Path, *more: type[Exception]) -> Iterator[None]:
    """Raise DamagedError for a file that is no Parquet any more, once it is out of the way.

    `more` say so, too. What the machine cannot read is another matter: it has an errno, and the
    file may be whole.
    """
    import pyarrow as pa

    try:
        yield
    except (OSError, pa.ArrowInvalid, pa.ArrowNotImplementedError, *more) as error:
        if isinstance(error, OSError) and error.errno:
            raise
        set_aside(path)
        raise DamagedError(
            f"{path} is damaged, and now called {path.name}{ASIDE}: give the same command again,"
            " and what it held is made anew"
        ) from None


def set_aside(path: Path) -> None:
    """Take a damaged file out of the way, and the manifests that may have listed it."""
    with suppress(OSError):  # in a store that cannot be written
        path.replace(path.with_name(f"{path.name}{ASIDE}"))
        if path.parent.name == SHARDS:
            for manifest in path.parent.parent.glob("*.parquet"):
                manifest.unlink()
