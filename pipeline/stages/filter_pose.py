"""Decide which portraits are like the reference set. Features in, scores out; no model."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from atelier.options import number_in, option
from pipeline.options import Settings
from pipeline.rows import columns
from pipeline.rows.manifest import Told, Verdict
from pipeline.rows.sharded import Survey
from pipeline.rows.shards import Shard

if TYPE_CHECKING:
    import pyarrow as pa

Array = NDArray[np.float64]
Vectors = Iterable[tuple[str, bytes]]  # the name of an embedding, and its float32 numbers

BLIND = "no score: its features are not finite"
FEWEST = 10  # reference portraits: fewer say nothing about what is usual
NEIGHBOURS = 5  # knn: the score is the distance to this one
FITS = 50  # ppca: how often at most it is fitted anew to score the reference itself
MOST_COMPONENTS = 200  # ppca: 60 % of these at most


@dataclass(frozen=True)
class FilterPoseConfig(Settings):
    """Which portraits are like those of a reference set."""

    reference: str = option(
        "",
        "folder of good portraits, or an address; empty: every portrait passes",
        keyed="never",
        path=True,
        remote=True,
    )
    reference_cropped: bool = option(
        False,
        "the reference pictures are portraits already: take them whole, but for their borders",
        keyed="never",
    )
    limit: str = option(
        "135",
        "keep scores up to: a number (fid only; 120 to 150 is usual); q95: what 95 % of the"
        " reference stay under; best 0.9: this share of the portraits, whatever their scores",
    )
    method: Literal["fid", "knn", "ppca"] = option(
        "fid",
        "the score: FID of the one picture against the reference; distance to its 5th nearest"
        " portrait; or how far outside the reference's own variation it is",
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        try:
            kind, value = parsed(self.limit)
        except ValueError:
            kind, value = "", 0.0
        if not {"number": value > 0, "q": 0 < value <= 100, "best": 0 < value <= 1}.get(kind):
            self.refuse(
                "limit", "give a number over 0, a percentile as q95, or a share as best 0.9"
            )
        if kind == "number" and self.method != "fid":
            self.refuse("limit", f"{self.method} has a scale of its own: give q95 or best 0.9")

    def folder(self) -> str:
        """The folder of the reference set; raises SettingsError where none is named."""
        if not self.reference:
            self.refuse("reference", "name the folder that holds the reference set")
        return self.reference


def parsed(limit: str) -> tuple[str, float]:
    """`135`, `q95`, `best 0.9` -> (number, 135.0), (q, 95.0), (best, 0.9)."""
    words = limit.strip().lower()
    for kind in ("best", "q"):
        if words.startswith(kind):
            return kind, number_in(words.removeprefix(kind))
    return "number", number_in(words)


def scores_for(names: Sequence[str], vectors: Vectors, likeness: "Likeness") -> Array:
    """How unlike the reference the rows are whose embeddings have these names, in their order.

    The vectors are read one by one: they need not fit memory, those of the reference must.
    """
    found = {name: likeness(decoded(vector)) for name, vector in vectors}
    return np.array([found[name] for name in names], np.float64)


def judged(
    made: Sequence[Shard],
    vectors_in: Callable[[Shard], Vectors],
    reference: Vectors,
    config: FilterPoseConfig,
) -> tuple[Verdict, dict[str, Array]]:
    """What becomes of Embed's rows, and their scores by shard."""
    likeness = likeness_to(reference, config)
    names, scores = list[str](), dict[str, Array]()
    for shard in made:
        table = columns.kept(shard.table(("id", "embedding", "drop")))
        wanted = columns.ids(table, "embedding")
        scores[shard.prefix] = scores_for(wanted, vectors_in(shard), likeness)
        names += columns.ids(table)
    everyone = np.concatenate([*scores.values(), np.empty(0)])
    return filter_pose(names, everyone, likeness, config), scores


def filter_pose(
    names: Sequence[str], scores: Array, likeness: "Likeness", config: FilterPoseConfig
) -> Verdict:
    """Drop the rows of these ids and scores that are unlike the reference."""
    of_reference = likeness.left_out()
    limit, out = choose(names, scores, of_reference, likeness, config)
    return Verdict(out, Told(notes(limit, of_reference, likeness, config), {"limit": limit}))


