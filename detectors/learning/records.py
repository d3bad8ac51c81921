"""TFRecords and label maps as TensorFlow's Object Detection API writes and reads them."""

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from google.protobuf.message import DecodeError

from atelier import files
from atelier.errors import reason_in
from atelier.names import in_text
from detectors.learning import Boxes, Example
from detectors.learning.options import LearningError

BOX = "image/object/bbox/"
SIDES = ("xmin", "ymin", "xmax", "ymax")  # the order of our boxes
CLASS, LABEL = "image/object/class/text", "image/object/class/label"
NOT_PLAIN = re.compile(r"[\x00-\x1f\x7f\\']")  # what a string of a label map does not hold
ROUNDED = 1e-6  # so far an edge may lie outside for want of digits

Values = Mapping[str, list[Any]]  # of a record, by name


def write_records(path: Path, examples: Sequence[Example], classes: Sequence[str]) -> None:
    """One record per picture; boxes are shares of its sides, classes count from 1."""
    with files.replacing(path) as partial, tf.io.TFRecordWriter(str(partial)) as file:
        for example in examples:
            file.write(record(example, classes).SerializeToString(deterministic=True))


def record(example: Example, classes: Sequence[str]) -> Any:
    """One picture as a tf.train.Example."""
    kind = b"png" if example.encoded.startswith(b"\x89PNG") else b"jpeg"
    values: dict[str, Sequence[bytes] | Sequence[int] | Sequence[float]] = {
        "image/encoded": [example.encoded],
        "image/format": [kind],
        "image/filename": [in_text(example.name).encode()],
        "image/source_id": [example.origin.encode()],
        "image/height": [example.height],
        "image/width": [example.width],
        CLASS: [classes[number].encode() for number in example.classes],
        LABEL: [int(number) + 1 for number in example.classes],
    }
    for side, edges in zip(SIDES, example.boxes.T, strict=True):
        values[BOX + side] = [float(edge) for edge in edges]
    features = {name: feature(name, some) for name, some in values.items()}
    return tf.train.Example(features=tf.train.Features(feature=features))


def feature(name: str, values: Sequence[Any]) -> Any:
    """A list of bytes, whole numbers or numbers, as the API has it under this name."""
    if name.startswith(BOX):
        return tf.train.Feature(float_list=tf.train.FloatList(value=values))
    if name in ("image/height", "image/width", LABEL):
        return tf.train.Feature(int64_list=tf.train.Int64List(value=values))
    return tf.train.Feature(bytes_list=tf.train.BytesList(value=values))


def examples(path: Path, classes: Sequence[str] = ()) -> tuple[list[Example], list[str]]:
    """The pictures of a file of records, and the names of the classes.

    Without `classes` they are numbered as their labels are. Raises LearningError.
    """
    if not path.is_file():
        raise LearningError(f"{path}: there is no such file of records")
    parsed = list(fields(path))
    if not parsed:
        raise LearningError(f"{path} holds no picture")
    names = list(classes) or named(parsed, path)
    return [example(values, names, f"{path} record {at}") for at, values in parsed], names


def fields(path: Path) -> Iterator[tuple[int, dict[str, list[Any]]]]:
    """(number, values by name) of each record."""
    try:
        for number, data in enumerate(tf.data.TFRecordDataset(str(path)).as_numpy_iterator()):
            found = tf.train.Example.FromString(data).features.feature
            kinds = {name: each.WhichOneof("kind") for name, each in found.items()}
            yield (
                number,
                {
                    name: list(getattr(found[name], kind).value)
                    for name, kind in kinds.items()
                    if kind
                },
            )
    except (tf.errors.DataLossError, DecodeError) as error:
        raise LearningError(
            f"{path} is no whole file of records: {reason_in(str(error))}"
        ) from None


def named(parsed: Sequence[tuple[int, Values]], path: Path) -> list[str]:
    """The classes in the order of their labels."""
    known: dict[int, str] = {}
    for number, values in parsed:
        place = f"{path} record {number}"
        for text, label in zip(
            texts(values, CLASS, place), numbers(values, LABEL, place), strict=False
        ):
            if known.setdefault(label, text) != text:
                raise LearningError(
                    f"{place}: class {label} is {text!r} here and"
                    f" {known[label]!r} before; write the records again"
                )
    if sorted(known) != list(range(1, len(known) + 1)):
        raise LearningError(f"{path}: its classes are {sorted(known)}; they count from 1")
    return [known[label] for label in sorted(known)]


def example(values: Values, classes: Sequence[str], place: str) -> Example:
    """One record's picture; what it lacks, and what cannot be, is an error."""
    encoded = one(values, "image/encoded", bytes, place)
    width, height = (one(values, f"image/{side}", int, place) for side in ("width", "height"))
    names = texts(values, CLASS, place)
    unknown = sorted(set(names) - set(classes))
    if unknown:
        raise LearningError(f"{place}: class {unknown[0]!r} is not one of {', '.join(classes)}")
    name = (texts(values, "image/filename", place) or [place])[0]
    said = (texts(values, "image/source_id", place) or [""])[0]
    origin = said if len(said) == 64 else hashlib.sha256(encoded).hexdigest()
    boxes = boxes_of(values, len(names), place)
    own = np.array([classes.index(each) for each in names], np.int32)
    return Example(name, encoded, width, height, boxes, own, origin)


def one(values: Values, name: str, kind: type, place: str) -> Any:
    """The value under a name; raises LearningError where it is missing, empty, 0 or no `kind`."""
    found = next(iter(values.get(name, [])), None)
    if not isinstance(found, kind) or not found:
        raise LearningError(f"{place} has no {name}; write the records again")
    return found


def texts(values: Values, name: str, place: str) -> list[str]:
    try:
        return [text.decode() for text in values.get(name, [])]
    except (UnicodeDecodeError, AttributeError):
        raise LearningError(f"{place}: {name} is no UTF-8 text; write the records again") from None


def numbers(values: Values, name: str, place: str) -> list[Any]:
    found = values.get(name, [])
    if any(isinstance(each, bytes) for each in found):
        raise LearningError(
            f"{place}: {name} is text where numbers belong; write the records again"
        )
    return found


def boxes_of(values: Values, count: int, place: str) -> Boxes:
    """As many boxes as there are classes; raises LearningError for one that cannot be."""
    edges = [numbers(values, BOX + side, place) for side in SIDES]
    if {len(some) for some in edges} != {count}:
        raise LearningError(
            f"{place}: {max(map(len, edges))} boxes and {count} texts in {CLASS}; write the records"
            " again, with one text and four edges for each box"
        )
    boxes = np.array(edges, np.float32).T.reshape(-1, 4)
    inside = (boxes >= -ROUNDED) & (boxes <= 1 + ROUNDED)  # false for what is no number, too
    right = inside.all(axis=1) & (boxes[:, :2] < boxes[:, 2:]).all(axis=1)
    for box in boxes[~right]:
        given = ", ".join(f"{edge:g}" for edge in box)
        raise LearningError(
            f"{place}: a box has the edges {given}; give left, top, right, bottom as shares"
            " of the picture, 0 to 1"
        )
    return boxes


def write_label_map(path: Path, classes: Sequence[str]) -> None:
    """Class 1 is the first name."""
    quoted = [NOT_PLAIN.sub(lambda odd: f"\\{ord(odd[0]):03o}", name) for name in classes]
    items = [
        f"item {{\n  id: {n}\n  name: '{name}'\n}}\n" for n, name in enumerate(quoted, start=1)
    ]
    files.write(path, "\n".join(items))
