"""What a file says of its colours is asked: a table of ways to say it, and the right numbers."""

import io
import struct
import zlib

import numpy as np
import pillow_heif
import pytest
from PIL import Image, ImageCms

from atelier import pictures
from atelier.containers import Coding, coding
from atelier.pictures import UnreadableError

COLOURS = np.array([(200, 80, 60), (60, 180, 70), (60, 70, 200), (128, 128, 128)], np.uint8)
WHITE = (0.3127, 0.3290)  # D65
PRIMARIES = {  # ITU-T H.273, table 2: x and y of red, green, blue
    "sRGB": (1, ((0.64, 0.33), (0.30, 0.60), (0.15, 0.06))),
    "P3": (12, ((0.680, 0.320), (0.265, 0.690), (0.150, 0.060))),
    "BT.2020": (9, ((0.708, 0.292), (0.170, 0.797), (0.131, 0.046))),
}
ADOBE = ((0.64, 0.33), (0.21, 0.71), (0.15, 0.06))
# D65 -> D50 as profiles have it (Bradford), to write primaries into an ICC profile.
BRADFORD = np.array(
    [[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]]
)
D50 = np.array([0.9642, 1, 0.8249])


def xyz(x, y):
    return np.array([x / y, 1, (1 - x - y) / y])


def to_xyz(primaries):
    """Linear RGB -> XYZ, white as (1, 1, 1)."""
    columns = np.stack([xyz(*each) for each in primaries], axis=1)
    return columns * np.linalg.solve(columns, xyz(*WHITE))


def light(numbers):
    shares = np.asarray(numbers) / 255
    return np.where(shares <= 0.04045, shares / 12.92, ((shares + 0.055) / 1.055) ** 2.4)


def numbers(light):
    light = np.clip(light, 0, 1)
    shares = np.where(light <= 0.0031308, light * 12.92, 1.055 * light ** (1 / 2.4) - 0.055)
    return np.rint(shares * 255).astype(int)


def right(primaries, curve=light):
    """What numbers of these primaries and this curve are in sRGB, by the definitions."""
    matrix = np.linalg.inv(to_xyz(PRIMARIES["sRGB"][1])) @ to_xyz(primaries)
    return numbers(curve(COLOURS) @ matrix.T)


def gamma(exponent):
    return lambda shown: (np.asarray(shown) / 255) ** exponent


def fixed(value):
    return struct.pack(">i", round(value * 65536))


def profile(name, exponent, primaries):
    """An ICC profile of version 2: a name, a gamma, primaries."""
    source, target = BRADFORD @ xyz(*WHITE), BRADFORD @ D50
    adapted = np.linalg.inv(BRADFORD) @ np.diag(target / source) @ BRADFORD @ to_xyz(primaries)

    def triple(values):
        return b"XYZ \0\0\0\0" + b"".join(map(fixed, values))

    said = name.encode() + b"\0"
    described = b"desc\0\0\0\0" + struct.pack(">I", len(said)) + said + bytes(78)
    curve = b"curv\0\0\0\0" + struct.pack(">IH", 1, round(exponent * 256)) + bytes(2)
    tags = {b"desc": described + bytes(-len(described) % 4), b"wtpt": triple(D50)}
    tags |= {mark + b"XYZ": triple(adapted[:, n]) for n, mark in enumerate((b"r", b"g", b"b"))}
    tags |= {mark + b"TRC": curve for mark in (b"r", b"g", b"b")}
    table, data, start = b"", b"", 132 + 12 * len(tags)
    for tag, body in tags.items():
        table += tag + struct.pack(">II", start + len(data), len(body))
        data += body
    size = 132 + len(table) + len(data)
    head = struct.pack(">I4sI4s4s4s", size, b"lcms", 0x02400000, b"mntr", b"RGB ", b"XYZ ")
    head += (
        struct.pack(">6H", 2026, 1, 1, 0, 0, 0) + b"acsp" + bytes(28) + b"".join(map(fixed, D50))
    )
    return head.ljust(128, b"\0") + struct.pack(">I", len(tags)) + table + data


