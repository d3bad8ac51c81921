"""Times the search for near copies among very many hashes, and among those that are all alike."""

import os
import resource
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipeline.rows.manifest import Measures, Row
from pipeline.stages.copies import HASHES, alike
from pipeline.stages.filter_quality import FilterQualityConfig

Bits = NDArray[np.uint8]  # pictures x 640: crop short and long, face short and long

SIZES = (64, 256, 64, 256)
KEPT = 0.9  # of the correlation between two bits: of so few portraits some of it is chance
COPIED = 0.1  # of the pictures: copies of others of them
FLIPPED = (0.05, 0.1)  # of a copy's short and long bits
PART = 20_000


def time_searches(count: int, originals: Sequence[Row]) -> None:
    """Print the time and the memory of a search among `count` pictures, a process for each."""
    print("\n| pictures | pairs found | CPU | memory: the search of all |\n|---|---|---|---|")
    kinds = {"of chance": random_bits}
    if originals:
        kinds = {"like the portraits": like_portraits(known_bits(originals)), **kinds}
    crowds = {"all alike": near_bits, "with one short hash": equal_bits}
    for name, make in (kinds | crowds).items():
        most = count // 10 if name in crowds else count
        for size in (most // 4, most):
            sys.stdout.flush()
            if not (child := os.fork()):
                time_search(f"{size:,} {name}", make(np.random.default_rng(0), size))
                os._exit(0)
            os.waitpid(child, 0)


def time_search(name: str, bits: Bits) -> None:
    config, known = FilterQualityConfig(), measures_of(bits)
    del bits
    before = resident()
    began = time.process_time()
    hashes = {name: [getattr(each, name) for each in known] for name in HASHES}
    like = alike(hashes, config.crop_bits, config.face_bits)
    seconds = time.process_time() - began
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    added = (peak - before) / 1e6
    print(
        f"| {name} | {len(like.values):,} | {seconds:.1f} s | {added:.2f} of {peak / 1e6:.2f} GB |",
        flush=True,
    )


def resident() -> int:
    """Kilobytes of memory that this process has at the moment."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() // 1024


def measures_of(bits: Bits) -> list[Measures]:
    ends = np.cumsum(SIZES)[:-1]
    columns = [np.packbits(part, axis=1) for part in np.split(bits, ends, axis=1)]
    return [
        Measures(*(h.tobytes() for h in row), 0.0, 0.0, 0.0) for row in zip(*columns, strict=True)
    ]


def known_bits(rows: Sequence[Row]) -> Bits:
    """The hashes of measured portraits."""
    hashes = [b"".join(h or b"" for h in row.measures[:4]) for row in rows if row.measures]
    whole = [h for h in hashes if len(h) * 8 == sum(SIZES)]
    return np.unpackbits(np.frombuffer(b"".join(whole), np.uint8).reshape(len(whole), -1), axis=1)


def like_portraits(known: Bits) -> Callable[[np.random.Generator, int], Bits]:
    """Signs of normal numbers, each bit as often set, and pairs nearly as correlated, as `known`.

    A tenth are copies of the others, with bits flipped by chance.
    """
    from scipy.special import ndtri

    often = known.mean(axis=0).clip(0.02, 0.98)
    jitter = np.random.default_rng(1).normal(0, 1e-6, known.shape)
    together = np.sin(np.pi / 2 * np.corrcoef((known + jitter).T)) * KEPT
    np.fill_diagonal(together, 1)
    values, vectors = np.linalg.eigh(together)
    causes = (vectors * np.sqrt(values.clip(0))).astype(np.float32)
    causes /= np.sqrt((causes**2).sum(axis=1, keepdims=True))

    def make(rng: np.random.Generator, count: int) -> Bits:
        bits = np.empty((count, sum(SIZES)), np.uint8)
        for start in range(0, count, PART):
            part = bits[start : start + PART]
            part[:] = rng.standard_normal(part.shape, np.float32) @ causes.T > ndtri(1 - often)
        chance = np.repeat([FLIPPED[0], FLIPPED[1]] * 2, SIZES).astype(np.float32)
        for target in np.array_split(np.arange(count - int(COPIED * count), count), 50):
            source = bits[rng.integers(0, count - int(COPIED * count), len(target))]
            bits[target] = source ^ (rng.random(source.shape, np.float32) < chance)
        return bits[rng.permutation(count)]

    return make


def random_bits(rng: np.random.Generator, count: int) -> Bits:
    return np.unpackbits(rng.integers(0, 256, (count, sum(SIZES) // 8), np.uint8), axis=1)


def near_bits(rng: np.random.Generator, count: int) -> Bits:
    """One picture again and again, 3 % of its bits flipped: every pair is a pair of copies."""
    bits = np.empty((count, sum(SIZES)), np.uint8)
    for start in range(0, count, PART):
        part = bits[start : start + PART]
        part[:] = rng.random(part.shape, np.float32) < 0.03
    return bits


def equal_bits(rng: np.random.Generator, count: int) -> Bits:
    """As of scans on one ground: all short hashes equal, no long one like another."""
    bits = random_bits(rng, count)
    bits[:, : SIZES[0]] = 1
    bits[:, sum(SIZES[:2]) : sum(SIZES[:3])] = 1
    return bits
