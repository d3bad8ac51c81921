"""Arrays by name in one .npz file, with what describes them; it holds no code."""

import json
import shutil
import zipfile
import zlib
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from atelier import files
from atelier.errors import Refusal

SPARE = 64 * 2**20  # bytes that stay free on the disk
BROKEN = (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error)

Arrays = Mapping[str, NDArray[Any]]


class CheckpointError(Refusal):
    """A checkpoint that cannot be written or used; the message says why and the way out."""


def save_arrays(path: Path, arrays: Arrays, about: Mapping[str, Any]) -> None:
    """Write in one go; raises CheckpointError before writing where the disk is full."""
    path.parent.mkdir(parents=True, exist_ok=True)
    needed = sum(array.nbytes for array in arrays.values()) + SPARE
    free = shutil.disk_usage(path.parent).free
    if free < needed:
        raise CheckpointError(
            f"{path.parent} has {free / 1e6:.0f} MB free and the next checkpoint needs"
            f" {needed / 1e6:.0f} MB: make room and run the same command again"
        )
    described = np.frombuffer(json.dumps(about).encode(), np.uint8)
    with files.replacing(path) as partial, partial.open("wb") as file:
        np.savez(file, allow_pickle=False, **{"about": described, **arrays})


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
        with path.open("rb") as raw, np.load(raw, allow_pickle=False) as file:
            about = json.loads(file["about"].tobytes())
            named = [name for name in file.files if name != "about" and name.startswith(part)]
            return {name: file[name] for name in named}, about
    except BROKEN as error:
        if isinstance(error, OSError) and error.errno:
            raise
        # numpy's words for what is no file of its own advise to unpickle it.
        why = "it holds no arrays" if "pickle" in str(error) else error
        raise CheckpointError(f"{path} is broken or no checkpoint: {why}") from None


def foreign(path: Path) -> str:
    """Which other program's network a file is; it is not opened, for a pickle may run anything."""
    with path.open("rb") as file:
        head = file.read(4)
    if head[:1] == b"\x80" and head[1:2] in b"\2\3\4\5":
        return "a pickle, as NVIDIA's trainers write their networks"
    if head == b"PK\3\4":
        with suppress(zipfile.BadZipFile), zipfile.ZipFile(path) as archive:
            if any(name.endswith("data.pkl") for name in archive.namelist()):
                return "a file of PyTorch's"
    return ""
