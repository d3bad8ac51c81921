"""What lies around the pixels of a picture file: chunks, boxes, markers. Nothing is decoded."""

import re
import struct
import zlib
from collections.abc import Iterable, Iterator
from typing import NamedTuple

# How files begin whose first two bytes are letters, as a text's may be.
TEXTLIKE = {"BMP": re.compile(rb"(?s)BM....\0{4}"), "PPM": re.compile(rb"P[1-6]\s+[#\d]")}
PNG = b"\x89PNG\r\n\x1a\n"
# What pixels and their meaning need; all other chunks are left out before anybody reads them.
CRITICAL = {b"IHDR", b"PLTE", b"IDAT", b"IEND"}
FIXED = {b"cICP": 4, b"gAMA": 4, b"cHRM": 32, b"sRGB": 1}  # ancillary ones that are read: bytes
WORDS = {b"iTXt", b"tEXt", b"zTXt"}
CLEAR = {0: 2, 2: 6}  # bytes that say which colour is transparent, by the kind of its PNG's colours
PALETTE = 3  # that kind where each colour of the palette has a byte of its own
ORIENTING = {b"eXIf", *WORDS}
# Texts in which programs write an orientation.
TEXTS = (b"XML:com.adobe.xmp\0", b"Raw profile type exif\0")
MOST_UNPACKED = 1 << 20  # bytes of a compressed profile or text
END = b"\xff\xd9"  # of a JPEG
START = b"\xff\xd8"
SCAN, RESOURCES = 0xDA, 0xED  # markers of pixels, and of what Photoshop writes
WRITTEN = {*range(0xE0, 0xF0), 0xFE}  # by programs, cameras and people
# Marker of a segment of metadata -> the word that it begins with, bytes that its readers rely on.
HEADS = {0xE0: (b"JFIF", 7), 0xE2: (b"ICC_PROFILE\0", 14), 0xEE: (b"Adobe", 7)}
# Bytes that a JPEG decoder takes for pixels where pixels are missing, and skips where none are.
FILLING = b"\x55" * 4096


class Chunk(NamedTuple):
    """A chunk of a PNG: where it lies in the file, and its content."""

    kind: bytes
    start: int
    end: int
    content: memoryview
    sound: bool  # whether its checksum is right


class Coding(NamedTuple):
    """How a file says what its numbers mean, by the code points of ITU-T H.273."""

    primaries: int
    transfer: int
    over_profile: bool = False  # whether it counts more than a profile in the same file


class Part(NamedTuple):
    """A box of a HEIF, AVIF or MP4 (ISO/IEC 14496-12, 4.2), or an element of a Matroska.

    Where its content lies in the file.
    """

    kind: bytes
    start: int
    end: int


def chunks(data: bytes) -> Iterator[Chunk]:
    """The chunks of a PNG, as far as they are whole; the pixels' own are not checked."""
    view, at = memoryview(data), len(PNG)
    while at + 12 <= len(data):
        (length,) = struct.unpack_from(">I", data, at)
        kind, end = data[at + 4 : at + 8], at + 12 + length
        if end > len(data):
            return
        content = view[at + 8 : end - 4]
        sound = kind in CRITICAL or zlib.crc32(view[at + 4 : end - 4]) == int.from_bytes(
            view[end - 4 : end]
        )
        yield Chunk(kind, at, end, content, sound)
        at = end


def is_whole_png(data: bytes) -> bool:
    """Whether a file is a PNG in which every byte is under a checksum that holds."""
    found = list(chunks(data)) if data.startswith(PNG) else []
    if not found or found[-1].kind != b"IEND" or found[-1].end != len(data):
        return False
    view = memoryview(data)
    sums = ((view[c.start + 4 : c.end - 4], view[c.end - 4 : c.end]) for c in found)
    return all(zlib.crc32(covered) == int.from_bytes(crc) for covered, crc in sums)


def without_ballast(data: bytes) -> bytes:
    """A PNG or a JPEG without what nobody reads in it, or what is broken and may be skipped."""
    if data.startswith(PNG):
        return without_chunks(data)
    return without_stumps(data) if data.startswith(START) else data


