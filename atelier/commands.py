"""A command line: its options come from sections, its answers are one sentence and an exit code."""

import argparse
import errno
import os
import re
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import fields
from io import TextIOWrapper
from pathlib import Path
from traceback import walk_tb
from types import TracebackType
from typing import Any, Literal, NoReturn, get_args, get_origin
from warnings import filterwarnings

from atelier import stop
from atelier.errors import AROUND, Refusal, reason_in, words_of
from atelier.options import (
    Section,
    at_home,
    check_path,
    check_range,
    converted,
    hints_of,
    nearest,
    shown,
)

MOST_TOLD = 12  # options in a sentence
NO_MEMORY = "this takes more memory than there is: close other programs, or ask for less at a time"

ANEW = "stopped; it does not resume: the same command begins anew"
PRINTED = "standard output"
FULL = "make room there, or where temporary files lie (TMPDIR), and run the same command again"
NOWHERE = "the current folder was removed: go to one that is there"
MAY_NOT = "change its permissions, or name another"
WAYS_OUT = {
    errno.ENOSPC: FULL,
    errno.EDQUOT: FULL,
    errno.EFBIG: "raise the limit of a file's size, ulimit -f, or name another file system",
    errno.EACCES: MAY_NOT,
    errno.EPERM: MAY_NOT,
    errno.EROFS: "it can only be read there: name another place",
    errno.EMFILE: "raise the limit of open files, ulimit -n",
}
ERRNOS = {os.strerror(number): number for number in errno.errorcode}  # by the words
RUNS_ALREADY = (
    "TensorFlow computes in this process already, with other threads or devices: run this command"
    " in a process of its own, or begin the notebook anew"
)
OF_A_START = re.compile("cannot be modified after (being )?initializ")  # in TensorFlow's words
OF_MEMORY = re.compile(
    "OOM when allocating|[Ff]ailed to allocate memory|CUDA out of memory|can't start new thread"
)


class UsageError(Refusal):
    """A command line that cannot be."""


class PathError(UsageError, argparse.ArgumentTypeError):
    """A word that names no path, be it read by a parser or later."""


class Parser(argparse.ArgumentParser):
    """An argument parser that raises UsageError, and knows what a misspelt option was meant to be.

    Options are never abbreviated: one that comes later would change what a script means.
    `--dry_run` is `--dry-run`. What is taken out of the words beforehand is `elsewhere`.
    """

    def __init__(self, *arguments: Any, elsewhere: Iterable[str] = (), **more: Any) -> None:
        super().__init__(*arguments, **{"allow_abbrev": False, **more})
        self.elsewhere = tuple(elsewhere)

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        words = [self.hyphened(word) for word in (sys.argv[1:] if args is None else args)]
        found, rest = super().parse_known_args(words, namespace)
        if rest:
            refuse_unknown(self.prog, rest[0], self._option_string_actions, self.elsewhere)
        return found, rest

    def hyphened(self, word: str) -> str:
        """A word of the command line, with the hyphens of the option that it names."""
        name, equals, value = word.partition("=")
        spelt = name.replace("_", "-")
        return spelt + equals + value if spelt in self._option_string_actions else word

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        if action.choices is not None and value not in action.choices:
            what = argparse._get_action_name(action)
            self.error(f"{what} = {value}{nearest(str(value), list(map(str, action.choices)))}")

    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{self.prog}: {message}")


def refuse_unknown(
    program: str, word: str, known: Iterable[str], elsewhere: Iterable[str] = ()
) -> NoReturn:
    """Raise UsageError for a word that no option takes."""
    word = word.partition("=")[0]
    if not word.startswith("-"):
        raise UsageError(f"{program}: {word!r} is one word too many; see --help")
    names = [name for name in known if name.startswith("--")]
    spelt = word.replace("_", "-")
    meant = nearest(spelt, [*names, *elsewhere])
    close = meant if "did you mean" in meant else nearest(spelt, names)
    if "did you mean" not in close and len(names) > MOST_TOLD:
        close = f"; --help tells of all {len(names)}"
    raise UsageError(f"{program}: there is no option {word}{close}")


def path(text: str) -> Path:
    """The path that a word of a command line names; raises PathError for an address and others."""
    try:
        check_path(text)
        if not text:
            raise ValueError("it is empty: give a path, as . for this folder")
    except ValueError as error:
        raise PathError(f"{text}: {error}" if text else str(error)) from None
    return Path(at_home(text))


