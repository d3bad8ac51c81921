"""TFRecords of equally large images, in one file as NVlabs' or in many, their labels beside."""

import hashlib
import os
import re
import resource
import struct
import weakref
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import google_crc32c
import numpy as np
from numpy.typing import NDArray

from atelier.arrays import load_array
from atelier.files import json_of
from atelier.listing import with_suffix
from atelier.pictures import bytes_digest
from training.sources.example import picture_in
from training.sources.labels import parsed_json, unseen_classes
from training.sources.pictures import decoded_picture
from training.sources.source import DataError, Pixels, Size, in_words
from training.sources.stores import FILE

LEVEL = re.compile(r"-r(\d\d)(-(\d{5,})-of-(\d{5,}))?\.tfrecords$", re.IGNORECASE)
OTHER_FILES = 512  # that a process has open at once, besides those of a dataset
# Beside a dataset of the pipeline, hidden from readers: digests of what has none itself.
LISTED = ".checksums.json"
AGAIN = "write the dataset again (of a store: python -m pipeline verify --repair)"
Listed = Mapping[str, Mapping[str, Any]]
LEVELS = np.arange(256)
# The colour whose product with an opacity is nearest to a level: [opacity, level].
STRAIGHT = np.minimum(
    (LEVELS * 255 + LEVELS[:, None] // 2) // np.maximum(LEVELS[:, None], 1), 255
).astype(np.uint8)
STRAIGHT[0] = 0
PACKED = {b"\x1f\x8b": "gzip", b"x\x01": "zlib", b"x\x9c": "zlib", b"x\xda": "zlib"}


def record_files(path: Path) -> list[Path]:
    """The files of the largest level of a folder's dataset, or of the one that a file belongs to.

    Empty where there are no records. Raises DataError where there are several datasets, or a file
    is missing.
    """
    if path.is_file():
        beside = with_suffix(path.parent, ".tfrecords") if part_count(path) else [path]
        own = [file for file in beside if same_dataset(file, path)]
        return whole_level(own)
    files = with_suffix(path, ".tfrecords")
    files = [file for file in files if not file.name.startswith("validation-")]
    if len(prefixes := {prefix(file) for file in files}) > 1:
        raise DataError(
            f"{path} holds {len(prefixes)} datasets, {' and '.join(sorted(prefixes))}: name one"
            f" of their files, as {max(files, key=level)}, or give each a folder of its own"
        )
    largest = max(map(level, files), default=-1)
    return whole_level([file for file in files if level(file) == largest])


def same_dataset(one: Path, other: Path) -> bool:
    """Whether two files are parts of the same level of a dataset."""
    return (prefix(one), level(one), part_count(one)) == (
        prefix(other),
        level(other),
        part_count(other),
    )


def whole_level(files: list[Path]) -> list[Path]:
    """The parts of a level in their order; raises DataError where one is missing."""
    if not files or not (count := part_count(files[0])):
        return files[:1]
    if len(files) != count or {part_count(file) for file in files} != {count}:
        raise DataError(
            f"{files[0].parent} holds {len(files)} files of {prefix(files[0])}, whose names say"
            f" {count}: bring in those that are missing, or write the dataset again"
        )
    return files


def prefix(path: Path) -> str:
    """The name of a dataset, from that of one of its files."""
    found = LEVEL.search(path.name)
    return path.name[: found.start()] if found else path.stem


def level(path: Path) -> int:
    """The number in the name of a record file: 10 for 1024 x 1024, -1 where there is none."""
    found = LEVEL.search(path.name)
    return int(found[1]) if found else -1


def part_count(path: Path) -> int:
    """Into how many files a level is cut, by the name of one of them; 0 where it is not."""
    found = LEVEL.search(path.name)
    return int(found[4]) if found and found[4] else 0


class Records:
    """The records of the highest level of a dataset; lower ones are not opened."""

    def __init__(self, files: Sequence[Path]) -> None:
        self.files, self.path = files, files[0] if len(files) == 1 else files[0].parent
        self.notes: list[str] = []
        self.opened = all_open(files)
        weakref.finalize(self, close_all, self.opened)
        found = [self.index(number) for number in range(len(files))]
        self.places = np.concatenate([places for places, _ in found])
        self.ends = np.cumsum([len(places) for places, _ in found])
        self.digest = joined_digest([digest for _, digest in found])
        if not len(self.places):
            raise DataError(f"{self.path} holds no records: write the dataset again")
        self.listed = listed_in(files[0].parent)
        check_complete(files[0], self.listed)
        for file in (*files, files[0].with_name(FILE)):
            check_listed(file, self.listed)
        self.shape: Size = (0, 0, 0)
        self.premultiplied = False
        self.shape = self.read(0).shape
        described = files[0].with_name(FILE)
        self.premultiplied = self.shape[2] == 4 and says_premultiplied(described)
        self.labels = self.read_labels()

    def __len__(self) -> int:
        return len(self.places)

    def index(self, number: int) -> tuple[NDArray[np.int64], str]:
        """Where the records of a file lie, and a digest of it."""
        with self.file(number) as file:
            return indexed(self.files[number], file)

    @contextmanager
    def file(self, number: int) -> Iterator[int]:
        """A file to read from: one that stays open outlives its name, where another is built."""
        if self.opened:
            yield self.opened[number]
            return
        file = os.open(self.files[number], os.O_RDONLY)
        try:
            yield file
        finally:
            os.close(file)

    def read(self, number: int) -> Pixels:
        part = int(np.searchsorted(self.ends, number, "right"))
        within = number - int(self.ends[part - 1]) if part else number
        where = f"{self.files[part]}, record {within}"
        start, length = map(int, self.places[number])
        with self.file(part) as file:
            example, checksum = os.pread(file, length, start), os.pread(file, 4, start + length)
        if masked(google_crc32c.value(example)) != checksum:
            raise DataError(f"{where}: the checksum is wrong: write the dataset again")
        pixels = pixels_in(example, where)
        if self.shape != (0, 0, 0) and pixels.shape != self.shape:
            raise DataError(
                f"{where} is {in_words(pixels.shape)}, the others {in_words(self.shape)}"
            )
        return straight(pixels) if self.premultiplied else pixels

    def read_labels(self) -> NDArray[np.float32]:
        """The file <prefix>-rxx.labels beside the records; row i belongs to record i."""
        first = self.files[0]
        file = first.with_name(f"{prefix(first)}-rxx.labels")
        if not file.is_file():
            others = with_suffix(first.parent, ".labels")
            if others:
                self.notes.append(f"{others[0].name} is not called {file.name}, so it is no labels")
            return np.zeros((len(self), 0), np.float32)
        check_listed(file, self.listed)
        try:
            labels = load_array(file)
        except ValueError as error:
            raise DataError(f"{file} {error}: write the dataset again") from None
        if labels.ndim != 2 or len(labels) < len(self):
            raise DataError(
                f"{file} has shape {labels.shape}: {len(self)} records need as many rows"
            )
        rows = np.asarray(labels[: len(self)], np.float32)
        self.notes += unseen_classes(str(file), rows)
        return rows


def pixels_in(example: bytes, where: str) -> Pixels:
    """The picture of a record, H W C; raises DataError where it is none."""
    try:
        shape, data, format = picture_in(example)
    except (KeyError, IndexError, ValueError):
        raise DataError(
            f"{where} is no picture of NVlabs' format: it has no shape and data"
        ) from None
    if format and len(shape) == 3:
        pixels = decoded_picture(data.tobytes(), where, shape[0])
        if pixels.shape != (*shape[1:], shape[0]):
            raise DataError(f"{where} is {in_words(pixels.shape)}, and says {shape} (C, H, W)")
        return pixels
    if len(shape) != 3 or not data.size or data.size != np.prod(shape):
        raise DataError(f"{where}: {data.size} bytes are no picture of shape {shape} (C, H, W)")
    return channels_last(data.reshape(shape))


def all_open(files: Sequence[Path]) -> list[int]:
    """All files, open to be read; none where the system allows a process fewer."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    need = len(files) + OTHER_FILES
    if most != resource.RLIM_INFINITY and need > most:
        return []
    allow_open(need, most)
    opened: list[int] = []
    try:
        opened.extend(os.open(file, os.O_RDONLY) for file in files)
    except OSError:
        close_all(opened)
        raise
    return opened


def close_all(opened: list[int]) -> None:
    """Close these files."""
    for file in opened:
        os.close(file)


def allow_open(need: int, most: int) -> None:
    """Let this process have so many files open at once."""
    allowed, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if allowed != resource.RLIM_INFINITY and allowed < need:
        resource.setrlimit(resource.RLIMIT_NOFILE, (need, most))


def joined_digest(digests: Sequence[str]) -> str:
    """That of the only file, or of all."""
    if len(digests) == 1:
        return digests[0]
    return hashlib.sha256("".join(digests).encode()).hexdigest()[:16]


def listed_in(folder: Path) -> Listed:
    """What the list beside a dataset's files says of them; nothing where there is none."""
    path = folder / LISTED
    if not path.is_file():
        return {}
    try:
        found: Listed = json_of(path.read_bytes())["files"]
        return {name: {**known} for name, known in found.items()}
    except (ValueError, LookupError, TypeError, AttributeError):
        raise DataError(f"{path} is damaged: {AGAIN}") from None


def check_complete(file: Path, listed: Listed) -> None:
    """Raise DataError where the list has labels, or a higher level, of a dataset that are gone.

    Without them the lower level would be learnt, or no classes.
    """
    own = (Path(name) for name in listed if name.startswith(f"{prefix(file)}-r"))
    for name in (name for name in own if name.suffix == ".labels" or level(name) > level(file)):
        if not file.with_name(name.name).exists():
            raise DataError(
                f"{file.with_name(name.name)} is gone: {AGAIN}; if you removed it yourself, delete"
                f" {file.with_name(LISTED)}"
            )


def check_listed(path: Path, listed: Listed) -> None:
    """Raise DataError where the list has another size or digest of a file.

    Whole records that are missing at the end leave a file without a fault of its own, and so does
    another file in its place.
    """
    known = listed.get(path.name, {})
    if not known or not path.is_file():
        return
    other, digest = known.get("bytes") != path.stat().st_size, known.get("blake2b")
    other = other or known.get("last") not in (None, last_checksum(path))
    if digest and not other:
        other = bytes_digest(path.read_bytes()).hex() != digest
    if other:
        raise DataError(
            f"{path} is not what was written: {AGAIN}; if you changed it yourself, delete"
            f" {path.with_name(LISTED)}"
        )


def last_checksum(path: Path) -> str:
    """The last record's checksum, which ends the file: of another file it is another one."""
    with path.open("rb") as file:
        file.seek(max(path.stat().st_size - 4, 0))
        return file.read().hex()


def channels_last(planes: Pixels) -> Pixels:
    """C H W -> H W C; by numpy's own ways this takes 10 to 40 times as long."""
    import cv2

    merged: Pixels = cv2.merge(list(planes))  # grey comes without its axis
    return merged.reshape(*planes.shape[1:], len(planes))


def says_premultiplied(description: Path) -> bool:
    """Whether dataset.json beside records says that their colours are multiplied by the opacity."""
    if not description.is_file():
        return False
    told = parsed_json(str(description), description.read_bytes())
    return isinstance(told, dict) and told.get("alpha") == "premultiplied"


def straight(pixels: Pixels) -> Pixels:
    """RGBA whose colours are divided by the opacity; multiplied again they are what they were."""
    alpha = pixels[..., 3:]
    return np.concatenate([STRAIGHT[alpha, pixels[..., :3]], alpha], axis=2)


def indexed(path: Path, file: int) -> tuple[NDArray[np.int64], str]:
    """(start, length) of every record, and a digest of all lengths and checksums."""
    places: list[tuple[int, int]] = []
    if kind := PACKED.get(os.pread(file, 2, 0)):
        raise DataError(f"{path} is compressed with {kind}: unpack it, and give the records bare")
    digest, at, end = hashlib.sha256(), 0, os.fstat(file).st_size
    while at < end:
        head = os.pread(file, 12, at)
        if len(head) < 12 or masked(google_crc32c.value(head[:8])) != head[8:]:
            raise DataError(f"{path}, record {len(places)}: broken at byte {at}: write it again")
        (length,) = struct.unpack("<Q", head[:8])
        if at + length + 16 > end:
            raise DataError(
                f"{path}, record {len(places)}: the file ends before it: write it again"
            )
        digest.update(head + os.pread(file, 4, at + 12 + length))
        places.append((at + 12, length))
        at += length + 16
    return np.array(places, np.int64).reshape(-1, 2), digest.hexdigest()[:16]


def masked(crc: int) -> bytes:
    """A checksum as TFRecord files store it: rotated by 15 bits, plus a constant."""
    return struct.pack("<I", ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF)