def without_stumps(data: bytes) -> bytes:
    """A JPEG without the segments of metadata that end before what their own readers look at."""
    kept, at = list[bytes](), 0
    for start, marker, content in segments(data):
        if marker == SCAN:
            break
        if is_stump(marker, content):
            kept.append(data[at:start])
            at = start + 4 + len(content)
    return b"".join([*kept, data[at:]]) if kept else data


def pixels_alone(data: bytes) -> bytes:
    """A PNG or JPEG without anything that a person or a camera wrote beside its pixels.

    For one whose colours and orientation follow from its pixels. They stay as they are coded; what
    lies behind the end, as a phone's film, goes too.
    """
    if data.startswith(PNG):
        found = [chunk for chunk in chunks(data) if chunk.kind in CRITICAL]
        return b"".join([PNG, *(data[chunk.start : chunk.end] for chunk in found)])
    kept, at, end = list[bytes](), 0, 0
    for start, marker, content in segments(data):
        end = start + 4 + len(content)
        if marker in WRITTEN:
            kept += [data[at:start], telling_colours(marker, content)]
            at = end
    last = data.find(END, max(at, end))
    return b"".join([*kept, data[at : last + len(END)] if last >= 0 else data[at:]])


def telling_colours(marker: int, content: bytes) -> bytes:
    """What of a segment says how colours are coded, as JFIF's or Adobe's; nothing of others.

    Behind it may be a thumbnail.
    """
    if marker == 0xE0 and content.startswith(b"JFIF\0") and len(content) >= 14:
        content = content[:12] + bytes(2)  # of no columns and no rows
    elif marker == 0xEE and content.startswith(b"Adobe") and len(content) >= 12:
        content = content[:12]
    else:
        return b""
    return struct.pack(">BBH", 0xFF, marker, 2 + len(content)) + content


def is_stump(marker: int, content: bytes) -> bool:
    """Whether a segment of metadata ends before what its own readers look at."""
    if marker == RESOURCES:
        return content[-6:-2] == b"8BIM"  # a resource without the length of its name
    word, least = HEADS.get(marker, (b"", 0))
    return len(content) < least and content.startswith(word)


def without_chunks(data: bytes) -> bytes:
    """A PNG without the chunks that nobody reads, or that are broken and may be skipped.

    Critical chunks stay as they are, so that a broken picture stays a broken picture. An
    orientation that stands behind the pixels comes before them.
    """
    view, at, pixels, colours, same = memoryview(data), len(PNG), False, 0, True
    before, behind = [view[:at]], list[memoryview]()
    for chunk, first in told_once(chunks(data)):
        pixels, at = pixels or chunk.kind == b"IDAT", chunk.end
        early = not pixels or chunk.kind in ORIENTING
        if chunk.kind == b"PLTE":
            colours = len(chunk.content) // 3
        if chunk.kind == b"tRNS":
            needed = first and early and is_clear(chunk, data, colours)
        else:
            needed = first and is_needed(chunk)
        if needed:
            (before if early else behind).append(view[chunk.start : chunk.end])
        same = same and needed and early == (not pixels)
    return data if same else b"".join([*before, *behind, view[at:]])


def told_once(found: Iterable[Chunk]) -> Iterator[tuple[Chunk, bool]]:
    """Each chunk of a PNG, and whether it is the first that tells what it does; pixels always are.

    A second profile or text is none, and not unpacked: a thousand would take seconds.
    """
    told = set[bytes]()
    for chunk in found:
        what = chunk.kind
        if what in WORDS:  # whatever of the three it is
            what = b"\0" + bytes(chunk.content[: max(map(len, TEXTS))]).partition(b"\0")[0]
        yield chunk, chunk.kind[:1].isupper() or what not in told
        if chunk.sound:
            told.add(what)


def is_needed(chunk: Chunk) -> bool:
    """Whether pixels, their colours or their orientation depend on it, and it can be read."""
    if chunk.kind[:1].isupper():  # critical, known or not
        return True
    if not chunk.sound:
        return False
    if chunk.kind in FIXED:
        return len(chunk.content) == FIXED[chunk.kind]
    if chunk.kind == b"iCCP":
        _, _, packed = bytes(chunk.content).partition(b"\0")
        return unpacks(packed)
    if chunk.kind in WORDS:
        return is_needed_text(chunk.kind, bytes(chunk.content[:MOST_UNPACKED]))
    return chunk.kind == b"eXIf"


