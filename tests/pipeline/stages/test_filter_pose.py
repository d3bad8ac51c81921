"""Scores against a reference set, and which portraits they let pass."""

import numpy as np
import pytest

from pipeline.options import SettingsError
from pipeline.rows.manifest import Row, outcome, rows_of, rows_table
from pipeline.rows.sharded import Survey
from pipeline.stages import filter_pose as pose
from pipeline.stages.filter_pose import FilterPoseConfig

DIMS = 64


def vectors(count, seed=0, spread=1.0, shift=0.0):
    rng = np.random.default_rng(seed)
    return (shift + spread * rng.normal(size=(count, DIMS))).astype(np.float32)


def named(found, prefix=""):
    return [(f"{prefix}{number:03}", vector.tobytes()) for number, vector in enumerate(found)]


def rows_named(found, prefix=""):
    return [Row(id=f"id-{name}", embedding=name) for name, _ in named(found, prefix)]


def judged(rows, vectors, reference, config):
    """What becomes of rows, the notes and the numbers, as the stage puts it together."""
    table, names = rows_table(rows), [row.id for row in rows]
    likeness = pose.likeness_to(reference, config)
    scores = pose.scores_for([row.embedding for row in rows], vectors, likeness)
    drops, told = pose.filter_pose(names, scores, likeness, config)
    survey = Survey({"": drops}, told, {"": scores})
    return rows_of(pose.with_scores(table, *pose.of_shard("", survey))), told.notes, told.numbers


def filtered(found, reference, **settings):
    config = FilterPoseConfig(reference="/good", **settings)
    return judged(rows_named(found), iter(named(found)), iter(named(reference)), config)


def left_out_slowly(method, reference):
    return [
        pose.METHODS[method](np.delete(reference, number, axis=0))(vector)
        for number, vector in enumerate(reference)
    ]


@pytest.mark.parametrize("method", pose.METHODS)
def test_the_reference_is_scored_by_the_others(method):
    reference = vectors(30).astype(np.float64)
    likeness = pose.METHODS[method](reference)
    np.testing.assert_allclose(likeness.left_out(), left_out_slowly(method, reference), rtol=1e-9)


def test_spread_is_the_trace_of_the_covariance():
    reference = vectors(30).astype(np.float64)
    trace = np.trace(np.cov(reference, rowvar=False))
    assert pose.Gaussian(reference).spread == pytest.approx(trace, rel=1e-12)


def test_ppca_is_the_mahalanobis_distance_of_its_model():
    reference = vectors(200).astype(np.float64) * np.linspace(3, 0.1, DIMS)
    likeness = pose.Ppca(reference)
    main = likeness.directions
    model = main.T @ np.diag(likeness.variances) @ main
    model += likeness.noise * (np.eye(DIMS) - main.T @ main)
    offset = vectors(1, seed=5)[0].astype(np.float64) - likeness.mean
    assert likeness(offset + likeness.mean) == pytest.approx(offset @ np.linalg.inv(model) @ offset)


@pytest.mark.parametrize("count", [40, 200])  # fewer than there are features, and more
def test_scores_of_what_was_held_back_are_those_of_the_papers(count):
    """FID of a point (Heusel et al. 2017); plain distances; PPCA by its likelihood's maximum.

    Tipping and Bishop 1999, eq. 7 and 8: sigma^2 is the mean of the eigenvalues left out.
    """
    rng = np.random.default_rng(8)
    mixed = rng.normal(size=(DIMS, DIMS)) * np.linspace(2, 0.05, DIMS)
    reference, held_back = vectors(count).astype(float) @ mixed, vectors(6, 1).astype(float) @ mixed
    mean, covariance = reference.mean(axis=0), np.cov(reference.T)
    fid = ((held_back - mean) ** 2).sum(axis=1) + np.trace(covariance)
    apart = np.linalg.norm(held_back[:, None] - reference, axis=2)
    values, axes = (each[..., ::-1] for each in np.linalg.eigh(covariance))
    kept = int(0.6 * min(count - 1, DIMS))
    noise = values[kept:].mean()
    loadings = axes[:, :kept] * np.sqrt(values[:kept] - noise)
    model = np.linalg.inv(loadings @ loadings.T + noise * np.eye(DIMS))
    expected = {
        "fid": fid,
        "knn": np.sort(apart, axis=1)[:, 4],
        "ppca": [(each - mean) @ model @ (each - mean) for each in held_back],
    }
    assert expected.keys() == pose.METHODS.keys()
    for name, method in pose.METHODS.items():
        likeness = method(reference)
        found = [likeness(vector) for vector in held_back]
        np.testing.assert_allclose(found, expected[name], rtol=1e-7, err_msg=name)


def area_under_curve(near, far):
    return np.mean([a < b for a in near for b in far])


def test_a_shift_in_a_direction_of_little_variance_is_told_best_by_ppca():
    rng = np.random.default_rng(3)
    scales = np.where(np.arange(DIMS) < 12, 2.0, 0.1)
    reference, near, far = (scales * rng.normal(size=(n, DIMS)) for n in (100, 80, 80))
    far[:, 12:16] += 0.5  # the arms are crossed
    areas = {
        name: area_under_curve(
            [likeness(vector) for vector in near], [likeness(vector) for vector in far]
        )
        for name, method in pose.METHODS.items()
        for likeness in [method(reference)]
    }
    assert areas["ppca"] > 0.95 > areas["knn"] > areas["fid"] - 0.02
    assert areas["ppca"] > areas["fid"] + 0.2


