"""A graph that was trained on a GPU, made fit for a CPU: SavedModel, Keras file or frozen graph."""

import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow.python.framework import kernels
from tensorflow.python.framework.convert_to_constants import (
    convert_variables_to_constants_v2 as constants,
)

from atelier.errors import Refusal
from atelier.files import replacing

TO_NHWC, TO_NCHW = (0, 2, 3, 1), (0, 3, 1, 2)
# Operations whose data_format may be NCHW: their first input is the picture, as is output 0.
PICTURES = {"Conv2D", "DepthwiseConv2dNative", "MaxPool", "AvgPool", "BiasAdd", "FusedBatchNorm"}
PICTURES |= {"FusedBatchNormV2", "FusedBatchNormV3"}
CPU = ("CPU", "DEFAULT")  # whose kernels run on one
DIMENSION = 1  # of inputs whose signature leaves it open, when tried
BY_AXIS = ("strides", "dilations", "ksize")
INSTEAD = {
    **dict.fromkeys(
        ("CudnnRNN", "CudnnRNNV2", "CudnnRNNV3"),
        "a Keras LSTM or GRU layer with the same weights",
    ),
    "NcclAllReduce": "the graph of one replica",
}


class ConvertError(Refusal):
    """A graph that cannot be made fit for a CPU; the message names the operation."""


@dataclass
class Graph:
    """Constants and operations, with the tensors that go in and come out, by name."""

    definition: Any
    inputs: dict[str, Any]  # name -> tf.TensorSpec, whose own name is the tensor's
    outputs: dict[str, str]
    changes: Counter[str] = field(default_factory=Counter)

    def function(self) -> tuple[Any, Any]:
        """The tf.function of the graph, for inputs by name, and the one signature traced of it."""
        whole = tf.compat.v1.wrap_function(
            lambda: tf.import_graph_def(self.definition, name=""), []
        )
        run = whole.prune([spec.name for spec in self.inputs.values()], [*self.outputs.values()])

        def converted(**given: Any) -> dict[str, Any]:
            found = run(*(given[name] for name in self.inputs))
            return dict(zip(self.outputs, found, strict=True))

        specs = {
            name: tf.TensorSpec(spec.shape, spec.dtype, name) for name, spec in self.inputs.items()
        }
        traced = tf.function(converted, autograph=False)
        return traced, traced.get_concrete_function(**specs)


def read_graph(path: Path) -> Graph:
    """The graph in a file or folder; raises ConvertError where there is none."""
    if not path.exists():
        raise ConvertError(f"{path} does not exist: name a SavedModel, a .keras or a .pb")
    try:
        if path.is_dir():
            return read_savedmodel(path)
        if path.suffix in (".keras", ".h5"):
            with TemporaryDirectory() as folder:
                model = tf.keras.models.load_model(path, compile=False, safe_mode=True)
                model.export(folder, verbose=False)
                return read_savedmodel(Path(folder))
        return read_frozen(path)
    except Refusal:
        raise
    except Exception as error:  # each library has its own
        said = " ".join(str(error).split())[:200]
        raise ConvertError(f"{path} is no SavedModel, Keras file or graph: {said}") from None


def read_savedmodel(path: Path) -> Graph:
    """The signature serving_default, its variables as constants."""
    with tf.device("CPU"):
        loaded = tf.saved_model.load(str(path))  # its variables live as long as it does
        signatures = loaded.signatures
        if "serving_default" not in signatures:
            raise ConvertError(f"{path} has no signature serving_default: save it with one")
        run = signatures["serving_default"]
        flat = constants(run)
    names = sorted(run.structured_input_signature[1])
    specs = [tf.TensorSpec(x.shape, x.dtype, x.name) for x in flat.inputs]
    inputs = dict(zip(names, specs, strict=True))  # both in the order of the names
    outputs = dict(zip(sorted(run.structured_outputs), [x.name for x in flat.outputs], strict=True))
    return Graph(flat.graph.as_graph_def(), inputs, outputs)


