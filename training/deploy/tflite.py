"""A generator as a .tflite file for LiteRT: one picture at a time, built-in operations only."""

from __future__ import annotations

import re
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from atelier.errors import Refusal
from training.deploy.frozen import save

if TYPE_CHECKING:
    from training.deploy.program import Program


class ConversionError(Refusal):
    """An operation that a format does not have; the message names it."""


def write_tflite(made: Program, path: Path, quantize: str) -> None:
    """Weights in float32, float16, or int8 with computation as the interpreter chooses.

    Raises ConversionError for an operation that is no built-in one.
    """
    with TemporaryDirectory() as folder:
        save(made, Path(folder), count=1)
        path.write_bytes(converted(folder, quantize))


def converted(folder: str, quantize: str = "") -> bytes:
    """The file of a SavedModel, with all its signatures."""
    import tensorflow as tf

    converter = tf.lite.TFLiteConverter.from_saved_model(folder)
    if quantize:
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if quantize == "float16":
        converter.target_spec.supported_types = [tf.float16]
    try:
        return bytes(converter.convert())
    except Exception as error:  # ConverterError is private, and it may be others
        raise ConversionError(f"tflite: {lacking(str(error))}") from None


def lacking(said: str) -> str:
    """What the converter could not convert, in a sentence."""
    if found := sorted(set(re.findall(r"'?tf\.(\w+)'? op is neither a custom op", said))):
        return f"there is no built-in operation for {', '.join(found)}: choose onnx or frozen"
    return f"the converter refuses it ({' '.join(said.split())[:200]}): choose onnx or frozen"
