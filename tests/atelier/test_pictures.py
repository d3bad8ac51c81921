import io
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms

from atelier import pictures
from atelier.boxes import Box
from pipeline.photos.folder import SourceChangedError, read_photo
from pipeline.rows.manifest import Item, Row
from tests.kit.store import photo

LIMIT = 10**8


def encoded(pixels, format="PNG", mode=None, **more):
    image = pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)
    file = io.BytesIO()
    (image.convert(mode) if mode else image).save(file, format, **more)
    return file.getvalue()


def turned(orientation):
    exif = Image.Exif()
    exif[pictures.ORIENTATION] = orientation
    return exif


def smooth(width, height):
    """A picture that survives JPEG: a gradient with a few soft waves."""
    y, x = np.mgrid[0:height, 0:width]
    waves = [np.sin(x / 37 + k) + np.cos(y / 53 - k) for k in range(3)]
    return np.clip(np.stack(waves, 2) * 50 + 128, 0, 255).astype(np.uint8)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_orientation_comes_out_upright(orientation):
    pixels = smooth(80, 40)
    data = encoded(pixels, "JPEG", quality=98, exif=turned(orientation))
    header = pictures.header(data, LIMIT)
    out = pictures.decode(data)
    grey = pictures.decode_grey(data, 0)
    sideways = orientation in pictures.SIDEWAYS
    assert (header.width, header.height) == ((40, 80) if sideways else (80, 40))
    assert (header.stored, header.orientation) == ((80, 40), orientation)
    assert out.shape == (header.height, header.width, 3)
    assert grey.shape == out.shape[:2]
    flips = {1: 0, 2: 1, 3: 2, 4: 1, 5: 1, 6: 3, 7: 1, 8: 1}
    if orientation in (1, 3, 6, 8):
        quarter_turns = {1: 0, 3: 2, 6: 3, 8: 1}[orientation]
        assert np.abs(out.astype(int) - np.rot90(pixels, quarter_turns)).mean() < 3
    assert orientation in flips


@pytest.mark.parametrize(
    ("mode", "format"),
    [("L", "JPEG"), ("CMYK", "JPEG"), ("P", "PNG"), ("1", "PNG"), ("LA", "PNG"), ("LAB", "TIFF")],
)
def test_every_mode_becomes_what_is_asked_for(mode, format, monkeypatch):
    value = 255 if mode in ("1", "P") else 200  # Pillow dithers other greys
    image = Image.fromarray(np.full((9, 7, 3), value, np.uint8))
    if mode == "LAB":
        srgb, lab = ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB")
        image = ImageCms.profileToProfile(image, srgb, lab, outputMode="LAB")
        data = encoded(image, format)
    else:
        data = encoded(image, format, mode)
    monkeypatch.setattr(pictures, "MANY_PIXELS", 9 * 7)
    for out, shape in (
        (pictures.decode(data), (9, 7, 3)),
        (pictures.decode(data, None, (3, 3)), (5, 4, 3)),
        (pictures.decode_colour(data, 0), (9, 7, 3)),
        (pictures.decode_grey(data, 0), (9, 7)),
        (pictures.decode_grey(data, 4), (4, 3)),
    ):
        assert out.shape == shape and out.dtype == np.uint8
        assert np.abs(out.astype(int) - value).max() <= 3


@pytest.mark.parametrize("format", ["HEIF", "AVIF", "WEBP", "TIFF", "BMP", "GIF", "MPO", "PPM"])
def test_every_format_is_read_in_colour(format):
    pixels = smooth(64, 48)
    data = encoded(pixels, format)
    header = pictures.header(data, LIMIT)
    assert (header.width, header.height) == (64, 48)
    off = np.abs(pictures.decode(data).astype(int) - pixels).mean()
    assert off < (25 if format == "GIF" else 6)


def test_of_an_animation_the_first_frame_is_taken():
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "blue")]
    data = encoded(frames[0], "GIF", save_all=True, append_images=frames[1:])
    assert pictures.decode(data)[4, 4].tolist() == [255, 0, 0]


@pytest.mark.parametrize(
    ("head", "format"),
    [
        (b"P5\n# by a camera\n4 4\n255\n", "PPM"),
        (b"P6 640 480 255\n", "PPM"),
        (b"P2 is a road", ""),
        (b"Python", ""),
        (b"BM\x46\0\0\0\0\0\0\0\x36\0\0\0", "BMP"),
        (b"BMW and others", ""),
    ],
)
def test_a_text_is_no_picture(head, format):
    assert pictures.picture_format(head) == format


