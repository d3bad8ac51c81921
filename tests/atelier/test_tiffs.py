"""TIFFs in every layout of the specification come out as the picture that went in."""

import io
import struct
from contextlib import suppress

import numpy as np
import pytest
from PIL import Image

from atelier import pictures

WIDTH, HEIGHT = 12, 8
SHORT, LONG = 3, 4  # types of a tag
WIDE, TALL, BITS, PACKED, MEANING, PLACE, SAMPLES, ROWS, LENGTH = (
    *(256, 257, 258, 259, 262),
    *(273, 277, 278, 279),
)
PAGE, PLANES, EXTRA, SHARED = 254, 284, 338, 530


def colours():
    pixels = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    pixels[: HEIGHT // 2, : WIDTH // 2] = (200, 40, 40)
    pixels[: HEIGHT // 2, WIDTH // 2 :] = (40, 180, 60)
    pixels[HEIGHT // 2 :, : WIDTH // 2] = (40, 60, 190)
    pixels[HEIGHT // 2 :, WIDTH // 2 :] = (250, 250, 250)
    return pixels


def grey():
    return colours()[..., 1]


def tiff(*pages, order="<"):
    """The bytes of a TIFF; a page is (strips, its further tags)."""
    data = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(f"{order}I", 8)
    for number, (strips, tags) in enumerate(pages):
        start, ends = len(data), number + 1 == len(pages)
        told = {ROWS: (SHORT, [HEIGHT]), PACKED: (SHORT, [1]), WIDE: (SHORT, [WIDTH])}
        told |= {TALL: (SHORT, [HEIGHT]), **{tag: (SHORT, list(v)) for tag, v in tags.items()}}
        told |= {PLACE: (LONG, [0] * len(strips)), LENGTH: (LONG, [*map(len, strips)])}
        behind = start + 2 + 12 * len(told) + 4
        lists = sum(len(v) * (2 if kind == SHORT else 4) for kind, v in told.values())
        at = behind + lists
        places = [at + sum(map(len, strips[:each])) for each in range(len(strips))]
        told[PLACE] = (LONG, places)
        entries, beside = b"", b""
        for tag, (kind, values) in sorted(told.items()):
            packed = struct.pack(f"{order}{len(values)}{'H' if kind == SHORT else 'I'}", *values)
            entries += struct.pack(f"{order}HHI", tag, kind, len(values))
            if len(packed) <= 4:
                entries += packed.ljust(4, b"\0")
            else:
                entries += struct.pack(f"{order}I", behind + len(beside))
                beside += packed
        beside = beside.ljust(lists, b"\0")
        following = 0 if ends else at + sum(map(len, strips))
        data += struct.pack(f"{order}H", len(told)) + entries
        data += struct.pack(f"{order}I", following) + beside + b"".join(strips)
    return data


def wide(pixels, order="<"):
    """8 bits as 16 of the same share of white."""
    return (pixels.astype(f"{order}u2") * 257).astype(f"{order}u2").tobytes()


def planes(pixels, packed):
    return [packed(np.ascontiguousarray(pixels[..., each])) for each in range(pixels.shape[2])]


def of_12_bits(pixels):
    """Two numbers of 12 bits in three bytes."""
    numbers = (pixels.astype(int) * 4095 // 255).reshape(-1, 2)
    high, low = numbers[:, 0], numbers[:, 1]
    together = np.stack([high >> 4, (high & 15) << 4 | low >> 8, low & 255], 1)
    return together.astype(np.uint8).tobytes()


def shared_colours():
    """Four samples of light, then the colours of all four."""
    coded = np.asarray(Image.fromarray(colours()).convert("YCbCr"))
    blocks = coded.reshape(HEIGHT // 2, 2, WIDTH // 2, 2, 3).transpose(0, 2, 1, 3, 4)
    light = blocks[..., 0].reshape(HEIGHT // 2, WIDTH // 2, 4)
    return np.concatenate([light, blocks[:, :, 0, 0, 1:]], 2).tobytes()


def half_clear(channels):
    """Multiplied by an opacity of 0.4, as `EXTRA` 1 says; and the opacity."""
    times = np.rint(channels.astype(float) * 102 / 255).astype(np.uint8)
    return np.dstack([times, np.full(times.shape[:2], 102, np.uint8)])


RGB16 = {BITS: [16, 16, 16], MEANING: [2], SAMPLES: [3]}
CMYK = np.dstack([255 - colours(), np.zeros((HEIGHT, WIDTH), np.uint8)])
GREY = {
    "white is 0": tiff(([(255 - grey()).tobytes()], {BITS: [8], MEANING: [0]})),
    "16 bits": tiff(([wide(grey())], {BITS: [16], MEANING: [1]})),
    "16 bits, big end": tiff(([wide(grey(), ">")], {BITS: [16], MEANING: [1]}), order=">"),
    "16 bits, white is 0": tiff(([wide(255 - grey())], {BITS: [16], MEANING: [0]})),
    "12 bits": tiff(([of_12_bits(grey())], {BITS: [12], MEANING: [1]})),
}
IN_COLOUR = {
    "16 bits": tiff(([wide(colours())], RGB16)),
    "16 bits in planes": tiff((planes(colours(), wide), {**RGB16, PLANES: [2]})),
    "16 bits in planes, big end": tiff(
        (planes(colours(), lambda part: wide(part, ">")), {**RGB16, PLANES: [2]}), order=">"
    ),
    "8 bits in planes": tiff(
        (
            planes(colours(), bytes),
            {BITS: [8, 8, 8], MEANING: [2], SAMPLES: [3], PLANES: [2]},
        )
    ),
    "16 bits of ink in planes": tiff(
        (planes(CMYK, wide), {BITS: [16] * 4, MEANING: [5], SAMPLES: [4], PLANES: [2]})
    ),
    "shared colours": tiff(
        ([shared_colours()], {BITS: [8, 8, 8], MEANING: [6], SAMPLES: [3], SHARED: [2, 2]})
    ),
    "a thumbnail first": tiff(
        ([bytes(3)], {PAGE: [1], WIDE: [1], TALL: [1], ROWS: [1], **RGB16, BITS: [8, 8, 8]}),
        ([wide(colours())], RGB16),
    ),
}
THROUGH = {
    "grey": tiff(
        ([half_clear(grey()).tobytes()], {BITS: [8, 8], MEANING: [1], SAMPLES: [2], EXTRA: [1]})
    ),
    "colours": tiff(
        ([half_clear(colours()).tobytes()], {BITS: [8] * 4, MEANING: [2], SAMPLES: [4], EXTRA: [1]})
    ),
    "colours in planes": tiff(
        (
            planes(half_clear(colours()), bytes),
            {BITS: [8] * 4, MEANING: [2], SAMPLES: [4], EXTRA: [1], PLANES: [2]},
        )
    ),
}


def far(one, other):
    return np.abs(one.astype(int) - other.astype(int)).max()


@pytest.mark.parametrize("data", GREY.values(), ids=GREY)
def test_every_layout_of_grey_is_read(data):
    pixels = pictures.decode(data)
    assert far(pixels, np.stack([grey()] * 3, 2)) <= 1
    assert np.array_equal(pictures.decode_grey(data, 0), pixels[..., 0])


@pytest.mark.parametrize("data", IN_COLOUR.values(), ids=IN_COLOUR)
def test_every_layout_of_colours_is_read(data):
    header = pictures.header(data, 1000)
    assert (header.format, header.width, header.height) == ("TIFF", WIDTH, HEIGHT)
    assert far(pictures.decode(data), colours()) <= 3
    assert far(pictures.decode_colour(data, 0), colours()) <= 3


@pytest.mark.parametrize("data", THROUGH.values(), ids=THROUGH)
def test_every_layout_of_opacity_is_read(data):
    seen = pictures.decode(data, mode="RGBA")
    assert (seen[..., 3] == 102).all()
    assert far(seen[..., 1], grey()) <= 3
    assert far(pictures.decode(data, background="white")[..., 1], 153 + grey() * 0.4) <= 3


def test_where_all_pages_are_thumbnails_the_first_counts():
    small = {PAGE: [1], BITS: [8], MEANING: [1]}
    data = tiff(([grey().tobytes()], small), ([bytes(HEIGHT * WIDTH)], small))
    assert far(pictures.decode(data)[..., 0], grey()) == 0


@pytest.mark.slow
@pytest.mark.parametrize(
    "compression", ["group4", "tiff_lzw", "tiff_adobe_deflate", "packbits", "jpeg"]
)
def test_a_broken_one_is_refused_without_a_word_on_the_screen(capfd, compression):
    file, refused = io.BytesIO(), 0
    image = Image.fromarray(np.kron(colours(), np.ones((8, 8, 1), np.uint8)))
    image.convert("1" if compression == "group4" else "RGB").save(
        file, "TIFF", compression=compression
    )
    for place in range(8, len(file.getvalue()), 7):
        for data in (bytearray(file.getvalue()), bytearray(file.getvalue()[:place])):
            data[place : place + 4] = b"\xff\x41\0\xff"[: len(data) - place]
            with suppress(pictures.UnreadableError):
                pictures.decode_grey(bytes(data), 0)
                continue
            refused += 1
    assert refused
    assert capfd.readouterr() == ("", "")