def is_needed_text(kind: bytes, content: bytes) -> bool:
    """Whether a text may hold an orientation, and is small enough to look."""
    if not content.startswith(TEXTS) or len(content) == MOST_UNPACKED:
        return False
    rest = content.partition(b"\0")[2]
    if kind == b"zTXt":
        return unpacks(rest)
    if kind == b"iTXt" and rest[:1] == b"\1":
        return unpacks(rest[1:2] + rest[2:].split(b"\0", 2)[-1])
    return True


def is_clear(chunk: Chunk, data: bytes, colours: int) -> bool:
    """Whether a PNG's transparency is as long as its kind, or its palette of so many, wants it."""
    kind, length = data[25] if len(data) > 25 else -1, len(chunk.content)
    return chunk.sound and (0 < length <= colours if kind == PALETTE else length == CLEAR.get(kind))


def unpacks(packed: bytes) -> bool:
    """Whether it is the one method that there is, and a whole zlib stream of a bearable size."""
    if packed[:1] != b"\0":
        return False
    unpacker = zlib.decompressobj()
    try:
        unpacker.decompress(packed[1:], MOST_UNPACKED)
    except zlib.error:
        return False
    return unpacker.eof


def coding(data: bytes) -> Coding | None:
    """What a PNG (cICP), an AVIF or a HEIC (nclx) says its colours are; None where none is said."""
    if data.startswith(PNG):
        for chunk in chunks(data):
            if chunk.kind == b"IDAT":
                return None
            if chunk.kind == b"cICP" and chunk.sound and len(chunk.content) == 4:
                return Coding(chunk.content[0], chunk.content[1], over_profile=True)
        return None
    return coding_of_item(data) if data[4:8] == b"ftyp" else None


def coding_of_item(data: bytes) -> Coding | None:
    """What a HEIF or AVIF says of the colours of the picture that it shows (ISO/IEC 23008-12).

    What it says of its thumbnails, of its alpha or of a brighter version is of other pictures.
    """
    meta = box_in(data, Part(b"", 0, len(data)), b"meta", 4)
    if not meta:  # a sequence: all its pictures are of one kind
        at = data.find(b"colrnclx", 0, MOST_UNPACKED)
        return nclx(data[at : at + 12]) if at >= 0 else None
    told = box_in(data, meta, b"iprp")
    listed = box_in(data, told, b"ipco") if told else None
    if not told or not listed:
        return None
    properties = [data[part.start - 4 : part.end] for part in iso_boxes(data, listed)]
    owned = dict(pair for part in iso_boxes(data, told) for pair in associations(data, part))
    for item in shown_items(data, meta):
        numbers = [number for number in owned.get(item, []) if 0 < number <= len(properties)]
        said = [properties[number - 1] for number in numbers]
        if colours := [each for each in said if each.startswith(b"colr")]:
            return next((nclx(each) for each in colours if each.startswith(b"colrnclx")), None)
    return None


def coding_of_movie(movie: bytes) -> Coding | None:
    """What the box `moov` of an MP4 or MOV says of the colours of its frames."""
    for inside in iso_boxes(movie, Part(b"", 0, len(movie))):
        place: Part | None = inside
        for kind in (b"mdia", b"minf", b"stbl", b"stsd"):
            place = box_in(movie, place, kind, 8 if kind == b"stsd" else 0) if place else None
        for entry in iso_boxes(movie, place) if place else ():
            told = box_in(movie, entry._replace(start=entry.start + 78), b"colr")
            if told and movie[told.start : told.start + 3] == b"ncl":  # nclx, QuickTime's nclc
                return nclx(movie[told.start - 4 : told.end])
    return None


def seconds_of_movie(movie: bytes) -> float:
    """How long what the box `moov` of an MP4 or MOV describes is shown; 0 where it says nothing."""
    head = box_in(movie, Part(b"", 0, len(movie)), b"mvhd")
    if not head or head.end - head.start < 32:
        return 0.0
    form, at = (">IQ", 20) if movie[head.start] else (">II", 12)  # behind two times of wide numbers
    units, length = struct.unpack_from(form, movie, head.start + at)
    unknown = length == (1 << (64 if movie[head.start] else 32)) - 1
    return length / units if units and not unknown else 0.0


