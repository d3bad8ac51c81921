"""Which portraits are nearly the same picture, and which of them stays. Hashes in; no pixels."""

from collections.abc import Collection, Sequence

import numpy as np

from pipeline.rows.manifest import Measures, Row
from pipeline.stages.hashes import BITS, FINE, Hashes, Indices, near_pairs

# Of the 256 bits of the fine hashes, how many may differ in two copies. Re-encoded, scaled and
# lighter portraits differ in up to 28 and 24 (97 in 100), newly cut ones in up to 54 of the face;
# of 530,000 pairs of others none is near by a short hash, and within 8 bits none under 65 and 80.
SAME_CROP, SAME_FACE = 40, 56
GREY = 2.0  # levels of colour: grey, sepia and duotone have less


def copies(
    rows: Sequence[Row], crop_bits: int, face_bits: int, accepted: Collection[str] = ()
) -> dict[str, str]:
    """The id of each row that repeats another -> the id of the one that stays.

    The best picture stays and takes all that are directly like it; then the best of the rest. So
    no two that stay are alike, and a chain of pictures that drift apart is not one group. Photos
    in `accepted` always stay. Portraits from one photo are no copies of each other.
    """
    ranked = sorted(rows, key=lambda row: (row.photo not in accepted, rank(row), row.id))
    looks = [
        Alike([known(row)[:2] for row in ranked], crop_bits, SAME_CROP),
        Alike([known(row)[2:4] for row in ranked], face_bits, SAME_FACE),
    ]
    found: dict[str, str] = {}
    for number, row in enumerate(ranked):
        if row.id in found:
            continue
        for other in (ranked[at] for alike in looks for at in alike(number) if at > number):
            if other.photo != row.photo and other.photo not in accepted:
                found.setdefault(other.id, row.id)
    return found


def known(row: Row) -> Measures:
    """The measures of a row that Measure kept."""
    assert row.measures is not None
    return row.measures


def rank(row: Row) -> tuple[int, bool, float]:
    """The most pixels come first, then those in colour, then the sharpest face."""
    assert row.rectangle is not None
    pixels = row.rectangle.width * row.rectangle.height
    return -pixels, known(row).colour < GREY, -known(row).sharpness


class Alike:
    """Says which pictures look like one of them: near by a short hash, and by a long one."""

    def __init__(
        self, hashes: Sequence[tuple[bytes | None, bytes | None]], bits: int, most: int
    ) -> None:
        """`bits` of 64 and `most` of 256 may differ; a picture without hashes is like none."""
        self.most = most
        self.numbers = np.array([i for i, (short, _) in enumerate(hashes) if short], np.int64)
        self.place = {number: at for at, number in enumerate(self.numbers.tolist())}
        self.fine = words([hashes[i][1] for i in self.numbers]).reshape(-1, FINE**2 // BITS)
        values, self.value_of = np.unique(
            words([hashes[i][0] for i in self.numbers]), return_inverse=True
        )
        self.members = Grouped(self.value_of, np.arange(len(self.numbers)), len(values))
        one, other = near_pairs(values, bits)
        ends = np.concatenate([one, other]), np.concatenate([other, one])
        self.near = Grouped(*ends, len(values))

    def __call__(self, number: int) -> list[int]:
        """The numbers of the pictures that look like picture `number`, itself among them."""
        if number not in self.place:
            return []
        at = self.place[number]
        value = int(self.value_of[at])
        near = [value, *self.near(value)]
        if len(near) == 1 and len(self.members(value)) == 1:
            return [number]
        found = np.concatenate([self.members(each) for each in near])
        apart = np.bitwise_count(self.fine[found] ^ self.fine[at]).sum(axis=1)
        return [int(i) for i in self.numbers[found[apart <= self.most]]]


class Grouped:
    """Values by their group, 0 to count - 1."""

    def __init__(self, groups: Indices, values: Indices, count: int) -> None:
        self.values = values[np.argsort(groups, kind="stable")]
        self.ends = np.concatenate([[0], np.cumsum(np.bincount(groups, minlength=count))])

    def __call__(self, group: int) -> Indices:
        return self.values[self.ends[group] : self.ends[group + 1]]


def words(hashes: Sequence[bytes | None]) -> Hashes:
    """Bits as whole numbers of 64."""
    return np.frombuffer(b"".join(filter(None, hashes)), np.uint64)
