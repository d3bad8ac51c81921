"""Where images come from: NVlabs' TFRecords, an ada-pytorch zip, a folder of pictures.

A source gives any image by its number as HWC uint8, so that order and position belong to us.
"""

import hashlib
import io
import json
import os
import re
import struct
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Protocol

import google_crc32c
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray
from PIL import Image

from atelier.errors import Refusal
from atelier.listing import walk
from atelier.names import name_key

Pixels = NDArray[np.uint8]  # H, W, C
Size = tuple[int, int, int]  # H, W, C

MODES = {"L": 1, "RGB": 3, "RGBA": 4}
PICTURES = {".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff"}
LEVEL = re.compile(r"-r(\d\d)\.tfrecords$")


class DataError(Refusal):
    """A dataset that cannot be used; the message names the file."""


class Source(Protocol):
    """Images by number; `labels` is [images, classes or 0], `digest` tells the content."""

    shape: Size
    labels: NDArray[np.float32]
    digest: str

    def __len__(self) -> int: ...

    def read(self, number: int) -> Pixels:
        """Image `number`, H W C; may be called by several threads at once."""


def open_source(path: str | Path) -> Source:
    """The source at this path, whichever kind it is; raises DataError."""
    path = Path(path)
    if path.is_file() and path.suffix == ".zip":
        return Pictures(ZipStore(path))
    if path.is_file() and path.suffix == ".tfrecords":
        return Records(path)
    if not path.is_dir():
        raise DataError(f"{path} is no dataset: name a folder of TFRecords, a zip or a folder")
    records = sorted(f for f in path.glob("*.tfrecords") if not f.name.startswith("validation-"))
    if records:
        return Records(max(records, key=level))
    return Pictures(FolderStore(path))


def level(path: Path) -> int:
    """The number in the name of a record file: 10 for 1024 x 1024, -1 where there is none."""
    found = LEVEL.search(path.name)
    return int(found[1]) if found else -1


class Records:
    """One file of NVlabs' records: the highest level of a dataset; lower ones are not opened."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.file = os.open(path, os.O_RDONLY)
        self.places, self.digest = indexed(path, self.file)
        if not len(self.places):
            raise DataError(f"{path} holds no records: write the dataset again")
        self.shape: Size = (0, 0, 0)
        self.shape = self.read(0).shape
        self.labels = self.read_labels()

    def __len__(self) -> int:
        return len(self.places)

    def read(self, number: int) -> Pixels:
        where = f"{self.path}, record {number}"
        start, length = map(int, self.places[number])
        framed = os.pread(self.file, length + 4, start)
        example = framed[:length]
        if len(framed) < length + 4 or masked(google_crc32c.value(example)) != framed[length:]:
            raise DataError(f"{where}: the checksum is wrong: write the dataset again")
        features = tf.train.Example.FromString(example).features.feature
        if not {"shape", "data"} <= set(features):
            raise DataError(f"{where} is no picture of NVlabs' format: it has no shape and data")
        shape = tuple(features["shape"].int64_list.value)
        data = np.frombuffer(features["data"].bytes_list.value[0], np.uint8)
        if len(shape) != 3 or data.size != np.prod(shape):
            raise DataError(f"{where}: {data.size} bytes are no picture of shape {shape} (C, H, W)")
        pixels = data.reshape(shape).transpose(1, 2, 0)
        if self.shape != (0, 0, 0) and pixels.shape != self.shape:
            raise DataError(
                f"{where} is {in_words(pixels.shape)}, the others {in_words(self.shape)}"
            )
        return pixels

    def read_labels(self) -> NDArray[np.float32]:
        """The .labels file beside the records; row i belongs to record i."""
        files = sorted(self.path.parent.glob("*.labels"))
        if not files:
            return np.zeros((len(self), 0), np.float32)
        labels = np.load(files[0], allow_pickle=False)
        if labels.ndim != 2 or len(labels) < len(self):
            raise DataError(
                f"{files[0]} has shape {labels.shape}: {len(self)} records need as many rows"
            )
        return np.asarray(labels[: len(self)], np.float32)


def indexed(path: Path, file: int) -> tuple[NDArray[np.int64], str]:
    """(start, length) of every record, and a digest of all lengths and checksums."""
    places: list[tuple[int, int]] = []
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


class Store(Protocol):
    """Files by name."""

    path: Path
    names: list[str]
    digest: str

    def open(self, name: str) -> bytes: ...


class FolderStore:
    """The files of a folder and its subfolders, hidden ones left out."""

    def __init__(self, path: Path) -> None:
        self.path = path
        files = {file.relative_to(path).as_posix(): file for file in walk(path)}
        self.names = sorted(name for name in files if not f"/{name}".count("/."))
        sizes = [(name, files[name].stat().st_size) for name in self.names]
        self.digest = hashlib.sha256(json.dumps(sizes).encode()).hexdigest()[:16]

    def open(self, name: str) -> bytes:
        return (self.path / name).read_bytes()


class ZipStore:
    """The files of a zip."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self.file = zipfile.ZipFile(path)
        except zipfile.BadZipFile:
            raise DataError(f"{path} is no zip, or a part of one: make it again") from None
        entries = [entry for entry in self.file.infolist() if not entry.is_dir()]
        self.names = sorted(entry.filename for entry in entries)
        sums = sorted((entry.filename, entry.CRC) for entry in entries)
        self.digest = hashlib.sha256(json.dumps(sums).encode()).hexdigest()[:16]

    def open(self, name: str) -> bytes:
        return self.file.read(name)


