"""Titled contact sheets of the report, and what makes their pictures."""

from collections.abc import Sequence
from dataclasses import dataclass

from pipeline.photos.thumbnails import Open, Thumbnail, thumbnail
from pipeline.rows.manifest import Row


@dataclass(frozen=True)
class Sheet:
    """A titled contact sheet."""

    anchor: str
    title: str
    total: int  # rows that it stands for
    pictures: Sequence[Thumbnail]


@dataclass(frozen=True)
class Gallery:
    """Makes the thumbnails of rows: knows where their bytes and names are."""

    open_photo: Open
    open_picture: Open
    paths: dict[str, str]  # photo -> path below the source

    def dropped(self, row: Row) -> Thumbnail:
        """What was dropped: the rectangle if there was one already, otherwise the whole photo."""
        detail = (row.drop or "").partition(":")[2].strip()
        detail = self.paths.get(detail.partition(".")[0], detail)  # a copy names a row
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
        return row.path or self.paths.get(row.photo) or row.id
