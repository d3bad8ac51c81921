"""Class labels of the dataset: from the photos' folders, or from a CSV file."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import NoReturn

import numpy as np
from numpy.typing import NDArray

from atelier.names import in_one_form, matched
from atelier.tables import TableError, read_table
from pipeline.options import SettingsError
from training.sources.labels import MOST_CLASSES, one_hot

WHOLE = re.compile(r"([0-9]+)(?:\.0*)?")  # 3.0 as pandas writes a column that once had a gap
LONGEST_NUMBER = 20  # digits, zeros in front of it included

LabelRows = NDArray[np.float32]  # pictures, classes


@dataclass(frozen=True)
class Labels:
    """The classes' names, and for each row the index of its class."""

    classes: tuple[str, ...]
    indices: tuple[int, ...]

    def one_hot(self) -> LabelRows:
        """One line per row, one column per class."""
        return one_hot(self.indices, len(self.classes))

    def remarks(self) -> list[str]:
        """What a person should know: how many classes are numbers of nothing."""
        empty = sorted(set(range(len(self.classes))).difference(self.indices))
        if not empty:
            return []
        return [
            f"labels: {len(empty)} of {len(self.classes)} classes have no picture,"
            f" {self.classes[empty[0]]} the first: whole numbers count from 0 on; names, as"
            " class-7, number those alone that are there"
        ]


def labels_of(
    photos: Sequence[str], known_paths: Callable[[], Mapping[str, str]], source: str
) -> Labels | None:
    """The label of every picture by its photo, as `[ExportTFRecords] labels` says; or None.

    `known_paths` gives a photo's id -> its path, or that of its video; it is asked only where
    there are labels. Raises SettingsError where a picture has no label.
    """
    if source == "none":
        return None
    known = known_paths()
    paths = [known[photo] for photo in photos]
    if source == "folder":
        return numbered(by_folder(paths))
    return numbered(by_table(paths, Path(source), list(known.values())))


def by_folder(paths: Sequence[str]) -> list[str]:
    """The first folder of each path."""
    parts = [PurePath(path).parts for path in paths]
    if loose := sorted({names[0] for names in parts if len(names) == 1}):
        raise SettingsError(
            f"[ExportTFRecords] labels = folder: {counted(loose)} in the source folder itself;"
            " move each photo into the folder of its class"
        )
    return [in_one_form(names[0]) for names in parts]


def by_table(paths: Sequence[str], table: Path, others: Sequence[str] = ()) -> list[str]:
    """What the columns file, label say: `file` is a photo's relative path, or its file name.

    `others` are photos that are there, too, so that their lines are not taken for another's.
    """
    labels = read_labels(table)
    label_of: dict[str, str] = {}
    for said, photos in matched(labels, [*paths, *others]).items():
        if len(photos) > 1 and set(photos) & set(paths):
            refuse(table, f"several photos are called {said!r}; give their paths below the source")
        for photo in photos[:1]:
            if label_of.setdefault(photo, labels[said]) != labels[said]:
                refuse_two(table, photo, label_of[photo], labels[said])
    unlabelled = {path for path in paths if not label_of.get(path)}
    if unlabelled:
        refuse(table, f"{counted(sorted(unlabelled))} not in it; add a line for each")
    return [label_of[path] for path in paths]


def read_labels(table: Path) -> dict[str, str]:
    """File -> label."""
    label_of: dict[str, str] = {}
    try:
        for _, line in read_table(table, ("file", "label")):
            file, label = line["file"], in_one_form(line["label"].strip())
            if label_of.setdefault(file, label) != label:
                refuse_two(table, file, label_of[file], label)
    except TableError as error:
        raise SettingsError(f"[ExportTFRecords] labels: {error}") from None
    return label_of


def refuse_two(table: Path, file: str, one: str, other: str) -> NoReturn:
    refuse(table, f"{file!r} has the labels {one!r} and {other!r}; keep one")


def numbered(labels: Sequence[str]) -> Labels:
    """Whole numbers, 3.0 as well as 3, count from 0 on; names are numbered in sorted order."""
    whole = [found[1] for found in map(WHOLE.fullmatch, labels) if found]
    if len(whole) == len(labels):
        for label in whole:
            if len(label) > LONGEST_NUMBER or int(label) >= MOST_CLASSES:
                raise SettingsError(
                    f"[ExportTFRecords] labels: class number {label[:LONGEST_NUMBER]} is too high;"
                    " number the classes from 0 on"
                )
        indices = tuple(map(int, whole))
        return Labels(tuple(map(str, range(max(indices) + 1))), indices)
    classes = sorted(set(labels))
    if len(classes) > MOST_CLASSES:
        raise SettingsError(
            f"[ExportTFRecords] labels: {len(classes)} classes, {classes[0]!r} the first, are too"
            f" many: there can be {MOST_CLASSES}; put several into one, or take labels = none"
        )
    index_of = {name: index for index, name in enumerate(classes)}
    return Labels(tuple(classes), tuple(index_of[label] for label in labels))


def counted(names: Sequence[str]) -> str:
    """How many photos, and which is the first."""
    if len(names) == 1:
        return f"the photo {names[0]!r} is"
    return f"{len(names)} photos, {names[0]!r} the first, are"


def refuse(table: Path, why: str) -> NoReturn:
    raise SettingsError(f"[ExportTFRecords] labels = {table}: {why}")
