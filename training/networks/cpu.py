"""Which faster forms of an operation a graph may take, because a CPU will compute it."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Literal

import tensorflow as tf

Use = Literal["none", "drawing", "learning", "litert"]
USE: ContextVar[Use] = ContextVar("USE", default="none")


def on_cpu(use: Use) -> Use:
    """What is allowed where TensorFlow computes: there, or nothing on a GPU."""
    return "none" if tf.config.list_logical_devices("GPU") else use


@contextmanager
def allowed(use: Use) -> Iterator[None]:
    """While a graph for a CPU is traced: take the forms that pay for pictures, or for gradients.

    In a program for LiteRT, whose kernels say what pays, "litert" gives it the forms it likes.
    """
    token = USE.set(use)
    try:
        yield
    finally:
        USE.reset(token)