class Pictures:
    """Pictures of one size and mode in a folder or zip, with ada-pytorch's dataset.json or not."""

    def __init__(self, store: Store) -> None:
        self.store, self.digest = store, store.digest
        self.names = [n for n in store.names if Path(n).suffix.lower() in PICTURES]
        if not self.names:
            raise DataError(f"{store.path} holds no TFRecords and no pictures: name another folder")
        self.shape = self.looked_at(self.names[0])
        for name in self.names[1:]:
            if (shape := self.looked_at(name)) != self.shape:
                raise DataError(
                    f"{store.path}/{name} is {in_words(shape)}, but {self.names[0]} is"
                    f" {in_words(self.shape)}: make all pictures alike"
                )
        self.labels = self.read_labels()

    def __len__(self) -> int:
        return len(self.names)

    def read(self, number: int) -> Pixels:
        with self.opened(self.names[number]) as image:
            try:
                pixels = np.asarray(image)
            except OSError as error:
                where = f"{self.store.path}/{self.names[number]}"
                raise DataError(f"{where}: {error}: replace it, or take it out") from None
        return pixels.reshape(self.shape)

    def looked_at(self, name: str) -> Size:
        """The size of a picture, from its head."""
        with self.opened(name) as image:
            if image.mode not in MODES:
                raise DataError(
                    f"{self.store.path}/{name} has mode {image.mode}: save it as grey (L), RGB or"
                    " RGBA with 8 bits"
                )
            return image.height, image.width, MODES[image.mode]

    def opened(self, name: str) -> Image.Image:
        try:
            return Image.open(io.BytesIO(self.store.open(name)))
        except OSError:
            raise DataError(f"{self.store.path}/{name} cannot be read as a picture") from None

    def read_labels(self) -> NDArray[np.float32]:
        """dataset.json: {"labels": [[name, class or vector], ...]} or {"labels": null}."""
        where = f"{self.store.path}/dataset.json"
        known = "dataset.json" in self.store.names
        rows = json.loads(self.store.open("dataset.json"))["labels"] if known else None
        if not rows:
            return np.zeros((len(self), 0), np.float32)
        by_name = {name_key(name): label for name, label in rows}
        missing = [name for name in self.names if name not in by_name]
        if missing:
            raise DataError(f"{where} has no label for {missing[0]}: label every picture or none")
        return dense(where, [by_name[name] for name in self.names])


def dense(where: str, labels: list[Any]) -> NDArray[np.float32]:
    """Class numbers become one-hot rows; vectors stay what they are."""
    try:
        numbers = np.array(labels)
        if numbers.ndim == 1 and numbers.dtype.kind == "i" and numbers.min() >= 0:
            return np.asarray(np.eye(numbers.max() + 1)[numbers], np.float32)
        if numbers.ndim == 2:
            return numbers.astype(np.float32)
    except ValueError:
        pass
    raise DataError(f"{where}: labels are whole numbers from 0 on, or vectors of one length")


def in_words(shape: Iterable[int]) -> str:
    """64 x 128 RGB, as people write it: width x height."""
    height, width, channels = shape
    kind = {1: "grey", 3: "RGB", 4: "RGBA"}.get(channels, f"with {channels} channels")
    return f"{width} x {height} {kind}"


def dataset_identity(source: Source) -> Mapping[str, Any]:
    """What a run remembers of its dataset, so that another one is noticed."""
    labels = hashlib.sha256(source.labels.tobytes()).hexdigest()[:16]
    return {
        "images": len(source),
        "shape": list(source.shape),
        "classes": source.labels.shape[1],
        "digest": source.digest,
        "labels_digest": labels,
    }
