"""Opens TensorFlow models that carry the signature of the Object Detection API.

Frozen graphs of TensorFlow 1 and SavedModels of 1 and 2. A SavedModel is a program: it can read
and write files as the user who runs it.
"""

from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf
from google.protobuf.message import DecodeError
from numpy.typing import NDArray

from atelier.errors import Refusal, reason_in
from atelier.pictures import Pixels

INPUT = "image_tensor"
OUTPUTS = ("num_detections", "detection_boxes", "detection_scores", "detection_classes")
SHAPES = "num_detections [N], detection_boxes [N, M, 4], scores and classes [N, M], all numbers"
WANTED = f"an object detector has {INPUT}: uint8 -> {', '.join(OUTPUTS)}"

BLANK = 320  # pixels: side of the picture that every model is tried on

Values = dict[str, NDArray[np.float32]]


class GraphError(Refusal):
    """A model that does not answer as an object detector does; the message names it."""


class Graph(NamedTuple):
    """A model ready to run: NHWC uint8 RGB -> the four outputs, each with the batch first."""

    run: Callable[[Pixels], Values]
    size: tuple[int, int] | None  # (height, width) that it insists on
    batches: bool  # whether it takes more than one picture at a time


def open_graph(path: Path) -> Graph:
    """A frozen graph from a file, a SavedModel from a folder, or from the one folder in it.

    Raises ValueError with one sentence for what is neither, or has another signature.
    """
    single_threaded()
    if path.is_file():
        return frozen(path)
    for folder in (path, path / "saved_model"):
        if (folder / "saved_model.pb").is_file():
            return saved_model(folder)
    graphs = sorted(graph for graph in path.glob("*.pb") if graph.is_file())
    if len(graphs) == 1:
        return frozen(graphs[0])
    raise ValueError(f"{path} holds neither saved_model.pb nor saved_model/saved_model.pb")


def single_threaded() -> None:
    """One thread: the workers are processes."""
    with suppress(RuntimeError):  # TensorFlow runs already: only its speed depends on this
        tf.config.threading.set_intra_op_parallelism_threads(1)
        tf.config.threading.set_inter_op_parallelism_threads(1)


def frozen(path: Path) -> Graph:
    """A graph whose weights are constants."""
    graph = tf.compat.v1.GraphDef()
    try:
        graph.ParseFromString(path.read_bytes())
    except DecodeError:
        size = path.stat().st_size
        raise ValueError(
            f"{path} is no frozen graph, or only a part of one ({size} bytes): fetch it again"
        ) from None
    check_names(graph, path)
    try:
        whole = tf.compat.v1.wrap_function(lambda: tf.import_graph_def(graph, name=""), [])
    except (ValueError, tf.errors.OpError) as error:  # as for an operation that is not known here
        raise ValueError(f"{path} does not load: {reason_in(str(error))}") from None
    outputs = {name: f"{name}:0" for name in OUTPUTS}
    called = whole.prune(f"{INPUT}:0", outputs)
    (fed,) = called.inputs
    if fed.dtype != tf.uint8:
        raise ValueError(f"{path}: {INPUT} is {fed.dtype.name}; {WANTED}")
    return made(called, fed.shape, called.structured_outputs.values(), path)


def check_names(graph: Any, path: Path) -> None:
    names = {node.name for node in graph.node}
    if {INPUT, *OUTPUTS} <= names:
        return
    read = {source.split(":")[0].lstrip("^") for node in graph.node for source in node.input}
    fed = [node.name for node in graph.node if node.op == "Placeholder"]
    ends = sorted(names - read - set(fed))
    raise ValueError(f"{path} has inputs {listed(fed)} and outputs {listed(ends)}; {WANTED}")


def saved_model(folder: Path) -> Graph:
    """A SavedModel's default signature."""
    try:
        loaded = tf.saved_model.load(str(folder))
    except Exception as error:  # an index, a list of variables or a proto that is no whole one
        raise ValueError(f"{folder} does not load: {reason_in(str(error))}") from None
    signatures = dict(loaded.signatures)
    called = signatures.get("serving_default") or next(iter(signatures.values()), None)
    if called is None:
        raise ValueError(f"{folder} has no signature: export it with one; {WANTED}")
    fed = called.structured_input_signature[1]
    missing = set(OUTPUTS) - set(called.structured_outputs)
    kinds = [spec.dtype for spec in fed.values()]
    if missing or kinds != [tf.uint8]:
        inputs = [f"{name}: {spec.dtype.name}" for name, spec in fed.items()]
        outputs = sorted(called.structured_outputs)
        raise ValueError(
            f"{folder} has inputs {listed(inputs)} and outputs {listed(outputs)}; {WANTED}"
        )
    ((name, spec),) = fed.items()
    outputs = [called.structured_outputs[output] for output in OUTPUTS]
    graph = made(lambda images: called(**{name: images}), spec.shape, outputs, folder)
    loaded_for_life.append(loaded)
    return graph


loaded_for_life: list[Any] = []  # a signature holds its variables only weakly


def made(called: Any, shape: Any, outputs: Iterable[Any], path: Path) -> Graph:
    """A graph may say that it takes one picture only at its input, or at an output.

    It is tried on a blank picture. Raises GraphError, now or later, where it fails.
    """
    dims = shape.as_list() if shape.rank is not None else [None] * 4
    leading = [dims[0], *(out.shape[0] for out in outputs if out.shape.rank)]
    height, width = dims[1:3]
    size = (height, width) if height and width else None

    def run(images: Pixels) -> Values:
        try:
            found = called(tf.constant(images))
            values = {name: found[name].numpy() for name in OUTPUTS}
        except (tf.errors.OpError, ValueError, TypeError) as error:
            seen = " x ".join(map(str, images.shape))
            raise GraphError(
                f"{path} fails on pictures of {seen}: {reason_in(str(error))}"
            ) from None
        check_values(values, len(images), path)
        return values

    run(np.zeros((dims[0] or 1, *(size or (BLANK, BLANK)), 3), np.uint8))
    return Graph(run, size, 1 not in leading)


def check_values(values: Values, pictures: int, path: Path) -> None:
    """Raise GraphError for outputs that are not those of an object detector."""
    counts, many = values["num_detections"], values["detection_scores"].shape[1:2] or (0,)
    wanted = [(pictures,), (pictures, *many, 4), (pictures, *many), (pictures, *many)]
    given = [value.shape for value in values.values()]
    if given != wanted or not all(np.issubdtype(v.dtype, np.number) for v in values.values()):
        told = [f"{name} {list(v.shape)} {v.dtype}" for name, v in values.items()]
        raise GraphError(f"{path} gives {listed(told)}: give a model that gives {SHAPES}")
    if not np.isfinite(counts).all():
        raise GraphError(f"{path} gives num_detections that are no numbers: fetch it again")


def listed(names: Iterable[str]) -> str:
    """At most eight of the names."""
    first = list(names)
    return ", ".join(first[:8]) + (f" and {len(first) - 8} more" if len(first) > 8 else "") or "-"
