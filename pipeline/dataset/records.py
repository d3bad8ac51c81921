"""The TFRecord format of a StyleGAN2 dataset: pixels in, bytes out.

Each record is a `tf.train.Example` with the features `shape` (C, H, W) and `data` (uint8 in C, H, W
order). NVlabs' have these two, in one file per level, from the full size down. All records of a
level are then equally long, so that record i lies at i times that length and many workers write
into one file. Others may have more features, and a picture's file as their data.
"""

import errno
import os
import struct
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import google_crc32c
import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]  # C, H, W
Shape = tuple[int, int, int]  # C, H, W

SMALLEST_BASE = 3  # pixels: the smallest level has sides of 3 to 5 where the size allows it
CRC_BYTES = 4
HEAD_BYTES = {"jpeg": 600, "png": 70}  # of a file, whatever its size
LENGTH_BYTES = 8


class HoleError(ValueError):
    """A picture is not where it belongs; the message says which."""


class Level(NamedTuple):
    """One record file: the number in its name, and the shape of what is in it."""

    number: int
    shape: Shape


def levels(channels: int, height: int, width: int) -> list[Level]:
    """All levels, the full size first: 1024 x 1024 is r10 to r02, 128 x 64 r06 to r02 (8 x 4)."""
    n = 0
    while not (height % 2 ** (n + 1) or width % 2 ** (n + 1)):
        if min(height, width) // 2 ** (n + 1) < SMALLEST_BASE:
            break
        n += 1
    return [
        Level(number=n - halved + 2, shape=(channels, height >> halved, width >> halved))
        for halved in range(n + 1)
    ]


def pyramid(pixels: Pixels) -> list[Pixels]:
    """The picture on every level: means of 2x2 of the unrounded picture above, half to even.

    Sums of uint8 are exact in integers, and so is the rounding; the float32 loop that defines the
    format gives the same as long as float32 is exact, which is up to 8 halvings.
    """
    count = len(levels(*pixels.shape))
    sums: NDArray[np.unsignedinteger] = np.ascontiguousarray(pixels)
    pictures: list[Pixels] = [sums.astype(np.uint8, copy=False)]
    for halved in range(1, count):
        sums = sums_of_four(sums, 255 * 4**halved)
        pictures.append(divided(sums, 2 * halved))
    return pictures


def sums_of_four(values: NDArray[np.unsignedinteger], largest: int) -> NDArray[np.unsignedinteger]:
    """Sum each 2x2 block; no sum is above `largest`."""
    # Read two neighbours as one number of twice the width: contiguous, so several times faster
    # than strided slices. The sum of both halves does not depend on the byte order.
    bits = 8 * values.itemsize
    pairs = values.view(f"u{2 * values.itemsize}")
    across = pairs & ((1 << bits) - 1)
    across += pairs >> bits
    across = across.astype(np.min_scalar_type(largest), copy=False)
    return across[:, 0::2] + across[:, 1::2]


def divided(sums: NDArray[np.unsignedinteger], bits: int) -> Pixels:
    """Divide by 2 ** bits, rounded half to even."""
    rounded = sums >> bits
    rounded &= 1  # is the quotient odd? Then a half goes up
    rounded += sums
    rounded += (1 << (bits - 1)) - 1
    rounded >>= bits
    return rounded.astype(np.uint8)


def write(file: int, place: int, pixels: Pixels) -> None:
    """Write one picture as record number `place` of an open file descriptor."""
    shape: Shape = pixels.shape
    at, length = place * record_bytes(shape), record_bytes(shape)
    if os.pwritev(file, framed(shape, pixels), at) != length:
        raise OSError(errno.ENOSPC, "the disk took only a part of a record")


def check_written(path: Path, count: int, shape: Shape) -> None:
    """Raise HoleError where one of so many records of this shape was not written."""
    start, length = head(shape, shape[0] * shape[1] * shape[2]).framed, record_bytes(shape)
    with path.open("rb", buffering=0) as file:
        for place in range(count):
            if os.pread(file.fileno(), len(start), place * length) != start:
                raise HoleError(f"picture {place} is not in it")


