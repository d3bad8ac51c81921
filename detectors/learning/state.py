"""Everything a run needs to go on as if it had not been stopped, in one file."""

import json
import os
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from detectors.learning.options import LearningError

Arrays = Mapping[str, NDArray[Any]]


def save(path: Path, arrays: Arrays, about: Mapping[str, Any]) -> None:
    """Write beside, sync, rename."""
    partial = path.with_name(f".{path.name}.partial")
    with partial.open("wb") as file:
        described = np.frombuffer(json.dumps(about).encode(), np.uint8)
        np.savez(file, allow_pickle=False, **{"about": described, **arrays})
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)


def load(path: Path) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
    """(arrays, what describes them); raises LearningError for a file that is not whole."""
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        return arrays, json.loads(arrays.pop("about").tobytes())
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise LearningError(
            f"{path} is broken or no checkpoint ({error}); delete it to begin anew"
        ) from None


def gathered(groups: Mapping[str, list[Any]]) -> dict[str, NDArray[Any]]:
    """Variables by group and number -> arrays."""
    return {
        f"{name}/{number}": value.numpy()
        for name, some in groups.items()
        for number, value in enumerate(some)
    }


def spread(arrays: Arrays, groups: Mapping[str, list[Any]], path: Path) -> None:
    """Arrays -> variables; raises LearningError where they are of another network."""
    for name, some in groups.items():
        for number, variable in enumerate(some):
            value = arrays.get(f"{name}/{number}")
            if value is None or tuple(value.shape) != tuple(variable.shape):
                raise LearningError(
                    f"{path} is of another network; train into another --out, or delete it"
                )
            variable.assign(value)
