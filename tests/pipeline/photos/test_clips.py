"""Clips whose colours would be wrong are refused, whichever container says so."""

import struct

import pytest

from pipeline.photos import video
from pipeline.photos.clips import coding_of_clip
from tests.kit.clips import box, clip, matroska, plain_clip

LIMIT = 10**6
VIDEO = (b"\x18\x53\x80\x67", b"\x16\x54\xae\x6b", b"\xae", b"\xe0")  # segment, tracks, track


def in_mp4(path, transfer, kind=b"nclx"):
    return clip(path, box(b"colr", kind + struct.pack(">HHH", 1, transfer, 1)))


def in_matroska(path, transfer):
    said = b"\x55\xba\x81" + bytes([transfer]) + b"\x55\xbb\x81\x01"
    data = plain_clip(path).read_bytes()
    path.write_bytes(matroska(data, VIDEO, b"\x55\xb0" + bytes([0x80 + len(said)]) + said))
    return path


MADE = {".mp4": in_mp4, ".mov": in_mp4, ".mkv": in_matroska, ".webm": in_matroska}


@pytest.mark.parametrize("suffix", MADE)
@pytest.mark.parametrize(
    ("transfer", "said"),
    [(18, "high dynamic range: HLG"), (16, "high dynamic range: PQ"), (1, ""), (2, "")],
)
def test_a_clip_brighter_than_a_picture_can_be_is_refused(tmp_path, suffix, transfer, said):
    assert video.refusal(MADE[suffix](tmp_path / f"a{suffix}", transfer), LIMIT) == said


@pytest.mark.parametrize("suffix", MADE)
def test_a_clip_of_usual_colours_has_its_frames(tmp_path, suffix):
    assert len(list(video.frames(MADE[suffix](tmp_path / f"a{suffix}", 1), 3))) == 2


@pytest.mark.parametrize(("kind", "said"), [(b"nclc", "high dynamic range: HLG"), (b"prof", "")])
def test_of_the_ways_of_an_mp4_those_that_name_a_transfer_count(tmp_path, kind, said):
    assert video.refusal(in_mp4(tmp_path / "a.mp4", 18, kind), LIMIT) == said


@pytest.mark.parametrize("suffix", [*MADE, ".avi", ".mts"])
def test_a_clip_that_says_nothing_is_taken(tmp_path, suffix):
    assert coding_of_clip(plain_clip(tmp_path / f"a{suffix}")) is None


@pytest.mark.slow
@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_whatever_a_clip_says_of_itself_it_is_read(tmp_path, suffix):
    path = MADE[suffix](tmp_path / f"a{suffix}", 18)
    whole = path.read_bytes()
    said = set()
    for at in [*range(0, 1500, 7), *range(len(whole) - 1500, len(whole), 7)]:
        path.write_bytes(whole[:at])
        said |= {coding and coding.transfer for coding in [coding_of_clip(path)]}
        path.write_bytes(whole[:at] + b"\xff\0" + whole[at + 2 :])
        coding_of_clip(path)
    assert said - {2} == {None, 18}  # 2: says nothing of it


@pytest.mark.parametrize(
    "odd",
    [
        *(b"\0\0\0\1free" + b"\xff" * 8, b"\0\0\0\1free\x7f" + b"\xff" * 7),
        *(b"\0\0\0\x08free" * 20_000, b"\0\0\0\x08free" * 20_000 + b"\0\0\0\0moov"),
        *(b"", b"\0" * 40, b"\0\0\0\1moov" + b"\xff" * 8, b"\0\0\0\0moovjunk", b"RIFF" * 9),
        *(b"\x1a\x45\xdf\xa3", b"\x1a\x45\xdf\xa3" + b"\xff" * 40),
    ],
)
def test_what_is_no_clip_says_nothing(tmp_path, odd):
    (tmp_path / "odd").write_bytes(odd)
    assert coding_of_clip(tmp_path / "odd") is None
