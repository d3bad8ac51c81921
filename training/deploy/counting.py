"""How large a program is, counted on its graph: parameters, and multiply-adds of one picture."""

import math
from dataclasses import dataclass
from typing import Any

from training.deploy.frozen import frozen_graph
from training.deploy.program import Program


@dataclass(frozen=True)
class Size:
    """Of a program for one picture; those of the mapping network are in it where it starts at z."""

    parameters: int
    multiply_adds: int

    def __str__(self) -> str:
        both = f"{self.parameters / 1e6:.2f}M parameters, {self.multiply_adds / 1e9:.2f}G"
        return f"{both} multiply-adds"


def size_of(made: Program) -> Size:
    """Convolutions and dense layers, where they stand in the graph; constants that are arrays.

    A transposed convolution is counted at the size of its input, as StyleGAN2's figures are.
    """
    operations = frozen_graph(made, 1).get_operations()
    arrays = [op for op in operations if op.type == "Const" and op.outputs[0].dtype.is_floating]
    sizes = [math.prod(op.outputs[0].shape) for op in arrays]
    total = sum(multiply_adds(op) for op in operations)
    return Size(sum(size for size in sizes if size > 1), total)


def multiply_adds(op: Any) -> Any:
    """Of one operation; 0 for what is neither a convolution nor a dense layer."""
    if op.type == "Conv2D":
        return math.prod(op.outputs[0].shape) * math.prod(op.inputs[1].shape[:3])
    if op.type == "Conv2DBackpropInput":
        return math.prod(op.inputs[2].shape) * math.prod(op.inputs[1].shape[:3])
    if op.type in ("MatMul", "BatchMatMulV2"):
        return math.prod(op.inputs[0].shape) * int(op.outputs[0].shape[-1])
    return 0
