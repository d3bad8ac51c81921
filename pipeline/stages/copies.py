"""Which portraits are nearly the same picture, and which of them stays. Hashes in; no pixels."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from pipeline.rows import columns
from pipeline.stages.hashes import BITS, CROWD, FEW, FINE, Hashes, Indices, candidates, pair_numbers

if TYPE_CHECKING:
    import pyarrow as pa

HASHES = ("crop_hash", "crop_fine", "face_hash", "face_fine")  # of Measures
Distances = NDArray[np.int64]

# Of the 256 bits of a long hash, how many may differ in two copies: of the face's alone, of the
# crop's where the faces are not plainly others, of both together. benchmarks/copies.py says what
# that finds; in pairs of different portraits, copied in 22 ways, the least were 62, 63 and 147
# among 3.2 million of the tuning half, and 60, 51 and 139 among 5.0 million held back.
SAME_FACE, SAME_CROP, SAME_BOTH = 58, 54, 136
OTHER_FACE = 96  # of others' faces 1 in 48 differs in so few; 119 is the mean
REACH = 4  # bits beyond those asked for in which a candidate's short hash may differ
MOST_PAIRS = 15_000_000  # that a search remembers; more are only where very many are alike
GREY = 2.0  # levels of colour: grey, sepia and duotone have less


def copies(
    table: "pa.Table", crop_bits: int, face_bits: int, accepted: Collection[str] = ()
) -> dict[str, str]:
    """The id of each row that repeats another -> the id of the one that stays.

    From the columns id, photo, rectangle and measures. The best picture stays and takes all that
    are directly like it; then the best of the rest. So no two that stay are alike, and a chain of
    pictures that drift apart is not one group. Photos in `accepted` always stay. Portraits from one
    photo are no copies of each other.
    """
    ranked = table.take(best_first(table, accepted))
    hashes = {name: hashes_of(ranked, name) for name in HASHES}
    names, photos = columns.ids(ranked), columns.ids(ranked, "photo")
    like = alike(hashes, crop_bits, face_bits)
    found: dict[str, str] = {}
    for number, name in enumerate(names):
        if name in found:
            continue
        for other in like(number).tolist():
            if photos[other] != photos[number] and photos[other] not in accepted:
                found.setdefault(names[other], name)
    return found


def best_first(table: "pa.Table", accepted: Collection[str]) -> "pa.Array":
    """The numbers of the rows, the best first.

    Accepted photos, then the most pixels, then those in colour, then the sharpest face.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    width, height = columns.spans(columns.boxes(table, "rectangle")[0])
    stays = pc.is_in(table.column("photo"), pa.array(list(accepted), pa.string()))
    ranks = {
        "open": pc.cast(pc.invert(stays), "int8"),
        "pixels": -width * height,
        "grey": (columns.floats(table, "measures", "colour") < GREY).astype(np.int8),
        "sharpness": -columns.floats(table, "measures", "sharpness"),
        "id": table.column("id"),
    }
    return pc.sort_indices(pa.table(ranks), [(name, "ascending") for name in ranks])


def hashes_of(table: "pa.Table", name: str) -> list[bytes | None]:
    """A kind of hash of all rows; None where a picture is flat."""
    import pyarrow.compute as pc

    found: list[bytes | None] = pc.struct_field(table.column("measures"), name).to_pylist()
    return found


def alike(
    hashes: Mapping[str, Sequence[bytes | None]], crop_bits: int, face_bits: int
) -> "Grouped":
    """The number of each picture -> the higher numbers of those that look like it.

    `hashes` are those of HASHES, by name. Short ones propose, long ones decide: 64 bits alone take
    strangers for copies.
    """
    n = len(hashes["crop_hash"])
    crops, faces = Long(hashes["crop_fine"]), Long(hashes["face_fine"])

    def search(short: Sequence[bytes | None], long: Long, bits: int) -> Indices:
        found, room = [np.empty(0, np.int64)], min(MOST_PAIRS, max(CROWD * n, FEW))
        for one, other in proposed(short, long, bits):
            same = are_copies(crops.apart(one, other), faces.apart(one, other))
            found.append(pair_numbers(one[same], other[same], n))
            if (room := room - len(found[-1])) < 0:
                break
        return np.concatenate(found)

    by_crop = hashes["crop_hash"], crops, crop_bits
    by_face = hashes["face_hash"], faces, face_bits
    with ThreadPoolExecutor(2) as both:  # NumPy sorts and compares without Python's lock
        pairs = np.concatenate([*both.map(search, *zip(by_crop, by_face, strict=True))])
    pairs.sort()  # np.unique takes several times as long
    pairs = pairs[np.diff(pairs, prepend=-1) != 0]
    return Grouped(pairs // max(n, 1), pairs % max(n, 1), n)


def are_copies(crops: Distances, faces: Distances) -> NDArray[np.bool_]:
    """Whether pairs that differ in so many bits of their long hashes (-1: unknown) are copies."""
    by_face = (faces >= 0) & (faces <= SAME_FACE)
    by_crop = (crops >= 0) & (crops <= SAME_CROP)
    by_both = (faces >= 0) & (crops >= 0) & (faces + crops <= SAME_BOTH)
    return by_face | ((by_crop | by_both) & (faces <= OTHER_FACE))


def proposed(
    hashes: Sequence[bytes | None], long: "Long", bits: int
) -> Iterator[tuple[Indices, Indices]]:
    """Numbers of pictures whose short hashes are near; those without one are like none."""
    numbers = np.array([i for i, short in enumerate(hashes) if short], np.int64)
    # In a crowd those are compared that are neighbours: let those be alike.
    numbers = numbers[np.argsort(long.bits[numbers, 0], kind="stable")]
    short = words([hashes[i] for i in numbers.tolist()])
    for one, other in candidates(short, bits, bits + REACH):
        yield numbers[one], numbers[other]


class Long:
    """Long hashes, and in how many bits two of them differ."""

    def __init__(self, hashes: Sequence[bytes | None]) -> None:
        empty = bytes(FINE**2 // 8)
        self.known = np.array([known is not None for known in hashes], bool)
        self.bits = words([known or empty for known in hashes]).reshape(-1, FINE**2 // BITS)

    def apart(self, one: Indices, other: Indices) -> Distances:
        """In how many bits these pairs differ; -1 where one has no hash."""
        differ = np.bitwise_count(self.bits[one] ^ self.bits[other]).sum(axis=1, dtype=np.int64)
        return np.where(self.known[one] & self.known[other], differ, -1)


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