def nclx(content: bytes) -> Coding | None:
    """Primaries and transfer function of a box `colr`, its kind included."""
    return Coding(*struct.unpack_from(">HH", content, 8)) if len(content) >= 12 else None


def iso_boxes(data: bytes, inside: Part) -> Iterator[Part]:
    """The boxes in another box, or in the whole file, as far as they are whole."""
    at = inside.start
    while at + 8 <= inside.end:
        size, kind, head = int.from_bytes(data[at : at + 4]), data[at + 4 : at + 8], 8
        if size == 1:
            size, head = int.from_bytes(data[at + 8 : at + 16]), 16
        end = at + size if size else inside.end
        if end < at + head or end > inside.end:
            return
        yield Part(kind, at + head, end)
        at = end


def box_in(data: bytes, inside: Part, kind: bytes, skip: int = 0) -> Part | None:
    """The first box of a kind, without so many bytes at its beginning."""
    found = next((part for part in iso_boxes(data, inside) if part.kind == kind), None)
    return found._replace(start=found.start + skip) if found else None


def shown_items(data: bytes, meta: Part) -> list[int]:
    """The number of the picture that is shown, then those of the tiles that it is made of."""
    first = box_in(data, meta, b"pitm")
    if not first:
        return []
    shown = int.from_bytes(data[first.start + 4 : first.end])
    links = box_in(data, meta, b"iref", 4)
    wide = 4 if links and data[links.start - 4 : links.start - 3] > b"\0" else 2
    for part in iso_boxes(data, links) if links else ():
        numbers = numbers_of(data[part.start : part.end], wide)
        if part.kind == b"dimg" and numbers[:1] == [shown]:
            return [shown, *numbers_of(data[part.start + wide + 2 : part.end], wide)]
    return [shown]


def associations(data: bytes, part: Part) -> Iterator[tuple[int, list[int]]]:
    """(item, numbers of its properties, from 1) as a box `ipma` lists them; of others none."""
    if part.kind != b"ipma" or part.end < part.start + 8:
        return
    wide, long = 4 if data[part.start] else 2, 2 if data[part.start + 3] & 1 else 1
    at = part.start + 8
    while at + wide < part.end:
        item, count = int.from_bytes(data[at : at + wide]), data[at + wide]
        at += wide + 1
        essential = 1 << (8 * long - 1)  # a bit beside the number
        numbers = numbers_of(data[at : min(at + count * long, part.end)], long)
        yield item, [number & (essential - 1) for number in numbers]
        at += count * long


def numbers_of(data: bytes, wide: int) -> list[int]:
    """Numbers of so many bytes each, one behind the other."""
    return [int.from_bytes(data[at : at + wide]) for at in range(0, len(data), wide)]


def scans_are_complete(data: bytes) -> bool:
    """Whether the scans of a JPEG, also of a progressive one, bring every bit of every part."""
    components, fine = 0, set[tuple[int, int]]()  # (component, coefficient) known to the last bit
    progressive = False
    for _, marker, content in segments(data):
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            if len(content) < 6:
                return False
            components, progressive = content[5], marker in (0xC2, 0xC6, 0xCA, 0xCE)
        elif marker == SCAN:
            count = content[0] if content else 0
            if len(content) < 4 + 2 * count:
                return False
            first, last, bits = content[1 + 2 * count : 4 + 2 * count]
            if not bits & 15:
                own = content[1 : 1 + 2 * count : 2]
                fine |= {(one, at) for one in own for at in range(first, last + 1)}
    if not components or not progressive:
        return bool(components)
    return len(fine) == components * 64


def segments(data: bytes) -> Iterator[tuple[int, int, bytes]]:
    """(where it begins, marker, content) of the segments of a JPEG.

    Entropy-coded data between them is skipped.
    """
    at = 2
    while at + 4 <= len(data):
        if data[at] != 0xFF or data[at + 1] in (0x00, 0xFF, *range(0xD0, 0xD8)):
            at = data.find(b"\xff", at + 1)
            if at < 0:
                return
            continue
        marker = data[at + 1]
        if marker == 0xD9:
            return
        length = int.from_bytes(data[at + 2 : at + 4])
        if at + 2 + length > len(data):
            return
        yield at, marker, data[at + 4 : at + 2 + length]
        at += 2 + length
