"""Distances of feature sets equal independent formulas."""

import itertools
import tracemalloc

import numpy as np
import pytest
from scipy.linalg import sqrtm

from training.metrics import scores


def features(seed, count=60, dims=5, shift=0.0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(count, dims)) @ rng.normal(size=(dims, dims)) + shift


def frechet(a, b):
    return scores.frechet(scores.moments(a), scores.moments(b))


def cut(rows, sizes):
    found = scores.Moments(rows.shape[1])
    for start, stop in itertools.pairwise(np.cumsum([0, *sizes])):
        found.add(rows[start:stop])
    return found


@pytest.mark.parametrize("sizes", [(60,), (1, 59), (7, 0, 20, 33), (1,) * 60])
def test_moments_do_not_depend_on_the_blocks(sizes):
    rows = features(0, shift=1e4)
    found = cut(rows, sizes)
    np.testing.assert_allclose(found.mean, rows.mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(found.covariance, np.cov(rows.T, bias=True), rtol=1e-6)


def test_frechet_equals_the_matrix_root():
    a, b = features(1), features(2, shift=0.5)
    one, two = (np.cov(rows.T, bias=True) for rows in (a, b))
    difference = a.mean(axis=0) - b.mean(axis=0)
    expected = difference @ difference + np.trace(one + two - 2 * sqrtm(one @ two).real)
    assert frechet(a, b) == pytest.approx(expected, rel=1e-9)
    assert frechet(b, a) == pytest.approx(expected, rel=1e-9)


def test_frechet_of_one_dimension():
    a, b = features(1, dims=1), features(2, dims=1, shift=3)
    expected = (a.mean() - b.mean()) ** 2 + (a.std() - b.std()) ** 2
    assert frechet(a, b) == pytest.approx(expected, rel=1e-9)


def test_frechet_of_fewer_pictures_than_features():
    few = features(3, count=4, dims=30)
    assert frechet(few, few) < 1e-6 * np.trace(scores.moments(few).covariance)
    assert frechet(few, few + 2) == pytest.approx(30 * 4, rel=1e-6)


def test_kid_equals_the_sum_over_pairs():
    x, y = features(4, count=9), features(5, count=9, shift=0.3)

    def kernel(one, two):
        return (one @ two / 5 + 1) ** 3

    pairs = list(itertools.permutations(range(9), 2))
    within = sum(kernel(rows[i], rows[j]) for rows in (x, y) for i, j in pairs) / len(pairs)
    across = sum(kernel(a, b) for a in x for b in y) / 81
    assert scores.kid(x, y, subsets=1) == pytest.approx(within - 2 * across, rel=1e-9)


def test_kid_of_two_halves_is_about_zero():
    rows = features(9, 400)
    values = [scores.kid(rows[:200], rows[200:], seed, 3) for seed in (0, 1)]
    assert max(map(abs, values)) < scores.kid(rows, rows + 1, 0, 3) / 20


def test_precision_and_recall_equal_brute_force(monkeypatch):
    monkeypatch.setattr(scores, "BLOCK", 7)
    reals, fakes = features(6, count=40), features(6, count=30)[::-1] * 0.7 + 0.2

    def share(points, centres):
        own = np.linalg.norm(centres[:, None] - centres, axis=2)
        radius = np.sort(own, axis=1)[:, 3]
        return (np.linalg.norm(points[:, None] - centres, axis=2) <= radius).any(axis=1).mean()

    expected = share(fakes, reals), share(reals, fakes)
    assert scores.precision_recall(reals, fakes) == pytest.approx(expected)
    assert 0 < expected[1] < 1


def test_rows_as_far_as_the_last_neighbour_are_covered():
    """On a grid most distances are equal to others: whole numbers compare exactly, tenths not."""
    rng = np.random.default_rng(0)
    reals, fakes = rng.integers(0, 4, (200, 4)), rng.integers(1, 6, (150, 4))

    def share(points, centres):
        own = ((centres[:, None] - centres) ** 2).sum(axis=2)
        radius = np.sort(own, axis=1)[:, 3]
        across = ((points[:, None] - centres) ** 2).sum(axis=2)
        return (across <= radius).any(axis=1).mean()

    expected = share(fakes, reals), share(reals, fakes)
    tenths = [rows / 10 + 0.3 for rows in (reals, fakes)]
    assert scores.precision_recall(*tenths) == pytest.approx(expected)
    assert 0 < expected[0] < 1 and 0 < expected[1] < 1


@pytest.mark.slow
def test_kid_is_the_mean_over_subsets(monkeypatch):
    """Each is unbiased (Binkowski et al. 2018), so their mean is near that of all rows."""
    monkeypatch.setattr(scores, "SUBSET_SIZE", 100)
    x, y = features(1, 140, 3), features(2, 170, 3, shift=0.1)

    def mmd(x, y):
        within = [((rows @ rows.T / 3 + 1) ** 3, len(rows)) for rows in (x, y)]
        own = sum((k.sum() - np.trace(k)) / (n * (n - 1)) for k, n in within)
        return own - 2 * ((x @ y.T / 3 + 1) ** 3).mean()

    rng = np.random.default_rng(7)
    values = [mmd(rng.permutation(x)[:100], rng.permutation(y)[:100]) for _ in range(60)]
    off = scores.kid(x, y) - np.mean(values)
    assert abs(off) < 4 * np.std(values) * np.sqrt(1 / 100 + 1 / 60)
    assert abs(scores.kid(x, y) - mmd(x, y)) < 4 * np.std(values) / 10


def test_kid_of_sets_of_one_subset_is_that_of_all_rows(monkeypatch):
    found = []
    mmd = scores.polynomial_mmd
    monkeypatch.setattr(scores, "polynomial_mmd", lambda x, y: found.append(len(x)) or mmd(x, y))
    x, y = features(1, 14, 3), features(2, 14, 3, shift=0.1)
    assert scores.kid(x, y) == pytest.approx(mmd(x, y))
    assert found == [14]
    scores.kid(x, y[:12])
    assert found == [14, *[12] * scores.SUBSETS]


def test_frechet_of_few_pictures_is_that_of_their_products():
    """tr (S1 S2)^(1/2) is the sum of the singular values of X1 X2^T / N, whatever the rank."""
    a, b = features(3, count=12, dims=90), features(4, count=12, dims=90, shift=0.2)
    one, two = ((rows - rows.mean(axis=0)) / np.sqrt(len(rows)) for rows in (a, b))
    cross = np.linalg.svd(one @ two.T, compute_uv=False).sum()
    difference = a.mean(axis=0) - b.mean(axis=0)
    expected = difference @ difference + (one**2).sum() + (two**2).sum() - 2 * cross
    assert frechet(a, b) == pytest.approx(expected, rel=1e-6)


def test_frechet_to_equal_pictures_is_fid_of_one():
    a = features(5)
    same = np.full((7, 5), 0.3)
    expected = ((a.mean(axis=0) - 0.3) ** 2).sum() + a.var(axis=0).sum()
    assert frechet(a, same) == pytest.approx(expected, rel=1e-9)
    assert frechet(same, same) == 0


def test_equal_sets_have_full_precision_and_recall():
    rows = np.repeat(features(7, count=10), 5, axis=0)  # all radii are 0
    assert scores.precision_recall(rows, rows[::-1]) == (1, 1)


def test_what_cannot_be_scored_is_said():
    good = features(8)
    with pytest.raises(scores.ScoreError, match="pictures in a set: 1, and a covariance"):
        frechet(good, good[:1])
    with pytest.raises(scores.ScoreError, match="is not finite"):
        frechet(good, good * np.inf)
    with pytest.raises(scores.ScoreError, match="of 5 and of 4 numbers"):
        scores.kid(good, good[:, :4])
    with pytest.raises(scores.ScoreError, match="more than 3 pictures"):
        scores.precision_recall(good, good[:3])


@pytest.mark.slow
def test_memory_does_not_grow_with_the_rows(tmp_path):
    peaks = []
    for count in (5_000, 40_000):
        path = tmp_path / f"{count}.npy"
        rows = np.lib.format.open_memmap(path, "w+", np.float32, (count, 128))
        rows[:] = 1
        rows[0] = 2
        tracemalloc.start()
        scores.moments(np.load(path, mmap_mode="r"))
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    one_block = scores.BLOCK * 128 * 8
    assert all(one_block < peak < 3 * one_block for peak in peaks), peaks  # of 2.4 and 19.5
