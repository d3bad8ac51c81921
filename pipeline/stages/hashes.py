"""Perceptual hashes: pixels to bits, and all pairs of hashes that nearly agree."""

from itertools import combinations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from atelier.pictures import Pixels

Hashes = NDArray[np.uint64]
Indices = NDArray[np.int64]

BITS = 64
FINE = 16  # points a side of the hash that confirms: 256 bits
AGREE = 3  # bands that a pair shares: with 1, buckets grow with the square of what is searched
FLAT = 4.0  # levels of 255: the hash of a picture that spreads less says nothing


def difference_hash(grey: Pixels, side: int = 8) -> bytes | None:
    """dHash of HW uint8: whether each of side x side points is darker than the one to its right.

    Bits row by row, as ImageHash's `dhash` has them. None: a flat picture.
    """
    small = scaled_grey(grey, (side + 1, side))
    if small.std() < FLAT:
        return None
    return np.packbits(small[:, 1:] > small[:, :-1]).tobytes()


def frequency_hash(grey: Pixels, side: int = 8) -> bytes | None:
    """pHash of HW uint8: which of the side x side lowest frequencies are over their median.

    As ImageHash's `phash` has them. None: a flat picture.
    """
    from scipy.fft import dctn

    small = scaled_grey(grey, (4 * side, 4 * side))
    if small.std() < FLAT:
        return None
    lowest = dctn(small.astype(np.float64), norm=None)[:side, :side]
    return np.packbits(lowest > np.median(lowest)).tobytes()


def scaled_grey(grey: Pixels, size: tuple[int, int]) -> Pixels:
    return np.asarray(Image.fromarray(grey).resize(size, Image.Resampling.LANCZOS))


def near_pairs(hashes: Hashes, bits: int) -> tuple[Indices, Indices]:
    """All i < j whose hashes differ in at most `bits` of 64 bits; the hashes are distinct.

    Of `bits` + 3 bands of a hash such a pair has three in common: whoever sorts the hashes by any
    three bands has it in one bucket.
    """
    order_of_bits = np.random.default_rng(0).permutation(BITS)  # neighbours of a picture are alike
    bands = [mask_of(part) for part in np.array_split(order_of_bits, bits + AGREE)]
    found = [
        pairs_of_equal_keys(hashes, np.bitwise_or.reduce(chosen), bits)
        for chosen in combinations(bands, AGREE)
    ]
    pairs = np.unique(np.concatenate(found)) if found else np.empty(0, np.int64)
    return pairs // len(hashes), pairs % len(hashes)


def mask_of(bits: NDArray[np.int64]) -> np.uint64:
    return np.uint64(np.bitwise_or.reduce(np.uint64(1) << bits.astype(np.uint64)))


def pairs_of_equal_keys(hashes: Hashes, mask: np.uint64, bits: int) -> Indices:
    """i * n + j of all pairs in one bucket of `hashes & mask` that are near, i < j."""
    n = len(hashes)
    keys = hashes & mask
    order = np.argsort(keys)
    keys = keys[order]
    at, step = np.arange(n - 1), 1
    found = []
    while len(at := at[keys[at] == keys[at + step]]):
        one, other = order[at], order[at + step]
        near = np.bitwise_count(hashes[one] ^ hashes[other]) <= bits
        one, other = one[near], other[near]
        found.append(np.minimum(one, other) * n + np.maximum(one, other))
        step += 1
        at = at[at + step < n]
    return np.concatenate(found) if found else np.empty(0, np.int64)
