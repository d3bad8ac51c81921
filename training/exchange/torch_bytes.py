"""What torch.save writes of the numbers of a tensor, read without torch."""

import io
import struct
import zipfile
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from training.exchange.pickles import (
    Budget,
    Name,
    NetworkFileError,
    Persistent,
    damaged,
    read_pickle,
)

MAGIC = 0x1950A86A20F9469CFC6C
PROTOCOL = 1001
KINDS = {
    "HalfStorage": "<f2",
    "FloatStorage": "<f4",
    "DoubleStorage": "<f8",
    "CharStorage": "<i1",
    "ShortStorage": "<i2",
    "IntStorage": "<i4",
    "LongStorage": "<i8",
    "ByteStorage": "<u1",
    "BoolStorage": "?",
}
NOT_A_ZIP = (
    *(zipfile.BadZipFile, KeyError, EOFError, OSError, ValueError, RuntimeError),
    *(struct.error, IndexError),
)


@dataclass(eq=False)
class Storage:
    """The numbers that tensors are views of."""

    kind: str  # a dtype of numpy
    count: int
    numbers: NDArray[Any] | None = None  # [count]; None until they were read

    def give(self, data: Any) -> None:
        """Take `count` numbers from the head of `data`, without a copy."""
        if len(data) < self.count * np.dtype(self.kind).itemsize:
            raise NetworkFileError("is truncated: a tensor ends early; download it again")
        self.numbers = np.frombuffer(data, self.kind, self.count) if self.count else np.empty(0)


def loaded_storage(arguments: tuple[Any, ...], budget: Budget) -> Storage:
    """The storage in what torch.save wrote: its older stream, or its zip."""
    match arguments:
        case (bytes() | bytearray() as data,):
            budget.spend(size=len(data))
            found = zipped(data, budget) if data[:4] == b"PK\3\4" else streamed(data, budget)
        case _:
            raise damaged()
    if not isinstance(found, Storage) or found.numbers is None:
        raise damaged()
    return found


def streamed(data: bytes | bytearray, budget: Budget) -> Any:
    """The older stream: five pickles, then for each storage its length and its numbers."""
    file, storages = io.BytesIO(data), dict[str, Storage]()
    head = [read_pickle(file, {}, budget) for _ in range(3)]
    if head[:2] != [MAGIC, PROTOCOL] or not isinstance(head[2], dict):
        raise damaged()
    if head[2].get("little_endian") is not True:
        raise NetworkFileError("was written by a machine of another byte order: write it anew")
    found = read_pickle(file, STORAGES, budget, collecting(storages))
    keys = read_pickle(file, {}, budget)
    if not isinstance(keys, list) or not all(isinstance(key, str) for key in keys):
        raise damaged()
    if sorted(keys) != sorted(storages):
        raise damaged()
    view = memoryview(data)
    for key in keys:
        storage, count = storages[key], file.read(8)
        if len(count) < 8 or int.from_bytes(count, "little", signed=True) != storage.count:
            raise damaged()
        storage.give(view[file.tell() :])
        file.seek(storage.count * np.dtype(storage.kind).itemsize, io.SEEK_CUR)
    return found


def zipped(data: bytes | bytearray, budget: Budget) -> Any:
    """The zip: data.pkl, and a member for each storage; torch packs none of them."""
    storages = dict[str, Storage]()
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            members = {info.filename.partition("/")[2]: info for info in archive.infolist()}
            for info in members.values():
                if info.compress_type != zipfile.ZIP_STORED or info.flag_bits & 1:
                    raise NetworkFileError("holds a packed file, which torch never writes")
                if info.file_size != info.compress_size:
                    raise damaged()
                budget.spend(opcodes=1, size=info.file_size)
            file = io.BytesIO(archive.read(members["data.pkl"]))
            found = read_pickle(file, STORAGES, budget, collecting(storages))
            if members.get("byteorder") and archive.read(members["byteorder"]) != b"little":
                raise damaged()
            for key, storage in storages.items():
                storage.give(archive.read(members[f"data/{key}"]))
    except NetworkFileError:
        raise
    except NOT_A_ZIP:
        raise damaged() from None
    return found


def collecting(storages: dict[str, Storage]) -> Persistent:
    """What stands in for ("storage", kind, key, device, count, ...); each key has one."""

    def persistent(known: Any) -> Storage:
        match known:
            case ("storage", Name() as kind, str() as key, str(), int() as count, *views):
                if views not in ([], [None]) or count < 0:
                    raise damaged()
                made = Storage(KINDS[kind.said.rpartition(".")[2]], count)
            case _:
                raise damaged()
        return storages.setdefault(key, made)

    return persistent


def only_named(arguments: tuple[Any, ...], budget: Budget) -> Any:
    """A kind of storage is named, never made."""
    raise damaged()


STORAGES = {(module, kind): only_named for module in ("torch", "torch.cuda") for kind in KINDS}
