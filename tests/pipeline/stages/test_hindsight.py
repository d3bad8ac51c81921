"""How FilterPose is judged by what a person refused."""

import numpy as np
import pytest

from atelier.boxes import Box
from pipeline.rows import manifest
from pipeline.rows.decisions import Decision, Journal, file_in
from pipeline.stages import hindsight
from pipeline.stages.filter_pose import FilterPoseConfig
from pipeline.tasks import Crop, FilterPose, Ingest
from tests.kit.store import build, counting, fresh, photo, save, set_options
from tests.pipeline.stages.test_filter_pose import named, vectors

CONFIG = FilterPoseConfig(reference="/good")


def test_auc_is_the_share_of_pairs_in_order():
    rng = np.random.default_rng(0)
    higher, lower = rng.integers(0, 9, 40) + 2, rng.integers(0, 9, 60)
    pairs = [(h > one) + (h == one) / 2 for h in higher for one in lower]
    assert hindsight.auc(higher, lower) == pytest.approx(np.mean(pairs))
    assert hindsight.auc(np.array([3.0]), np.array([1.0, 2.0])) == 1


def test_what_lies_far_away_is_told_apart_by_every_method():
    given = named(vectors(40, 1)), named(vectors(12, 2, shift=9.0)), named(vectors(30, 3))
    (said,) = hindsight.hindsight_notes(*map(iter, given), CONFIG)
    assert "12 portraits were refused for their pose" in said
    assert "fid 1.00, knn 1.00, ppca 1.00" in said


def test_fewer_than_ten_refusals_say_nothing():
    given = named(vectors(40, 1)), named(vectors(9, 2)), named(vectors(30, 3))
    assert hindsight.hindsight_notes(*map(iter, given), CONFIG) == []


@pytest.mark.parametrize(
    ("reason", "is_one"),
    [("turned away", True), ("wrong pose", True), ("Hand at the face", True), ("blurred", False)],
)
def test_which_refusals_are_for_the_pose(reason, is_one):
    assert hindsight.is_for_pose(Decision("p", "p.png", "refuse", reason=reason)) is is_one
    accepted = Decision("p", "p.png", "accept", (Box(0, 0, 9, 9),), reason=reason)
    assert not hindsight.is_for_pose(accepted) and not hindsight.is_for_pose(None)


@pytest.mark.slow
def test_a_run_with_ten_refusals_says_how_each_method_fares(store, reference, monkeypatch):
    for number in range(20, 30):
        save(store.parent / "photos" / f"{number}.png", photo(number, [(60, 40, 22)]))
    assert build(FilterPose())
    kept = len(Crop().rows())
    journal = Journal(file_in(store))
    for row in Ingest().rows():
        if row.path[:2] in map(str, range(20, 30)):
            journal.append(Decision(row.photo, row.path, "refuse", reason="turned away"))
    fresh()
    seen = counting(monkeypatch, type(FilterPose().before()[0]))
    assert build(FilterPose())
    assert seen == []  # their features were known
    assert len([row for row in Crop().rows() if row.drop is None]) < kept
    (said,) = [n for n in manifest.facts(FilterPose().path).notes if "AUC" in n]
    assert said.startswith("10 portraits were refused for their pose in the review")


@pytest.mark.slow
def test_what_was_refused_before_it_was_measured_is_measured(store, reference, monkeypatch):
    for number in range(20, 30):
        save(store.parent / "photos" / f"{number}.png", photo(number, [(60, 40, 22)]))
    assert build(Crop())
    for row in Ingest().rows():
        if row.path[:2] in map(str, range(20, 30)):
            decision = Decision(row.photo, row.path, "refuse", reason="wrong pose")
            Journal(file_in(store)).append(decision)
    fresh()
    set_options(FilterPose_method="ppca", FilterPose_limit="q95")
    assert build(FilterPose())
    assert [n for n in manifest.facts(FilterPose().path).notes if "fid 0." in n or "fid 1" in n]
