"""Frames of clips are what a player shows: in shape, in time, in colour."""

import struct

import cv2
import numpy as np
import pytest

from atelier.containers import coding_of_movie
from pipeline.photos import video

WIDTH, HEIGHT, RATE, LIMIT = 160, 120, 10, 10**6
TABLES = (b"moov", b"trak", b"mdia", b"minf", b"stbl")
HEADS = {b"stsd": 8, b"mp4v": 78}  # bytes before the boxes within


def clip(path, *boxes, frames=6):
    """An MP4 whose description of its pictures ends with these boxes."""
    made = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), RATE, (WIDTH, HEIGHT))
    for number in range(frames):
        picture = np.full((HEIGHT, WIDTH, 3), 40 * number, np.uint8)
        picture[:, : WIDTH // 4] = (0, 0, 200)
        made.write(picture)
    made.release()
    more = b"".join(boxes)
    path.write_bytes(edited(path.read_bytes(), (*TABLES, b"stsd", b"mp4v"), lambda c: c + more))
    return path


def box(kind, content):
    return struct.pack(">I4s", 8 + len(content), kind) + content


def edited(data, path, edit):
    """A file with the content of the box at this path edited; what contains it changes its size."""
    done, at = b"", 0
    while at < len(data):
        size, kind = struct.unpack_from(">I4s", data, at)
        content, skip = data[at + 8 : at + size], HEADS.get(kind, 0)
        if path == (kind,):
            content = edit(content)
        elif path[:1] == (kind,):
            content = content[:skip] + edited(content[skip:], path[1:], edit)
        done += box(kind, content)
        at += size
    return done


def ratio(wide, high):
    return box(b"pasp", struct.pack(">II", wide, high))


def colours(kind, primaries, transfer):
    return box(b"colr", kind + struct.pack(">HHH", primaries, transfer, 9))


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


@pytest.mark.parametrize(
    ("kind", "transfer", "said"),
    [
        (b"nclx", 18, "high dynamic range: HLG"),
        (b"nclc", 18, "high dynamic range: HLG"),
        (b"nclx", 16, "high dynamic range: PQ"),
        (b"nclx", 1, ""),
        (b"prof", 18, ""),
    ],
)
def test_a_clip_brighter_than_a_picture_can_be_is_refused(tmp_path, kind, transfer, said):
    assert video.refusal(clip(tmp_path / "a.mp4", colours(kind, 9, transfer)), LIMIT) == said


def test_whatever_a_movie_says_of_itself_it_is_read(tmp_path):
    whole = video.movie_box(clip(tmp_path / "a.mp4", colours(b"nclx", 9, 18)))
    for end in range(0, len(whole), 3):
        coding_of_movie(whole[:end])
    for odd in (b"", b"\0" * 40, b"\0\0\0\1moov" + b"\xff" * 8, b"\0\0\0\0moovjunk", b"RIFF" * 9):
        (tmp_path / "odd.mp4").write_bytes(odd)
        assert coding_of_movie(video.movie_box(tmp_path / "odd.mp4")) is None


def test_a_frame_has_the_second_at_which_it_is_shown(tmp_path):
    path = clip(tmp_path / "a.mp4", frames=4)
    later = struct.pack(
        ">6I", 0, 2, 3, 1024, 1, 10 * 1024
    )  # the third frame stays ten times as long
    path.write_bytes(edited(path.read_bytes(), (*TABLES, b"stts"), lambda _: later))
    assert [second for second, _ in video.frames(path, 1)] == [0, 0.1, 0.2, 0.3]
