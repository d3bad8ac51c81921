"""The format of an ada-pytorch zip: pixels in, bytes out.

Each member is a PNG that is not compressed, as is the zip. So all are equally long, picture i lies
at i times that length, and many workers write into one file. What comes after the pictures, other
members and the zip's directory, is written once all are there.
"""

import errno
import os
import struct
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np

from pipeline.dataset.records import HoleError, Pixels, Shape

COLOUR_TYPES = {1: 0, 3: 2, 4: 6}  # of PNG, by channels
BLOCK = 65535  # bytes that a stored block of deflate holds at most
BLOCK_HEAD = struct.Struct("<BHH")
CHUNK_BYTES = 12  # of PNG, besides what is in it: length, kind, checksum
SIGNATURE = b"\x89PNG\r\n\x1a\n"
STREAM = b"\x78\x01"  # zlib's, for what is not compressed

LOCAL = struct.Struct("<4s5H3I2H")
CENTRAL = struct.Struct("<4s6H3I5H2I")
END = struct.Struct("<4s4H2IH")
END_64 = struct.Struct("<4sQ2H2I4Q")
LOCATOR_64 = struct.Struct("<4sIQI")
MIDNIGHT, NEW_YEAR_1980 = 0, 0x21  # the first time that a zip can say
VERSION, VERSION_64 = 20, 45
UNIX, MODE = 3 << 8, 0o100644 << 16
MOST_16, MOST_32 = 0xFFFF, 0xFFFFFFFF


class Member(NamedTuple):
    """A file in the zip, as its directory lists it."""

    name: bytes
    crc: int
    size: int
    at: int  # where its local header begins


def member_name(place: int) -> str:
    """As dataset_tool names picture number `place`: a folder per thousand."""
    digits = f"{place:08}"
    return f"{digits[:5]}/img{digits}.png"


def member_bytes(shape: Shape) -> int:
    """How long a picture is in the zip, its local header included."""
    return LOCAL.size + len(member_name(0)) + png_bytes(shape)


def png_bytes(shape: Shape) -> int:
    channels, height, width = shape
    data = height * (1 + width * channels)
    blocks = -(-data // BLOCK)
    stream = len(STREAM) + blocks * BLOCK_HEAD.size + data + 4
    return len(SIGNATURE) + 3 * CHUNK_BYTES + 13 + stream


def png(pixels: Pixels) -> bytes:
    """H W C uint8 -> a PNG whose length the shape alone decides."""
    height, width, channels = pixels.shape
    rows = np.zeros((height, 1 + width * channels), np.uint8)  # each begins with its filter, none
    rows[:, 1:] = pixels.reshape(height, -1)
    head = struct.pack(">2I5B", width, height, 8, COLOUR_TYPES[channels], 0, 0, 0)
    data = rows.data.cast("B")
    stream = b"".join([STREAM, *stored(data), struct.pack(">I", zlib.adler32(data))])
    return SIGNATURE + chunk(b"IHDR", head) + chunk(b"IDAT", stream) + chunk(b"IEND", b"")


def stored(data: memoryview) -> Iterator[bytes | memoryview]:
    """The blocks of a deflate stream that holds the data as it is."""
    for start in range(0, len(data), BLOCK):
        block = data[start : start + BLOCK]
        yield BLOCK_HEAD.pack(start + BLOCK >= len(data), len(block), len(block) ^ MOST_16)
        yield block


def chunk(kind: bytes, content: bytes) -> bytes:
    crc = zlib.crc32(content, zlib.crc32(kind))
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", crc)


def write_member(file: int, place: int, pixels: Pixels) -> None:
    """Write one picture, H W C, as number `place` of an open file descriptor."""
    height, width, channels = pixels.shape
    length = member_bytes((channels, height, width))
    content, name = png(pixels), member_name(place).encode()
    member = Member(name, zlib.crc32(content), len(content), place * length)
    if os.pwritev(file, (local_head(member), content), member.at) != length:
        raise OSError(errno.ENOSPC, "the disk took only a part of a picture")


def close_zip(path: Path, count: int, shape: Shape, more: Mapping[str, bytes]) -> None:
    """Write what follows the pictures: the members `more`, and the directory of all.

    May be done again. Raises HoleError where a picture was not written.
    """
    with path.open("r+b") as file:
        members = [written(file.fileno(), place, shape) for place in range(count)]
        end = count * member_bytes(shape)
        file.truncate(end)
        file.seek(end)
        for name, content in more.items():
            members.append(Member(name.encode(), zlib.crc32(content), len(content), file.tell()))
            file.write(local_head(members[-1]) + content)
        file.write(directory(members, file.tell()))


def broken_zip(path: Path) -> str:
    """What is wrong with a zip that `close_zip` wrote, in words; every byte of it is compared."""
    try:
        with zipfile.ZipFile(path) as archive:
            listed = sorted(archive.infolist(), key=lambda info: info.header_offset)
    except zipfile.BadZipFile as error:
        return f"is damaged ({error})"
    members, end = list[Member](), 0
    with path.open("rb", buffering=1 << 20) as file:
        for info in listed:
            name = info.orig_filename.encode()
            members.append(Member(name, info.CRC, info.file_size, end))
            head = local_head(members[-1])
            if file.read(len(head)) != head or zlib.crc32(file.read(info.file_size)) != info.CRC:
                return f"{info.filename} in it is damaged"
            end = file.tell()
        if file.read() != directory(members, end):
            return "the list of what is in it is damaged"
    return ""


def written(file: int, place: int, shape: Shape) -> Member:
    """The picture at this place, by its local header."""
    name, at = member_name(place).encode(), place * member_bytes(shape)
    head = os.pread(file, LOCAL.size + len(name), at)
    crc = struct.unpack_from("<I", head, 14)[0] if len(head) == LOCAL.size + len(name) else 0
    member = Member(name, crc, png_bytes(shape), at)
    if head != local_head(member):
        raise HoleError(f"picture {place} is not in it")
    return member


def local_head(member: Member) -> bytes:
    """What stands before a member's content."""
    about = (VERSION, 0, 0, MIDNIGHT, NEW_YEAR_1980, member.crc, member.size, member.size)
    return LOCAL.pack(b"PK\3\4", *about, len(member.name), 0) + member.name


def directory(members: list[Member], at: int) -> bytes:
    """The end of a zip: its members, and where this list begins; in zip64 where that is needed."""
    entries = b"".join(map(central_head, members))
    count, end = len(members), b""
    if count >= MOST_16 or at + len(entries) >= MOST_32:
        about = (UNIX | VERSION_64, VERSION_64, 0, 0, count, count, len(entries), at)
        end = END_64.pack(b"PK\6\6", END_64.size - 12, *about)
        end += LOCATOR_64.pack(b"PK\6\7", 0, at + len(entries), 1)
    short, place, size = min(count, MOST_16), min(at, MOST_32), min(len(entries), MOST_32)
    return entries + end + END.pack(b"PK\5\6", 0, 0, short, short, size, place, 0)


def central_head(member: Member) -> bytes:
    """A member as the directory lists it."""
    far = member.at >= MOST_32
    extra = struct.pack("<2HQ", 1, 8, member.at) if far else b""
    version = VERSION_64 if far else VERSION
    about = (UNIX | version, version, 0, 0, MIDNIGHT, NEW_YEAR_1980)
    sizes = (member.crc, member.size, member.size, len(member.name), len(extra))
    place = (0, 0, 0, MODE, min(member.at, MOST_32))
    return CENTRAL.pack(b"PK\1\2", *about, *sizes, *place) + member.name + extra
