"""A graph in a file or folder of TensorFlow's: SavedModel, Keras file or frozen graph."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import tensorflow as tf
from tensorflow.python.framework.convert_to_constants import (
    convert_variables_to_constants_v2 as constants,
)

from atelier.errors import Refusal, reason_in, stand_in
from training.exchange.described import GRAPHS, graph_kind

# Operations whose data_format may be NCHW: their first input is the picture, as is output 0.
PICTURES = {"Conv2D", "DepthwiseConv2dNative", "MaxPool", "AvgPool", "FusedBatchNorm"}
PICTURES |= {"FusedBatchNormV2", "FusedBatchNormV3"}
# What has no place in a graph of constants: variables that change, and tables.
KEEPING = ("Assign", "LookupTable")
XLA = "_XlaMustCompile"  # a function whose operations need no kernels
KERAS = {b"PK\3\4": ".keras", b"\x89HDF": ".h5"}  # how such a file begins: Keras goes by suffixes
READ = "name a SavedModel, a .keras or a .pb"


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
    head = begun(path)
    try:
        if path.is_dir():
            return read_savedmodel(path)
        if head[:4] in KERAS:
            return read_keras(path, KERAS[head[:4]])
        return read_frozen(path)
    except Refusal:
        raise
    except Exception as error:  # each library has its own
        raise ConvertError(
            f"{path} is no SavedModel, Keras file or graph: {reason_in(str(error))}"
        ) from None


def begun(path: Path) -> bytes:
    """How a file begins, of a folder nothing; raises ConvertError for what is known to be none."""
    if not path.exists():
        raise ConvertError(f"{path} does not exist: {READ}")
    if path.is_dir():
        return b""
    if not path.is_file():
        raise ConvertError(f"{path} is no file: {READ}")
    with path.open("rb") as file:
        head = file.read(64)
    if path.name == "saved_model.pb":
        raise ConvertError(f"{path} is a part of a SavedModel: name its folder, {path.parent}")
    if (other := graph_kind(path)) not in ("", GRAPHS[".pb"]):
        raise ConvertError(f"{path} is {other}: name what it was made of, a .keras or a SavedModel")
    if not head.startswith(b"\n") and (other := stand_in(head)):  # as a GraphDef does
        raise ConvertError(f"{path} is {other}: {READ}")
    return head


def read_keras(path: Path, suffix: str) -> Graph:
    """A Keras file, whatever it is called."""
    with TemporaryDirectory() as folder:
        named = path if path.suffix == suffix else Path(folder, f"model{suffix}")
        if named != path:
            named.symlink_to(path.absolute())
        model = tf.keras.models.load_model(named, compile=False, safe_mode=True)
        model.export(exported := Path(folder, "exported"), verbose=False)
        return read_savedmodel(exported)


def read_savedmodel(path: Path) -> Graph:
    """The signature serving_default, its variables as constants."""
    with tf.device("CPU"):
        loaded = tf.saved_model.load(str(path))  # its variables live as long as it does
        signatures = loaded.signatures
        if "serving_default" not in signatures:
            has = f", but {', '.join(sorted(signatures))}" if signatures else ""
            raise ConvertError(f"{path} has no signature serving_default{has}: save it with one")
        run = signatures["serving_default"]
        check_constant(run.graph.as_graph_def())
        for name, kind in run.structured_outputs.items():
            if not isinstance(kind, tf.TensorSpec):
                raise ConvertError(
                    f"{path}: its output {name} is no tensor: save it as a dense one"
                )
        flat = constants(run)
    names = signature_names(sorted(run.structured_input_signature[1]))
    specs = [tf.TensorSpec(x.shape, x.dtype, x.name) for x in flat.inputs]
    inputs = dict(zip(names, specs, strict=True))  # both in the order of the names
    outputs = dict(zip(sorted(run.structured_outputs), [x.name for x in flat.outputs], strict=True))
    return Graph(flat.graph.as_graph_def(), inputs, outputs)


def read_frozen(path: Path) -> Graph:
    """A GraphDef: its placeholders go in, and what nobody takes comes out."""
    definition = tf.compat.v1.GraphDef.FromString(path.read_bytes())
    if not definition.node:
        raise ConvertError(f"{path} holds no graph: {READ}")
    with tf.Graph().as_default() as graph:
        tf.import_graph_def(definition, name="")
    taken = {name.lstrip("^").partition(":")[0] for node in definition.node for name in node.input}
    given = [op for op in graph.get_operations() if op.type == "Placeholder"]
    last = [op for op in graph.get_operations() if op.name not in taken and op not in given]
    # A batch normalisation's further outputs are for its gradient.
    ends = [x for op in last for x in op.outputs[: 1 if op.type in PICTURES else None]]
    ends = [x for x in ends if x.op.type != "Const"]
    if not ends:
        raise ConvertError(f"{path} computes nothing that comes out: name a whole graph")
    specs = [tf.TensorSpec(x.shape, x.dtype, x.name) for op in given for x in op.outputs]
    inputs = dict(zip(signature_names([op.name for op in given]), specs, strict=True))
    names = signature_names([x.name.removesuffix(":0") for x in ends])
    return Graph(definition, inputs, dict(zip(names, [x.name for x in ends], strict=True)))


def signature_names(names: Sequence[str]) -> list[str]:
    """Names as a signature can have them, model/in:1 as model_in_1, no two the same."""
    found: list[str] = []
    for name in names:
        word = re.sub(r"\W", "_", name, flags=re.ASCII)
        word = word if word.isidentifier() else f"arg_{word}"
        while word in found:
            word += "_"
        found.append(word)
    return found


def nodes_of(definition: Any, compiled: bool = True) -> list[Any]:
    """All of a graph, those of its functions too; of functions that XLA compiles, if asked for."""
    parts = [part for part in definition.library.function if compiled or XLA not in part.attr]
    return [*definition.node, *(node for part in parts for node in part.node_def)]


def check_constant(definition: Any) -> None:
    """Raise ConvertError where a graph keeps what no constant can be."""
    for node in nodes_of(definition):
        if any(word in node.op for word in KEEPING):
            raise ConvertError(
                f"{node.name}: {node.op} is of a table, or changes a variable, and a graph"
                " for inference has constants alone: save the model without it"
            )
