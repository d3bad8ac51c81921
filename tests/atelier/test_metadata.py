"""What nobody needs to know a pixel decides about none: neither kept or dropped, nor a value."""

import io
import struct
import time
import zlib
from itertools import product

import numpy as np
import pytest
from PIL import Image

from atelier import pictures
from atelier.containers import (
    END,
    PNG,
    SCAN,
    pixels_alone,
    scans_are_complete,
    segments,
    without_ballast,
)
from atelier.pictures import UnreadableError

LIMIT = 10**8
FORMATS = {
    "JPEG": {"quality": 95},
    "PNG": {},
    "WEBP": {"lossless": True},
    "AVIF": {"quality": 95},
    "HEIF": {"quality": 95},
    "TIFF": {"compression": "tiff_lzw"},
}
TAGS = (271, 272, 282, 283, 296, 305, 306, 315, 318, 319, 529, 532, 700, 33432, 34665, 34853)
TAGS += (34675, 36867, 37121, 37500, 37510, 40961, 40965, 41486, 50341, 65000)
SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 99: 1}
CONTENTS = (b"\0", b"\xff", b"72 dpi\0\x80")


def drawn():
    y, x = np.mgrid[0:48, 0:64]
    return np.stack([x * 3, y * 4, (x + y) * 2], axis=2).astype(np.uint8)


def saved(name, **more):
    file = io.BytesIO()
    Image.fromarray(drawn()).save(file, name, **FORMATS[name], **more)
    return file.getvalue()


def seen(data):
    """All that is known of a picture."""
    head = pictures.header(data, LIMIT)
    return head, pictures.decode(data).tobytes(), pictures.decode_grey(data, 32).tobytes()


def ifd(entries, order="<"):
    """A TIFF directory at offset 8 of (tag, type, count, content), with the head of the TIFF."""
    mark = b"II*\0" if order == "<" else b"MM\0*"
    body, data = struct.pack(f"{order}H", len(entries)), b""
    for tag, kind, count, content in sorted(entries):
        inner = content.ljust(4, b"\0")
        if len(content) > 4:
            at = 8 + 2 + 12 * len(entries) + 4 + len(data)
            inner, data = struct.pack(f"{order}I", at), data + content + b"\0" * (len(content) % 2)
        body += struct.pack(f"{order}HHI", tag, kind, count) + inner
    return mark + struct.pack(f"{order}I", 8) + body + bytes(4) + data


def odd_entries():
    for tag in TAGS:
        for kind, size in SIZES.items():
            for content in CONTENTS:
                filled = (content * size * 2)[: size * 2]
                yield tag, kind, 2 if len(filled) == 2 * size else 1, filled
        yield tag, 2, 60_000, b"beyond the end"


def upright_6(order="<"):
    return 0x0112, 3, 1, struct.pack(f"{order}HH", 6, 0)


@pytest.fixture(scope="module")
def plain():
    """What a picture with nothing but its orientation gives, by format."""
    return {
        name: seen(saved(name, exif=b"Exif\0\0" + ifd([upright_6()])))
        for name in FORMATS
        if name != "TIFF"
    }


@pytest.mark.slow
@pytest.mark.parametrize("name", ["JPEG", "PNG", "WEBP"])
def test_no_exif_tag_decides(name, plain):
    for entry in odd_entries():
        exif = b"Exif\0\0" + ifd([upright_6(), entry])
        assert seen(with_exif(name, exif)) == plain[name], entry


@pytest.mark.slow
@pytest.mark.parametrize("name", ["AVIF", "HEIF"])
def test_no_exif_tag_decides_in_boxes(name, plain):
    """These turn by a box of their own; the EXIF is put where a dummy of its length was."""
    dummy = ifd([(65000, 2, 200, b"\x5a" * 200)])
    data = saved(name, exif=b"Exif\0\0" + dummy)
    assert data.count(dummy) == 1
    for entry in list(odd_entries())[:: 2 if name == "AVIF" else 5]:
        exif = ifd([entry]).ljust(len(dummy), b"\0")
        assert len(exif) == len(dummy)
        assert seen(data.replace(dummy, exif)) == seen(data), entry


BARE = {name: saved(name) for name in FORMATS}


def with_exif(name, exif):
    """An EXIF put into a file by hand: no encoder looks at it."""
    data = BARE[name]
    if name == "JPEG":
        return data[:2] + b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif + data[2:]
    if name == "PNG":
        return data[:33] + chunk(b"eXIf", exif[6:]) + data[33:]
    return webp_with(data, b"EXIF", exif[6:], 8)


