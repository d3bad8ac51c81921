import io
import os
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from atelier import pictures
from atelier.boxes import Box
from pipeline.sections import DatasetConfig
from pipeline.stages import resize
from pipeline.tasks import Resize
from tests.atelier.test_pictures import encoded, smooth
from tests.kit.store import ROOT, build, photo, save, set_options


def opened(data):
    return Image.open(io.BytesIO(data))


def psnr(a, b):
    return 10 * np.log10(255**2 / np.square(a.astype(float) - b.astype(float)).mean())


def practice(pixels, folder, size):
    """What `convert -resize`, then `convert -extent`, make of the pixels."""
    Image.fromarray(pixels).save(folder / "in.png")
    steps = [["-resize", size], ["-gravity", "center", "-background", "white", "-extent", size]]
    for name, step in zip(("in", "small"), steps, strict=True):
        out = folder / ("small.png" if name == "in" else "out.png")
        subprocess.run(["convert", str(folder / f"{name}.png"), *step, str(out)], check=True)
    return np.asarray(Image.open(folder / "out.png").convert("RGB"))


@pytest.mark.slow
@pytest.mark.parametrize("box", [Box(0, 0, 1200, 1600), Box(104, 208, 904, 1272)])
def test_a_picture_is_what_convert_makes_of_the_rectangle(tmp_path, box):
    pixels = smooth(1200, 1600)
    rng = np.random.default_rng(0)
    pixels = np.clip(pixels + rng.normal(0, 6, pixels.shape), 0, 255).astype(np.uint8)
    data = encoded(pixels, "JPEG", quality=92)
    config = DatasetConfig("256", format="png")
    ours = resize.picture(pictures.decode(data, box, config.width_height), config)
    theirs = practice(pictures.decode(data, box), tmp_path, "256x256")
    assert np.asarray(opened(ours)).shape == (256, 256, 3)
    assert psnr(np.asarray(opened(ours)), theirs) > 40


def test_padding_has_the_background_and_is_centred():
    config = DatasetConfig("64", background="#102030", format="png")
    picture = np.asarray(opened(resize.picture(np.full((80, 40, 3), 200, np.uint8), config)))
    assert picture.shape == (64, 64, 3)
    assert picture[5, 0].tolist() == [16, 32, 48]
    assert picture[5, 63].tolist() == [16, 32, 48]
    assert (picture[:, 16:48] == 200).all()
    assert (picture[:, 15] != 200).all() and (picture[:, 48] != 200).all()


@pytest.mark.parametrize(
    ("channels", "format", "mode"),
    [("rgb", "jpeg", "RGB"), ("rgb", "png", "RGB"), ("grey", "jpeg", "L"), ("grey", "png", "L"),
     ("rgba", "png", "RGBA")],
)  # fmt: skip
def test_grey_pixels_keep_the_datasets_channels(channels, format, mode):
    pixels = np.full((40, 30, 4 if channels == "rgba" else 3), 128, np.uint8)
    config = DatasetConfig("64x32", channels, format=format)
    image = opened(resize.picture(pixels, config))
    assert image.mode == mode
    assert image.size == (64, 32)


def test_a_written_picture_has_no_metadata_and_no_date():
    first = resize.picture(smooth(40, 40), DatasetConfig("32", format="png"))
    assert b"tEXt" not in first and b"tIME" not in first and b"eXIf" not in first
    jpeg = resize.picture(smooth(40, 40), DatasetConfig("32"))
    assert b"Exif" not in jpeg
    assert "exif" not in opened(jpeg).info


@pytest.mark.slow
def test_a_sideways_photo_with_gps_comes_out_upright_and_clean(store):
    exif = Image.Exif()
    exif[pictures.ORIENTATION] = 6
    exif.get_ifd(0x8825)[1] = "N"
    pixels = photo(3, [(40, 60, 24)], size=(120, 160))
    set_options(Ingest_source=store.parent / "one")
    save(store.parent / "one" / "a.png", np.rot90(pixels).copy(), exif=exif)
    assert build(Resize())
    (row,) = Resize().rows()
    assert (row.width, row.height, row.face) == (120, 160, Box(40, 60, 64, 84))
    picture = Image.open(store / row.picture)
    assert not picture.getexif()
    brightest = np.asarray(picture).min(axis=2)
    assert brightest[13, 16] > 240  # the face's place: half of the width, 0.4 of the height


def test_rgba_needs_png():
    with pytest.raises(
        ValueError, match=r"\[Dataset\] channels = 'rgba': JPEG has no transparency"
    ):
        DatasetConfig(channels="rgba")


SHRINK = """
import sys
import numpy as np
from pipeline.stages.resize import scaled
pixels = np.arange(300 * 200 * 3).reshape(300, 200, 3).astype(np.uint8)
try:
    print(scaled(pixels, (40, 60)).sum())
except ValueError as refusal:
    print(type(refusal).__name__, refusal)
"""


def shrunk_with(**environment):
    """What a process of its own makes of a picture, or says."""
    command = [sys.executable, "-c", SHRINK]
    done = subprocess.run(
        command, cwd=ROOT, env=os.environ | environment, capture_output=True, check=True
    )
    return done.stdout.decode()


@pytest.mark.slow
def test_limits_of_the_environment_change_nothing():
    """Beyond one ImageMagick ends the process, and the photo would be at fault."""
    small = {"WIDTH": "10", "HEIGHT": "10", "AREA": "1KP", "MEMORY": "1KiB", "MAP": "1KiB"}
    small |= {"DISK": "0", "TIME": "0"}
    given = {f"MAGICK_{name}_LIMIT": value for name, value in small.items()}
    assert shrunk_with(**given) == shrunk_with()


@pytest.mark.slow
def test_a_policy_that_allows_less_is_the_machines_fault(tmp_path):
    policy = '<policymap><policy domain="resource" name="width" value="100"/></policymap>'
    (tmp_path / "policy.xml").write_text(policy)
    said = shrunk_with(MAGICK_CONFIGURE_PATH=str(tmp_path))
    assert said.startswith("Failure ImageMagick's policy allows a width of 100 on this machine")
