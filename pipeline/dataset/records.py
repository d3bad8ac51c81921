"""The TFRecord format of a StyleGAN2 dataset: pixels in, bytes out.

One file per level, from the full size down; each record is a `tf.train.Example` with the features
`shape` (C, H, W) and `data` (uint8 in C, H, W order). All records of a level are equally long, so
that record i lies at i times that length and many workers write into one file.
"""

import errno
import os
import struct
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
LENGTH_BYTES = 8


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
    start = head(shape)
    data = np.ascontiguousarray(pixels).view()
    data.setflags(write=False)  # google_crc32c takes no buffer that could change: so no copy
    record = (start.framed, data.data, masked(google_crc32c.extend(start.crc, data)))
    if os.pwritev(file, record, place * record_bytes(shape)) != record_bytes(shape):
        raise OSError(errno.ENOSPC, "the disk took only a part of a record")


def record_bytes(shape: Shape) -> int:
    """How long every record of this shape is in the file, framing included."""
    return len(head(shape).framed) + shape[0] * shape[1] * shape[2] + CRC_BYTES


class Head(NamedTuple):
    """What comes before the pixels: the same for all records of a level."""

    framed: bytes
    crc: int  # of the example's bytes in it


@lru_cache
def head(shape: Shape) -> Head:
    """Length and its checksum, then the example up to its pixels.

    Protobuf wire format: Example{1: Features{1: entry{1: name, 2: Feature}, ...}}, where a Feature
    is {1: BytesList{1: bytes}} or {3: Int64List{1: packed varints}}.
    """
    sizes = field(1, b"".join(map(varint, shape)))
    shape_entry = field(1, field(1, b"shape") + field(2, field(3, sizes)))
    pixels = shape[0] * shape[1] * shape[2]
    name = field(1, b"data")
    data_head = b""
    for tag in (1, 1, 2):  # from the inside: bytes, BytesList, Feature
        data_head = field_head(tag, len(data_head) + pixels) + data_head
    entry = name + data_head
    entry = field_head(1, len(entry) + pixels) + entry
    example = shape_entry + entry
    example = field_head(1, len(example) + pixels) + example
    length = struct.pack("<Q", len(example) + pixels)
    framed = length + masked(google_crc32c.value(length)) + example
    return Head(framed, google_crc32c.value(example))


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