def webp_with(data, kind, content, flag):
    """A lossless WebP in the extended layout, with one chunk more."""
    extended = struct.pack("<4sII", b"VP8X", 10, flag) + (63).to_bytes(3, "little")
    extended += (47).to_bytes(3, "little")
    more = kind + struct.pack("<I", len(content)) + content + b"\0" * (len(content) % 2)
    body = b"WEBP" + extended + data[12:] + more
    return b"RIFF" + struct.pack("<I", len(body)) + body


def chunk(kind, content, wrong=0):
    checksum = zlib.crc32(kind + content) ^ wrong
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", checksum)


@pytest.mark.slow
@pytest.mark.parametrize("orientation", [1, 6])
def test_no_tag_of_a_tiff_decides(orientation):
    data = BARE["TIFF"]
    (at,) = struct.unpack_from("<I", data, 4)
    (count,) = struct.unpack_from("<H", data, at)
    own = [struct.unpack_from("<HHI4s", data, at + 2 + 12 * n) for n in range(count)]
    own = [entry for entry in own if entry[0] != 0x0112]
    own.append((0x0112, 3, 1, struct.pack("<HH", orientation, 0)))

    def made(*more):
        entries = sorted([*own, *more])
        body = struct.pack("<H", len(entries))
        tail, start = b"", len(data) + 2 + 12 * len(entries) + 4
        for tag, kind, number, content in entries:
            if len(content) > 4:
                tail += content
                content = struct.pack("<I", start + len(tail) - len(content))
            body += struct.pack("<HHI", tag, kind, number) + content.ljust(4, b"\0")
        return data[:4] + struct.pack("<I", len(data)) + data[8:] + body + bytes(4) + tail

    wanted = seen(made())
    for entry in list(odd_entries())[::3]:
        assert seen(made(entry)) == wanted, entry


@pytest.mark.parametrize("name", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF", "HEIF"])
@pytest.mark.parametrize("profile", [b"", b"\0" * 200, b"acsp" * 100, bytes(range(256)) * 40])
def test_a_broken_profile_decides_nothing(name, profile):
    assert seen(saved(name, icc_profile=profile))[1:] == seen(BARE[name])[1:]


@pytest.mark.parametrize("name", ["JPEG", "PNG", "WEBP", "AVIF"])
@pytest.mark.parametrize(
    "xmp",
    [b"", b"\0\xff" * 50, b"<x:xmpmeta", b'tiff:Orientation="9"', b'tiff:Orientation="' * 30],
)
def test_odd_xmp_decides_nothing(name, xmp):
    data = (
        BARE["PNG"][:33] + itxt(xmp) + BARE["PNG"][33:] if name == "PNG" else saved(name, xmp=xmp)
    )
    assert seen(data) == seen(BARE[name])


def itxt(content):
    return chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + content)


PACKED, UNPACKED = (zlib.compress(b"z" * count) for count in (3_000_000, 1_000_000))
XMP, RAW = b"XML:com.adobe.xmp\0", b"Raw profile type exif\0"
BALLAST = {
    "text with a wrong checksum": chunk(b"tEXt", b"Comment\0hello", wrong=1),
    "density with a wrong checksum": chunk(b"pHYs", bytes(9), wrong=1),
    "short density": chunk(b"pHYs", b"\0\0"),
    "long gamma": chunk(b"gAMA", bytes(90)),
    "short gamma": chunk(b"gAMA", b"\0"),
    "short chromaticities": chunk(b"cHRM", b"\0"),
    "short time": chunk(b"tIME", b"\0"),
    "palette's histogram without a palette": chunk(b"hIST", b"\0"),
    "large text": chunk(b"zTXt", b"a\0\0" + PACKED),
    "large text, many times": chunk(b"zTXt", b"a\0\0" + PACKED) * 40,
    "large xmp": chunk(b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + PACKED),
    "large profile": chunk(b"iCCP", b"a\0\0" + PACKED),
    "xmp that unpacks, many times": chunk(b"iTXt", XMP + b"\1\0\0\0" + UNPACKED) * 70,
    "raw profile that unpacks, many times": chunk(b"zTXt", RAW + b"\0" + UNPACKED) * 70,
    "profile that does not unpack": chunk(b"iCCP", b"a\0\0no zlib"),
    "profile without a name": chunk(b"iCCP", b""),
    "profile with a wrong checksum": chunk(b"iCCP", b"a\0\0" + zlib.compress(b"x"), wrong=1),
    "profile packed by another method": chunk(b"iCCP", b"a\0\1" + zlib.compress(b"x")),
    "text packed by another method": chunk(b"zTXt", b"Raw profile type exif\0\1\0"),
    "transparency of no colour": chunk(b"tRNS", b""),
    "transparency of a grey": chunk(b"tRNS", b"\0\1"),
    "transparency of a long palette": chunk(b"tRNS", bytes(300)),
    "exif that is none": chunk(b"eXIf", b"\0\x08\0\2\1\x12\0\3"),
    "raw profile that is none": chunk(b"zTXt", b"Raw profile type exif\0\0" + zlib.compress(b"\n")),
    "raw profile that is no hex": chunk(b"tEXt", b"Raw profile type exif\0\n\n\nzz"),
    "empty texts": chunk(b"tEXt", b"") + chunk(b"zTXt", b"a\0") + chunk(b"iTXt", b""),
    "unknown": chunk(b"abCd", b"x" * 99),
}


