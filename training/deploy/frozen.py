"""A generator as a SavedModel, or as one file that holds a frozen graph."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from training.deploy.standalone import OUTPUTS

if TYPE_CHECKING:
    from training.deploy.program import Program


def write_savedmodel(made: Program, path: Path, quantize: str) -> None:
    """A folder for TensorFlow, with the signature serving_default, for batches of any length."""
    save(made, path)


def save(made: Program, path: Path, count: int | None = None) -> None:
    """Write a SavedModel of batches of `count`."""
    import tensorflow as tf

    tf.saved_model.save(made, str(path), signatures={"serving_default": made.traced(count)})


def write_frozen(made: Program, path: Path, quantize: str) -> None:
    """A GraphDef of constants; its inputs and outputs are named as in the signature."""
    path.write_bytes(graph(made).SerializeToString())


def graph(made: Program) -> Any:
    """The GraphDef: the weights are constants, and each output has its own name."""
    from tensorflow.compat.v1 import graph_util

    whole = frozen_graph(made).as_graph_def()
    return graph_util.extract_sub_graph(whole, [*made.signature(), *OUTPUTS])


def frozen_graph(made: Program, count: int | None = None) -> Any:
    """The tf.Graph for batches of `count`, whose weights are constants."""
    from tensorflow.python.framework.convert_to_constants import (
        convert_variables_to_constants_v2 as constants,
    )

    return constants(made.traced(count)).graph