@pytest.mark.parametrize("white", [15, 255, 4095, 65535])
def test_grey_of_any_depth_is_read(white):
    wide = np.array([0, white // 2, white], ">u2" if white > 255 else np.uint8)
    data = f"P5\n3 1\n{white}\n".encode() + wide.tobytes()
    seen = pictures.decode(data)[0, :, 0].astype(int)
    assert np.abs(seen - wide.astype(int) * 255 / white).max() < 1


def test_sixteen_bits_become_eight():
    wide = (np.arange(256, dtype=np.uint16) * 257).reshape(16, 16)
    out = pictures.decode(encoded(Image.fromarray(wide)))
    assert np.array_equal(out[:, :, 1].ravel(), np.arange(256))


def test_transparency_is_laid_on_the_background():
    pixels = np.zeros((4, 4, 4), np.uint8)
    pixels[:, 2:] = (10, 20, 30, 255)
    out = pictures.decode(encoded(pixels), background="#ff8000")
    assert out[0, 0].tolist() == [255, 128, 0]
    assert out[0, 3].tolist() == [10, 20, 30]
    assert pictures.decode(encoded(pixels), mode="RGBA")[0, 0, 3] == 0


def test_a_profile_is_turned_into_srgb():
    swapped = ImageCms.ImageCmsProfile(ImageCms.createProfile("XYZ")).tobytes()
    plain = smooth(32, 32)
    assert np.array_equal(pictures.decode(encoded(plain, icc_profile=b"broken")), plain)
    assert pictures.decode(encoded(plain, icc_profile=swapped)).shape == (32, 32, 3)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "empty file"),
        (b"not a picture at all", "content is no picture in a known format"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "content is no picture in a known format"),
        (b"version https://git-lfs.github.com/spec/v1", "content is a pointer of Git LFS"),
        (b"II*\0" + b"\0" * 40, "broken file, or a kind of TIFF that cannot be read"),
        (
            encoded(np.zeros((300, 300, 3), np.uint8)),
            "too many pixels: 300 x 300, the limit is 8999",
        ),
    ],
)
def test_bad_bytes_say_why(data, reason):
    with pytest.raises(pictures.UnreadableError, match=reason):
        pictures.header(data, 8999)


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "GIF"])
def test_a_truncated_file_is_refused_by_every_decode(format):
    data = encoded(photo(1), format)[:-2000]
    with pytest.raises(pictures.UnreadableError, match="broken file"):
        pictures.decode_grey(data, 64)
    with pytest.raises(pictures.UnreadableError, match="broken file"):
        pictures.decode(data)


@pytest.mark.slow
def test_a_scaled_decode_cuts_the_same_rectangle():
    pixels = smooth(1600, 1200)
    data = encoded(pixels, "JPEG", quality=97)
    box = Box(200, 400, 1000, 1000)
    small = pictures.decode(data, box, into=(200, 200))
    assert small.shape == (300, 400, 3)
    full = Image.fromarray(pictures.decode(data, box)).resize((400, 300), Image.Resampling.BOX)
    assert np.abs(small.astype(int) - np.asarray(full)).mean() < 1
    odd = box._replace(left=201)
    assert pictures.decode(data, odd, into=(200, 200)).shape == (600, 799, 3)


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "LA", "P", "I;16", "1"])
@pytest.mark.parametrize("orientation", [1, 6])
def test_pieces_give_what_the_whole_gives(mode, orientation, monkeypatch):
    wide = Image.fromarray(smooth(160, 96)[..., 0].astype(np.uint16) * 257)
    image = wide if mode == "I;16" else Image.fromarray(smooth(160, 96)).convert(mode)
    data = encoded(image, "PNG", exif=turned(orientation))
    box = Box(3, 5, 80, 77)

    def made():
        return [
            pictures.decode(data),
            pictures.decode(data, box),
            pictures.decode_grey(data, 0),
            pictures.decode_colour(data, 0),
        ]

    before = made()
    monkeypatch.setattr(pictures, "PIECE", 1000)
    monkeypatch.setattr(pictures, "MANY_PIXELS", 1)  # as if it had very many
    assert all(map(np.array_equal, before, made()))
    small = pictures.decode(data, None, (8, 8))
    assert max(small.shape) == 20
    middle = [np.asarray(pixels, float).mean() for pixels in (small, before[0])]
    assert abs(middle[0] - middle[1]) < 2


