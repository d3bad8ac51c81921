"""Frames of clips are what a player shows: in shape and in time."""

import struct

import numpy as np
import pytest

from pipeline.photos import video
from tests.kit.clips import TABLES, box, clip, edited


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
