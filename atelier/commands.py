"""A command line: its options come from sections, its answers are one sentence and an exit code."""

import argparse
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import fields
from typing import Any, Literal, NoReturn, get_args, get_origin, get_type_hints

from atelier import stop
from atelier.errors import Refusal
from atelier.options import Section, nearest, shown

UNKNOWN = "unrecognized arguments: "


class UsageError(Refusal):
    """A command line that cannot be."""


class Parser(argparse.ArgumentParser):
    """An argument parser that raises UsageError, and knows what a misspelt option was meant to be.

    Options are never abbreviated: one that comes later would change what a script means.
    """

    def __init__(self, *arguments: Any, **more: Any) -> None:
        super().__init__(*arguments, **{"allow_abbrev": False, **more})

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        found, rest = super().parse_known_args(args, namespace)
        if rest:
            self.refuse_unknown(rest)
        return found, rest

    def refuse_unknown(self, words: Sequence[str]) -> None:
        """Raise UsageError for words that no option takes."""
        word = words[0].partition("=")[0]
        if not word.startswith("-"):
            raise UsageError(f"{self.prog}: {word!r} is one word too many; see --help")
        known = [name for name in self._option_string_actions if name.startswith("--")]
        spelt = word.replace("_", "-")
        raise UsageError(f"{self.prog}: there is no option {word}{nearest(spelt, hyphened(known))}")

    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{self.prog}: {message}")


def hyphened(names: Sequence[str]) -> list[str]:
    """Each option once, as the docs write it."""
    return sorted({name.replace("_", "-") for name in names})


def add_options(
    group: Any, section: type[Section], leave_out: Sequence[str] = (), defaults: bool = False
) -> None:
    """One command line option per field; `--g-lr` and `--g_lr` are the same.

    Options that are not given are not in the namespace, unless `defaults` are wanted.
    """
    hints = get_type_hints(section)
    for f in (f for f in fields(section) if f.name not in leave_out):
        names = dict.fromkeys([f"--{f.name.replace('_', '-')}", f"--{f.name}"])
        kind, help = hints[f.name], f"{f.metadata['help']} [{shown(f.default)}]"
        value = "|".join(get_args(kind)) if get_origin(kind) is Literal else kind.__name__.upper()
        more: dict[str, Any] = {"nargs": "?", "const": "true"} if kind is bool else {}
        group.add_argument(
            *names,
            dest=f.name,
            default=f.default if defaults else argparse.SUPPRESS,
            help=help.replace("%", "%%"),
            metavar=value,
            **more,
        )


def run_command(
    parser: Callable[[], Parser],
    arguments: Sequence[str] | None,
    stopped: str,
    prepared: Callable[[Sequence[str]], Sequence[str]] = list,
) -> int:
    """Parse a command line and run the `command` that it names; returns the exit code.

    `prepared` takes out of the words what the parser does not know.
    """

    def command() -> int:
        words = sys.argv[1:] if arguments is None else arguments
        given = parser().parse_args(prepared(words))
        return int(given.command(given))

    return answered(command, stopped)


def answered(command: Callable[[], int], stopped: str) -> int:
    """Run a command; its exit code, after one sentence where it did not end well.

    `stopped` is said after Ctrl-C, SIGTERM and SIGHUP. A fault of ours is raised.
    """
    with stop.heard():
        try:
            return command()
        except Refusal as error:
            return said(f"error: {error}", error.code)
        except BrokenPipeError:  # the reader of what is printed has seen enough
            sys.stdout = None  # type: ignore[assignment]
            return 1
        except OSError as error:
            return said(f"error: {error}", 1)
        except KeyboardInterrupt:
            return said(f"\n{stopped}", stop.STOPPED)


def said(sentence: str, code: int) -> int:
    """Tell a person, if anybody still listens; gives the exit code back."""
    with suppress(OSError):
        print(sentence, file=sys.stderr, flush=True)
    return code


def say(text: str) -> None:
    """Print, whether or not anybody still listens: what runs goes on, or saves and stops."""
    with suppress(BrokenPipeError):
        print(text, flush=True)
