"""Reads record files back, byte by byte and without TensorFlow, to see what was written."""

import struct
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO

import google_crc32c
import numpy as np

from pipeline.dataset.records import CRC_BYTES, Pixels, masked


class BrokenRecordError(ValueError):
    """The bytes are no record of ours; the message says where."""


def read_records(path: Path) -> Iterator[Pixels]:
    """The pictures of a record file in order, C H W; raises BrokenRecordError for a wrong byte."""
    with path.open("rb") as file:
        number = 0
        while example := framed(file, f"{path}, record {number}"):
            features = dict(map(feature, fields(fields(example)[0][1])))
            if set(features) != {b"data", b"shape"}:
                raise BrokenRecordError(f"{path}, record {number}: its features are no picture")
            shape = unpacked(features[b"shape"])
            yield np.frombuffer(features[b"data"], np.uint8).reshape(shape)
            number += 1


def framed(file: IO[bytes], where: str) -> bytes:
    """The next record's bytes, or nothing at the end of the file."""
    start = file.read(8 + CRC_BYTES)
    if not start:
        return b""
    length = start[:8]
    if masked(google_crc32c.value(length)) != start[8:]:
        raise BrokenRecordError(f"{where}: the checksum of its length is wrong")
    example = file.read(struct.unpack("<Q", length)[0])
    if masked(google_crc32c.value(example)) != file.read(CRC_BYTES):
        raise BrokenRecordError(f"{where}: the checksum of its content is wrong")
    return example


def feature(entry: tuple[int, bytes]) -> tuple[bytes, bytes]:
    """Name and content of one feature; the order of both in the bytes is left to the writer."""
    parts = dict(fields(entry[1]))
    values = fields(parts[2])[0][1]
    return parts[1], fields(values)[0][1]


def fields(message: bytes) -> Sequence[tuple[int, bytes]]:
    """(tag, content) of the length-delimited fields that a message consists of."""
    found = []
    at = 0
    while at < len(message):
        key, at = number_at(message, at)
        length, at = number_at(message, at)
        found.append((key >> 3, message[at : at + length]))
        at += length
    return found


def unpacked(numbers: bytes) -> list[int]:
    found, at = [], 0
    while at < len(numbers):
        number, at = number_at(numbers, at)
        found.append(number)
    return found


def number_at(message: bytes, at: int) -> tuple[int, int]:
    """The varint at this place, and where it ends."""
    number = shift = 0
    while True:
        byte = message[at]
        number |= (byte & 127) << shift
        at, shift = at + 1, shift + 7
        if byte < 128:
            return number, at
