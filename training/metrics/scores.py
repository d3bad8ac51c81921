"""How alike two sets of feature vectors are: Frechet distance, KID, precision and recall. Float64.

Rows are float [n, dims] arrays, also ones that lie in a file (np.memmap): they are read in blocks.
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from atelier.errors import Refusal

Rows = NDArray[np.floating]  # [n, dims]
Floats = NDArray[np.float64]

BLOCK = 2048  # rows read at a time
SUBSETS, SUBSET_SIZE = 100, 1000  # of KID, as NVlabs has them
NEIGHBOURS = 3  # k of precision and recall
ROUNDING = 1e-12  # of squared lengths: so far squared distances may be off


class ScoreError(Refusal):
    """Features that cannot be scored; the message says why."""


class Moments:
    """Mean and covariance of rows that come in blocks (Chan, Golub and LeVeque, 1983)."""

    def __init__(self, dims: int) -> None:
        self.count = 0
        self.mean: Floats = np.zeros(dims)
        self.scatter: Floats = np.zeros((dims, dims))  # sum of outer products around the mean

    def add(self, block: Rows) -> None:
        """More rows; raises ScoreError where one is not finite."""
        if not len(block):
            return
        rows = finite(block)
        mean = rows.mean(axis=0)
        centred, step = rows - mean, mean - self.mean
        total = self.count + len(rows)
        self.scatter += centred.T @ centred
        self.scatter += np.outer(step, step) * (self.count * len(rows) / total)
        self.mean = self.mean + step * (len(rows) / total)
        self.count = total

    @property
    def covariance(self) -> Floats:
        """Divided by N, as ada-pytorch does (pytorch-fid and NVlabs/stylegan2: by N - 1)."""
        return self.scatter / self.count


def moments(rows: Rows) -> Moments:
    """Mean and covariance of all rows, read in blocks."""
    found = Moments(rows.shape[1])
    for _, block in blocks(rows):
        found.add(block)
    return found


def frechet(one: Moments, two: Moments) -> float:
    """The squared Frechet (2-Wasserstein) distance of two Gaussians, as FID is defined.

    |m1 - m2|^2 + tr S1 + tr S2 - 2 tr (S1 S2)^(1/2). The last trace is the sum of the square roots
    of the eigenvalues of S1^(1/2) S2 S1^(1/2), which is symmetric: no root of a matrix product.
    """
    check_features(one.count, two.count, len(one.mean), len(two.mean))
    a, b = one.covariance, two.covariance
    values, vectors = np.linalg.eigh(a)
    root = (vectors * np.sqrt(np.clip(values, 0, None))) @ vectors.T
    product = root @ b @ root
    eigenvalues = np.linalg.eigvalsh((product + product.T) / 2)
    cross = np.sqrt(np.clip(eigenvalues, 0, None)).sum()
    difference = one.mean - two.mean
    distance = difference @ difference + np.trace(a) + np.trace(b) - 2 * cross
    return max(float(distance), 0.0)


def kid(one: Rows, two: Rows, seed: int = 0, subsets: int = SUBSETS) -> float:
    """Kernel Inception Distance: the mean over subsets of the unbiased squared MMD.

    Where both sets are no larger than a subset, there is one subset: all rows.
    """
    check_features(len(one), len(two), one.shape[1], two.shape[1])
    size = min(len(one), len(two), SUBSET_SIZE)
    rng = np.random.default_rng([seed, size])
    values = []
    for _ in range(1 if len(one) == len(two) == size else subsets):
        numbers = [np.sort(rng.choice(len(rows), size, replace=False)) for rows in (one, two)]
        values.append(polynomial_mmd(finite(one[numbers[0]]), finite(two[numbers[1]])))
    return float(np.mean(values))


def polynomial_mmd(x: Floats, y: Floats) -> float:
    """The unbiased squared MMD of equally many rows, with the kernel (x.y / dims + 1)^3."""
    n = len(x)
    squares = [kernel(rows, rows) for rows in (x, y)]
    within = sum(square.sum() - np.trace(square) for square in squares)
    return float(within / (n * (n - 1)) - 2 * kernel(x, y).mean())


def kernel(x: Floats, y: Floats) -> Floats:
    """(x.y / dims + 1)^3 of all pairs [n, m]; as products, for a power takes ten times longer."""
    base = x @ y.T / x.shape[1] + 1
    cubed: Floats = base * base * base
    return cubed


def precision_recall(reals: Rows, fakes: Rows, k: int = NEIGHBOURS) -> tuple[float, float]:
    """Improved precision and recall (Kynkaanniemi et al., 2019, with VGG16's features there).

    Precision: the share of fakes that lie no farther from a real than its k-th neighbour among the
    reals. Recall: the same the other way round.
    """
    check_features(len(reals), len(fakes), reals.shape[1], fakes.shape[1])
    if min(len(reals), len(fakes)) <= k:
        raise ScoreError(f"precision and recall need more than {k} pictures in each set")
    precision = covered(fakes, reals, radii(reals, k))
    return precision, covered(reals, fakes, radii(fakes, k))


def radii(rows: Rows, k: int) -> Floats:
    """The squared distance of each row to its k-th nearest other row, and what rounding may add.

    A row as far away as that neighbour is no farther, whichever product its distance came from.
    """
    found = []
    for _, some in blocks(rows):
        nearest = np.full((len(some), k + 1), np.inf)  # one of them is the row itself
        for _, others in blocks(rows):
            both = np.concatenate([nearest, squared_distances(some, others)], axis=1)
            nearest = np.partition(both, k, axis=1)[:, : k + 1]
        reach = nearest.max(axis=1)
        found.append(reach + ROUNDING * (reach + (some**2).sum(axis=1)))
    return np.concatenate(found)


def covered(points: Rows, centres: Rows, squared_radii: Floats) -> float:
    """The share of points that lie in the ball of any centre."""
    inside = 0
    for _, some in blocks(points):
        reached = np.zeros(len(some), bool)
        for start, others in blocks(centres):
            radius = squared_radii[start : start + len(others)]
            reached |= (squared_distances(some, others) <= radius).any(axis=1)
        inside += int(reached.sum())
    return inside / len(points)


def squared_distances(one: Floats, two: Floats) -> Floats:
    """[n, dims], [m, dims] -> [n, m]; what rounding leaves of equal rows is 0."""
    lengths = (one**2).sum(axis=1)[:, None] + (two**2).sum(axis=1)
    squared = lengths - 2 * (one @ two.T)
    return np.where(squared > ROUNDING * lengths, squared, 0.0)


def blocks(rows: Rows) -> Iterator[tuple[int, Floats]]:
    """(number of the first row, rows) one block after the other."""
    for start in range(0, len(rows), BLOCK):
        yield start, finite(rows[start : start + BLOCK])


def finite(rows: Rows) -> Floats:
    """The rows as float64; raises ScoreError where one is not finite."""
    found = np.asarray(rows, np.float64)
    if not np.isfinite(found).all():
        raise ScoreError("a feature is not finite: the feature network or its input is broken")
    return found


def check_features(one: int, two: int, dims: int, other_dims: int) -> None:
    """Raise ScoreError for sets that have no distance."""
    if min(one, two) < 2:
        raise ScoreError(f"pictures in a set: {min(one, two)}, and a covariance takes at least 2")
    if dims != other_dims:
        raise ScoreError(f"features of {dims} and of {other_dims} numbers cannot be compared")
