"""Options: declared once, as fields of a frozen dataclass, converted and checked when it is made.

Luigi's parameters, a command line, luigi.cfg and docs/options.md are views of those fields.
"""

import difflib
import errno
import math
import os
import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, fields
from functools import cache
from typing import Any, ClassVar, Literal, get_args, get_origin, get_type_hints

from atelier.errors import Refusal

# What an option does to the key of a result: it enters by its value, by the content of the file
# that it names, or, if it cannot change a result, not at all.
Keyed = Literal["value", "content", "never"]

KINDS = {int: "a whole number", float: "a number", bool: "true or false", str: "a word"}
ADDRESS = re.compile(r"[A-Za-z][\w+.-]*(::[\w+.-]*)*://")
MOST_THREADS = 4096  # more than a machine has; libraries end in tracebacks of far larger numbers
NAME_MAX = "PC_NAME_MAX"  # bytes of a name
TRUTH = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}


class OptionError(Refusal):
    """A value that an option cannot have."""


def option(
    default: Any,
    help: str,
    low: float | None = None,
    high: float | None = None,
    keyed: Keyed = "value",
    check: Callable[[Any], object] | None = None,
    later: bool = False,
    path: bool = False,
    was: Any = None,
    remote: bool = False,
    words: tuple[str, ...] = (),
) -> Any:
    """A dataclass field: its default, a sentence with the unit, and what is allowed.

    `check` raises ValueError, saying what to give, for a value that the range does not refuse.
    One that came `later` than the first release leaves keys as they were while it has its default;
    one whose default changes results leaves them while it has the value of how it `was` before.
    What may name a file or a folder is a `path`: one that begins with ~ lies in a home, and it is
    no address of an object store, as s3://bucket, unless it may lie there: `remote`. Some `words`
    stand for no file, whatever lies where somebody calls from.
    """
    known = {
        "help": help,
        "low": low,
        "high": high,
        "keyed": keyed,
        "check": check,
        "later": later,
        "path": path,
        "was": was,
        "remote": remote,
        "words": words,
    }
    return field(default=default, metadata=known)


@dataclass(frozen=True)
class Section:
    """Options that belong together."""

    refusal: ClassVar[type[Refusal]] = OptionError  # what is raised for a value that cannot be

    def __post_init__(self) -> None:
        hints = hints_of(type(self))
        for f in fields(self):
            given = getattr(self, f.name)
            object.__setattr__(self, f.name, self.checked(f.name, hints[f.name], given, f.metadata))

    @classmethod
    def called(cls, name: str) -> str:
        """How a sentence names the option."""
        return name

    @classmethod
    def checked(cls, name: str, kind: Any, value: Any, known: Mapping[str, Any]) -> Any:
        """The value in its own type; raises the section's refusal for one that cannot be."""
        try:
            value = at_home(converted(kind, value)) if known["path"] else converted(kind, value)
            check_range(value, known["low"], known["high"])
            if known["check"]:
                known["check"](value)
            if known["path"]:
                check_path(value, known["remote"])
        except ValueError as error:
            raise cls.refusal(f"{cls.called(name)} = {value!r}: {error}") from None
        return value

    def refuse(self, name: str, way_out: str) -> None:
        """Raise the refusal that names option `name`, its value and the way out."""
        raise self.refusal(f"{self.called(name)} = {getattr(self, name)!r}: {way_out}")


# The type of each option of a section, which takes longer to find out than to check them all.
hints_of: Callable[[Any], dict[str, Any]] = cache(get_type_hints)


def converted(kind: Any, value: Any) -> Any:
    """The value, given as text or not, in its own type; ValueError says what to give."""
    if kind == bool | float:
        return yes_no_or_number(value)
    if get_origin(kind) is Literal:
        if str(value) not in get_args(kind):
            raise ValueError(f"choose one of {', '.join(get_args(kind))}")
        return str(value)
    try:
        if kind is bool and isinstance(value, str):
            return TRUTH[value.strip().lower()]
        if kind is int and isinstance(value, float) and value != int(value):
            raise ValueError
        made = kind(value)
        if kind is float and not math.isfinite(made):
            raise ValueError
        return made
    except (TypeError, ValueError, KeyError, OverflowError):
        raise ValueError(f"give {KINDS[kind]}") from None


def number_in(text: str) -> float:
    """The number that a part of a value is, which is finite; ValueError says what to give."""
    return float(converted(float, text))


def at_home(path: str) -> str:
    """The path, with the home folder that a ~ at its beginning stands for."""
    return os.path.expanduser(path)


def is_address(text: str) -> bool:
    """Whether it names something of an object store, as s3://bucket/photos, and no path."""
    return ADDRESS.match(text) is not None


def check_path(path: str, remote: bool = False) -> None:
    """Raise ValueError, saying what to give, where it is none of this machine's paths.

    What lies in an object store is one where it may be `remote`.
    """
    if is_address(path):
        if not remote:
            raise ValueError("it lies on a file system: give a path, not an address")
        return
    longest, most = max(len(os.fsencode(n)) for n in path.split(os.sep)), os.pathconf("/", NAME_MAX)
    if longest > most:
        raise ValueError(f"a name in it has {longest} bytes: that of a file has at most {most}")
    if leads_in_a_circle(path):
        raise ValueError("its links lead in a circle: give a path that leads somewhere")


def leads_in_a_circle(path: str) -> bool:
    """Whether nothing is to be found behind a path, since a link in it points at itself."""
    try:
        os.stat(at_home(path))
    except OSError as error:
        return error.errno == errno.ELOOP
    except ValueError:  # a name with a null character, which no file has
        return False
    return False


def yes_no_or_number(value: Any) -> bool | float:
    """A switch that may be turned on by degrees."""
    if isinstance(value, bool):
        return value
    words = str(value).strip().lower()
    if words in TRUTH:
        return TRUTH[words]
    try:
        return number_in(words)
    except ValueError:
        raise ValueError("give true, false or a number") from None


def check_range(value: Any, low: float | None, high: float | None) -> None:
    """Raise ValueError, saying what to give, for a value outside."""
    if (low is not None and not value >= low) or (high is not None and not value <= high):
        both = f"between {low} and {high}"
        raise ValueError(f"give a value {f'of at least {low}' if high is None else both}")


def span(known: Mapping[str, Any]) -> str:
    """The allowed range of a field, for a table of options."""
    low, high = known["low"], known["high"]
    if low is None and high is None:
        return ""
    return f" ({low} to {high})" if high is not None else f" (at least {low})"


def shown(value: Any) -> str:
    """A value as it is written in luigi.cfg and on a command line."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def nearest(name: str, known: Collection[str]) -> str:
    """The end of a sentence about a name that is not known: what it may have been meant to be."""
    close = difflib.get_close_matches(name, list(known), n=1)
    return f"; did you mean {close[0]}?" if close else f"; there are {', '.join(sorted(known))}"
