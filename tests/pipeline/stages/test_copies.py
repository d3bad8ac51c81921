"""Near copies: the search finds what brute force finds, and groups depend on nothing but hashes."""

import random

import numpy as np
import pytest

from atelier.boxes import Box
from pipeline.rows.manifest import Measures, Row
from pipeline.stages.copies import copies
from pipeline.stages.hashes import near_pairs


def clustered(count, seed=0):
    """Hashes with families: half of them differ in a few bits from another one."""
    rng = np.random.default_rng(seed)
    fresh = rng.integers(0, 2**64, count // 2, dtype=np.uint64)
    flips = np.uint64(1) << rng.integers(0, 64, (6, count // 2), dtype=np.uint64)
    return np.unique(np.concatenate([fresh, fresh ^ np.bitwise_xor.reduce(flips)]))


@pytest.mark.parametrize("bits", [0, 1, 2, 5, 6, 8])
def test_all_near_pairs_are_found(bits):
    hashes = clustered(2000)
    apart = np.bitwise_count(hashes[:, None] ^ hashes[None])
    expected = np.argwhere(np.triu(apart <= bits, 1))
    assert np.array_equal(np.stack(near_pairs(hashes, bits), axis=1), expected)
    assert bits < 6 or len(expected) > 500


def test_hashes_that_share_their_bits_are_searched_as_well():
    hashes = np.arange(3000, dtype=np.uint64)
    apart = np.bitwise_count(hashes[:, None] ^ hashes[None])
    assert len(near_pairs(hashes, 2)[0]) == (apart <= 2).sum() // 2 - 1500


@pytest.mark.parametrize("count", [0, 1, 2])
def test_few_hashes_have_few_pairs(count):
    assert len(near_pairs(np.arange(count, dtype=np.uint64), 6)[0]) == count // 2


def row(name, flips=(), fine=0, side=100, sharpness=50.0, photo="", face=None):
    """A row whose crop's dHash has these bits set, and its fine hash `fine` bits."""
    short = sum(1 << bit for bit in flips).to_bytes(8, "little")
    long = ((1 << fine) - 1).to_bytes(32, "little")
    measures = Measures(short, long, face, face and long, sharpness, 100.0, 9.0)
    return Row(name, photo or name, rectangle=Box(0, 0, side, side), measures=measures)


def test_the_most_pixels_stay_then_the_sharpest():
    rows = [row("a", side=99), row("b"), row("c", sharpness=51.0), row("d", (1, 2, 3))]
    assert copies(rows, 2, 6) == {"a": "c", "b": "c"}
    assert copies(rows, 3, 6) == {"a": "c", "b": "c", "d": "c"}


def test_a_dropped_picture_is_directly_like_the_one_it_names():
    chain = [row(f"{n:02}", range(n), side=200 - n) for n in range(9)]
    assert copies(chain, 2, 6) == {
        "01": "00", "02": "00", "04": "03", "05": "03", "07": "06", "08": "06"
    }  # fmt: skip


def test_pictures_whose_long_hashes_differ_are_no_copies():
    assert copies([row("a"), row("b", fine=40)], 2, 6) == {"b": "a"}
    assert copies([row("a"), row("b", fine=41)], 2, 6) == {}


def test_a_face_alone_tells_a_copy_that_was_cut_anew():
    face = bytes(8)
    rows = [row("a", face=face), row("b", range(30), 100, face=bytes([63, *bytes(7)]))]
    assert copies(rows, 2, 6) == {}  # the long hashes of the faces differ
    rows[1] = row("b", range(30), 56, face=bytes([63, *bytes(7)]))
    assert copies(rows, 2, 6) == {"b": "a"}
    assert copies(rows, 2, 5) == {}


def test_portraits_from_one_photo_are_no_copies():
    rows = [row("a.f1", photo="a"), row("a.f2", photo="a"), row("b", side=90)]
    assert copies(rows, 2, 6) == {"b": "a.f1"}


def test_flat_pictures_are_like_nothing():
    flat = Measures(None, None, None, None, 0.0, 255.0, 0.0)
    rows = [Row(name, name, rectangle=Box(0, 0, 9, 9), measures=flat) for name in "abc"]
    assert copies(rows, 8, 8) == {}


def test_of_two_accepted_copies_both_stay():
    rows = [row("a"), row("b"), row("c", side=90), row("d", side=80)]
    assert copies(rows, 2, 6, {"c", "d"}) == {"a": "c", "b": "c"}


def test_groups_do_not_depend_on_the_order():
    rng = np.random.default_rng(1)
    bits = [tuple(rng.integers(0, 12, 3).tolist()) for _ in range(300)]
    rows = [row(f"{n:03}", set(b), side=100 + n % 7) for n, b in enumerate(bits)]
    found = copies(rows, 2, 6)
    assert 100 < len(found) < 300
    for seed in range(3):
        mixed = rows.copy()
        random.Random(seed).shuffle(mixed)
        assert copies(mixed, 2, 6) == found
    stay = [one for one in rows if one.id not in found]
    assert copies(stay, 2, 6) == {}