def fields():
    pixels = np.zeros((64, 64, 3), np.uint8)
    pixels[:32, :32], pixels[:32, 32:], pixels[32:, :32], pixels[32:, 32:] = COLOURS
    return Image.fromarray(pixels)


def saved(name, **more):
    exact = {
        "JPEG": {"quality": 100, "subsampling": 0},
        "WEBP": {"lossless": True},
        "AVIF": {"quality": 100, "subsampling": "4:4:4"},
        "HEIF": {"quality": -1, "chroma": 444},
    }
    file = io.BytesIO()
    fields().save(file, name, **exact.get(name, {}), **more)
    return file.getvalue()


def png(kind, content):
    data = saved("PNG")
    checksum = struct.pack(">I", zlib.crc32(kind + content))
    return data[:33] + struct.pack(">I", len(content)) + kind + content + checksum + data[33:]


def coded(name, primaries, transfer):
    """A HEIC or an AVIF whose nclx box says so; AVIF's is written over what Pillow writes."""
    if name == "HEIF":
        told = {"color_primaries": primaries, "transfer_characteristics": transfer}
        return saved(name, matrix_coefficients=6, full_range_flag=1, **told)
    data = bytearray(saved(name))
    at = data.index(b"colrnclx") + 8
    data[at : at + 4] = struct.pack(">HH", primaries, transfer)
    return bytes(data)


def of_two(shown, *told):
    """A HEIC of two pictures, each with its nclx of primaries and transfer, that shows one."""
    both = pillow_heif.HeifFile()
    for primaries, transfer in told:
        image = fields()
        image.info["nclx_profile"] = {
            "color_primaries": primaries,
            "transfer_characteristics": transfer,
            "matrix_coefficients": 6,
            "full_range_flag": 1,
        }
        both.add_from_pillow(image)
    file = io.BytesIO()
    both.save(file, quality=-1, chroma=444, primary_index=shown)
    return file.getvalue()


def box(kind, *content):
    return struct.pack(">I", 8 + sum(map(len, content))) + kind + b"".join(content)


def of_tiles(*told, wide=False):
    """The boxes of a HEIC that shows item 2, made of item 3; property 1 is of item 1, and so on.

    Of the properties each is told by primaries and transfer, or an ICC profile.
    """
    colours = [
        box(b"colr", b"prof" if each is None else b"nclx" + struct.pack(">HHHB", *each, 6, 128))
        for each in told
    ]
    item = ">I" if wide else ">H"
    number = [struct.pack(item, each) for each in range(4)]
    version = struct.pack(">I", wide << 24)
    owned = [number[each + 1] + bytes([1, 128 + each + 1]) for each in range(len(told))]
    listed = box(b"ipma", version, struct.pack(">I", len(told)), *owned)
    links = box(b"iref", version, box(b"dimg", number[2], struct.pack(">H", 1), number[3]))
    shown = box(b"pitm", bytes(4), struct.pack(">H", 2))
    properties = box(b"iprp", box(b"ipco", *colours), listed)
    return box(b"ftyp", b"heic") + box(b"meta", bytes(4), shown, links, properties)


PQ, PLAIN = (9, 16), (12, 13)


@pytest.mark.parametrize("wide", [False, True])
def test_colours_are_those_of_the_picture_that_is_shown(wide):
    assert coding(of_tiles(PQ, PLAIN, PQ, wide=wide)) == Coding(*PLAIN)
    assert coding(of_tiles(PQ, None, PQ, wide=wide)) is None  # by its profile
    assert coding(of_tiles(PQ, wide=wide)) is None
    data = bytearray(of_tiles(PQ, PLAIN, wide=wide))
    data[data.index(b"\0\2\1\x82") + 1] = 3  # what was of the picture is of its tile
    assert coding(bytes(data)) == Coding(*PLAIN)


