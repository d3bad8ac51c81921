"""Frames of clips are what a player shows: in shape and in time."""

import re
import struct
from functools import partial

import numpy as np
import pytest

from pipeline.photos import video
from pipeline.rows.manifest import Row
from tests.kit.clips import TABLES, box, clip, edited, plain_clip


def ratio(wide, high):
    return box(b"pasp", struct.pack(">II", wide, high))


def shapes(path):
    return [frame.shape[:2] for _, frame in video.frames(path, 3)]


@pytest.mark.parametrize(
    ("wide", "high", "shape"),
    [
        (1, 1, (120, 160)),
        (2, 1, (60, 160)),
        (1, 2, (120, 80)),
        (64, 45, (84, 160)),
        (0, 0, (120, 160)),
        (1, 10**6, (120, 160)),
    ],
)
def test_pixels_that_are_not_square_become_so(tmp_path, wide, high, shape):
    path = clip(tmp_path / "a.mp4", ratio(wide, high))
    assert shapes(path) == [shape, shape]
    first = next(video.frames(path, 1))[1]
    assert np.abs(first[shape[0] // 2, shape[1] // 8].astype(int) - (200, 0, 0)).max() < 40


def test_a_frame_has_the_second_at_which_it_is_shown(tmp_path):
    path = clip(tmp_path / "a.mp4", frames=4)
    later = struct.pack(
        ">6I", 0, 2, 3, 1024, 1, 10 * 1024
    )  # the third frame stays ten times as long
    path.write_bytes(edited(path.read_bytes(), (*TABLES, b"stts"), lambda _: later))
    assert [second for second, _ in video.frames(path, 1)] == [0, 0.1, 0.2, 0.3]


@pytest.mark.parametrize("suffix", [".avi", ".mkv", ".mp4"])
def test_one_that_was_not_copied_whole_says_where_it_ends(tmp_path, suffix):
    path, row = plain_clip(tmp_path / f"a{suffix}", 120), Row("0", path="a")
    take = partial(video.take, row, path, 10, tmp_path / "ingest" / "0")
    assert take()[0] == "12 frames looked at"
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 3])
    said, taken = take()
    if suffix == ".mp4":  # what describes its frames is at the end
        assert (said, taken) == ("", [])
    else:
        assert re.fullmatch(r"\d frames looked at, the file's last after [34] of 12 s", said)


def test_one_that_was_cut_by_its_edit_list_is_whole(tmp_path):
    path, row = plain_clip(tmp_path / "a.mp4", 120), Row("0", path="a")
    data = edited(path.read_bytes(), (b"moov", b"mvhd"), lambda old: quarter(old, 16))
    path.write_bytes(
        edited(data, (b"moov", b"trak", b"edts", b"elst"), lambda old: quarter(old, 8))
    )
    assert video.take(row, path, 10, tmp_path / "ingest" / "0")[0] == "3 frames looked at"


def quarter(content, at):
    (length,) = struct.unpack_from(">I", content, at)
    return content[:at] + struct.pack(">I", length // 4) + content[at + 4 :]
