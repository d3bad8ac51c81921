"""Times the search for near copies among hashes, on one core.

    python benchmarks/copies.py [--hashes 1000000]

Random hashes, and hashes whose bits hang together as those of portraits do: two of them have
21 chosen bits in common a hundred times as often as chance has it.
"""

import argparse
import sys
import time
from pathlib import Path

import numpy as np

sys.path.append(str(Path(__file__).resolve().parents[1]))

from pipeline.stages.hashes import BITS, Hashes, near_pairs

SHARED = 0.7  # of a bit's number: what all bits of a hash have from a few common causes
CAUSES = 5


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--hashes", type=int, default=1_000_000)
    asked = parser.parse_args()
    rng = np.random.default_rng(0)
    for name, hashes in (
        ("random", rng.integers(0, 2**64, asked.hashes, dtype=np.uint64)),
        ("like portraits'", correlated(rng, asked.hashes)),
    ):
        distinct = np.unique(hashes)
        for bits in (2, 6):
            began = time.process_time()
            pairs = len(near_pairs(distinct, bits)[0])
            seconds = time.process_time() - began
            said = f"{len(distinct):,} hashes {name}, {bits} bits: {pairs:,} pairs"
            print(f"| {said} | {seconds:.1f} s of one core |", flush=True)


def correlated(rng: np.random.Generator, count: int) -> Hashes:
    """Hashes whose bits are signs of normal numbers with common causes."""
    weights = rng.normal(size=(CAUSES, BITS))
    weights *= np.sqrt(SHARED / (weights**2).sum(axis=0))
    parts = []
    for start in range(0, count, 50_000):
        size = min(50_000, count - start)
        own = rng.normal(size=(size, BITS)) * np.sqrt(1 - SHARED)
        bits = rng.normal(size=(size, CAUSES)) @ weights + own > 0
        parts.append(np.packbits(bits, axis=1).view(np.uint64).ravel())
    return np.concatenate(parts)


if __name__ == "__main__":
    main()
