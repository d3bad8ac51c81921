"""The tensors of a network in a pickle -> those of our table, none missing and none left over."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from training.exchange.forms import learning_rate
from training.exchange.names import IGNORED, from_tf1, from_torch, tf1_name, torch_name
from training.exchange.nvidia import Found
from training.exchange.pickles import NetworkFileError
from training.networks.layers import LRMUL
from training.networks.parameters import Table

Arrays = dict[str, NDArray[Any]]
LABELS_OF_STYLEGAN2 = "mapping/LabelConcat/weight"


def weights(found: Found, table: Table, part: str) -> Arrays:
    """Every tensor of `table`, float32, from a network that is a G or a D (`part`).

    Raises NetworkFileError, which names the tensor, where one is missing, of another shape, not
    finite, or not known.
    """
    if LABELS_OF_STYLEGAN2 in found.tensors:
        raise NetworkFileError(
            f"has labels as the first StyleGAN2 had them ({LABELS_OF_STYLEGAN2}), which"
            " stylegan2-ada changed: only its own, or networks without labels, can be opened"
        )
    convert: Callable[[str, NDArray[Any]], NDArray[Any]]
    convert = from_torch if found.layout == "torch" else from_tf1
    faster = learning_rate(found, part) / LRMUL
    names = {key: name_of(found, key, part) for key in table}
    arrays = {}
    for key, name in names.items():
        if name not in found.tensors:
            raise NetworkFileError(f"has a {part} without {name}: its file was written by a fork")
        value = convert(key, found.tensors[name])
        if value.shape != table[key].shape:
            raise NetworkFileError(
                f"has a {part} whose {name} is {found.tensors[name].shape}, which does not go with"
                f" what it says of itself ({table[key].shape} here)"
            )
        value = value * faster if key.startswith("mapping/fc") and faster != 1 else value
        arrays[key] = only_numbers(value, name)
    if extra := sorted(set(found.tensors) - set(names.values())):
        extra = [name for name in extra if not IGNORED.fullmatch(name)]
    if extra:
        raise NetworkFileError(
            f"has a {part} with {ascii(extra[0])[:80]}, which StyleGAN2's has not: it is another"
            " architecture"
        )
    return arrays


def name_of(found: Found, key: str, part: str) -> str:
    """What the file calls our `key`."""
    return torch_name(key) if found.layout == "torch" else tf1_name(key, part)


def only_numbers(value: NDArray[Any], name: str) -> NDArray[Any]:
    """A tensor in memory of its own order; raises NetworkFileError where it holds no numbers."""
    if not np.isfinite(value).all():
        raise NetworkFileError(f"has {name} that is not finite: choose an earlier snapshot")
    return np.ascontiguousarray(value, np.float32).reshape(value.shape)
