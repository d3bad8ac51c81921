"""ada-pytorch's dataset.json, as people write it -> one row of labels per picture."""

import json
import re
from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from atelier.files import json_of
from atelier.names import matched
from atelier.tables import text_of
from training.sources.source import DataError
from training.sources.stores import FILE, Store

MOST_CLASSES = 10_000
HANGING = re.compile(r",\s*[]}]")
LARGEST = float(np.finfo(np.float32).max)
PAIR = "write [name, class], or [name, [1, 0, 1]] where a picture has several classes"

Rows = NDArray[np.float32]  # pictures, classes


def read_labels(store: Store, names: Sequence[str]) -> tuple[Rows, list[str]]:
    """The labels of these pictures, and what a person should know of them.

    {"labels": [[name, class or vector], ...]}; the names begin where the file lies.
    """
    none = np.zeros((len(names), 0), np.float32)
    found = [name for name in store.names if name.split("/")[-1] == FILE]
    place = FILE if FILE in found else found[0] if len(found) == 1 else ""
    if not place:
        return none, [f"{store.path} has {len(found)} files {FILE}: none is used"] if found else []
    where = f"{store.path}/{place}"
    pairs = pairs_of(where, store.open(place))
    if pairs is None:
        return none, [f"{where} has no labels in it, and is left aside"]
    if all(label is None for _, label in pairs):
        return none, []
    below = place.removesuffix(FILE)
    labels = labels_by_name(where, {f"{below}{name}": label for name, label in pairs}, names)
    rows = dense(where, labels)
    return rows, unseen_classes(where, rows)


def unseen_classes(where: str, rows: Rows) -> list[str]:
    """A sentence about the classes that no picture has."""
    found = np.flatnonzero(~rows.any(axis=0)).tolist()
    return [f"{where}: no picture has class {found[0]}: classes count from 0 on"] if found else []


def pairs_of(where: str, data: bytes) -> list[tuple[str, Any]] | None:
    """(name, label) of each picture; None where the file is about something else."""
    found = parsed_json(where, data)
    if isinstance(found, dict) and "labels" not in found:
        return None
    rows = found["labels"] if isinstance(found, dict) else found
    if isinstance(rows, dict):
        rows = list(rows.items())
    if rows is None:
        return []
    if not isinstance(rows, list):
        raise DataError(
            f'{where} holds {shown_json(rows)}: write {{"labels": [[name, class], ...]}}'
        )
    for number, row in enumerate(rows):
        if not isinstance(row, list | tuple) or len(row) != 2 or not isinstance(row[0], str):
            raise DataError(f"{where}: label {number} is {shown_json(row)}: {PAIR}")
    return unequivocal(where, rows)


def unequivocal(where: str, rows: list[Any]) -> list[tuple[str, Any]]:
    """The rows; raises DataError where a name has two labels."""
    label_of = {name: label for name, label in rows}
    for name, label in rows:
        if [label] != [label_of[name]]:  # in a list NaN is itself
            both = f"{shown_json(label)} and {shown_json(label_of[name])}"
            raise DataError(f"{where}: {name} has the labels {both}: {PAIR}")
    return list(label_of.items())


def parsed_json(where: str, data: bytes) -> Any:
    """What the JSON says; raises DataError with the line."""
    try:
        text = text_of(data)
        return json_of(text)
    except UnicodeDecodeError:
        raise DataError(f"{where} is no text: save it as UTF-8") from None
    except json.JSONDecodeError as error:
        # Python 3.13 points at the comma, older ones behind it.
        at = error.pos if text.startswith(",", error.pos) else len(text[: error.pos].rstrip()) - 1
        said = "no JSON from there on"
        if HANGING.match(text, max(at, 0)):
            error = json.JSONDecodeError("", text, at)
            said = "a comma with nothing after it: take it out"
        raise DataError(f"{where} line {error.lineno}, column {error.colno}: {said}") from None
    except ValueError as error:
        raise DataError(f"{where}: {error}: {PAIR}") from None


def labels_by_name(where: str, label_of: dict[str, Any], names: Sequence[str]) -> list[Any]:
    """The label of every picture; raises DataError where one has none, or it is not sure whose."""
    found: dict[str, Any] = {}
    for said, meant in matched(label_of, names).items():
        if len(meant) > 1:
            raise DataError(f"{where}: {said} may be {' or '.join(meant)}: give its path")
        for name in meant:
            if [found.setdefault(name, label_of[said])] != [label_of[said]]:
                raise DataError(f"{where}: {name} has two labels: keep one")
    missing = [name for name in names if found.get(name) is None]
    if missing:
        raise DataError(f"{where} has no label for {missing[0]}: label every picture or none")
    return [found[name] for name in names]


def dense(where: str, labels: list[Any]) -> Rows:
    """Class numbers, 3.0 as well as 3, become one-hot rows; vectors stay what they are."""
    if all(map(is_class, labels)):
        top = max(labels)
        if top >= MOST_CLASSES:
            said = shown_json(top)
            raise DataError(f"{where}: class {said} is too high: classes count from 0 on")
        return one_hot(labels, int(top) + 1)
    length = len(labels[0]) if isinstance(labels[0], list) else -1
    fits = partial(is_vector, length=length) if length >= 0 else is_class
    odd = next((label for label in labels if not fits(label)), None)
    if odd is None:
        return np.array(labels, np.float32)
    raise DataError(
        f"{where}: labels are whole numbers from 0 on, or vectors of one length; here is"
        f" {shown_json(odd)}"
    )


def one_hot(labels: Sequence[float], classes: int) -> Rows:
    """A row for each class number; an identity matrix of many classes would be gigabytes."""
    rows = np.zeros((len(labels), classes), np.float32)
    rows[np.arange(len(labels)), np.asarray(labels, np.int64)] = 1
    return rows


def is_class(label: Any) -> bool:
    """Whether a label is a whole number from 0 on, however it is written."""
    number = isinstance(label, int | float) and not isinstance(label, bool)
    return number and label >= 0 and label % 1 == 0


def is_vector(label: Any, length: int) -> bool:
    """Whether a label is a list of so many numbers that float32 holds."""
    return (
        isinstance(label, list)
        and len(label) == length
        and all(isinstance(number, int | float) and abs(number) <= LARGEST for number in label)
    )


def shown_json(value: Any) -> str:
    """The beginning of a value, as JSON has it."""
    text = json.dumps(value)
    return text if len(text) < 60 else f"{text[:60]} ..."