def check_reference(reference: Vectors, config: FilterPoseConfig) -> None:
    """Raise SettingsError where the reference is too small, or the limit refuses everything."""
    likeness = likeness_to(reference, config)
    kind, value = parsed(config.limit)
    if kind == "number":
        check_limit(value, likeness.left_out(), likeness, config)


def likeness_to(reference: Vectors, config: FilterPoseConfig) -> "Likeness":
    """How unlike a reference set a picture is, by the method of the options."""
    return METHODS[config.method](known(reference, config))


def known(reference: Vectors, config: FilterPoseConfig) -> Array:
    """The reference's vectors [n, dims], in the order of their names."""
    by_name = sorted(dict(reference).items())
    found = [vector for _, data in by_name if np.isfinite(vector := decoded(data)).all()]
    if len(found) < FEWEST:
        config.refuse(
            "reference",
            f"{len(found)} portraits are left of it, at least {FEWEST} are needed;"
            " if they are cropped already, set reference_cropped = true",
        )
    return np.stack(found)


def decoded(vector: bytes) -> Array:
    return np.frombuffer(vector, np.float32).astype(np.float64)


class Likeness(Protocol):
    """A reference set that says how unlike it a picture is: 0 is the most alike."""

    spread: float  # the trace of the reference's covariance, Tr(Sigma)

    def __init__(self, reference: Array) -> None:
        """Learn from vectors [n, dims]."""

    def __call__(self, vector: Array) -> float:
        """The score of one picture's vector."""
        ...

    def left_out(self) -> Array:
        """The score of each reference picture against the others."""
        ...


class Gaussian:
    """FID of one picture: its own covariance is zero, so little of the formula is left."""

    def __init__(self, reference: Array) -> None:
        self.reference = reference
        self.mean = reference.mean(axis=0)
        self.spread = float(reference.var(axis=0, ddof=1).sum())

    def __call__(self, vector: Array) -> float:
        return fid_of_one(vector, self.mean, self.spread)

    def left_out(self) -> Array:
        # Without x the mean of n moves by (x - mean) / (n - 1), and the sum of the squared
        # distances to it falls by |x - mean|^2 n / (n - 1).
        n = len(self.reference)
        squares = ((self.reference - self.mean) ** 2).sum(axis=1)
        spread = ((n - 1) * self.spread - squares * n / (n - 1)) / (n - 2)
        return np.asarray(squares * (n / (n - 1)) ** 2 + spread)


def fid_of_one(vector: Array, mean: Array, spread: float) -> float:
    """FID between one picture and a set: |f - mean|^2 + Tr(Sigma)."""
    return float(((vector - mean) ** 2).sum() + spread)


class Nearest:
    """Distance to the fifth nearest reference picture."""

    def __init__(self, reference: Array) -> None:
        self.reference = reference
        self.squares = (reference**2).sum(axis=1)
        self.spread = Gaussian(reference).spread

    def __call__(self, vector: Array) -> float:
        return float(np.partition(self.distances(vector), NEIGHBOURS - 1)[NEIGHBOURS - 1])

    def distances(self, vector: Array) -> Array:
        squared = self.squares - 2 * (self.reference @ vector) + (vector**2).sum()
        return np.asarray(np.sqrt(np.clip(squared, 0, None)))

    def left_out(self) -> Array:
        nearest = (np.sort(self.distances(vector)) for vector in self.reference)
        return np.array([distances[NEIGHBOURS] for distances in nearest])  # [0] is to itself


class Ppca:
    """Squared Mahalanobis distance under probabilistic PCA (Tipping and Bishop 1999).

    Counts a deviation against how much the reference itself varies in that direction; what its
    main components do not cover counts as noise that is equal in all directions.
    """

    def __init__(self, reference: Array) -> None:
        self.reference = reference
        self.mean = reference.mean(axis=0)
        self.spread = Gaussian(reference).spread
        n, dims = reference.shape
        count = int(0.6 * min(n - 1, MOST_COMPONENTS, dims))
        self.variances, self.directions = main_components(reference - self.mean, count)
        left = self.spread - self.variances.sum()
        self.noise = max(left / (dims - count), 1e-9 * self.spread, 1e-30)

    def __call__(self, vector: Array) -> float:
        offset = vector - self.mean
        along = self.directions @ offset
        beside = max((offset**2).sum() - (along**2).sum(), 0.0)
        return float((along**2 / self.variances).sum() + beside / self.noise)

    def left_out(self) -> Array:
        """Exact for up to 50 pictures; above, they are left out in 50 groups."""
        n = len(self.reference)
        scores: list[float] = []
        for group in np.array_split(np.arange(n), min(n, FITS)):
            others = Ppca(np.delete(self.reference, group, axis=0))
            scores += map(others, self.reference[group])
        return np.array(scores)


