"""The CSV table filename,width,height,class,xmin,ymin,xmax,ymax: one line per box."""

import csv
from collections.abc import Iterable, Iterator
from pathlib import Path

from atelier import files
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
        with path.open(newline="", encoding="utf-8-sig") as file:
            lines = csv.DictReader(file, restval="")
            header = list(lines.fieldnames or ())
            if missing := [name for name in COLUMNS if name not in header]:
                raise AnnotationError(
                    f"{path} line 1: no column {', '.join(missing)}; it has"
                    f" {', '.join(header) or 'nothing'}, and should have {','.join(COLUMNS)}"
                )
            for line in lines:
                size, edges = (line["width"], line["height"]), tuple(line[name] for name in EDGES)
                place = f"{path} line {lines.line_num}"
                name = line["filename"].replace("\\", "/")
                yield Entry(place, name, size, line["class"].strip(), edges)
    except (csv.Error, UnicodeDecodeError) as error:
        raise AnnotationError(f"{path}: no CSV table ({error}); save it as UTF-8 text") from None
