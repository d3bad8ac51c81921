"""Decide which portraits are good enough and no copies of others. Measures in; no pixels."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import astuple, dataclass, replace
from pathlib import Path
from typing import Any, Literal, NamedTuple

from atelier.names import matched
from atelier.options import option
from atelier.tables import TableError, read_table
from pipeline.options import Settings
from pipeline.rows.manifest import Outcome, Row, dropped
from pipeline.stages.copies import copies, known
from pipeline.stages.rules import Rule, judge

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
    def keyed_rules(self) -> list[Any] | None:
        """What of the rules enters a key: nothing where there are none, as before there were."""
        return list(map(astuple, self.rules)) or None


class Limit(NamedTuple):
    """A measure that an option limits."""

    option: str
    reason: str
    of: Callable[[Row, Mapping[str, float]], float | None]
    worst_is_most: bool = False


RULES = (
    Limit("sharpness", "blurred", lambda row, _: known(row).sharpness),
    Limit("dark", "too dark", lambda row, _: known(row).light),
    Limit("bright", "too bright", lambda row, _: known(row).light, worst_is_most=True),
    Limit("colour", "grey", lambda row, _: known(row).colour),
    Limit("score", "low score", lambda row, scores: scores.get(row.photo)),
)


def limit_of(text: str) -> tuple[str, float]:
    """`60`, `worst 0.02` -> (number, 60.0), (worst, 0.02); nothing -> (none, 0.0)."""
    words = text.strip().lower()
    if not words:
        return "none", 0.0
    if words.startswith("worst"):
        return "worst", float(words.removeprefix("worst"))
    return "number", float(words)


def filter_quality(
    rows: Sequence[Row],
    asked: Asked,
    accepted: Collection[str] = (),
    scores: Mapping[str, float] | None = None,
) -> Outcome:
    """Drop what is under a limit, then all but the best of pictures that are nearly the same.

    The photos in `accepted` a person accepted: they stay. What stays goes on as it came from Crop,
    so that all later results keep their names where nothing is dropped.
    """
    config = asked.config
    if not asked.anything:
        return Outcome(rows, ["nothing is asked: every portrait passes"])
    out = {row.id: dropped(row, reason) for row in rows if (reason := judge(row, asked.rules))}
    limits: dict[str, float] = {}
    for rule in RULES:
        found, limit = judged_by(rule, rows, config, scores or {})
        out = {**found, **out}
        limits |= {} if limit is None else {rule.option: limit}
    out = {name: row for name, row in out.items() if row.photo not in accepted}
    if config.copies == "drop":
        left = [row for row in rows if row.id not in out]
        best = copies(left, config.crop_bits, config.face_bits, accepted)
        out |= {row.id: dropped(row, f"{COPY}: {best[row.id]}") for row in left if row.id in best}
    passed = [out.get(row.id, replace(row, measures=None)) for row in rows]
    return Outcome(passed, quality_notes(rows, accepted, scores), limits)


def judged_by(
    rule: Limit, rows: Sequence[Row], config: FilterQualityConfig, scores: Mapping[str, float]
) -> tuple[dict[str, Row], float | None]:
    """The rows beyond a rule's limit, by id, and that limit; None where it has none."""
    kind, limit = config.limit(rule)
    if kind == "none":
        return {}, None
    sign = -1 if rule.worst_is_most else 1
    of = {row.id: value for row in rows if (value := rule.of(row, scores)) is not None}
    if kind == "worst":
        values = sorted(of.values(), key=lambda value: sign * value)
        limit = values[min(int(limit * len(values)), len(values) - 1)] if values else 0.0
    why = f"the limit is {limit:.4g}"
    return {
        row.id: dropped(row, f"{rule.reason}: {of[row.id]:.4g}, {why}")
        for row in rows
        if row.id in of and sign * of[row.id] < sign * limit
    }, limit


def quality_notes(
    rows: Sequence[Row], accepted: Collection[str], scores: Mapping[str, float] | None
) -> list[str]:
    """What a person should know about the rows that no rule could judge."""
    said = []
    stay = sum(row.photo in accepted for row in rows)
    if stay:
        said.append(f"{stay} portraits were accepted in the review: no rule is asked about them")
    if scores is not None and (bare := sum(row.photo not in scores for row in rows)):
        said.append(f"{bare} of {len(rows)} portraits have no score: they pass")
    return said


def scores_of(config: FilterQualityConfig, places: Mapping[str, Row]) -> dict[str, float]:
    """Each photo's id -> its score, as the file says it by a name of the photo's.

    `places` maps a photo's id to its row in Ingest's manifest. Raises SettingsError.
    """
    told: dict[str, float] = {}
    try:
        for line, cells in read_table(Path(config.scores), ("file", "score")):
            try:
                told[cells["file"]] = float(cells["score"])
            except ValueError:
                config.refuse("scores", f"line {line}: {cells['score']!r} is no number")
    except (TableError, OSError) as error:
        config.refuse("scores", str(error))
    paths = {photo: row.clip or row.path for photo, row in places.items()}
    meant = matched(told, paths.values())
    score_of: dict[str, float] = {}
    for said, found in meant.items():
        for path in found:
            if score_of.setdefault(path, told[said]) != told[said]:
                config.refuse("scores", f"{path!r} has two scores; keep one")
    return {photo: score_of[path] for photo, path in paths.items() if path in score_of}
