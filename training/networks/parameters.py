"""The parameters of a network: a table of shapes first, variables made from it second."""

import math
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

Tensor = Any  # tf.Tensor; TensorFlow has no types of its own
Start = int | Mapping[str, NDArray[np.float32]]  # a seed, or the array of each parameter
Layer = dict[str, Tensor]  # the parameters of one layer: "weight", "bias", ...


@dataclass(frozen=True)
class Parameter:
    """One array: drawn from N(0, std^2) where std > 0, else filled with `fill`."""

    shape: tuple[int, ...]
    std: float = 0.0
    fill: float = 0.0
    trainable: bool = True


Table = dict[str, Parameter]  # "synthesis/b8/conv0/weight" -> Parameter, from the input on


def count(table: Mapping[str, Parameter]) -> int:
    """How many numbers training learns."""
    return sum(math.prod(entry.shape) for entry in table.values() if entry.trainable)


def dense_table(name: str, inputs: int, outputs: int, lrmul: float = 1, fill: float = 0) -> Table:
    """A dense layer [inputs, outputs] with equalised learning rate: N(0, (1/lrmul)^2)."""
    return {
        f"{name}/weight": Parameter((inputs, outputs), std=1 / lrmul),
        f"{name}/bias": Parameter((outputs,), fill=fill),
    }


def conv_table(name: str, size: int, inputs: int, outputs: int, bias: bool = True) -> Table:
    """A convolution, HWIO [size, size, inputs, outputs], stored as N(0, 1)."""
    table = {f"{name}/weight": Parameter((size, size, inputs, outputs), std=1)}
    return table | ({f"{name}/bias": Parameter((outputs,))} if bias else {})


class Network(tf.Module):
    """Variables made from a table, kept in its order."""

    def __init__(self, table: Table, start: Start, name: str) -> None:
        super().__init__(name=name)
        self.table = dict(table)
        self.values = {key: initial(key, entry, start) for key, entry in table.items()}

    @property
    def trainable_variables(self) -> tuple[Tensor, ...]:
        """What the optimiser changes, in the order of the table: from the input to the output."""
        return tuple(self.values[key] for key, entry in self.table.items() if entry.trainable)

    @property
    def variables(self) -> tuple[Tensor, ...]:
        """Parameters and buffers, in the order of the table."""
        return tuple(self.values[key] for key in self.table)

    def layer(self, name: str) -> Layer:
        """The parameters below `name`, as tensors: {"weight": ..., "affine/weight": ...}."""
        start = f"{name}/"
        found = {key: value for key, value in self.values.items() if key.startswith(start)}
        return {key.removeprefix(start): tf.convert_to_tensor(found[key]) for key in found}


def initial(key: str, entry: Parameter, start: Start) -> Tensor:
    """A variable for one entry; its draw depends on the seed and its own name alone."""
    if not isinstance(start, int):
        value = np.asarray(start[key], np.float32)
    elif entry.std:
        pair = [start & 0x7FFFFFFF, zlib.crc32(key.encode()) & 0x7FFFFFFF]
        value = entry.std * tf.random.stateless_normal(entry.shape, pair, alg="philox")
    else:
        value = tf.fill(entry.shape, float(entry.fill))
    return new_variable(value, key)


def new_variable(value: Any, name: str | None = None) -> Tensor:
    """A float32 variable, or an int64 one; each replica has its own copy and moves it itself."""
    return tf.Variable(
        value,
        trainable=False,  # tapes say what they watch
        name=name,
        synchronization=tf.VariableSynchronization.ON_READ,
        aggregation=tf.VariableAggregation.ONLY_FIRST_REPLICA,
    )
