"""Decide which portraits are good enough and no copies of others. Measures in; no pixels."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from atelier.errors import words_of
from atelier.names import matched
from atelier.options import number_in, option
from atelier.tables import TableError, read_table
from pipeline.options import Settings, current
from pipeline.rows import columns, manifest
from pipeline.rows.manifest import Told, Verdict
from pipeline.stages.copies import copies
from pipeline.stages.crop import CropConfig
from pipeline.stages.rules import Rule, judge

if TYPE_CHECKING:
    import pyarrow as pa

Values = NDArray[np.float64]

READS = ("id", "photo")
AT_ONCE = 1 << 16  # rows that rules look at
COPY = "nearly the same picture"
LIMIT = "a number, or worst 0.02: that share of all; empty: none"


def check_worst(text: str) -> None:
    """Raise ValueError for what is no limit."""
    try:
        kind, value = limit_of(text)
    except ValueError:
        raise ValueError("give a number, or a share as worst 0.02") from None
    if kind == "worst" and not 0 < value < 1:
        raise ValueError("give a share between 0 and 1, as worst 0.02")


@dataclass(frozen=True)
class FilterQualityConfig(Settings):
    """Which portraits are no copies of others, and good enough."""

    copies: Literal["drop", "keep"] = option(
        "drop", "drop: of pictures that are nearly the same the best stays; keep: all stay"
    )
    crop_bits: int = option(
        6,
        "portraits whose dHash differs in at most so many of 64 bits, and most of those that differ"
        " in up to 4 more, are compared by 256 bits",
        low=0,
        high=10,
    )
    face_bits: int = option(6, "the same of the face's pHash", low=0, high=10)
    sharpness: str = option(
        "",
        f"drop faces less sharp than this (Laplacian variance at 160 px; 60 is blurred): {LIMIT}",
        check=check_worst,
    )
    dark: str = option(
        "", f"drop faces darker than this mean of 0 to 255: {LIMIT}", check=check_worst
    )
    bright: str = option(
        "", f"drop faces brighter than this mean of 0 to 255: {LIMIT}", check=check_worst
    )
    colour: str = option(
        "",
        f"drop pictures of less colour than this (grey and sepia have under 2): {LIMIT}",
        check=check_worst,
    )
    scores: str = option(
        "",
        "a measure of your own: a CSV file with the columns file,score",
        keyed="content",
        path=True,
    )
    score: str = option(
        "worst 0.02",
        "with scores: drop photos whose score is less than this: a number, or a share",
        check=check_worst,
    )

    @property
    def asks(self) -> bool:
        """Whether these options ask anything of a portrait."""
        return self.copies == "drop" or any(self.limit(rule)[0] != "none" for rule in RULES)

    def limit(self, rule: "Limit") -> tuple[str, float]:
        """A rule's limit; of a score there is one only with scores."""
        return limit_of(
            "" if rule.option == "score" and not self.scores else getattr(self, rule.option)
        )


@dataclass(frozen=True)
class Asked:
    """All that is asked of what Measure knows of a portrait."""

    config: FilterQualityConfig
    rules: tuple[Rule, ...] = ()  # of `[Crop] rules`, those that Crop cannot judge

    @property
    def anything(self) -> bool:
        return self.config.asks or bool(self.rules)

    @property
    def reads(self) -> tuple[str, ...]:
        """The columns of all rows that are looked at; hashes, the largest, for copies alone."""
        everything = self.rules or self.config.copies == "drop"
        return (*READS, *(("rectangle", "measures") if everything else manifest.NUMBERS))

    @property
    def keyed_rules(self) -> list[Any] | None:
        """What of the rules enters a key: nothing where there are none, as before there were."""
        return list(map(astuple, self.rules)) or None


def asked() -> Asked:
    """All that is asked of how a portrait looks, as it is set; raises SettingsError."""
    return Asked(current(FilterQualityConfig), current(CropConfig).on_measures)


def check_scores(config: FilterQualityConfig) -> None:
    """Raise SettingsError where the table of scores is named and is not there."""
    if config.scores and not Path(config.scores).is_file():
        config.refuse("scores", "there is no such file; name a CSV")


class Limit(NamedTuple):
    """A measure that an option limits."""

    option: str
    reason: str
    of: Callable[["pa.Table", Mapping[str, float]], Values]  # NaN where nobody knows
    worst_is_most: bool = False


def own_scores(table: "pa.Table", scores: Mapping[str, float]) -> Values:
    """The score of each row's photo."""
    found = (scores.get(photo, np.nan) for photo in columns.ids(table, "photo"))
    return np.fromiter(found, np.float64, len(table))


RULES = (
    Limit("sharpness", "blurred", lambda t, _: columns.floats(t, "measures", "sharpness")),
    Limit("dark", "too dark", lambda t, _: columns.floats(t, "measures", "light")),
    Limit(
        "bright",
        "too bright",
        lambda t, _: columns.floats(t, "measures", "light"),
        worst_is_most=True,
    ),
    Limit("colour", "grey", lambda t, _: columns.floats(t, "measures", "colour")),
    Limit("score", "low score", own_scores),
)


