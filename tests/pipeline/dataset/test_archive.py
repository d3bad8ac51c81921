"""The format of the zip: what any program reads, whatever its size."""

import io
import zipfile
import zlib

import numpy as np
import pytest
from PIL import Image

from pipeline.dataset import archive
from pipeline.dataset.archive import close_zip, member_bytes, member_name, write_member
from pipeline.dataset.records import HoleError

MODES = {1: "L", 3: "RGB", 4: "RGBA"}
TINY = (1, 1, 1)


def drawn(shape, seed=0):
    channels, height, width = shape
    values = np.arange(seed, seed + channels * height * width) * 37 % 251
    return values.astype(np.uint8).reshape(height, width, channels)


def written_zip(path, shape, count, more=None):
    with path.open("wb") as file:
        for place in reversed(range(count)):
            write_member(file.fileno(), place, drawn(shape, place))
    close_zip(path, count, shape, more or {})
    return zipfile.ZipFile(path)


@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("size", [(1, 1), (16, 8), (1, 65534), (1, 65535), (200, 333), (256, 256)])
def test_a_picture_is_a_png_of_a_known_length(channels, size):
    shape = (channels, *size)
    content = archive.png(drawn(shape))
    assert len(content) == archive.png_bytes(shape)
    with Image.open(io.BytesIO(content)) as image:
        image.load()  # checks every checksum
        assert image.mode == MODES[channels]
        np.testing.assert_array_equal(np.asarray(image).reshape(*size, channels), drawn(shape))


def test_names_are_those_of_dataset_tool():
    assert member_name(0) == "00000/img00000000.png"
    assert member_name(1234) == "00001/img00001234.png"
    assert member_name(99_999_999) == "99999/img99999999.png"


def test_a_zip_holds_its_pictures_in_order_as_they_are(tmp_path):
    more = {"dataset.json": b"{}"}
    with written_zip(tmp_path / "x.zip", (3, 8, 16), 5, more) as made:
        assert made.testzip() is None
        assert made.namelist() == [*map(member_name, range(5)), "dataset.json"]
        assert {each.compress_type for each in made.infolist()} == {zipfile.ZIP_STORED}
        assert {each.date_time for each in made.infolist()} == {(1980, 1, 1, 0, 0, 0)}
        assert made.read("dataset.json") == b"{}"
        for place in range(5):
            pixels = np.asarray(Image.open(io.BytesIO(made.read(member_name(place)))))
            np.testing.assert_array_equal(pixels, drawn((3, 8, 16), place))


def test_the_end_may_be_written_again_with_other_members(tmp_path):
    written_zip(tmp_path / "x.zip", TINY, 3, {"dataset.json": b"much longer than what comes"})
    close_zip(tmp_path / "x.zip", 3, TINY, {"dataset.json": b"[]"})
    written_zip(tmp_path / "y.zip", TINY, 3, {"dataset.json": b"[]"})
    assert (tmp_path / "x.zip").read_bytes() == (tmp_path / "y.zip").read_bytes()


def test_a_picture_that_is_missing_is_named(tmp_path):
    path = tmp_path / "x.zip"
    with path.open("wb") as file:
        file.truncate(4 * member_bytes(TINY))
        for place in (0, 1, 3):
            write_member(file.fileno(), place, drawn(TINY))
    with pytest.raises(HoleError, match="picture 2 is not in it"):
        close_zip(path, 4, TINY, {})


@pytest.mark.slow
def test_more_members_than_a_plain_zip_counts(tmp_path):
    with written_zip(tmp_path / "x.zip", TINY, 65_536, {"dataset.json": b"{}"}) as made:
        assert len(made.namelist()) == 65_537
        last = made.read(member_name(65_535))
    assert last == archive.png(drawn(TINY, 65_535))


@pytest.mark.parametrize("members", [65_534, 65_535])
def test_the_count_from_which_on_it_is_zip64(members):
    made = [archive.Member(b"x", 0, 0, 0)] * members
    assert (b"PK\6\6" in archive.directory(made, 0)) == (members == 65_535)


def test_a_zip_of_more_than_4_gb(tmp_path):
    path, content = tmp_path / "x.zip", b"the last"
    far = archive.Member(b"far", zlib.crc32(content), len(content), (1 << 32) + 5)
    near = archive.Member(b"near", zlib.crc32(content), len(content), 0)
    with path.open("wb") as file:  # nothing between the two takes room on the disk
        for member in (near, far):
            file.seek(member.at)
            file.write(archive.local_head(member) + content)
        file.write(archive.directory([near, far], file.tell()))
    with zipfile.ZipFile(path) as made:
        assert made.read("far") == made.read("near") == content