@pytest.mark.parametrize("ballast", BALLAST.values(), ids=BALLAST)
@pytest.mark.parametrize("place", [33, -12], ids=["before", "behind"])
def test_no_ancillary_chunk_decides(ballast, place):
    data = BARE["PNG"]
    assert seen(data[:place] + ballast + data[place:]) == seen(data)


def test_no_profile_but_the_first_is_unpacked():
    first, more = (chunk(b"iCCP", b"a\0\0" + zlib.compress(each)) for each in (b"1", b"2" * 10**6))
    data, start = BARE["PNG"], time.process_time()
    odd = data[:33] + chunk(b"tEXt", b"iCCP\0") + first + more * 1000 + data[33:]
    assert without_ballast(odd) == data[:33] + first + data[33:]
    assert time.process_time() - start < 1


@pytest.mark.parametrize(
    ("mode", "length"), [("L", 6), ("L", 0), ("LA", 2), ("RGBA", 6), ("P", 0), ("P", 257)]
)
def test_transparency_of_another_kind_of_picture_decides_nothing(mode, length):
    file = io.BytesIO()
    Image.fromarray(drawn()).convert(mode).save(file, "PNG")
    data = file.getvalue()
    at = data.index(b"IDAT") - 4
    assert seen(data[:at] + chunk(b"tRNS", bytes(length)) + data[at:]) == seen(data)


def test_transparency_of_a_palette_decides_at_its_place_only():
    file = io.BytesIO()
    Image.fromarray(drawn()).quantize(4).save(file, "PNG")
    data, own, more = file.getvalue(), chunk(b"tRNS", bytes(4)), chunk(b"tRNS", bytes(5))
    palette, pixels = (data.index(kind) - 4 for kind in (b"PLTE", b"IDAT"))
    for at, odd in ((palette, own), (pixels, more), (len(data) - 12, own)):
        assert seen(data[:at] + odd + data[at:]) == seen(data)
    assert seen(data[:pixels] + own + data[pixels:]) != seen(data)


HEADS = (
    b"JFIF\0\1\2\1\0H\0H\0\0",
    b"JFXX\0\x10",
    b"Exif\0\0MM\0*\0\0\0\x08\0\1\1\x12",
    b"MPF\0II*\0\xff\xff",
    b"http://ns.adobe.com/xap/1.0/\0<x:xmpmeta",
    b"ICC_PROFILE\0\1\2acsp",
    b"FPXR\0\1",
    b"Photoshop 3.0\x008BIM\3\xed\0\0\0\0\0\2a",
    b"Adobe\0d\0\0\0\0\1",
    b"Ducky\0\1",
    b"\0\xff" * 40,
)


def segment(marker, content):
    return struct.pack(">BBH", 0xFF, marker, 2 + len(content)) + content


@pytest.mark.slow
def test_no_segment_of_a_jpeg_decides():
    data = BARE["JPEG"]
    head = pictures.header(data, LIMIT)
    for marker in (0xE0, 0xE1, 0xE2, 0xE5, 0xED, 0xEE, 0xFE):
        for content in HEADS:
            for length in range(len(content)):
                odd = data[:2] + segment(marker, content[:length]) + data[2:]
                assert pictures.header(odd, LIMIT) == head, (marker, content[:length])
            assert seen(odd) == seen(data), (marker, content)