@pytest.mark.parametrize(
    ("least", "most", "fits"), [(0, 65535, True), (0, 65536, False), (-1, 9, False)]
)
def test_pixels_of_32_bits_are_no_photo_where_16_do_not_hold_them(least, most, fits):
    wide = np.linspace(least, most, 64).astype(np.int32).reshape(8, 8)
    data = encoded(Image.fromarray(wide), "TIFF")
    if fits:
        assert (pictures.decode(data).min(), pictures.decode(data).max()) == (0, 255)
        return
    for decode in (pictures.decode, lambda data: pictures.decode_grey(data, 0)):
        with pytest.raises(pictures.UnreadableError, match="32-bit pixels: nothing says which"):
            decode(data)


def test_a_file_that_changed_or_vanished_is_no_drop(tmp_path):
    path = tmp_path / "a.jpg"
    path.write_bytes(b"12345")
    seen = os.stat(path)
    item = Item("k", Row("a"), path, seen.st_size, seen.st_mtime_ns)
    assert read_photo(item) == b"12345"
    path.write_bytes(b"123456")
    with pytest.raises(SourceChangedError, match=r"a\.jpg changed while this ran"):
        read_photo(item)
    path.unlink()
    with pytest.raises(SourceChangedError, match=r"a\.jpg vanished while this ran"):
        read_photo(item)


@pytest.mark.slow
@pytest.mark.real_data
def test_odd_files_are_kept_or_dropped_with_a_reason(test_data):
    """Each file in one process with 2 GB of address space beyond what Python itself takes."""
    script = """
import resource, sys
from pathlib import Path
from atelier import pictures as images
resource.setrlimit(resource.RLIMIT_AS, (3 << 30, 3 << 30))
kept = dropped = 0
for path in sorted(Path(sys.argv[1]).rglob("*")):
    if path.is_file():
        data = path.read_bytes()
        try:
            header = images.header(data, 200_000_000)
            pixels = images.decode(data)
            assert pixels.shape == (header.height, header.width, 3), (path, pixels.shape, header)
            assert images.decode_grey(data, 640).ndim == 2
            kept += 1
        except images.UnreadableError as reason:
            assert str(reason)
            dropped += 1
status = Path("/proc/self/status").read_text()  # getrusage may tell the parent's peak
peak = int(status.split("VmHWM:")[1].split()[0]) // 1024
print(kept, dropped, peak)
"""
    root = Path(__file__).parents[2]
    command = [sys.executable, "-c", script, str(test_data / "odd")]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-2000:]
    kept, dropped, peak = map(int, done.stdout.split())
    assert kept + dropped == 263
    assert kept > 150
    assert peak < 2048


DRAW = """
import sys
from PIL import Image
Image.MAX_IMAGE_PIXELS = None
name, mode, side, path = sys.argv[1:]
exif = Image.Exif()
exif[0x0112] = 6
more = {"TIFF": {"compression": "tiff_lzw", "tiffinfo": {0x0112: 6}}, "PNG": {"compress_level": 1}}
Image.new(mode, (int(side), int(side) - 1), 99).save(path, name, **more.get(name, {}), exif=exif)
"""
LOOK = """
import sys
from pathlib import Path
from atelier import pictures
from atelier.boxes import Box
data, side = Path(sys.argv[1]).read_bytes(), int(sys.argv[2])
assert pictures.header(data, 200_000_000)[1:3] == (side - 1, side)
assert pictures.decode_grey(data, 640).shape == (640, 640)
assert pictures.decode(data, Box(1, 1, 2001, 2001)).shape == (2000, 2000, 3)
assert pictures.decode(data).shape == (side, side - 1, 3)
status = Path("/proc/self/status").read_text()
print(int(status.split("VmHWM:")[1].split()[0]) // 1024)
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "mode", "most"),
    [("PNG", "RGBA", 560), ("JPEG", "RGB", 540), ("PNG", "I;16", 540), ("TIFF", "RGB", 540)],
)
def test_very_many_pixels_cost_bounded_memory(name, mode, most, tmp_path):
    """In megabytes, of 54 megapixels; one more takes 6.5 of the dearest: 196 stay under 1,500."""
    side = 7350  # just over MANY_PIXELS
    root, path = Path(__file__).parents[2], tmp_path / "large"
    subprocess.run([sys.executable, "-c", DRAW, name, mode, str(side), str(path)], check=True)
    line = [sys.executable, "-c", LOOK, str(path), str(side)]
    done = subprocess.run(line, cwd=root, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-2000:]
    print(done.stdout)
    assert int(done.stdout) < most
