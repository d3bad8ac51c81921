"""What the network should answer: bells of probability around centres, and the boxes there."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from detectors.learning import Boxes, Classes

IGNORED = -1  # the class of a box that is neither right nor wrong
REACH = 0.54  # of the box: how far from its centre cells learn of it (TTFNet, arXiv 1909.00700)
DEEPEST = 6.0  # a bell of radius r has sigma (2 r + 1) / 6

Floats = NDArray[np.float32]


class Target(NamedTuple):
    """For a map of cells x cells."""

    centres: Floats  # [cells, cells, classes]: 1 in the cell of a centre, falling off around it
    counted: Floats  # [cells, cells]: 0 where nothing is said about centres
    boxes: Floats  # [cells, cells, 4]
    shares: Floats  # [cells, cells]: how much a cell's box counts; 1 in all for an object


def target(boxes: Boxes, classes: Classes, cells: int, kinds: int) -> Target:
    """The target of one picture; where objects overlap, the smaller one owns the cells."""
    found = Target(
        np.zeros((cells, cells, kinds), np.float32),
        np.ones((cells, cells), np.float32),
        np.zeros((cells, cells, 4), np.float32),
        np.zeros((cells, cells), np.float32),
    )
    for number in np.flatnonzero(classes == IGNORED):
        left, top, right, bottom = np.clip(boxes[number] * cells, 0, cells)
        found.counted[int(top) : int(np.ceil(bottom)), int(left) : int(np.ceil(right))] = 0
    areas = np.prod(boxes[:, 2:] - boxes[:, :2], axis=1)
    for number in np.argsort(-areas, kind="stable"):
        if classes[number] != IGNORED:
            add(found, boxes[number], int(classes[number]), cells)
    return found


def add(found: Target, box: Floats, kind: int, cells: int) -> None:
    """Put one object into the target, in place."""
    centre = np.minimum(((box[:2] + box[2:]) / 2 * cells).astype(int), cells - 1)
    radius = np.maximum(REACH * (box[2:] - box[:2]) * cells / 2, 0)
    sigma = (2 * radius + 1) / DEEPEST
    away = np.abs(np.arange(cells)[:, None] - centre)  # [cells, 2]: along x and y
    bell = np.exp(-(away**2) / (2 * sigma**2)) * (away <= np.floor(radius))
    both = np.outer(bell[:, 1], bell[:, 0]).astype(np.float32)
    np.maximum(found.centres[..., kind], both, out=found.centres[..., kind])
    inside = both > 0
    found.counted[inside] = 1
    found.boxes[inside] = box
    found.shares[inside] = (both / both.sum())[inside]