def limit_of(text: str) -> tuple[str, float]:
    """`60`, `worst 0.02` -> (number, 60.0), (worst, 0.02); nothing -> (none, 0.0)."""
    words = text.strip().lower()
    if not words:
        return "none", 0.0
    if words.startswith("worst"):
        return "worst", number_in(words.removeprefix("worst"))
    return "number", number_in(words)


def filter_quality(
    table: "pa.Table",
    asked: Asked,
    accepted: Collection[str] = (),
    scores: Mapping[str, float] | None = None,
) -> Verdict:
    """Drop what is under a limit, then all but the best of pictures that are nearly the same.

    From the columns that `asked` reads of all rows. The photos in `accepted` a person accepted:
    they stay.
    """
    config = asked.config
    if not asked.anything:
        return Verdict({}, Told(["nothing is asked: every portrait passes"]))
    out = ruled_out(table, asked.rules)
    limits: dict[str, float] = {}
    for rule in RULES:
        found, limit = judged_by(rule, table, config, scores or {})
        out = {**found, **out}
        limits |= {} if limit is None else {rule.option: limit}
    asks = bool(accepted) or scores is not None
    photos = columns.ids(table, "photo") if asks else []
    if accepted:
        known = zip(columns.ids(table), photos, strict=True)
        stays = {name for name, photo in known if photo in accepted}
        out = {name: reason for name, reason in out.items() if name not in stays}
    if config.copies == "drop":
        here = np.array([name not in out for name in columns.ids(table)], bool)
        left = table.filter(columns.array(here))
        best = copies(left, config.crop_bits, config.face_bits, accepted)
        out |= {name: f"{COPY}: {other}" for name, other in best.items()}
    return Verdict(out, Told(quality_notes(photos, accepted, scores), limits))


def filtered(table: "pa.Table", drops: Mapping[str, str]) -> "pa.Table":
    """The rows with the reasons of those that are dropped.

    What stays goes on as it came from Crop, so that all later results keep their names where
    nothing is dropped.
    """
    reasons = [drops.get(name) for name in columns.ids(table)]
    measured = columns.emptied(table.column("measures"), [reason is None for reason in reasons])
    return columns.with_columns(table, drop=reasons, measures=measured)


def ruled_out(table: "pa.Table", rules: Sequence[Rule]) -> dict[str, str]:
    """The ids of the rows that a rule on measures drops -> the reason."""
    found: dict[str, str] = {}
    for start in range(0, len(table) if rules else 0, AT_ONCE):
        rows = manifest.rows_of(table.slice(start, AT_ONCE))
        found |= {row.id: reason for row in rows if (reason := judge(row, rules))}
    return found


def judged_by(
    rule: Limit, table: "pa.Table", config: FilterQualityConfig, scores: Mapping[str, float]
) -> tuple[dict[str, str], float | None]:
    """The ids beyond a rule's limit with the reason, and that limit; None where it has none."""
    kind, limit = config.limit(rule)
    if kind == "none":
        return {}, None
    sign = -1 if rule.worst_is_most else 1
    values = rule.of(table, scores)
    if kind == "worst":
        known = sign * np.sort(sign * values[~np.isnan(values)])
        limit = float(known[min(int(limit * len(known)), len(known) - 1)]) if len(known) else 0.0
    beyond = np.flatnonzero(sign * values < sign * limit)
    names, why = columns.ids(table.select(["id"]).take(beyond)), f"the limit is {limit:.4g}"
    return {
        name: f"{rule.reason}: {value:.4g}, {why}"
        for name, value in zip(names, values[beyond].tolist(), strict=True)
    }, limit


def quality_notes(
    photos: Sequence[str], accepted: Collection[str], scores: Mapping[str, float] | None
) -> list[str]:
    """What a person should know about the rows that no rule could judge."""
    said = []
    stay = sum(photo in accepted for photo in photos)
    if stay:
        said.append(f"{stay} portraits were accepted in the review: no rule is asked about them")
    if scores is not None and (bare := sum(photo not in scores for photo in photos)):
        said.append(f"no score, and so not dropped: {bare} of {len(photos)} portraits")
    return said


def scores_of(
    config: FilterQualityConfig, known_paths: Callable[[], Mapping[str, str]]
) -> dict[str, float] | None:
    """Each photo's id -> its score, as the file says it by a name of the photo's; None without one.

    `known_paths` gives a photo's id -> its path, or that of its video. Raises SettingsError.
    """
    if not config.scores:
        return None
    paths = known_paths()
    told: dict[str, float] = {}
    try:
        for line, cells in read_table(Path(config.scores), ("file", "score")):
            try:
                told[cells["file"]] = number_in(cells["score"])
            except ValueError:
                config.refuse("scores", f"line {line}: {cells['score']!r} is no number")
    except (TableError, OSError) as error:
        config.refuse("scores", words_of(error))
    meant = matched(told, paths.values())
    score_of: dict[str, float] = {}
    for said, found in meant.items():
        for path in found:
            if score_of.setdefault(path, told[said]) != told[said]:
                config.refuse("scores", f"{path!r} has two scores; keep one")
    return {photo: score_of[path] for photo, path in paths.items() if path in score_of}
