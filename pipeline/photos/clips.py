"""What the file of a clip says of the colours of its frames: MP4 and MOV, Matroska and WebM."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from atelier.containers import Coding, Part, coding_of_movie, seconds_of_movie

LARGEST_MOVIE_BOX = 1 << 26  # bytes of it that are looked at
MOST_BOXES = 10_000  # that are passed over to find it
MATROSKA = b"\x1a\x45\xdf\xa3"
TRACKS_WITHIN = 1 << 20  # bytes from the beginning of a Matroska: usually tracks come before frames
# Segment, tracks, one of them, what it says of its pictures, and of their colours (RFC 9559, 5).
WAY = (b"\x18\x53\x80\x67", b"\x16\x54\xae\x6b", b"\xae", b"\xe0", b"\x55\xb0")
TRANSFER, PRIMARIES = b"\x55\xba", b"\x55\xbb"
NOT_SAID = 2  # of either, as of ITU-T H.273


def coding_of_clip(path: Path) -> Coding | None:
    """What a clip says; None where it says nothing, or is of another kind."""
    with path.open("rb") as file:
        if file.read(len(MATROSKA)) == MATROSKA:
            file.seek(0)
            return coding_of_matroska(file.read(TRACKS_WITHIN))
        return coding_of_movie(movie_box(file))


def shown_seconds(path: Path) -> float:
    """How long an MP4 or MOV says that it is shown, cut as it may be; 0 of others."""
    with path.open("rb") as file:
        return seconds_of_movie(movie_box(file))


def movie_box(file: BinaryIO) -> bytes:
    """The content of the box of an MP4 or MOV that describes it; nothing of other files."""
    length, begin = os.fstat(file.fileno()).st_size, 0
    for _ in range(MOST_BOXES):
        file.seek(begin)
        head = file.read(16)
        size, kind, used = int.from_bytes(head[:4]), head[4:8], 8
        if size == 1:
            size, used = int.from_bytes(head[8:]), 16
        if kind == b"moov":
            file.seek(begin + used)
            return file.read(min(size - used, LARGEST_MOVIE_BOX)) if size > used else b""
        if size < used or not kind.isalnum() or size > length - begin:
            break
        begin += size
    return b""


def coding_of_matroska(head: bytes) -> Coding | None:
    """What the first track of a Matroska or WebM that says so says of its colours."""
    found = [Part(b"", 0, len(head))]
    for kind in WAY:
        found = [each for part in found for each in elements(head, part) if each.kind == kind]
    if not found:
        return None
    said = {
        each.kind: int.from_bytes(head[each.start : each.end]) for each in elements(head, found[0])
    }
    return Coding(said.get(PRIMARIES, NOT_SAID), said.get(TRANSFER, NOT_SAID))


def elements(data: bytes, inside: Part) -> Iterator[Part]:
    """The elements of EBML in another one, as far as they are there (RFC 8794, 4 to 6)."""
    at = inside.start
    while (start := number_end(data, at)) and (begin := number_end(data, start)):
        size = int.from_bytes(data[start:begin]) & ((1 << 7 * (begin - start)) - 1)
        unknown = size == (1 << 7 * (begin - start)) - 1  # as a broadcast has it
        end = inside.end if unknown else min(begin + size, inside.end)
        if begin > end:
            return
        yield Part(data[at:start], begin, end)
        at = end


def number_end(data: bytes, at: int) -> int:
    """Where a number ends whose first byte says how long it is; 0 where none is."""
    first = data[at] if at < len(data) else 0
    end = at + 9 - first.bit_length()
    return end if first and end <= len(data) else 0
