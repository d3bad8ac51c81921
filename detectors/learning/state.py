"""Everything a run needs to go on as if it had not been stopped, in one file."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from atelier.arrays import Arrays, CheckpointError, load_arrays
from atelier.errors import words_of
from detectors.learning.options import LearningError


def load_state(path: Path) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
    """(arrays, what describes them); raises LearningError for a file that is not whole."""
    try:
        return load_arrays(path)
    except (CheckpointError, OSError) as error:
        raise LearningError(f"{words_of(error)}; delete it to begin anew") from None


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
