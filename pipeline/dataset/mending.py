"""Pictures of the store are looked at before they are packed, and made again where they must be."""

from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from atelier import pictures
from atelier.commands import number_of, say
from atelier.errors import words_of
from pipeline.dataset.finished import ExportError
from pipeline.engine.cluster import MachineError
from pipeline.photos.folder import read_photo
from pipeline.photos.objects import SourceChangedError
from pipeline.rows import columns
from pipeline.rows.manifest import Item
from pipeline.rows.parquet import put_aside

if TYPE_CHECKING:
    import pyarrow as pa


class DamagedPictureError(ExportError):
    """A picture of the store is not the one that was written; it is out of the way."""


def read_own(item: Item) -> bytes:
    """The file of a picture of the store; raises ExportError where another one was written."""
    data, known = read_photo(item), item.row.picture_digest
    if known and pictures.bytes_digest(data) != known:
        raise ExportError("it is not what was written")
    return data


@contextmanager
def checked(picture: Path) -> Iterator[None]:
    """Raise DamagedPictureError for what cannot be packed, once it is out of the way."""
    try:
        yield
    except (ExportError, SourceChangedError) as error:
        put_aside(picture)
        raise DamagedPictureError(
            f"{picture} is damaged or gone ({words_of(error)}): give the same command again, and it"
            " is made anew"
        ) from None


def mended(
    write: Callable[[], list[str]],
    arriving: Callable[[str], "pa.Table"],
    store: Path,
    make_again: Callable[[Collection[str]], None],
) -> list[str]:
    """Write an export; the pictures that it finds damaged or gone are made again, then it goes on.

    `arriving` gives a column of the rows that came in. What is damaged is taken out of the way as
    it is found, so what is not there is to make; a picture is named after the key of its row.
    """
    before: set[str] = set()
    while True:
        try:
            return write()
        except (ExportError, MachineError):
            known = columns.ids(arriving("picture"), "picture")
            gone = {Path(path).stem for path in known if not (store / path).is_file()}
            if not gone - before:
                raise
            say(f"damaged or gone, and made again: {number_of(len(gone), 'picture')} of the store")
            make_again(gone)
            before = gone
