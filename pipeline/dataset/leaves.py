"""Into which files pictures are cut, by their ids alone: equal ids, equal files, whoever asks.

Ids are digests, so they fall evenly into the leaves of a trie over their bits. A leaf is cut in two
by itself, when one more would be too many: what grows touches the leaves that it falls into.
"""

import numpy as np

from pipeline.rows.columns import DIGITS, Numbers

BITS = 4 * DIGITS  # of an id that are looked at
MOST = 32  # pictures of a leaf, down to DEPTH
DEPTH = 10  # below it a leaf may hold twice as many with every bit, so that files stay few


def most(depth: int) -> int:
    """How many pictures a leaf may hold at this depth; the deepest hold any number.

    So 32,000 pictures are a thousand files, and four times as many are twice as many files.
    """
    return MOST << max(depth - DEPTH, 0)


def leaf_sizes(numbers: Numbers, depth: int = 0, low: int = 0) -> list[int]:
    """How many of these sorted numbers of BITS bits lie in each leaf that is not empty."""
    if not len(numbers):
        return []
    if len(numbers) <= most(depth) or depth == BITS:
        return [len(numbers)]
    middle = low + (1 << (BITS - depth - 1))
    at = int(np.searchsorted(numbers, middle))
    return leaf_sizes(numbers[:at], depth + 1, low) + leaf_sizes(numbers[at:], depth + 1, middle)


def largest(count: int) -> int:
    """About how many pictures the leaves of so many hold at most."""
    depth = 0
    while count >> depth > most(depth):
        depth += 1
    return most(depth)


def evenly(count: int) -> Numbers:
    """Numbers for pictures that have no ids: each file gets neighbours, in their order."""
    return np.arange(count, dtype=np.int64) * (1 << BITS) // max(count, 1)
