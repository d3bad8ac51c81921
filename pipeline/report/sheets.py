"""Titled contact sheets of the report, and what makes their pictures."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from pipeline.photos.thumbnails import Open, Thumbnail, thumbnail
from pipeline.rows import columns
from pipeline.rows.manifest import PLACES, Row, rows_of
from pipeline.rows.shards import Rows

IN_LIST = ("id", "photo", *PLACES, "drop")


@dataclass(frozen=True)
class Sheet:
    """A titled contact sheet."""

    anchor: str
    title: str
    total: int  # rows that it stands for
    pictures: Sequence[Thumbnail]


class Listed:
    """The rows of Ingest's manifest, looked up one by one: where photos lie."""

    def __init__(self, first: Rows) -> None:
        self.first = first
        self.table = lru_cache(maxsize=32)(lambda at: first.part(at, IN_LIST))

    def __call__(self, row: Row) -> Row | None:
        """The row of the file that a row comes from."""
        return self.found(row.photo, "photo") or self.found(row.photo or row.id, "id")

    def path(self, photo: str) -> str:
        """Its name for a person; of copies that of the one kept; nothing for no such photo."""
        found = self.found(photo, "photo")
        return place_name(found) if found and found.drop is None else ""

    def found(self, name: str, column: str) -> Row | None:
        """The row with this name, a kept one first."""
        known = (at for at, each in enumerate(self.first.made) if name.startswith(each.prefix))
        table = columns.where(self.table(next(known, 0)), column, name) if name else None
        rows = rows_of(table) if table is not None else []
        return min(rows, key=lambda row: row.drop is not None, default=None)


@dataclass(frozen=True)
class Gallery:
    """Makes the thumbnails of rows: knows where their bytes and names are."""

    open_photo: Open
    open_picture: Open
    listed: Listed

    def dropped(self, row: Row) -> Thumbnail:
        """What was dropped: the rectangle if there was one already, otherwise the whole photo."""
        drop = row.drop or ""
        detail = drop.partition(":")[2].strip()
        detail = self.listed.path(detail.partition(".")[0]) or detail  # a copy names a row
        detail = drop if detail.isdigit() else detail  # a number alone tells nothing
        return thumbnail(row, self.photo(row), False, self.name(row), detail)

    def kept(self, row: Row) -> Thumbnail:
        """The written picture; before there is one, what it is going to show."""
        picture = self.open_picture(row) if row.picture else None
        data = self.photo(row) if picture is None else picture
        return thumbnail(row, data, picture is not None, self.name(row), "")

    def valued(self, row: Row, value: str) -> Thumbnail:
        """The rectangle on the photo, with a number of its own."""
        return thumbnail(row, self.photo(row), False, self.name(row), value)

    def photo(self, row: Row) -> bytes | None:
        """The bytes of a photo of known size; another one is shown as words, and not opened."""
        return self.open_photo(row) if row.width else None

    def name(self, row: Row) -> str:
        return place_name(row) or self.listed.path(row.photo) or row.id


def place_name(row: Row) -> str:
    """Where a person finds it below the source: its path; of a frame, its clip and the second."""
    return f"{row.clip}, {row.second or 0:.1f} s" if row.clip else row.path
