"""Near copies: the search finds what brute force finds, and groups depend on nothing but hashes."""

import random

import numpy as np
import pytest

from atelier.boxes import Box
from pipeline.rows.manifest import Measures, Row, rows_table
from pipeline.stages.copies import OTHER_FACE, SAME_BOTH, SAME_CROP, SAME_FACE, copies
from pipeline.stages.hashes import candidates, pair_numbers


def clustered(count, seed=0):
    """Hashes with families: half of them differ in a few bits from another one."""
    rng = np.random.default_rng(seed)
    fresh = rng.integers(0, 2**64, count // 2, dtype=np.uint64)
    flips = np.uint64(1) << rng.integers(0, 64, (6, count // 2), dtype=np.uint64)
    return np.unique(np.concatenate([fresh, fresh ^ np.bitwise_xor.reduce(flips)]))


def near_pairs(hashes, bits):
    """All i < j, in order, whose hashes differ in at most `bits` of 64 bits, as they are found."""
    n = len(hashes)
    found = [pair_numbers(*pair, n) for pair in candidates(hashes, bits, bits)]
    pairs = np.sort(np.concatenate(found)) if found else np.empty(0, np.int64)
    return pairs // max(n, 1), pairs % max(n, 1)


@pytest.mark.parametrize("bits", [0, 1, 2, 5, 6, 8])
def test_all_near_pairs_are_found(bits):
    hashes = clustered(2000)
    apart = np.bitwise_count(hashes[:, None] ^ hashes[None])
    expected = np.argwhere(np.triu(apart <= bits, 1))
    assert np.array_equal(np.stack(near_pairs(hashes, bits), axis=1), expected)
    assert bits < 6 or len(expected) > 500


@pytest.mark.slow
def test_hashes_that_share_their_bits_are_searched_as_well():
    hashes = np.arange(3000, dtype=np.uint64)
    apart = np.bitwise_count(hashes[:, None] ^ hashes[None])
    assert len(near_pairs(hashes, 2)[0]) == (apart <= 2).sum() // 2 - 1500


@pytest.mark.parametrize("count", [0, 1, 2])
def test_few_hashes_have_few_pairs(count):
    assert len(near_pairs(np.arange(count, dtype=np.uint64), 6)[0]) == count // 2


def ones(count, size):
    return ((1 << count) - 1).to_bytes(size, "little")


def row(name, flips=(), fine=0, side=100, sharpness=50.0, photo="", face=None, face_fine=0):
    """A row whose crop's dHash has these bits set, and its fine hash `fine` bits.

    The hashes of the face have as many set as `face` and `face_fine` say; None: it has none.
    """
    short = sum(1 << bit for bit in flips).to_bytes(8, "little")
    faces = (None, None) if face is None else (ones(face, 8), ones(face_fine, 32))
    measures = Measures(short, ones(fine, 32), *faces, sharpness, 100.0, 9.0)
    return Row(name, photo or name, rectangle=Box(0, 0, side, side), measures=measures)


def test_the_most_pixels_stay_then_the_sharpest():
    rows = [row("a", side=99), row("b"), row("c", sharpness=51.0), row("d", range(9))]
    assert copies(rows_table(rows), 2, 6) == {"a": "c", "b": "c"}
    assert copies(rows_table(rows), 9, 6) == {"a": "c", "b": "c", "d": "c"}


def test_a_dropped_picture_is_directly_like_the_one_it_names():
    drifting = [row(f"{n:02}", fine=20 * n, side=200 - n) for n in range(9)]
    assert copies(rows_table(drifting), 2, 6) == {
        "01": "00", "02": "00", "04": "03", "05": "03", "07": "06", "08": "06"
    }  # fmt: skip


@pytest.mark.parametrize(
    ("crop", "face", "same"),
    [
        (SAME_CROP, None, True),
        (SAME_CROP + 1, None, False),
        (SAME_CROP, OTHER_FACE, True),
        (SAME_CROP, OTHER_FACE + 1, False),  # as of two portraits in one frame
        (256, SAME_FACE, True),
        (256, SAME_FACE + 1, False),
        (SAME_BOTH - SAME_FACE - 1, SAME_FACE + 1, True),
        (SAME_BOTH - SAME_FACE, SAME_FACE + 1, False),
    ],
)
def test_long_hashes_decide(crop, face, same):
    known = {"face": 0} if face is not None else {}
    rows = [row("a", **known), row("b", fine=crop, face_fine=face or 0, **known)]
    assert bool(copies(rows_table(rows), 2, 6)) == same


def test_a_face_alone_proposes_a_copy_that_was_cut_anew():
    for face, found in ((6, True), (30, False)):
        rows = [row("a", face=0), row("b", range(30), 200, face=face)]
        assert bool(copies(rows_table(rows), 6, 6)) == found


def test_most_of_those_a_few_bits_further_are_proposed():
    """Each pair by itself: 2,000 pairs that differ in 8 of 64 bits."""
    rng = np.random.default_rng(3)
    hashes = rng.integers(0, 2**64, 4000, dtype=np.uint64)
    for at in range(2000):
        flips = rng.choice(64, 8, replace=False).astype(np.uint64)
        hashes[2000 + at] = hashes[at] ^ np.bitwise_or.reduce(np.uint64(1) << flips)
    found = [
        pair for one, other in candidates(hashes, 6, 10) for pair in zip(one, other, strict=True)
    ]
    assert len(found) == len({tuple(sorted(pair)) for pair in found})  # each once
    assert 0.8 < sum(abs(one - other) == 2000 for one, other in found) / 2000 < 1


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["equal", "near"])
def test_a_crowd_is_searched_in_linear_time_and_memory(kind):
    """Of pictures that are all alike not all pairs are told; of each some are."""
    rng = np.random.default_rng(0)
    told = []
    for count in (16_000, 32_000):
        hashes = np.zeros(count, np.uint64)
        if kind == "near":
            hashes = np.uint64(1) << rng.integers(0, 12, count).astype(np.uint64)
        pairs = [len(one) for one, _ in candidates(hashes, 0, 4)]
        told.append(sum(pairs) / count)
        assert max(pairs) <= count
    assert told[1] < 1.1 * told[0]


@pytest.mark.slow
def test_a_crowd_of_copies_leaves_few():
    rows = [row(f"{n:05}", fine=n % 8) for n in range(9000)]
    found = copies(rows_table(rows), 0, 0)
    assert len(found) > 8900
    assert set(found.values()).isdisjoint(found)


def test_portraits_from_one_photo_are_no_copies():
    rows = [row("a.f1", photo="a"), row("a.f2", photo="a"), row("b", side=90)]
    assert copies(rows_table(rows), 2, 6) == {"b": "a.f1"}


def test_flat_pictures_are_like_nothing():
    flat = Measures(None, None, None, None, 0.0, 255.0, 0.0)
    rows = [Row(name, name, rectangle=Box(0, 0, 9, 9), measures=flat) for name in "abc"]
    assert copies(rows_table(rows), 8, 8) == {}


def test_of_two_accepted_copies_both_stay():
    rows = [row("a"), row("b"), row("c", side=90), row("d", side=80)]
    assert copies(rows_table(rows), 2, 6, {"c", "d"}) == {"a": "c", "b": "c"}


@pytest.mark.slow
def test_groups_do_not_depend_on_the_order():
    rng = np.random.default_rng(1)
    bits = [tuple(rng.integers(0, 12, 3).tolist()) for _ in range(300)]
    rows = [row(f"{n:03}", set(b), side=100 + n % 7) for n, b in enumerate(bits)]
    found = copies(rows_table(rows), 2, 6)
    assert 100 < len(found) < 300
    for seed in range(3):
        mixed = rows.copy()
        random.Random(seed).shuffle(mixed)
        assert copies(rows_table(mixed), 2, 6) == found
    stay = [one for one in rows if one.id not in found]
    assert copies(rows_table(stay), 2, 6) == {}