@pytest.mark.parametrize("more", [{}, {"progressive": True}, {"restart_marker_blocks": 2}])
@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
def test_the_pixels_of_a_jpeg_alone_are_the_file_without_all_else(mode, more):
    def made(**beside):
        file = io.BytesIO()
        Image.fromarray(drawn()).convert(mode).save(file, "JPEG", **more, **beside)
        return file.getvalue()

    thumbnail = ifd([(271, 2, len(BARE["JPEG"]), BARE["JPEG"])])  # it has marks of its own
    odd = made(exif=b"Exif\0\0" + thumbnail, comment=b"home", xmp=b"<x", icc_profile=b"acsp" * 9)
    assert pixels_alone(odd) == pixels_alone(odd + b"MotionPhoto" + END) == made()
    assert pixels_alone(made()) == made()
    assert seen(pixels_alone(made()[:-2])) == seen(made())


@pytest.mark.parametrize(("mode", "least"), [("RGB", 14), ("CMYK", 12)], ids=["JFIF", "Adobe"])
def test_of_segments_only_what_tells_colours_goes_with_pixels(mode, least):
    file = io.BytesIO()
    Image.fromarray(drawn()).convert(mode).save(file, "JPEG")
    data = file.getvalue()
    marker, told, rest = data[3], data[6 : 6 + least], data[6 + least :]
    with_thumbnail = told[:12] + b"\2\1" + b"home!!"
    for content in (told, with_thumbnail):
        assert pixels_alone(data[:2] + segment(marker, content) + rest) == data
    others = b"JFXX\0\x10", b"JFIF\0\1", b"II\x1a\0\0\0HEAPJPGM", b"Adobe\0d", b"home", b""
    for marker, content in product((*range(0xE0, 0xF0), 0xFE), others):
        assert pixels_alone(data[:2] + segment(marker, content) + data[2:]) == data


def test_the_pixels_of_a_png_alone_are_the_file_without_all_else():
    data = BARE["PNG"]
    text = chunk(b"tEXt", b"Author\0me") + chunk(b"eXIf", ifd([upright_6()]))
    assert pixels_alone(data[:33] + text + data[33:-12] + text + data[-12:] + b"film") == data


def damaged():
    """PNGs whose pixels nobody can know."""
    data = BARE["PNG"]
    at = data.index(b"IDAT") - 4
    end = at + 12 + int.from_bytes(data[at : at + 4])
    yield "head with a wrong checksum", data[:29] + bytes(4) + data[33:]
    yield "no pixels", data[:at] + data[end:]
    yield "half of the pixels", data[: (at + end) // 2]
    yield "pixels with a hole", data[: at + 40] + bytes(20) + data[at + 60 :]
    yield "no head", PNG + data[33:]


@pytest.mark.parametrize(("what", "data"), list(damaged()))
def test_critical_chunks_stay_strict(what, data):
    with pytest.raises(UnreadableError):
        seen(data)


@pytest.mark.parametrize(("marker", "length"), [(0xC2, 5), (0xC2, 0), (SCAN, 3), (SCAN, 0)])
def test_a_jpeg_whose_segment_is_too_short_is_no_whole_one(marker, length):
    file = io.BytesIO()
    Image.fromarray(drawn()).save(file, "JPEG", progressive=True)
    data = file.getvalue()
    at, content = next((at, content) for at, own, content in segments(data) if own == marker)
    short = data[:at] + segment(marker, content[:length]) + data[at + 4 + len(content) :]
    assert scans_are_complete(data) and not scans_are_complete(short)


@pytest.mark.parametrize("progressive", [False, True], ids=["baseline", "progressive"])
@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
def test_a_jpeg_that_lacks_only_its_end_is_a_photo(progressive, mode):
    rng = np.random.default_rng(0)
    noise = Image.fromarray(rng.integers(0, 255, (100, 140, 3), np.uint8)).convert(mode)
    file = io.BytesIO()
    noise.save(file, "JPEG", quality=90, progressive=progressive)
    data = file.getvalue()
    assert seen(data[:-2]) == seen(data)
    assert seen(data[:-1]) == seen(data)
    for cut in (40, 400, len(data) // 2):
        with pytest.raises(UnreadableError, match="broken file"):
            seen(data[:-cut])