def test_broken_boxes_say_nothing():
    whole, chance = of_tiles(PQ, PLAIN, PQ), np.random.default_rng(0)
    for end in range(len(whole)):
        coding(whole[:end])
        broken = bytearray(whole)
        broken[end] = chance.integers(256)
        assert (said := coding(bytes(broken))) is None or len(said) == 3


P3, SRGB = PRIMARIES["P3"][1], PRIMARIES["sRGB"][1]
CASES = {
    "nothing said": (saved("PNG"), COLOURS),
    "ICC of sRGB": (
        saved(
            "JPEG", icc_profile=ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
        ),
        COLOURS,
    ),
    **{
        f"ICC called {name}": (
            saved("PNG", icc_profile=profile(name, 1, SRGB)),
            right(SRGB, gamma(1)),
        )
        for name in ("GIMP built-in Linear sRGB", "sRGB linear", "Rec709 linear", "scRGB")
    },
    **{
        f"ICC of P3 in {name}": (
            saved(name, icc_profile=profile("Display P3", 2.2, P3)),
            right(P3, gamma(2.2)),
        )
        for name in ("JPEG", "PNG", "WEBP", "TIFF", "AVIF", "HEIF")
    },
    "ICC of Adobe RGB": (
        saved("TIFF", icc_profile=profile("Adobe RGB (1998)", 2.2, ADOBE)),
        right(ADOBE, gamma(2.2)),
    ),
    **{
        f"{name} {where}": (coded(name, code, 13), right(primaries))
        for name in ("HEIF", "AVIF")
        for where, (code, primaries) in PRIMARIES.items()
    },
    "HEIF beside PQ": (of_two(1, PQ, (1, 13)), COLOURS),
    "HEIF of P3 beside PQ": (of_two(0, PLAIN, PQ), right(PRIMARIES["P3"][1])),
    "HEIF BT.709": (coded("HEIF", 1, 1), COLOURS),
    "AVIF BT.709": (coded("AVIF", 1, 1), COLOURS),
    "cICP P3": (png(b"cICP", bytes([12, 13, 0, 1])), right(P3)),
    "cICP linear": (png(b"cICP", bytes([1, 8, 0, 1])), right(SRGB, gamma(1))),
    "gAMA linear": (png(b"gAMA", struct.pack(">I", 100_000)), right(SRGB, gamma(1))),
    "gAMA 1/1.8": (png(b"gAMA", struct.pack(">I", 55_556)), right(SRGB, gamma(1.8))),
    "gAMA 1/2.2": (png(b"gAMA", struct.pack(">I", 45_455)), COLOURS),
}


@pytest.mark.parametrize(("data", "wanted"), CASES.values(), ids=CASES)
def test_the_right_values_within_three(data, wanted):
    for pixels in (pictures.decode(data), pictures.decode_colour(data, 0)):
        seen = pixels[[16, 16, 48, 48], [16, 48, 16, 48]].astype(int)
        assert np.abs(seen - wanted).max() <= 3, (seen.tolist(), np.asarray(wanted).tolist())


HDR = {
    f"{name} {said}": (data, said)
    for said, code in (("PQ", 16), ("HLG", 18))
    for name, data in (
        ("HEIF", coded("HEIF", 9, code)),
        ("HEIF beside sRGB", of_two(1, (1, 13), (9, code))),
        ("AVIF", coded("AVIF", 9, code)),
        ("PNG", png(b"cICP", bytes([9, code, 0, 1]))),
    )
}


@pytest.mark.parametrize(("data", "said"), HDR.values(), ids=HDR)
def test_what_eight_bits_cannot_hold_is_dropped_from_the_header(data, said):
    with pytest.raises(UnreadableError, match=f"high dynamic range: {said}"):
        pictures.header(data, 10**8)
