"""Arrays by name in one .npz file, with what describes them; it holds no code."""

import errno
import json
import math
import struct
import zipfile
import zlib
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from tokenize import TokenError
from typing import Any

import numpy as np
from numpy.typing import NDArray

from atelier import files
from atelier.errors import Refusal, reason_in

ZIP = b"PK\3\4"  # how one begins
SEAL = b"heads %08x"
END_BYTES = 22  # of a zip's end, before its comment
LOCAL_BYTES = 30  # of a member's head in a zip, before its name
MEMBER_BYTES = 512  # of a member's heads in a .npz, about
SPARE = 64 * 2**20  # bytes that stay free on the disk; where a file is smaller, as many as it has
ODD = (
    struct.error,
    NotImplementedError,
    RuntimeError,
    TokenError,
)  # of heads that say what cannot be
BROKEN = (OSError, ValueError, LookupError, EOFError, zipfile.BadZipFile, zlib.error, *ODD)

Arrays = Mapping[str, NDArray[Any]]


class CheckpointError(Refusal):
    """A checkpoint that cannot be written or used; the message says why and the way out."""


def save_arrays(path: Path, arrays: Arrays, about: Mapping[str, Any]) -> None:
    """Write in one go; raises CheckpointError before writing where the disk is full."""
    path.parent.mkdir(parents=True, exist_ok=True)
    described = np.frombuffer(json.dumps(about).encode(), np.uint8)
    size = sum(array.nbytes + MEMBER_BYTES for array in (described, *arrays.values()))
    needed = size + min(size, SPARE)
    free = files.free_bytes(path.parent)
    if free < needed:
        has, wants = math.floor(free / 1e4) / 100, math.ceil(needed / 1e4) / 100
        raise CheckpointError(
            f"{path.parent} has {has:.2f} MB free and {path.name} needs {wants:.2f} MB:"
            " make room and run the same command again"
        )
    with files.replacing(path) as partial, partial.open("wb") as file:
        np.savez(file, allow_pickle=False, **{"about": described, **arrays})
        file.close()
        seal_heads(partial)


def seal_heads(path: Path) -> None:
    """Put a checksum of all that no member's own covers at the end of a zip, as its comment."""
    with zipfile.ZipFile(path, "a") as archive:
        archive.comment = SEAL % 0
    with path.open("r+b") as file:
        crc = crc_of_heads(path)
        file.seek(-len(SEAL % 0), 2)
        file.write(SEAL % crc)


def crc_of_heads(path: Path) -> int:
    """CRC32 of a zip without its members' contents and its comment."""
    with zipfile.ZipFile(path) as archive:
        members = sorted(archive.infolist(), key=lambda member: member.header_offset)
        left = len(archive.comment)
    if not members or members[0].header_offset:
        raise ValueError("it does not begin with what is in it")
    crc = 0
    with path.open("rb") as file:
        end = file.seek(0, 2) - left
        for member, at in zip(members, [m.header_offset for m in members[1:]] + [end], strict=True):
            file.seek(member.header_offset)
            head = file.read(LOCAL_BYTES)
            head += file.read(sum(struct.unpack("<2H", head[-4:])))  # of its name, and of the rest
            crc = zlib.crc32(head, crc)
            file.seek(member.compress_size, 1)
            crc = zlib.crc32(file.read(at - file.tell()), crc)
    return crc


def check_heads(path: Path) -> None:
    """Raise ValueError where a zip's seal does not hold; files of earlier versions have none."""
    with zipfile.ZipFile(path) as archive:
        comment = archive.comment
    if comment and comment != SEAL % crc_of_heads(path):
        raise ValueError("the list of what is in it is damaged")
    with path.open("rb") as file:
        file.seek(-END_BYTES - len(comment), 2)
        end = file.read(END_BYTES)
        if not end.startswith(b"PK\5\6") or end[-2:] != struct.pack("<H", len(comment)):
            raise ValueError("it does not end where it should")


def of_the_machine(error: Exception) -> bool:
    """Whether the disk or the network failed: of a broken zip a place that is none is sought."""
    return isinstance(error, OSError) and error.errno not in (None, errno.EINVAL)


def fault_in(error: Exception) -> str:
    """What is wrong with a zip, by the error that reading it gave."""
    return "it points outside of itself" if isinstance(error, OSError) else reason_in(str(error))


def broken_arrays(path: Path) -> str:
    """What is wrong with a file of arrays, in words; all of it is read."""
    try:
        check_heads(path)
        with zipfile.ZipFile(path) as archive:
            bad = archive.testzip()
        return f"{bad} in it is damaged" if bad else ""
    except BROKEN as error:
        if of_the_machine(error):
            raise
        return f"is damaged ({fault_in(error)})"


def load_arrays(path: Path, part: str = "") -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
    """(arrays, what describes them); raises CheckpointError for what is truncated or another file.

    Only the arrays whose names begin with `part` are read from the disk. Where that or the network
    fails it is OSError.
    """
    if not path.is_file():
        raise CheckpointError(f"{path} is no checkpoint: name a .npz file of a run")
    if said := foreign(path):
        raise CheckpointError(f"{path} is {said}: only a .npz file of a run can be used here")
    try:
        check_heads(path)
        with path.open("rb") as raw, np.load(raw, allow_pickle=False) as file:
            about = files.json_of(np.asarray(file["about"]).tobytes())
            if not isinstance(about, dict):
                raise ValueError("it does not say what is in it")
            named = [name for name in file.files if name != "about" and name.startswith(part)]
            found = {name: file[name] for name in named}
            if odd := [name for name in named if not isinstance(found[name], np.ndarray)]:
                raise ValueError(f"{odd[0]} in it is no array")
            return found, about
    except BROKEN as error:
        if of_the_machine(error):
            raise
        # numpy's words for what is no file of its own advise to unpickle it.
        is_ours = head_of(path) == ZIP and "pickle" not in str(error)
        why = fault_in(error) if is_ours else "it holds no arrays"
        raise CheckpointError(f"{path} is broken or no checkpoint: {why}") from None


def load_array(path: Path) -> NDArray[Any]:
    """The numbers of a .npy; raises ValueError, saying what is wrong, for whatever else it is."""
    try:
        with path.open("rb") as file:
            found = np.lib.format.read_array(file, allow_pickle=False)
    except BROKEN as error:
        if of_the_machine(error):
            raise
        raise ValueError("is no array of numpy's") from None
    if not are_numbers(found):
        raise ValueError("is no array of finite numbers")
    return found


def are_numbers(array: NDArray[Any]) -> bool:
    """Whether all of it can be real numbers of float32: no words, no NaN, nothing infinite."""
    with np.errstate(over="ignore"):
        return array.dtype.kind in "fiub" and bool(np.isfinite(array.astype(np.float32)).all())


def head_of(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(len(ZIP))


def foreign(path: Path) -> str:
    """Which other program's network a file is; it is not opened, for a pickle may run anything."""
    head = head_of(path)
    if head[:1] == b"\x80" and head[1:2] in b"\2\3\4\5":
        return "a pickle, as NVIDIA's trainers write their networks"
    if head == ZIP:
        with suppress(*BROKEN), zipfile.ZipFile(path) as archive:
            if any(name.endswith("data.pkl") for name in archive.namelist()):
                return "a file of PyTorch's"
    return ""