def read_frozen(path: Path) -> Graph:
    """A GraphDef: its placeholders go in, and what nobody takes comes out."""
    definition = tf.compat.v1.GraphDef.FromString(path.read_bytes())
    if not definition.node:
        raise ConvertError(f"{path} holds no graph: name a SavedModel, a .keras or a .pb")
    taken = {name.lstrip("^").partition(":")[0] for node in definition.node for name in node.input}
    inputs, outputs = {}, {}
    for node in definition.node:
        if node.op == "Placeholder":
            shape = tf.TensorShape(node.attr["shape"].shape)
            kind = tf.dtypes.as_dtype(node.attr["dtype"].type)
            inputs[node.name] = tf.TensorSpec(shape, kind, f"{node.name}:0")
        elif node.name not in taken and node.op not in ("NoOp", "Const", "Assert"):
            outputs[node.name.replace("/", "_")] = f"{node.name}:0"
    return Graph(definition, inputs, outputs)


def fit_for_cpu(graph: Graph) -> None:
    """Strip devices, turn NCHW to NHWC between transposes, and see that a CPU has each operation.

    Raises ConvertError for an operation that it has not, with what replaces it.
    """
    made: list[Any] = []
    for node in [*graph.definition.node]:
        made += turned(node, graph.changes) if in_nchw(node) else [node]
    del graph.definition.node[:]
    graph.definition.node.extend(made)
    inner = [node for part in graph.definition.library.function for node in part.node_def]
    for node in [*graph.definition.node, *inner]:
        if node.device:
            graph.changes[f"device {node.device} stripped"] += 1
            node.device = ""
        if in_nchw(node) or not runs_on_cpu(node):
            raise ConvertError(f"{node.name}: {node.op} {lacking_on_cpu(node)}")


def in_nchw(node: Any) -> bool:
    """Whether an operation takes pictures in NCHW."""
    return "data_format" in node.attr and bool(node.attr["data_format"].s == b"NCHW")


def runs_on_cpu(node: Any) -> bool:
    """Whether a CPU kernel takes the types of an operation; calls of functions are no kernels."""
    found = [each for each in kernels.get_registered_kernels_for_op(node.op).kernel]
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


@dataclass(frozen=True)
class Trial:
    """One run on the CPU with random inputs: what came out, or why nothing did."""

    seconds: float
    outputs: dict[str, Any]
    failed: str = ""

    def __str__(self) -> str:
        if self.failed:
            return f"does not run on this CPU ({self.failed})"
        return f"{1000 * self.seconds:.1f} ms a call"


def tried(graph: Graph, calls: int = 5) -> Trial:
    """Run a graph with the same random inputs each time; the fastest call counts."""
    rng, given = np.random.default_rng(0), {}
    for name, spec in graph.inputs.items():
        unknown = spec.shape.rank is None
        shape = [] if unknown else [size or DIMENSION for size in spec.shape.as_list()]
        drawn = rng.random(shape) if spec.dtype.is_floating else np.zeros(shape)
        given[name] = tf.cast(tf.constant(drawn), spec.dtype)
    try:
        with tf.device("CPU"):
            run = graph.function()[1]
            outputs, seconds = run(**given), []
            for _ in range(calls):
                start = time.perf_counter()
                run(**given)
                seconds.append(time.perf_counter() - start)
    except (tf.errors.OpError, ValueError) as error:
        return Trial(0.0, {}, " ".join(str(error).split())[:160])
    return Trial(min(seconds), {name: value.numpy() for name, value in outputs.items()})


def furthest(before: Trial, after: Trial) -> float:
    """The largest difference of what came out before and after, of numbers."""
    pairs = [(before.outputs[name], after.outputs[name]) for name in after.outputs]
    return max(float(np.max(np.abs(np.subtract(*pair, dtype=np.float64)))) for pair in pairs)


def convert(source: Path, path: Path) -> Iterator[str]:
    """Write `source` as a SavedModel for a CPU; the lines of the report."""
    graph = read_graph(source)
    before = tried(graph)
    fit_for_cpu(graph)
    after = tried(graph)
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
