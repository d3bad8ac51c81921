"""TFRecords and label maps as TensorFlow's Object Detection API writes and reads them."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from detectors.learning.examples import Example
from detectors.learning.options import LearningError

BOX = "image/object/bbox/"
SIDES = ("xmin", "ymin", "xmax", "ymax")  # the order of our boxes


def write(path: Path, examples: Sequence[Example], classes: Sequence[str]) -> None:
    """One record per picture; boxes are shares of its sides, classes count from 1."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.partial")
    with tf.io.TFRecordWriter(str(partial)) as file:
        for example in examples:
            file.write(record(example, classes).SerializeToString(deterministic=True))
    partial.replace(path)


def record(example: Example, classes: Sequence[str]) -> Any:
    """One picture as a tf.train.Example."""
    kind = b"png" if example.encoded.startswith(b"\x89PNG") else b"jpeg"
    values: dict[str, Sequence[bytes] | Sequence[int] | Sequence[float]] = {
        "image/encoded": [example.encoded],
        "image/format": [kind],
        "image/filename": [example.name.encode()],
        "image/source_id": [example.origin.encode()],
        "image/height": [example.height],
        "image/width": [example.width],
        "image/object/class/text": [classes[number].encode() for number in example.classes],
        "image/object/class/label": [int(number) + 1 for number in example.classes],
    }
    for side, edges in zip(SIDES, example.boxes.T, strict=True):
        values[BOX + side] = [float(edge) for edge in edges]
    features = {name: feature(name, some) for name, some in values.items()}
    return tf.train.Example(features=tf.train.Features(feature=features))


def feature(name: str, values: Sequence[Any]) -> Any:
    """A list of bytes, whole numbers or numbers, as the API has it under this name."""
    if name.startswith(BOX):
        return tf.train.Feature(float_list=tf.train.FloatList(value=values))
    if name in ("image/height", "image/width", "image/object/class/label"):
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
    from google.protobuf.message import DecodeError

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
        said = str(error).split("\n")[0][:200]
        raise LearningError(f"{path} is no whole file of records: {said}") from None


def named(parsed: Sequence[tuple[int, Mapping[str, list[Any]]]], path: Path) -> list[str]:
    """The classes in the order of their labels."""
    known: dict[int, str] = {}
    for number, values in parsed:
        texts, labels = values.get("image/object/class/text", []), own_labels(values)
        for text, label in zip(texts, labels, strict=False):
            if known.setdefault(label, text.decode()) != text.decode():
                raise LearningError(
                    f"{path} record {number}: class {label} is {text.decode()!r} here and"
                    f" {known[label]!r} before; write the records again"
                )
    if sorted(known) != list(range(1, len(known) + 1)):
        raise LearningError(f"{path}: its classes are {sorted(known)}; they count from 1")
    return [known[label] for label in sorted(known)]


def own_labels(values: Mapping[str, list[Any]]) -> list[int]:
    return [int(label) for label in values.get("image/object/class/label", [])]


def example(values: Mapping[str, list[Any]], classes: Sequence[str], place: str) -> Example:
    """One record's picture; what it lacks is an error."""
    missing = [
        name for name in ("image/encoded", "image/height", "image/width") if name not in values
    ]
    if missing:
        raise LearningError(f"{place} has no {', '.join(missing)}; write the records again")
    texts = [text.decode() for text in values.get("image/object/class/text", [])]
    unknown = sorted(set(texts) - set(classes))
    if unknown:
        raise LearningError(f"{place}: class {unknown[0]!r} is not one of {', '.join(classes)}")
    edges = [values.get(BOX + side, []) for side in SIDES]
    if {len(some) for some in edges} != {len(texts)}:
        raise LearningError(f"{place}: {len(texts)} classes, but another number of edges")
    encoded = values["image/encoded"][0]
    width, height = (int(values[f"image/{side}"][0]) for side in ("width", "height"))
    name = values.get("image/filename", [place.encode()])[0].decode()
    said = values.get("image/source_id", [b""])[0].decode()
    origin = said if len(said) == 64 else hashlib.sha256(encoded).hexdigest()
    numbers = np.array([classes.index(text) for text in texts], np.int32)
    boxes = np.array(edges, np.float32).T.reshape(-1, 4)
    return Example(name, encoded, width, height, boxes, numbers, origin)


def write_label_map(path: Path, classes: Sequence[str]) -> None:
    """Class 1 is the first name."""
    path.parent.mkdir(parents=True, exist_ok=True)
    quoted = [name.replace("\\", "\\\\").replace("'", "\\'") for name in classes]
    items = [
        f"item {{\n  id: {n}\n  name: '{name}'\n}}\n" for n, name in enumerate(quoted, start=1)
    ]
    path.write_text("\n".join(items), encoding="utf-8")
