"""A generator as an .onnx file."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

from atelier.errors import reason_in
from training.deploy.frozen import graph
from training.deploy.standalone import OUTPUTS
from training.deploy.tflite import ConversionError

if TYPE_CHECKING:
    from training.deploy.program import Program

OPSET = 17


def write_onnx(made: Program, path: Path, quantize: str) -> None:
    """Opset 17, batches of any length; inputs and outputs are named as in the signature.

    Raises ConversionError for an operation that ONNX lacks.
    """
    import onnx
    import tf2onnx

    logging.getLogger("tf2onnx").setLevel(logging.CRITICAL)
    try:
        model, _ = tf2onnx.convert.from_graph_def(
            graph(made),
            input_names=[f"{name}:0" for name in made.signature()],
            output_names=[f"{name}:0" for name in OUTPUTS],
            opset=OPSET,
        )
    except Exception as error:
        raise ConversionError(
            f"onnx: tf2onnx refuses it ({reason_in(str(error))}): choose frozen"
        ) from None
    onnx.save(renamed(model), str(path))


def renamed(model: Any) -> Any:
    """The model, with z for z:0 and so on."""

    def short(names: Any) -> None:
        names[:] = [name.removesuffix(":0") if name in ends else name for name in names]

    inner = model.graph
    ends = {value.name for value in (*inner.input, *inner.output)}
    for node in inner.node:
        short(node.input)
        short(node.output)
    for value in (*inner.input, *inner.output):
        value.name = value.name.removesuffix(":0")
    return model