def test_far_portraits_are_dropped_with_score_and_limit():
    found = np.concatenate([vectors(5, seed=1), vectors(5, seed=2, shift=3.0)])
    rows, _, figures = filtered(found, vectors(50), limit="180")
    assert [row.drop is None for row in rows] == [True] * 5 + [False] * 5
    assert all(row.score is not None for row in rows)
    assert rows[5].drop == f"unlike the reference: {rows[5].score:.4g}, the limit is 180"
    assert outcome(rows[5]) == "unlike the reference"
    assert figures == {"limit": 180}


def test_notes_say_what_to_know_about_the_limit():
    reference = vectors(50)
    _, notes, _ = filtered(vectors(5, seed=1), reference, limit="q95")
    likeness = pose.Gaussian(reference.astype(np.float64))
    scores = likeness.left_out()
    limit = np.percentile(scores, 95)
    assert notes == [
        f"the reference set has 50 portraits, Tr(Sigma) {likeness.spread:.4g}",
        f"each against the others, by fid, they score {scores.min():.4g} to {scores.max():.4g},"
        f" median {np.median(scores):.4g}",
        f"the limit {limit:.4g} (q95) keeps 94% of the reference",
    ]


def test_a_limit_that_drops_most_of_the_reference_is_warned_of():
    reference = vectors(50).astype(np.float64)
    low = np.percentile(pose.Gaussian(reference).left_out(), 20)
    _, notes, _ = filtered(vectors(5, seed=1), reference.astype(np.float32), limit=f"{low:.3f}")
    assert notes[-1].startswith(
        f"warning: the limit {low:.4g} would drop most of the reference set"
    )
    assert "q95 would be" in notes[-1]


def test_a_limit_at_or_under_the_trace_is_an_error():
    reference = vectors(50)
    likeness = pose.Gaussian(reference.astype(np.float64))
    q95 = np.percentile(likeness.left_out(), 95)
    with pytest.raises(SettingsError) as error:
        filtered(vectors(5), reference, limit="12")
    assert str(error.value) == (
        "[FilterPose] limit = '12': refuses every picture, as Tr(Sigma) of the reference set"
        f" alone is {likeness.spread:.4g}; q95 would be {q95:.4g}"
    )


def test_too_few_reference_portraits_are_an_error():
    with pytest.raises(SettingsError, match="reference = '/good': 9 portraits are left of it, at"):
        filtered(vectors(5), vectors(9))
    same = [("one", vectors(1)[0].tobytes())] * 20
    with pytest.raises(SettingsError, match=": 1 portraits are left"):
        judged([], [], same, FilterPoseConfig(reference="/good"))


@pytest.mark.parametrize("method", pose.METHODS)
def test_best_keeps_a_share_whatever_the_scores(method):
    found = vectors(20, seed=4)
    rows, _, figures = filtered(found, vectors(40), limit="best 0.7", method=method)
    kept = [row.score for row in rows if row.drop is None]
    out = [row.score for row in rows if row.drop is not None]
    assert len(kept) == 14 and max(kept) <= min(out)
    assert any("not among the best 0.7" in (row.drop or "") for row in rows)
    assert figures == {"limit": max(kept)}


def test_ties_are_kept_by_id():
    found = np.repeat(vectors(1), 10, axis=0)
    for order in (slice(None), slice(None, None, -1)):
        rows = rows_named(found)[order]
        config = FilterPoseConfig(reference="/good", limit="best 0.5")
        result, *_ = judged(rows, named(found), named(vectors(20)), config)
        assert {row.id for row in result if row.drop is None} == {f"id-00{n}" for n in range(5)}
        assert [row.id for row in result] == [row.id for row in rows]


@pytest.mark.parametrize("limit", ["q95", "best 0.5"])
def test_features_that_are_no_numbers_are_dropped(limit):
    found = vectors(6, seed=1)
    found[2, 3] = np.nan
    found[4, 3] = np.inf
    rows, notes, _ = filtered(found, vectors(30), limit=limit)
    for row in (rows[2], rows[4]):
        assert row.drop == "no score: its features are not finite" and row.score is None
    assert "nan" not in " ".join(notes)


@pytest.mark.parametrize("method", pose.METHODS)
def test_scores_do_not_depend_on_the_order_of_the_parts(method):
    found, reference = named(vectors(20, seed=1)), named(vectors(30))
    rows = rows_named(vectors(20))
    config = FilterPoseConfig(reference="/good", limit="q95", method=method)
    forth = judged(rows, found, reference, config)
    back = judged(rows, found[::-1], reference[::-1], config)
    assert forth == back


def test_equal_reference_pictures_and_no_rows_are_no_trouble():
    same = np.repeat(vectors(1), 20, axis=0)
    for method in pose.METHODS:
        rows, *_ = filtered(vectors(5, seed=1), same, method=method, limit="best 0.4")
        assert sum(row.drop is None for row in rows) == 2
        assert filtered(vectors(0), vectors(20), method=method, limit="best 0.4")[0] == []


@pytest.mark.parametrize("limit", ["", "tight", "-1", "q", "q0", "q101", "best", "best 2", "nan"])
def test_a_limit_that_cannot_be_is_refused(limit):
    with pytest.raises(
        SettingsError, match="give a number over 0, a percentile as q95, or a share"
    ):
        FilterPoseConfig(limit=limit)


def test_a_bare_number_is_for_fid_only():
    with pytest.raises(SettingsError, match="'135': knn has a scale of its own: give q95 or best"):
        FilterPoseConfig(method="knn")
    assert FilterPoseConfig(method="knn", limit="Q95")
