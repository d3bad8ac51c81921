"""The CSV table filename,width,height,class,xmin,ymin,xmax,ymax: one line per box."""

import csv
from collections.abc import Iterable, Iterator
from pathlib import Path

from atelier import files
from atelier.names import name_key
from atelier.tables import TableError, read_table
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
    with (
        files.replacing(path) as partial,
        partial.open("w", newline="", encoding="utf-8") as file,
    ):
        lines = csv.writer(file, lineterminator="\n")
        lines.writerow(COLUMNS)
        for photo in photos:
            size = photo.filename, photo.width, photo.height
            lines.writerows([*size, each.label, *counted_from_1(each.box)] for each in photo.boxes)
            if not photo.boxes:
                lines.writerow([*size, *[""] * 5])


def csv_entries(path: Path) -> Iterator[Entry]:
    """The lines of a table, whatever the order of its columns; further columns are left out."""
    try:
        for number, line in read_table(path, COLUMNS):
            size, edges = (line["width"], line["height"]), tuple(line[name] for name in EDGES)
            name, label = name_key(line["filename"]), line["class"].strip()
            yield Entry(f"{path} line {number}", name, size, label, edges)
    except TableError as error:
        raise AnnotationError(str(error)) from None
