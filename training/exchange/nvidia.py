"""The networks in a pickle of NVIDIA's trainers, as plain values: what they say, and tensors."""

import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from training.exchange.pickles import Budget, NetworkFileError, damaged, read_pickle
from training.exchange.standins import ALLOWED, Array, Persistent, Tensor, TFNetwork

DEPTH = 6  # of a tree of modules, at most
ENTRIES = 200_000  # of all dicts and lists that are looked through; the largest file has 10,000
WORD, LIST = 1000, 100  # letters of a word and length of a list that a module may say
PARTS = ("G", "D", "G_ema")
PLAIN = (bool, int, float, str, type(None))


@dataclass(frozen=True)
class Found:
    """One network of a pickle."""

    layout: Literal["torch", "tf1"]
    class_name: str
    modules: Mapping[str, Mapping[str, Any]]  # path, "" the network itself -> what it says
    tensors: Mapping[str, NDArray[Any]] = field(repr=False)  # by their name in that layout


def read_networks(data: bytes) -> dict[str, Found]:
    """The networks of a pickle by G, D and G_ema, as far as they are in it.

    Nothing of the file is executed. Raises NetworkFileError for whatever else it is.
    """
    if data[:1] != b"\x80":
        raise NetworkFileError(
            "is no pickle: name a network pickle (.pkl), a checkpoint (.npz) or the folder of a run"
        )
    root = read_pickle(io.BytesIO(data), ALLOWED, Budget(2 * len(data)))
    limit = Limit(4 * len(data))
    match root:
        case (TFNetwork() as g, TFNetwork() as d, TFNetwork() as average):
            networks = zip(PARTS, (g, d, average), strict=True)
            return {part: found_tf1(network, limit) for part, network in networks}
        case dict() if any(isinstance(root.get(part), Persistent) for part in PARTS):
            objects = {part: root.get(part) for part in PARTS}
            return {
                part: found_torch(network, limit)
                for part, network in objects.items()
                if isinstance(network, Persistent)
            }
    raise NetworkFileError(
        "is a pickle, but not of a network: StyleGAN2's hold (G, D, Gs), or G, D and G_ema"
    )


@dataclass
class Limit:
    """What all networks of a file may take, so that no part of it is counted a thousand times."""

    size: int  # bytes of the tensors
    entries: int = ENTRIES

    def spend(self, size: int = 0, entries: int = 0) -> None:
        """Take away; raises NetworkFileError where nothing is left."""
        self.size -= size
        self.entries -= entries
        if self.size < 0 or self.entries < 0:
            raise NetworkFileError(
                "repeats its parts until they exceed any network: do not use the file"
            )


def found_torch(root: Persistent, limit: Limit) -> Found:
    """The tree of modules below `root`, flat."""
    modules, tensors = dict[str, dict[str, Any]](), dict[str, NDArray[Any]]()
    for path, module in walk(root, "", 0):
        state = module.state
        limit.spend(entries=1)
        modules[path] = plain_values(state, limit) | {
            "class_name": module.class_name[:WORD],
            "init": plain_values(dict_of(state, "_init_kwargs"), limit),
        }
        for kind in ("_parameters", "_buffers"):
            limit.spend(entries=len(dict_of(state, kind)))
            for name, value in dict_of(state, kind).items():
                if isinstance(value, Tensor):
                    take_tensor(tensors, joined(path, name), value.array, limit)
    return Found("torch", root.class_name[:WORD], modules, tensors)


def walk(module: Persistent, path: str, depth: int) -> Iterator[tuple[str, Persistent]]:
    """A module and all below it, with their paths."""
    if depth > DEPTH:
        raise NetworkFileError("nests its modules deeper than any network: do not use the file")
    yield path, module
    for name, child in dict_of(module.state, "_modules").items():
        if isinstance(child, Persistent):
            yield from walk(child, joined(path, name), depth + 1)


def joined(path: str, name: Any) -> str:
    if not isinstance(name, str) or not name.isidentifier():
        raise damaged()
    return f"{path}.{name}" if path else name


def dict_of(state: Mapping[str, Any], name: str) -> dict[str, Any]:
    """A dict that a state holds, empty where there is none."""
    found = state.get(name)
    return found if isinstance(found, dict) else {}


def found_tf1(root: TFNetwork, limit: Limit) -> Found:
    """A network of TensorFlow 1 and its components, flat."""
    version = root.state.get("version")
    if not isinstance(version, int) or version < 4:
        raise NetworkFileError(
            "is a network of StyleGAN1 or ProGAN: only StyleGAN2's networks can be opened"
        )
    modules, tensors = dict[str, dict[str, Any]](), dict[str, NDArray[Any]]()
    components = {"": root, **dict_of(root.state, "components")}
    limit.spend(entries=len(components))
    for path, network in components.items():
        if not isinstance(network, TFNetwork) or not isinstance(path, str):
            raise damaged()
        modules[path] = plain_values(network.state, limit)
        modules[path] |= plain_values(dict_of(network.state, "static_kwargs"), limit)
        for name, value in variables_of(network, limit):
            take_tensor(tensors, f"{path}/{name}" if path else name, value, limit)
    function = modules[""].get("build_func_name")
    return Found("tf1", function if isinstance(function, str) else "", modules, tensors)


def variables_of(network: TFNetwork, limit: Limit) -> Iterator[tuple[str, NDArray[Any]]]:
    """The variables of one network, without those of its components."""
    variables = network.state.get("variables")
    variables = variables if isinstance(variables, list) else []
    limit.spend(entries=len(variables))
    for pair in variables:
        match pair:
            case [str() as name, Array() as value]:
                yield name, value.array
            case [str() as name, int() | float() as number]:
                yield name, np.asarray(number)
            case _:
                raise damaged()


def take_tensor(
    tensors: dict[str, NDArray[Any]], name: str, value: NDArray[Any], limit: Limit
) -> None:
    """Take a tensor as float32; raises where the name was there."""
    if name in tensors:
        raise damaged()
    limit.spend(size=4 * value.size)
    with np.errstate(over="ignore", invalid="ignore"):  # what is not finite is refused by its name
        tensors[name] = value.astype(np.float32, copy=False)


def plain_values(known: Mapping[Any, Any], limit: Limit) -> dict[str, Any]:
    """The values that are numbers, words, lists of those, or dicts of them; the rest is left."""
    limit.spend(entries=len(known))
    found: dict[str, Any] = {}
    for name, value in known.items():
        if not isinstance(name, str) or name.startswith("_"):
            continue
        if is_plain(value):
            found[name] = value
        elif isinstance(value, list | tuple) and len(value) <= LIST and all(map(is_plain, value)):
            found[name] = list(value)
    return found


def is_plain(value: Any) -> bool:
    """Whether it is a number or a word, not a whole text."""
    return isinstance(value, PLAIN) and not (isinstance(value, str) and len(value) > WORD)
