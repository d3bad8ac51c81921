"""How well each method tells apart what a person refused in the review for its pose."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.rows.decisions import Decision
from pipeline.rows.manifest import Row, Verdict
from pipeline.rows.memo import Memo
from pipeline.rows.shards import listed_shards
from pipeline.stages.crop import Recipe, crop
from pipeline.stages.filter_pose import (
    METHODS,
    Array,
    FilterPoseConfig,
    Likeness,
    Vectors,
    decoded,
    judged,
    known,
)

FEWEST = 10  # refusals: fewer say nothing
POSE = ("pose", "turned", "tilted", "hand")  # words of a reason that is about the pose


def is_for_pose(decision: Decision | None) -> bool:
    """Whether a person refused the photo for how somebody stands or looks."""
    if decision is None or decision.action != "refuse":
        return False
    return any(word in decision.reason.lower() for word in POSE)


def refused_for_pose(decisions: Mapping[str, Decision]) -> set[str]:
    """The photos that a person refused for their pose."""
    return {photo for photo, decision in decisions.items() if is_for_pose(decision)}


def refused(judging: Any) -> list[Row]:
    """The portraits that a person refused for their pose; none where there are too few of them.

    `judging` is Crop; only the shards that they lie in are read.
    """
    about = refused_for_pose(judging.decisions)
    own = [each for each in judging.prefixes() if any(name.startswith(each) for name in about)]
    found = refused_portraits(chain.from_iterable(map(judging.joined, own)), about, judging.recipe)
    return found if len(found) >= FEWEST else []


def refused_portraits(rows: Iterable[Row], about: Collection[str], recipe: Recipe) -> list[Row]:
    """The portraits of these photos, as they would have been without a decision."""
    portraits = (crop(row, recipe) for row in rows if row.photo in about)
    return [row for row in chain.from_iterable(portraits) if row.drop is None]


class Measuring:
    """A stage that measures what a person refused for its pose, too: FilterPose is judged by it."""

    path: Path
    results: Callable[[], Memo]
    do_rows: Callable[[Sequence[Row]], None]
    row_key: Callable[[Row], str]

    def refused(self) -> list[Row]:
        """The portraits refused for their pose; none where there are too few to judge by."""
        raise NotImplementedError

    def build(self) -> None:
        self.do_rows(self.refused())
        super().build()  # type: ignore[misc]

    def vectors(self) -> Vectors:
        """(key, float32 vector as bytes) of each row's embedding."""
        return self.results().vectors_of_all(listed_shards(self.path))

    def vectors_of_refused(self) -> Vectors:
        """(key, float32 vector as bytes) of the portraits refused for their pose."""
        return self.results().vectors("", {self.row_key(row): row.id for row in self.refused()})


def compared(
    own: Any, reference: Any, config: FilterPoseConfig
) -> tuple[Verdict, dict[str, Array]]:
    """What becomes of Embed's rows beside a reference's, and their scores by shard."""
    vectors_of = own.results().vectors_of
    verdict, scores = judged(listed_shards(own.path), vectors_of, reference.vectors(), config)
    against = own.vectors(), own.vectors_of_refused(), reference.vectors(), config
    notes = [*verdict.told.notes, *hindsight_notes(*against)]
    return verdict._replace(told=verdict.told._replace(notes=notes)), scores


def hindsight_notes(
    kept: Vectors, refused: Vectors, reference: Vectors, config: FilterPoseConfig
) -> list[str]:
    """A sentence with the AUC of every method; nothing where too few were refused."""
    refused = list(refused)
    if len(finite_vectors(refused)) < FEWEST:
        return []
    usual = known(reference, config)
    likenesses = [method(usual) for method in METHODS.values()]
    others = scores_by(likenesses, kept)
    if not len(others):
        return []
    sides = scores_by(likenesses, refused).T, others.T
    values = [f"{name} {auc(*both):.2f}" for name, *both in zip(METHODS, *sides, strict=True)]
    return [
        f"{len(sides[0].T)} portraits were refused for their pose in the review; how well each"
        f" method tells them from the {len(others)} others (AUC: 0.5 is chance, 1 all):"
        f" {', '.join(values)}"
    ]


def scores_by(likenesses: Sequence[Likeness], vectors: Vectors) -> Array:
    """What each method makes of each finite vector, [n, methods]; one vector in memory."""
    found = (decoded(vector) for _, vector in vectors)
    return np.array([[of(each) for of in likenesses] for each in found if np.isfinite(each).all()])


def finite_vectors(vectors: Vectors) -> Sequence[Array]:
    found = [decoded(vector) for _, vector in vectors]
    return [vector for vector in found if np.isfinite(vector).all()]


def auc(higher: Array, lower: Array) -> float:
    """The chance that one of `higher` is above one of `lower`; equal ones count half."""
    everyone = np.sort(lower)
    below = np.searchsorted(everyone, higher, "left")
    equal = np.searchsorted(everyone, higher, "right") - below
    return float((below + equal / 2).mean() / len(lower))