def path_of(name: str, text: str) -> Path:
    """The path in a value of an option called `name`; raises UsageError, naming both."""
    try:
        return path(text)
    except PathError as error:
        raise UsageError(f"{name}: {error}") from None


def ranged(kind: type, low: float | None = None, high: float | None = None) -> Callable[[str], Any]:
    """What reads a number from a word of a command line, and refuses one that cannot be."""

    def read(text: str) -> Any:
        try:
            value = converted(kind, text)
            check_range(value, low, high)
        except ValueError as error:
            raise argparse.ArgumentTypeError(f"{text!r}: {error}") from None
        return value

    return read


def add_options(
    group: Any,
    section: type[Section],
    leave_out: Sequence[str] = (),
    defaults: Mapping[str, str] | None = None,
) -> None:
    """One command line option per field; those that are not given are not in the namespace.

    `defaults` says what holds of an option that is not given, where that is not the field's own.
    """
    hints, others = hints_of(section), defaults or {}
    for f in (f for f in fields(section) if f.name not in leave_out):
        default = others.get(f.name, shown(f.default))
        kind, help = hints[f.name], f"{f.metadata['help']} [{default}]"
        value = "|".join(get_args(kind)) if get_origin(kind) is Literal else kind.__name__.upper()
        more: dict[str, Any] = {"nargs": "?", "const": "true"} if kind is bool else {}
        group.add_argument(
            f"--{f.name.replace('_', '-')}",
            dest=f.name,
            default=argparse.SUPPRESS,
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

    `prepared` takes out of the words what the parser does not know. A command that has `stopped`
    among its defaults says that, and not the package's, when it is stopped.
    """

    def command() -> int:
        words = sys.argv[1:] if arguments is None else arguments
        given = parser().parse_args(prepared(words))
        try:
            return int(given.command(given))
        except KeyboardInterrupt:
            raise KeyboardInterrupt(getattr(given, "stopped", stopped)) from None

    return answered(command, stopped)


def answered(command: Callable[[], int], stopped: str) -> int:
    """Run a command; its exit code, after one sentence where it did not end well.

    `stopped` is said after Ctrl-C, SIGTERM and SIGHUP. A fault of ours is raised.
    """
    take_numbers()
    print_any_name()
    with stop.heard():
        code = answer(command, stopped)
        print_no_more()
        return code


def print_no_more() -> None:
    """Let go of what nobody takes: with it Python would end with an exit code of its own."""
    for name in ("stdout", "stderr"):
        try:
            flush(name)
        except OSError:  # no second sentence
            setattr(sys, name, None)


def take_numbers() -> None:
    """Open the null device in place of a standard file that is closed, as under some daemons.

    Another file would get its number, and what is printed by a library would go into that.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)


def print_any_name() -> None:
    """Let any file's name be printed: its own bytes, or as a terminal of few letters can show it.

    Standard error does so by itself.
    """
    if isinstance(sys.stdout, TextIOWrapper) and sys.stdout.errors == "strict":
        is_utf8 = sys.stdout.encoding.lower() in ("utf-8", "utf8")
        sys.stdout.reconfigure(errors="surrogateescape" if is_utf8 else "backslashreplace")


def answer(command: Callable[[], int], stopped: str) -> int:
    """The command's exit code, once what it printed is out, or after the one sentence."""
    try:
        code = ended(command)
        flush()
        return code
    except Refusal as error:
        return said(f"error: {error}{f' ({NOWHERE})' if is_nowhere() else ''}", error.code)
    except BrokenPipeError:  # the reader of what is printed has seen enough
        sys.stdout = None  # type: ignore[assignment]
        return 1
    except OSError as error:
        name_printed(error)
        code, words = (2, NOWHERE) if is_nowhere() else (1, os_error_in_words(error))
        return said(f"error: {words}", code)
    except MemoryError as error:
        return said(f"error: {memory_in_words(error)}", 1)
    except KeyboardInterrupt as end:
        let_the_code_count()
        return said(f"\n{end.args[0] if end.args else stopped}", stop.STOPPED)
    except Exception as error:  # of a library that asks the system by itself, as TensorFlow
        if not (words := system_in_words(error)):
            raise
        return said(f"error: {words}", 1)


def let_the_code_count() -> None:
    """Keep Python from ending with SIGINT, whatever the exit code.

    It does so once a KeyboardInterrupt has left a text that was executed, as dataclasses are made,
    and forgets it when the next one is.
    """
    exec("")


