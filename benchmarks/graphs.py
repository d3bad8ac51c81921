"""What a graph would do on a GPU, read from the graph and from TensorFlow's registered kernels."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any

import tensorflow as tf
from tensorflow.python.framework import kernels

CALLS = {"PartitionedCall", "StatefulPartitionedCall"}
# Nothing is computed in these: constants, names for what is there, and memory seen in another form.
STILL = {
    *("Const", "Placeholder", "Identity", "IdentityN", "NoOp", "StopGradient", "PreventGradient"),
    *("Reshape", "Squeeze", "ExpandDims", "ReadVariableOp", "Shape", "ShapeN", "VarHandleOp"),
}


@dataclass(frozen=True)
class Tally:
    """Of one graph: its operations, and what of them a GPU would have."""

    nodes: int  # operations, but for those that are computed before the first step
    launches: int  # operations that compute on the device, at least a kernel each
    reads: int  # tensors that go from the device to the host, which waits for them
    missing: tuple[str, ...]  # operations that no kernel on a GPU computes
    flops: float  # of convolutions and matrix products


def tally(graph: Any) -> Tally:
    """Counts of a graph with all that it calls."""
    every = list(called(graph))
    kept = [op for op in every if not folded(op)]
    launches = [op for op in kept if op.type not in STILL and computes_on_device(op)]
    missing = sorted({named(op) for op in kept if kernel(op) is None})
    reads = sum(len(read_by_host(op)) for op in every)
    flops = sum(operations(op) for op in every)
    return Tally(len(kept), len(launches), reads, tuple(missing), flops)


def graph_of(function: Any) -> Any:
    """The graph of a function of nothing, traced once more."""
    return tf.function(function, autograph=False).get_concrete_function().graph


def called(graph: Any) -> Iterator[Any]:
    """The operations of a graph, and of the functions it calls in place of the calls."""
    for op in graph.get_operations():
        if op.type in CALLS:
            yield from called(graph._functions[op.get_attr("f").name].graph)
        else:
            yield op


@lru_cache
def registered(kind: str) -> tuple[Any, ...]:
    """The kernels of an operation that may run on a GPU."""
    found = kernels.get_registered_kernels_for_op(kind).kernel
    return tuple(k for k in found if k.device_type in ("GPU", "DEFAULT"))


@lru_cache
def constrained(kind: str) -> tuple[str, ...]:
    """The attributes, each a type or some, by which its kernels differ."""
    return tuple({limit.name: None for known in registered(kind) for limit in known.constraint})


def kernel(op: Any) -> Any:
    """The kernel that a GPU has for this operation, or None."""
    if op.type == "Placeholder":
        return "placeholder"
    values = [op.get_attr(name) for name in constrained(op.type)]
    return fitting(op.type, *(tuple(v) if isinstance(v, list) else (v,) for v in values))


@lru_cache
def fitting(kind: str, *types: tuple[Any, ...]) -> Any:
    """The first kernel for these types, in the order of `constrained`."""
    given = dict(zip(constrained(kind), types, strict=True))
    return next((known for known in registered(kind) if fits(given, known)), None)


def fits(given: dict[str, tuple[Any, ...]], known: Any) -> bool:
    """Whether a kernel is for these types."""
    for constraint in known.constraint:
        types = [tf.as_dtype(number) for number in constraint.allowed_values.list.type]
        if types and not all(tf.as_dtype(one) in types for one in given[constraint.name]):
            return False
    return True


def named(op: Any) -> str:
    return f"{op.type}({', '.join(tensor.dtype.name for tensor in op.inputs)})"


def on_host(op: Any, output: bool) -> list[bool]:
    """Whether each output, or input, lies in the host's memory where the operation has a kernel."""
    known, tensors = kernel(op), op.outputs if output else op.inputs
    if op.type == "Placeholder" or known is None:
        return [tensor.dtype == tf.int32 for tensor in tensors]
    found: list[bool] = []
    for argument in op.op_def.output_arg if output else op.op_def.input_arg:
        count = 1
        if argument.number_attr:
            count = op.get_attr(argument.number_attr)
        elif argument.type_list_attr:
            count = len(op.get_attr(argument.type_list_attr))
        found += [argument.name in known.host_memory_arg] * count
    return found


def computes_on_device(op: Any) -> bool:
    outputs = on_host(op, output=True)
    return not outputs or not all(outputs)


def read_by_host(op: Any) -> list[Any]:
    """The inputs that a kernel wants in the host's memory, and that lie in the device's."""
    wanted = on_host(op, output=False)
    return [
        tensor
        for tensor, host in zip(op.inputs, wanted, strict=True)
        if host and tensor.dtype != tf.resource and not from_host(tensor)
    ]


def from_host(tensor: Any) -> bool:
    """Whether a tensor lies in the host's memory; constants have a copy there."""
    return folded(tensor.op) or on_host(tensor.op, output=True)[tensor.value_index]


@cache
def folded(op: Any) -> bool:
    """Whether it is computed once, before the first step: from constants and known shapes."""
    if op.type == "Shape":
        return bool(op.inputs[0].shape.is_fully_defined())
    inputs = [tensor.op for tensor in op.inputs]
    return op.type == "Const" or (bool(inputs) and all(folded(one) for one in inputs))


def operations(op: Any) -> float:
    """2 x multiplications of one operation."""
    if op.type == "Conv2D":
        return 2 * op.outputs[0].shape.num_elements() * multiplied(op.inputs[1].shape)
    if op.type == "Conv2DBackpropInput":
        return 2 * op.inputs[2].shape.num_elements() * multiplied(op.inputs[1].shape)
    if op.type == "Conv2DBackpropFilter":
        return 2 * op.inputs[2].shape.num_elements() * multiplied(op.outputs[0].shape)
    if op.type == "MatMul":
        inner = op.inputs[0].shape[0 if op.get_attr("transpose_a") else 1]
        return 2 * op.outputs[0].shape.num_elements() * inner
    if op.type == "BatchMatMulV2":
        inner = op.inputs[0].shape[-2 if op.get_attr("adj_x") else -1]
        return 2 * op.outputs[0].shape.num_elements() * inner
    return 0


def multiplied(shape: Any) -> int:
    """Multiplications per output number of a kernel."""
    return shape[0] * shape[1] * shape[2]
