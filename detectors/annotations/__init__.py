"""Boxes that people drew: a CSV table, a folder of Pascal-VOC XML, or COCO's JSON.

The first two count pixels from 1, and a box includes its last row and column: xmin 1, xmax 640 is
the whole of a photo 640 wide. So left = xmin - 1 and right = xmax, and back; nothing is rounded.
Of LabelImg's files only the names, sizes, classes and boxes are kept.
"""

from collections.abc import Collection, Iterable
from itertools import groupby
from pathlib import Path

from detectors.annotations.check import (
    annotated,
    by_photo_names,
    distinct,
    known_classes,
    present,
)
from detectors.annotations.coco import coco_entries
from detectors.annotations.photo import Annotated, AnnotationError, Annotations, Labelled
from detectors.annotations.sizes import PhotoSizes
from detectors.annotations.table import csv_entries, write_csv
from detectors.annotations.voc import voc_entries, write_voc

__all__ = [
    "Annotated",
    "AnnotationError",
    "Annotations",
    "Labelled",
    "check_annotations",
    "read_annotations",
    "write_csv",
    "write_voc",
]


def read_annotations(
    path: Path,
    pictures: Path | None = None,
    classes: Collection[str] | None = None,
    names: Iterable[str] | None = None,
) -> Annotations:
    """The photos of a CSV table, a folder of XML files or a JSON file, in the order of their names.

    With `pictures`, the folder of the photos, sizes are compared with the real ones, and photos
    that are not there are left out. With `names` of photos these stand for what was written, where
    one of them is meant. With `classes`, another class is an error. Raises AnnotationError.
    """
    check_annotations(path)
    found = Annotations()
    sizes = PhotoSizes(pictures) if pictures else None
    if path.is_dir():
        entries = list(voc_entries(path, sizes, found.warnings.append))
    elif path.suffix.lower() == ".json":
        entries = list(coco_entries(path, found.warnings.append))
    else:
        entries = list(csv_entries(path))
    entries = (
        present(entries, sizes, found.warnings.append) if sizes else by_photo_names(entries, names)
    )
    entries = known_classes(distinct(entries, found.warnings), classes)
    entries.sort(key=lambda entry: entry.filename)
    for filename, group in groupby(entries, key=lambda entry: entry.filename):
        found.photos.append(annotated(filename, list(group), sizes, found.warnings.append))
    return found


def check_annotations(path: Path) -> None:
    """Raise AnnotationError where there is nothing to read; a pipe would be waited for."""
    if not (path.is_file() or path.is_dir()):
        raise AnnotationError(f"{path}: there is no such CSV or JSON file or folder of XML files")
