"""Trade time for memory: keep no activations, compute them again when a gradient needs them."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import tensorflow as tf

from training.parameters import Tensor

KEEPING = ContextVar("KEEPING", default=False)


@contextmanager
def keeping() -> Iterator[None]:
    """While a gradient of a gradient is traced: keep all activations, it needs them anyway."""
    token = KEEPING.set(True)
    try:
        yield
    finally:
        KEEPING.reset(token)


def recompute(function: Callable[..., Any], inputs: Sequence[Tensor]) -> Any:
    """function(*inputs), of which only `inputs` are kept; exact to any order.

    The gradient is itself such a function, so the gradient of a gradient recomputes too (unlike
    tf.recompute_grad, which has none). `function` may depend on tensors through `inputs` only.
    Memory is saved inside tf.function alone, and by first-order gradients alone; for those of R1
    and path length, which come out right but take twice the work and more memory, see `keeping`.
    """
    if KEEPING.get():
        return function(*inputs)

    @tf.custom_gradient  # type: ignore[untyped-decorator]
    def run(*inputs: Tensor) -> Any:
        outputs = function(*inputs)
        single = not isinstance(outputs, (tuple, list))

        def gradient(*upstream: Tensor) -> Any:
            return recompute(vjp(function, len(inputs), single), [*inputs, *upstream])

        return outputs, gradient

    return run(*inputs)


def vjp(function: Callable[..., Any], count: int, single: bool) -> Callable[..., Any]:
    """(inputs, upstream) -> the gradients of <function(inputs), upstream> for `count` inputs."""

    def run(*arguments: Tensor) -> Any:
        given, upstream = arguments[:count], arguments[count:]
        # The dependency keeps the graph optimiser from merging this pass with the first one.
        with tf.control_dependencies(upstream):
            inputs = [tf.identity(tensor) for tensor in given]
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(inputs)
            outputs = function(*inputs)
        return tape.gradient(
            outputs,
            inputs,
            output_gradients=upstream[0] if single else list(upstream),
            unconnected_gradients=tf.UnconnectedGradients.ZERO,
        )

    return run
