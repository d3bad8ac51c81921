"""A graph that was trained on a GPU, made fit for a CPU: SavedModel, Keras file or frozen graph."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import tensorflow as tf
from tensorflow.python.framework import kernels

from atelier.files import replacing
from training.deploy.formats import check_place
from training.deploy.reading import PICTURES, ConvertError, Graph, nodes_of, read_graph
from training.deploy.trial import furthest, tried

TO_NHWC, TO_NCHW = (0, 2, 3, 1), (0, 3, 1, 2)
CPU = ("CPU", "DEFAULT")  # whose kernels run on one
BY_AXIS = ("strides", "dilations", "ksize")
GRADIENT = "_gradient_op_type"  # names a function of Python's, as swish has, that no file can hold
INSTEAD = {
    **dict.fromkeys(
        ("CudnnRNN", "CudnnRNNV2", "CudnnRNNV3"),
        "a Keras LSTM or GRU layer with the same weights",
    ),
    "NcclAllReduce": "the graph of one replica",
}


def fit_for_cpu(graph: Graph) -> None:
    """Strip devices, turn NCHW to NHWC between transposes, and see that a CPU has each operation.

    Raises ConvertError for an operation that it has not, with what replaces it.
    """
    made: list[Any] = []
    for node in [*graph.definition.node]:
        made += turned(node, graph.changes) if in_nchw(node) else [node]
    del graph.definition.node[:]
    graph.definition.node.extend(made)
    for node in nodes_of(graph.definition):
        if node.device:
            graph.changes[f"device {node.device} stripped"] += 1
            node.device = ""
        if GRADIENT in node.attr:
            graph.changes["gradient of an operation's own stripped"] += 1
            del node.attr[GRADIENT]
    for node in nodes_of(graph.definition, compiled=False):
        if in_nchw(node) or not runs_on_cpu(node):
            raise ConvertError(f"{node.name}: {node.op} {lacking_on_cpu(node)}")


def in_nchw(node: Any) -> bool:
    """Whether an operation takes pictures in NCHW; a CPU adds biases in any form."""
    has_form = "data_format" in node.attr and node.op != "BiasAdd"
    return has_form and bool(node.attr["data_format"].s == b"NCHW")


def runs_on_cpu(node: Any) -> bool:
    """Whether a CPU kernel takes the types of an operation; calls of functions are no kernels."""
    found = kernels.get_registered_kernels_for_op(node.op).kernel
    fitting = [each for each in found if each.device_type in CPU and takes(each, node)]
    return bool(fitting) or (not found and node.op not in INSTEAD)


def takes(kernel: Any, node: Any) -> bool:
    """Whether a kernel is for the types of an operation."""
    return all(
        node.attr[each.name].type in each.allowed_values.list.type
        for each in kernel.constraint
        if each.name in node.attr and node.attr[each.name].type
    )


def lacking_on_cpu(node: Any) -> str:
    """Why an operation cannot stay, and the way out."""
    if in_nchw(node):
        return "is in NCHW, which a CPU has not: save the model in NHWC (channels_last)"
    instead = INSTEAD.get(node.op, "the model saved in float32, without operations of a GPU")
    return f"has no kernel on a CPU: what replaces it is {instead}"


def turned(node: Any, changes: Counter[str]) -> Iterator[Any]:
    """A node in NCHW as the same in NHWC between two transposes; exact."""
    if node.op not in PICTURES:
        yield node
        return
    changes[f"{node.op} turned from NCHW to NHWC"] += 1
    kind, wanted, inner = node.attr["T"].type, node.name, f"{node.name}/nhwc"
    yield from transpose(f"{wanted}/to_nhwc", node.input[0], TO_NHWC, kind)
    node.input[0], node.name = f"{wanted}/to_nhwc", inner
    node.attr["data_format"].s = b"NHWC"
    for name in BY_AXIS:
        if name in node.attr and (given := list(node.attr[name].list.i)):
            node.attr[name].list.i[:] = [given[axis] for axis in TO_NHWC]
    if "explicit_paddings" in node.attr and (given := list(node.attr["explicit_paddings"].list.i)):
        pairs = [given[2 * axis + end] for axis in TO_NHWC for end in (0, 1)]
        node.attr["explicit_paddings"].list.i[:] = pairs
    yield node
    yield from transpose(wanted, inner, TO_NCHW, kind)


def transpose(name: str, of: str, order: tuple[int, ...], kind: int) -> Iterator[Any]:
    """The nodes of a transpose."""
    node = tf.compat.v1.NodeDef
    axes = node(name=f"{name}/order", op="Const")
    axes.attr["dtype"].type = tf.int32.as_datatype_enum
    axes.attr["value"].tensor.CopyFrom(tf.make_tensor_proto(order, tf.int32))
    made = node(name=name, op="Transpose", input=[of, f"{name}/order"])
    made.attr["T"].type, made.attr["Tperm"].type = kind, tf.int32.as_datatype_enum
    yield axes
    yield made


def write_graph(graph: Graph, path: Path) -> None:
    """A SavedModel with the signature serving_default."""
    module = tf.Module()
    module.generate, signature = graph.function()
    with replacing(path) as partial:
        tf.saved_model.save(module, str(partial), signatures={"serving_default": signature})
        check_place(path)  # once more: all this took a while


def convert(source: Path, path: Path) -> Iterator[str]:
    """Write `source` as a SavedModel for a CPU; the lines of the report."""
    graph = read_graph(source)
    before = tried(graph)
    fit_for_cpu(graph)
    after = tried(graph, before.given)
    if after.failed:
        raise ConvertError(f"{source} {after}: save it again from its own program")
    write_graph(graph, path)
    for what, count in sorted(graph.changes.items()):
        yield f"{count} x {what}"
    yield f"{len(graph.definition.node)} operations, each with a kernel on the CPU"
    for name, spec in graph.inputs.items():
        yield f"input {name}: {spec.dtype.name} {spec.shape}"
    yield f"outputs: {', '.join(graph.outputs)}"
    yield f"before: {before}"
    yield f"after: {after}"
    if not before.failed:
        yield f"largest difference: {furthest(before, after):.1e}"