def name_printed(error: OSError) -> None:
    """Where an error about no file is one about what is printed, which one more line tells."""
    if not error.errno or error.filename or sys.stdout is None:
        return
    try:
        print(flush=True)
    except OSError as again:
        if again.errno == error.errno:
            error.filename = PRINTED


def is_nowhere() -> bool:
    """Whether the current folder is gone, so that no relative path means anything."""
    try:
        os.getcwd()
        return False
    except FileNotFoundError:
        return True


def os_error_in_words(error: Exception) -> str:
    """What the system says of a file, and the way out where it is always the same."""
    told = AROUND.sub("", str(error)).split()
    text = words_of(error) if isinstance(error, OSError) else " ".join(told)[:300]
    way = WAYS_OUT.get(errno_of(error))
    return f"{text}: {way}" if way else text


def errno_of(error: Exception) -> int:
    """The number of what the system says of a file; 0 where an error is about something else.

    TensorFlow raises kinds of its own: after the path stand a semicolon and the system's words.
    """
    if isinstance(error, OSError):
        return error.errno or 0
    found = re.search(rf";\s*({'|'.join(map(re.escape, ERRNOS))})\b", str(error))
    return ERRNOS[found[1]] if found else 0


def system_in_words(error: Exception) -> str:
    """What a library says of a file, memory or its start in an error of its own; else nothing."""
    if errno_of(error):
        return os_error_in_words(error)
    text = str(error)
    if OF_A_START.search(text):
        return RUNS_ALREADY
    return f"{NO_MEMORY} ({reason_in(text)})" if OF_MEMORY.search(text) else ""


def memory_in_words(error: MemoryError) -> str:
    """What is wrong, and the way out; numpy says for what it wanted how much."""
    return NO_MEMORY + (f" ({error})" if str(error) else "")


def ended(command: Callable[[], int]) -> int:
    """The command's exit code, whichever way it gives it."""
    try:
        return command()
    except SystemExit as end:  # argparse's, after --help
        return int(end.code or 0)


def answer_for_files(*scripts: str) -> None:
    """Let a command say in one sentence that Luigi, which is being loaded, cannot read its files.

    The commands are those of `stop.quiet_start`.
    """
    before = sys.excepthook

    def tell(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        modules = {frame.f_globals.get("__name__") for frame, _ in walk_tb(trace)}
        told = " ".join(str(error).split())
        if kind is ImportError and "luigi.configuration.core" in modules:
            told = "a recipe is no TOML: call it *.cfg, and unset LUIGI_CONFIG_PARSER"
        elif "configparser" not in modules:
            before(kind, error, trace)
            return
        if "\\ufeff" in told:
            told = "it begins with a byte order mark: save it as UTF-8 without one"
        sys.exit(said(f"error: luigi.cfg, or what LUIGI_CONFIG_PATH names: {told}", 2))

    if stop.is_command("-m", *scripts):
        recipe = os.environ.get("LUIGI_CONFIG_PATH", "")
        if os.path.exists(recipe) and not os.path.isfile(recipe):  # a pipe would be waited for
            sys.exit(said(f"error: LUIGI_CONFIG_PATH = {recipe}: that is no file", 2))
        sys.excepthook = tell
        filterwarnings("ignore", "Config file does not exist")  # which is said later, once
        filterwarnings("ignore", "Config for .* parser added")  # it is read all the same


def flush(name: str = "stdout") -> None:
    """Write out what is printed; raises OSError where nobody takes it."""
    if (printed := getattr(sys, name)) is not None:
        printed.flush()


def said(sentence: str, code: int) -> int:
    """Tell a person, if anybody still listens; gives the exit code back."""
    if sys.stderr is not None:
        with suppress(OSError):
            print(sentence, file=sys.stderr, flush=True)
    return code


def number_of(count: int, noun: str) -> str:
    """The count and what is counted, as people say it: 1 picture, 2 pictures."""
    return f"{count} {noun}{'' if count == 1 else 's'}"


def say(text: str) -> None:
    """Print, whether or not anybody still listens: what runs goes on, or saves and stops.

    Where nothing more can be printed, as on a terminal that is gone, standard error says so.
    """
    try:
        print(text, flush=True)
    except OSError as error:
        sys.stdout = None  # type: ignore[assignment]
        if not isinstance(error, BrokenPipeError):
            said(f"note: {PRINTED}: {error.strerror}: the work goes on, unseen", 0)
