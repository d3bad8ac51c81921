"""Ways from point to point: linear or spherical, closed or open."""

from collections.abc import Sequence

import numpy as np

from training.explore.asked import Floats


def between(points: Sequence[Floats] | Floats, frames: int, spherical: bool, loop: bool) -> Floats:
    """Points [k, d] -> [n, d]: `frames` steps from each to the next, the first point first.

    A loop goes on from the last to the first and ends one step before it; an open way ends with
    its last point. A point alone is the whole way.
    """
    points = np.asarray(points, np.float32)
    if len(points) == 1:
        return points
    ends = np.roll(points, -1, axis=0) if loop else points[1:]
    step = slerp if spherical else lerp
    way = [
        step(one, other, number / frames)
        for one, other in zip(points, ends, strict=False)
        for number in range(frames)
    ]
    return np.stack(way if loop else [*way, points[-1]])


def lerp(one: Floats, other: Floats, share: float) -> Floats:
    """The straight way."""
    return np.asarray(one + np.float32(share) * (other - one), np.float32)


def slerp(one: Floats, other: Floats, share: float) -> Floats:
    """Along the arc between two vectors (Shoemake 1985), straight where they are parallel."""
    one, other = one.astype(np.float64), other.astype(np.float64)  # a sine near 0 loses most digits
    lengths = float(np.linalg.norm(one) * np.linalg.norm(other))
    angle = np.arccos(np.clip(one @ other / max(lengths, 1e-300), -1, 1))
    if (sine := np.sin(angle)) < 1e-6:
        return lerp(one, other, share)
    mixed = (np.sin((1 - share) * angle) * one + np.sin(share * angle) * other) / sine
    return np.asarray(mixed, np.float32)