def main_components(centred: Array, count: int) -> tuple[Array, Array]:
    """Variances [count] and unit vectors [count, dims] of a set's main components, or fewer.

    From the smaller of the two products: far faster than a singular value decomposition.
    """
    n, dims = centred.shape
    wide = n < dims
    squares, vectors = np.linalg.eigh(centred @ centred.T if wide else centred.T @ centred)
    main = [i for i in range(len(squares))[: -count - 1 : -1] if squares[i] > 1e-9 * squares[-1]]
    directions = vectors.T[main]
    if wide:
        directions = directions @ centred / np.sqrt(squares[main])[:, None]
    return squares[main] / (n - 1), directions


METHODS: dict[str, type[Likeness]] = {"fid": Gaussian, "knn": Nearest, "ppca": Ppca}


def choose(
    names: Sequence[str],
    scores: Array,
    of_reference: Array,
    likeness: Likeness,
    config: FilterPoseConfig,
) -> tuple[float, dict[str, str]]:
    """The limit in use, and the reasons of the rows that are dropped, by id."""
    blind = {names[at]: BLIND for at in np.flatnonzero(~np.isfinite(scores)).tolist()}
    kind, value = parsed(config.limit)
    if kind == "best":
        seen = np.flatnonzero(np.isfinite(scores)).tolist()
        ranked = sorted(seen, key=lambda at: (scores[at], names[at]))
        count = round(value * len(ranked))
        limit = float(scores[ranked[count - 1]]) if count else 0.0
        far, why = ranked[count:], f"not among the {config.limit}"
    else:
        limit = value if kind == "number" else float(np.percentile(of_reference, value))
        check_limit(limit, of_reference, likeness, config)
        above = np.isfinite(scores) & (scores > limit)
        far, why = np.flatnonzero(above).tolist(), f"the limit is {limit:.4g}"
    unlike = {names[at]: f"unlike the reference: {scores[at]:.4g}, {why}" for at in far}
    return limit, blind | unlike


def of_shard(prefix: str, survey: Survey) -> tuple[Mapping[str, str], Array | None]:
    """Why rows of a shard are dropped, and the scores of all of them; None without a reference."""
    if not survey.more:
        return {}, None
    return survey.verdicts[prefix], survey.more[prefix]


def with_scores(table: "pa.Table", drops: Mapping[str, str], scores: Array | None) -> "pa.Table":
    """The rows of a shard with their scores and reasons to drop them; as they are without any."""
    if scores is None:
        return table
    told = [score if np.isfinite(score) else None for score in scores.tolist()]
    return columns.with_columns(
        table, score=told, drop=[drops.get(name) for name in columns.ids(table)]
    )


def check_limit(
    limit: float, of_reference: Array, likeness: Likeness, config: FilterPoseConfig
) -> None:
    """Raise SettingsError for a limit that refuses everything, whatever the picture."""
    if config.method == "fid" and limit <= likeness.spread:
        config.refuse(
            "limit",
            f"refuses every picture, as Tr(Sigma) of the reference set alone is"
            f" {likeness.spread:.4g}; q95 would be {np.percentile(of_reference, 95):.4g}",
        )


def notes(
    limit: float, of_reference: Array, likeness: Likeness, config: FilterPoseConfig
) -> list[str]:
    """What a person should know about the limit."""
    least, median, most = (float(np.percentile(of_reference, q)) for q in (0, 50, 100))
    share = float((of_reference <= limit).mean())
    said = [
        f"the reference set has {len(of_reference)} portraits, Tr(Sigma) {likeness.spread:.4g}",
        f"each against the others, by {config.method}, they score {least:.4g} to {most:.4g},"
        f" median {median:.4g}",
        f"the limit {limit:.4g} ({config.limit}) keeps {share:.0%} of the reference",
    ]
    if share < 0.5:
        said.append(
            f"warning: the limit {limit:.4g} would drop most of the reference set itself;"
            f" q95 would be {np.percentile(of_reference, 95):.4g}"
        )
    return said
