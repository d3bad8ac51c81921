"""The protobuf `tf.train.Example`, as far as records of pictures need it: without TensorFlow."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

VARINT, EIGHT_BYTES, DELIMITED, FOUR_BYTES = 0, 1, 2, 5  # kinds of a field on the wire
SIZES = {EIGHT_BYTES: 8, FOUR_BYTES: 4}
BYTES_LIST, INT64_LIST = 1, 3

Value = int | memoryview


class Picture(NamedTuple):
    """What an example says of a picture."""

    shape: tuple[int, ...]  # C, H, W
    data: NDArray[np.uint8]  # the pixels in this order, or a file's bytes
    format: str  # of the file; empty where there is none


def picture_in(example: bytes) -> Picture:
    """The features `shape`, `data` and, where the data are a file, `format` of an example.

    Raises KeyError, IndexError or ValueError where it has none, or is no example.

    Example{1: Features{1: entry{1: name, 2: Feature}, ...}}, where a Feature is {1: BytesList{1:
    bytes}} or {3: Int64List{1: varints, packed or one by one}}.
    """
    features = dict(map(feature, values(values(memoryview(example), 1)[0], 1)))
    shape: list[int] = []
    for value in values(values(features[b"shape"], INT64_LIST)[0], 1):
        shape += [value] if isinstance(value, int) else varints(value)
    data = first_bytes(features[b"data"])
    format = bytes(first_bytes(features[b"format"])) if b"format" in features else b""
    return Picture(tuple(shape), np.frombuffer(data, np.uint8), format.decode())


def first_bytes(feature: Value) -> memoryview:
    """The first of a feature's byte strings."""
    return delimited(values(values(feature, BYTES_LIST)[0], 1)[0])


def feature(entry: Value) -> tuple[bytes, Value]:
    """Its name, and what is in it."""
    return bytes(delimited(values(entry, 1)[0])), values(entry, 2)[0]


def values(message: Value, tag: int) -> list[Value]:
    """Those of a message's fields that have this number."""
    return [value for number, value in fields_of(delimited(message)) if number == tag]


def delimited(value: Value) -> memoryview:
    """What is no number; raises ValueError for one."""
    if isinstance(value, int):
        raise ValueError("a number where bytes should be")
    return value


def fields_of(message: memoryview) -> Iterator[tuple[int, Value]]:
    """(number, value) of every field."""
    at = 0
    while at < len(message):
        key, at = number_at(message, at)
        kind = key & 7
        size, at = number_at(message, at) if kind in (VARINT, DELIMITED) else (SIZES[kind], at)
        if kind == VARINT:
            yield key >> 3, size
            continue
        if at + size > len(message):
            raise ValueError("the message ends in a field")
        yield key >> 3, message[at : at + size]
        at += size


def varints(packed: memoryview) -> list[int]:
    found, at = [], 0
    while at < len(packed):
        number, at = number_at(packed, at)
        found.append(number)
    return found


def number_at(message: memoryview, at: int) -> tuple[int, int]:
    """The varint at this place, and where it ends."""
    number = shift = 0
    while True:
        byte = message[at]
        number |= (byte & 127) << shift
        at, shift = at + 1, shift + 7
        if byte < 128:
            return number, at
