"""A graph, run on this CPU with inputs that suit it."""

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import product
from typing import Any

import numpy as np
import tensorflow as tf

from atelier.errors import reason_in
from training.deploy.reading import Graph

SIZES = (1, 8, 64, 256)  # of dimensions that a signature leaves open, when tried; of batches 1
RANKS = (0, 1, 2, 3, 4)  # where it leaves open how many there are
CALLS = 5  # that are timed


@dataclass(frozen=True)
class Trial:
    """One run on the CPU with random inputs: what came out, or why nothing did."""

    seconds: float
    outputs: dict[str, Any]
    failed: str = ""
    given: dict[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        if self.failed:
            return f"does not run on this CPU ({self.failed})"
        return f"{1000 * self.seconds:.1f} ms a call"


def tried(graph: Graph, given: dict[str, Any] | None = None) -> Trial:
    """Run a graph with what it was given before, or with the first inputs that suit it."""
    failed = ""
    with tf.device("CPU"):
        try:
            run = graph.function()[1]
            for inputs in [given] if given else suiting(graph):
                try:
                    return timed_calls(run, inputs)
                except tf.errors.InvalidArgumentError as error:  # other inputs may do
                    failed = failed or reason_in(str(error))
        except (tf.errors.OpError, ValueError) as error:
            failed = reason_in(str(error))
    return Trial(0.0, {}, failed)


def timed_calls(run: Any, given: dict[str, Any]) -> Trial:
    """The fastest of some calls, after one that is not counted."""
    outputs, seconds = run(**given), []
    for _ in range(CALLS):
        start = time.perf_counter()
        run(**given)
        seconds.append(time.perf_counter() - start)
    return Trial(min(seconds), {n: each.numpy() for n, each in outputs.items()}, given=given)


def suiting(graph: Graph) -> Iterator[dict[str, Any]]:
    """Inputs to try one after the other, by what is open; whole numbers are 0, then 1."""
    known = []
    for whole, size, rank in product((0, 1), SIZES, RANKS):
        rng = np.random.default_rng(0)
        shapes = {name: tried_shape(spec.shape, size, rank) for name, spec in graph.inputs.items()}
        kinds = [spec.dtype.is_integer for spec in graph.inputs.values()]
        if (shapes, whole * any(kinds)) in known:
            continue
        known.append((shapes, whole * any(kinds)))
        yield {
            name: input_drawn(rng, shapes[name], spec.dtype, whole)
            for name, spec in graph.inputs.items()
        }


def tried_shape(shape: Any, size: int, rank: int) -> list[int]:
    """A whole shape; where the rank is open that of a picture, as far as it goes."""
    if shape.rank is None:
        return [1, size, size, 3][:rank]
    first = size if shape.rank == 1 else 1
    return [known or (size if axis else first) for axis, known in enumerate(shape.as_list())]


def input_drawn(rng: np.random.Generator, shape: list[int], kind: Any, whole: int) -> Any:
    """Random numbers, or the same whole number or empty text everywhere."""
    if kind == tf.string:
        return tf.fill(shape, "")
    return tf.cast(
        tf.constant(rng.random(shape) if kind.is_floating else np.full(shape, whole)), kind
    )


def furthest(before: Trial, after: Trial) -> float:
    """The largest difference of what came out before and after; of what is no number 0 or 1."""
    pairs = [(before.outputs[name], after.outputs[name]) for name in after.outputs]
    return float(np.max([difference(*pair) for pair in pairs]))  # NaN, if one is


def difference(one: Any, other: Any) -> float:
    """The largest between two arrays."""
    if one.dtype.kind in "OSU" or one.shape != other.shape:
        return float(not np.array_equal(one, other))
    a, b = one.astype(np.complex128), other.astype(np.complex128)
    same = (a == b) | (np.isnan(a) & np.isnan(b))
    return float(np.abs(np.where(same, 0, a) - np.where(same, 0, b)).max(initial=0.0))
