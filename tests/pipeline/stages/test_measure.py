"""Measures: hashes as ImageHash has them; sharpness, light and colour of pictures one knows."""

import io
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image, ImageEnhance, ImageFilter, ImageOps

from atelier.boxes import Box
from pipeline import sample
from pipeline.rows.manifest import Row, rows_table
from pipeline.stages.copies import copies
from pipeline.stages.hashes import difference_hash, frequency_hash
from pipeline.stages.measure import looked_at, measured

FACE = Box(210, 260, 390, 440)  # of the drawn portraits at half their size
SITTERS = ("Ada", "Bruno", "Dayo")


def smooth(seed):
    coarse = np.random.default_rng(seed).integers(0, 256, (12, 12)).astype(np.uint8)
    return np.asarray(Image.fromarray(coarse).resize((300, 400), Image.Resampling.BICUBIC))


@pytest.mark.parametrize(
    ("seed", "dhash", "phash"),
    [
        (0, "0eb2a398d5e4a85f", "e16c2d56f392272a"),
        (1, "da4d1533e7d1bce9", "9a63d381c999cb65"),
        (2, "366c5e5894b46d63", "b7b52e446d4f182c"),
    ],
)
def test_hashes_are_those_of_imagehash(seed, dhash, phash):
    """Of ImageHash 4.3.2."""
    assert difference_hash(smooth(seed)).hex() == dhash
    assert frequency_hash(smooth(seed)).hex() == phash


def test_flat_pictures_have_no_hash():
    flat = np.full((50, 50), 200, np.uint8)
    assert difference_hash(flat) is None and frequency_hash(flat) is None


@pytest.fixture(scope="module")
def drawn():
    photos = [Image.open(io.BytesIO(sample.photo(f"studio/{name}.jpg"))) for name in SITTERS]
    return {name: photo.reduce(2) for name, photo in zip(SITTERS, photos, strict=True)}


def seen(name, image, face=FACE, rectangle=None, quality=90):
    """The row of a picture as it is measured from its JPEG."""
    file = io.BytesIO()
    image.save(file, "JPEG", quality=quality)
    whole = Box(0, 0, *image.size)
    row = Row(name, name, width=image.width, height=image.height, face=face)
    row = replace(row, rectangle=rectangle or whole)
    return replace(row, measures=measured(*looked_at(file.getvalue(), row)))


@pytest.mark.slow
def test_what_people_do_to_a_picture_makes_a_copy_and_another_picture_is_none(drawn):
    for name, image in drawn.items():
        half = image.resize((300, 400))
        rows = [
            seen("original", image),
            seen("low quality", image, quality=40),
            seen("half", half, Box(105, 130, 195, 220)),
            seen("dark", ImageEnhance.Brightness(image).enhance(0.75)),
            seen("grey", ImageOps.grayscale(image)),
            seen("cut anew", image, Box(211, 259, 392, 440), Box(60, 120, 520, 700)),
        ]
        others = [seen(other, drawn[other]) for other in drawn if other != name]
        found = copies(rows_table([*rows, *others]), 2, 8)
        assert set(found) | set(found.values()) == {row.id for row in rows}, name


@pytest.mark.slow
def test_a_blurred_face_is_less_sharp_whatever_its_size(drawn):
    sharp = seen("a", drawn["Ada"]).measures.sharpness
    blurred = seen("a", drawn["Ada"].filter(ImageFilter.GaussianBlur(4))).measures.sharpness
    tiny = drawn["Ada"].resize((120, 160)).resize((600, 800))
    assert blurred < sharp / 3 and seen("a", tiny).measures.sharpness < sharp / 3


def test_light_is_the_mean_of_the_face():
    pixels = np.full((400, 300, 3), 40, np.uint8)
    pixels[100:200, 100:200] = 220
    assert measured(pixels, Box(100, 100, 200, 200)).light == 220
    assert measured(pixels, Box(200, 200, 300, 300)).light == 40


def test_grey_and_sepia_have_no_colour(drawn):
    grey = ImageOps.grayscale(drawn["Ada"])
    sepia = ImageOps.colorize(grey, "#1c0f05", "#fff1d6", mid="#a07850")
    assert seen("a", drawn["Ada"]).measures.colour > 4
    assert seen("a", grey.convert("RGB")).measures.colour < 1
    assert seen("a", sepia).measures.colour < 2


@pytest.mark.slow
def test_a_large_jpeg_is_measured_nearly_the_same_from_a_scaled_decode(drawn):
    large = drawn["Bruno"].resize((2400, 3200), Image.Resampling.LANCZOS)
    face = Box(*(4 * edge for edge in FACE))
    one, other = seen("a", large, face).measures, seen("b", drawn["Bruno"]).measures
    assert one.light == pytest.approx(other.light, abs=1)
    assert one.sharpness == pytest.approx(other.sharpness, rel=0.2)
    assert one.colour == pytest.approx(other.colour, rel=0.1)
