"""The CSV table filename,width,height,class,xmin,ymin,xmax,ymax: one line per box."""

from collections.abc import Iterable, Iterator
from pathlib import Path

from atelier.names import in_one_form
from atelier.tables import TableError, read_table, write_table
from detectors.annotations.photo import (
    COLUMNS,
    EDGES,
    Annotated,
    AnnotationError,
    Entry,
    counted_from_1,
)


def write_csv(path: Path, photos: Iterable[Annotated]) -> None:
    """One line per box; a photo without boxes has a line without class and edges."""
    write_table(path, COLUMNS, (line for photo in photos for line in lines_of(photo)))


def lines_of(photo: Annotated) -> list[list[object]]:
    size = photo.filename, photo.width, photo.height
    lines = [[*size, each.label, *counted_from_1(each.box)] for each in photo.boxes]
    return lines or [[*size, *[""] * 5]]


def csv_entries(path: Path) -> Iterator[Entry]:
    """The lines of a table, whatever the order of its columns; further columns are left out."""
    try:
        for number, line in read_table(path, COLUMNS):
            size, edges = (line["width"], line["height"]), tuple(line[name] for name in EDGES)
            label = in_one_form(line["class"].strip())
            yield Entry(f"{path} line {number}", line["filename"], size, label, edges)
    except TableError as error:
        raise AnnotationError(str(error)) from None
