"""The rules as luigi.cfg declares them, a JSON list -> rules, or a sentence on what is wrong.

`{"drop": REASON, "if": [THING, RELATION, THING]}` drops a portrait where two things stand so;
`{"need": LABEL, ...}` drops one where too few or too many are found.
"""

import json
import math
from collections.abc import Collection, Iterable, Sequence
from functools import lru_cache
from typing import Any, TypeGuard

from atelier.errors import Refusal
from atelier.files import NoJSONError, json_of
from detectors import Spec, findable
from pipeline.stages.rules import (
    EYE_LINE,
    LIMITS,
    PLACES,
    QUANTITIES,
    RELATIONS,
    Drop,
    Need,
    Range,
    Rule,
    span,
)

DROP_KEYS = ("drop", "if", "min_score", "share")
NEED_KEYS = ("need", "count", "height", "of", "min_score", "reason")
ANY_NUMBER = (1, math.inf)


class RuleError(Refusal):
    """A rule that cannot be: the message says which, and what there is."""


@lru_cache
def parse(text: str) -> tuple[Rule, ...]:
    """The rules of a JSON list; raises RuleError."""
    try:
        given = json_of(text, parse_constant=no_number)
    except RuleError:
        raise
    except ValueError as error:
        hint = '; words stand in "double quotes"' if isinstance(error, NoJSONError) else ""
        raise RuleError(f"no JSON ({error}){hint}") from None
    if not isinstance(given, list):
        raise RuleError("give a list of rules: [{...}, {...}]")
    return tuple(parse_rule(number, rule) for number, rule in enumerate(given, start=1))


def no_number(word: str) -> float:
    raise RuleError(f"{word} is no number that a find can have; give another")


def parse_rule(number: int, given: Any) -> Rule:
    kinds = {"drop": DROP_KEYS, "need": NEED_KEYS}
    try:
        kind = next((k for k in kinds if isinstance(given, dict) and k in given), None)
        if kind is None:
            raise RuleError('begin with "drop" or "need"')
        for key in given.keys() - set(kinds[kind]):
            raise RuleError(f"there is no key {key!r}; {kind} has {', '.join(kinds[kind])}")
        return drop(given) if kind == "drop" else need(given)
    except RuleError as error:
        raise RuleError(f"rule {number}, {json.dumps(given)}: {error}") from None


def drop(given: dict[str, Any]) -> Drop:
    match given.get("if"):
        case [str() as first, str() as relation, int() | float() as second] if (
            first in QUANTITIES and relation in LIMITS and is_number(second)
        ):
            check_measured(given, first)
            share = 0.0
        case [str() as first, str() as relation, str() as second] if (
            relation in RELATIONS and first != EYE_LINE
        ):
            default = RELATIONS[relation][1]
            if "share" in given and default is None:
                raise RuleError(f'{relation!r} takes no "share"')
            share = number_of(given, "share", default or 0, 0, math.inf)
        case [str() as first, str() as relation, str()] if first != EYE_LINE:
            raise RuleError(f"there is no relation {relation!r}; there are {', '.join(RELATIONS)}")
        case _:
            raise RuleError(
                f'"if" is [THING, RELATION, THING], relations being {", ".join(RELATIONS)}; or'
                f" [QUANTITY, {' or '.join(LIMITS)}, NUMBER], quantities being"
                f" {', '.join(QUANTITIES)}"
            )
    reason, least = word(given, "drop"), number_of(given, "min_score", 0, 0, 1)
    return Drop(reason, first, relation, second, least, share)


def check_measured(given: dict[str, Any], quantity: str) -> None:
    """Raise RuleError where a find's score or share is asked of what no detector finds."""
    for key in ("min_score", "share"):
        if QUANTITIES[quantity].measured and key in given:
            raise RuleError(f'{quantity!r} takes no "{key}"')


def need(given: dict[str, Any]) -> Need:
    label, of = word(given, "need"), given.get("of", "photo")
    if label in (*PLACES, EYE_LINE):
        raise RuleError(f"{label!r} is no label of a detector")
    if of not in PLACES:
        raise RuleError(f'"of" = {of!r}: choose one of {", ".join(PLACES)}')
    if "of" in given and "height" not in given:
        raise RuleError('"of" says what "height" is a share of; give it, too')
    count = range_of(given, "count", ANY_NUMBER)
    height = range_of(given, "height", ANY_NUMBER) if "height" in given else None
    reason = word(given, "reason") if "reason" in given else ""
    return Need(label, count, height, of, number_of(given, "min_score", 0, 0, 1), reason)


def word(given: dict[str, Any], key: str) -> str:
    """What a person wrote; what follows a colon in a reason is its detail, so it has none."""
    value = given[key]
    if not isinstance(value, str) or not value.strip() or ":" in value:
        raise RuleError(f'"{key}" = {value!r}: give words without a colon')
    return value.strip()


def number_of(given: dict[str, Any], key: str, default: float, low: float, high: float) -> float:
    value = given.get(key, default)
    if not is_number(value) or not low <= value <= high:
        raise RuleError(f'"{key}" = {value!r}: give a number, {span((low, high))}')
    return value


def is_number(value: Any) -> TypeGuard[float]:
    """Whether it is a number from JSON: `true` is none, though Python takes it for 1."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def range_of(given: dict[str, Any], key: str, default: Range) -> Range:
    """A number, or [least, most]."""
    match given.get(key, list(default)):
        case [low, high] if is_number(low) and is_number(high) and 0 <= low <= high:
            return low, high
        case value if is_number(value) and value >= 0:
            return value, value
    raise RuleError(f'"{key}" = {given[key]!r}: give a number, or [least, most]')


def check_labels(rules: Sequence[Rule], specs: Iterable[Spec]) -> None:
    """Raise RuleError for a label that none of these detectors can find.

    Nothing is said where the classes of one of them are not known beforehand.
    """
    known: set[str] = set()
    for spec in specs:
        labels = findable(spec)
        if labels is None:
            return
        known |= labels
    for number, rule in enumerate(rules, start=1):
        for label in set(rule.labels()) - known:
            raise RuleError(
                f"rule {number} names {label!r}, which no detector finds; they find"
                f" {', '.join(sorted(known))}"
            )


def unseen(rules: Sequence[Rule], seen: Collection[str]) -> list[str]:
    """A sentence for each label that a rule names and that is none of those that were found."""
    return [
        f"[Crop] rules: rule {number} names {label!r}, which was found in no photo; found were:"
        f" {', '.join(sorted(seen)) or 'none'}"
        for number, rule in enumerate(rules, start=1)
        for label in rule.labels()
        if label not in seen
    ]