def framed(
    shape: Shape, data: Pixels | bytes, more: bytes = b""
) -> tuple[bytes, memoryview | bytes, bytes]:
    """A record as it stands in the file, in three pieces; `more` are further features."""
    if isinstance(data, np.ndarray):
        data = np.ascontiguousarray(data).view()
        data.setflags(write=False)  # google_crc32c takes no buffer that could change: so no copy
    content = data if isinstance(data, bytes) else data.data
    start = head(shape, len(data) if isinstance(data, bytes) else data.size, more)
    return start.framed, content, masked(google_crc32c.extend(start.crc, data))


def record_bytes(shape: Shape) -> int:
    """How long every record of this shape is in the file, framing included."""
    size = shape[0] * shape[1] * shape[2]
    return len(head(shape, size).framed) + size + CRC_BYTES


def usual_bytes(shape: Shape, pixels: str) -> int:
    """About what a photo takes, as a JPEG of quality 95, as a PNG, or raw."""
    _, height, width = shape
    if pixels == "raw":
        return record_bytes(shape)
    return width * height * (2 if pixels == "png" else 1) // 3 + HEAD_BYTES[pixels]


class Head(NamedTuple):
    """What comes before the data: the same for all raw records of a level."""

    framed: bytes
    crc: int  # of the example's bytes in it


@lru_cache
def head(shape: Shape, size: int, more: bytes = b"") -> Head:
    """Length and its checksum, then the example up to its data, which are `size` bytes.

    Protobuf wire format: Example{1: Features{1: entry{1: name, 2: Feature}, ...}}.
    """
    data_head = b""
    for tag in (1, 1, 2):  # from the inside: bytes, BytesList, Feature
        data_head = field_head(tag, len(data_head) + size) + data_head
    entry = field(1, b"data") + data_head
    entry = field_head(1, len(entry) + size) + entry
    example = int_feature("shape", shape) + more + entry
    example = field_head(1, len(example) + size) + example
    length = struct.pack("<Q", len(example) + size)
    framed = length + masked(google_crc32c.value(length)) + example
    return Head(framed, google_crc32c.value(example))


def int_feature(name: str, values: Iterable[int]) -> bytes:
    """A feature {3: Int64List{1: packed varints}}; none of them negative."""
    return feature_entry(name, field(3, field(1, b"".join(map(varint, values)))))


def float_feature(name: str, values: NDArray[np.float32]) -> bytes:
    """A feature {2: FloatList{1: packed floats}}."""
    return feature_entry(name, field(2, field(1, values.astype("<f4").tobytes())))


def word_feature(name: str, value: str) -> bytes:
    """A feature {1: BytesList{1: bytes}}."""
    return feature_entry(name, field(1, field(1, value.encode())))


def feature_entry(name: str, value: bytes) -> bytes:
    """An entry of an example's features."""
    return field(1, field(1, name.encode()) + field(2, value))


def field(tag: int, content: bytes) -> bytes:
    """A length-delimited protobuf field."""
    return field_head(tag, len(content)) + content


def field_head(tag: int, length: int) -> bytes:
    return varint(tag << 3 | 2) + varint(length)


def varint(number: int) -> bytes:
    """7 bits a byte, the lowest first; the top bit says that more follow."""
    encoded = bytearray()
    while number > 127:
        encoded.append(number & 127 | 128)
        number >>= 7
    return bytes([*encoded, number])


def broken_records(path: Path) -> str:
    """What is wrong with a file of records, in words: every byte of it is under a checksum."""
    number, left = 0, path.stat().st_size
    with path.open("rb", buffering=1 << 20) as file:
        while left:
            start = file.read(LENGTH_BYTES + CRC_BYTES)
            length, known = start[:LENGTH_BYTES], start[LENGTH_BYTES:]
            if masked(google_crc32c.value(length)) != known:
                return f"record {number}: its length is damaged"
            size = int.from_bytes(length, "little") + CRC_BYTES
            data = file.read(size) if size <= left else b""
            if masked(google_crc32c.value(data[:-CRC_BYTES])) != data[-CRC_BYTES:]:
                return f"record {number}: its checksum is wrong"
            number, left = number + 1, left - len(start) - size
    return ""


def masked(crc: int) -> bytes:
    """A checksum as TFRecord files store it: rotated by 15 bits, plus a constant."""
    return struct.pack("<I", ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF)
