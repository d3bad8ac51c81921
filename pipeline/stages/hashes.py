"""Perceptual hashes: pixels to bits, and all pairs of hashes that nearly agree."""

from collections.abc import Iterator, Sequence
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
CROWD = 128  # others of one bucket that a hash is compared with, in the mean of all
FEW = 2_000_000  # comparisons that are always made: among 2,000 hashes every one
PART = 1 << 16  # hashes whose bits are moved at a time
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


def pair_numbers(one: Indices, other: Indices, n: int) -> Indices:
    """i * n + j of each pair, i < j."""
    return np.minimum(one, other) * n + np.maximum(one, other)


def candidates(hashes: Hashes, bits: int, reach: int) -> Iterator[tuple[Indices, Indices]]:
    """Pairs that differ in at most `reach` of 64 bits, each once.

    All that differ in at most `bits` come, and most of those that differ in a few more: of
    `bits` + 3 bands such a pair has three in common, so whoever sorts the hashes by any three bands
    has it in one bucket. Only in a crowd, where a hash shares its bucket with more than CROWD
    others in the mean, are those compared that lie near each other in the order of `hashes`.
    """
    n = len(hashes)
    if n < 2:
        return
    width = (n - 1).bit_length()  # bits of an index
    mixed = permuted(hashes)
    bands = np.array_split(np.arange(BITS, dtype=np.uint64)[::-1], bits + AGREE)
    masks = [np.bitwise_or.reduce(np.uint64(1) << band) for band in bands]
    for chosen in combinations(range(bits + AGREE), AGREE):
        earlier = [masks[at] for at in range(chosen[-1]) if at not in chosen]
        keys = keyed(mixed, [bands[at] for at in chosen], BITS - width) << np.uint64(width)
        keys |= np.arange(n, dtype=np.uint64)
        keys.sort()  # many times faster than an argsort
        order = (keys & np.uint64((1 << width) - 1)).astype(np.int64)
        for first, second in bucket_pairs(keys >> np.uint64(width)):
            one, other = order[first], order[second]
            differ = mixed[one] ^ mixed[other]
            near = np.flatnonzero(np.bitwise_count(differ) <= reach)
            for mask in earlier:  # with another band in common it came before
                near = near[(differ[near] & mask) != 0]
            if len(near):
                yield one[near], other[near]


def permuted(hashes: Hashes) -> Hashes:
    """The hashes with their bits in an order of chance: neighbours of a picture are alike."""
    order = np.random.default_rng(0).permutation(BITS)
    made = np.empty_like(hashes)
    for start in range(0, len(hashes), PART):
        part = hashes[start : start + PART].view(np.uint8).reshape(-1, BITS // 8)
        mixed = np.packbits(np.unpackbits(part, axis=1)[:, order], axis=1)
        made[start : start + PART] = np.ascontiguousarray(mixed).view(np.uint64).ravel()
    return made


def keyed(hashes: Hashes, bands: Sequence[Hashes], room: int) -> Hashes:
    """The bits of these bands, side by side; no more than there is room for."""
    key = np.zeros_like(hashes)
    for band in bands:
        size = min(len(band), room)
        room -= size
        part = (hashes >> (band[0] - np.uint64(size - 1))) & np.uint64((1 << size) - 1)
        key = (key << np.uint64(size)) | part
    return key


def bucket_pairs(keys: Hashes) -> Iterator[tuple[Indices, Indices]]:
    """Places of equal keys among sorted ones, two by two: neighbours first, then further apart."""
    n, step, compared = len(keys), 1, 0
    at = np.flatnonzero(keys[1:] == keys[:-1])
    while len(at) and compared < max(CROWD * n, FEW):
        yield at, at + step
        compared += len(at)
        step += 1
        at = at[at < n - step]
        at = at[keys[at] == keys[at + step]]
