"""Luigi's own command, `luigi --module pipeline TASK`: it answers as `python -m pipeline` does."""

import atexit
import builtins
import logging
import multiprocessing
import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import cache
from types import TracebackType
from typing import Any, NoReturn

import luigi
from luigi.cmdline_parser import CmdlineParser
from luigi.configuration import get_config
from luigi.rpc import RPCError
from luigi.task_register import Register

from atelier import stop
from atelier.commands import (
    UsageError,
    answered,
    memory_in_words,
    os_error_in_words,
    print_no_more,
    refuse_unknown,
    said,
    say,
)
from atelier.errors import Refusal, words_of
from atelier.options import check_range, converted, nearest
from pipeline import options, tasks
from pipeline.engine import lock, processes
from pipeline.options import SettingsError
from pipeline.photos.objects import RemoteError
from pipeline.report import chapters
from pipeline.report.funnel import funnel_text
from pipeline.stage import store

NAME = "luigi"
KEPT = "stopped; what is finished is kept: the same command goes on"
LOG = logging.getLogger("luigi-interface")
TOLD = Refusal | OSError | MemoryError | SystemExit | RPCError  # what is said in one sentence


def begin(known: Sequence[type[luigi.Task]]) -> None:
    """Where Luigi's command loads this package: refuse what is wrong, then see to its answers."""
    if not stop.is_command(NAME) or not names_us(sys.argv[1:]):
        return
    sys.excepthook = end
    stop.listen(stop.Once())
    if code := answered(lambda: check(sys.argv[1:], known), KEPT):
        sys.exit(code)
    atexit.register(print_no_more)
    atexit.register(lock.release, store())  # which a process of Luigi's may have taken
    LOG.addFilter(Sentences())
    for event in (luigi.Event.SUCCESS, luigi.Event.DEPENDENCY_PRESENT):
        tasks.Dataset.event_handler(event)(lambda _: tell_dataset())
    luigi.Task.event_handler(luigi.Event.SUCCESS)(lambda _: end_in_peace())


def names_us(words: Sequence[str]) -> bool:
    """Whether a command line of Luigi's is about this package, not about somebody's own tasks."""
    found = re.search(r"--module[= ](\w+)", " ".join(words))
    return found is not None and found[1] == "pipeline"


def check(words: Sequence[str], tasks: Sequence[type[luigi.Task]]) -> int:
    """Raise a refusal for what cannot be, before Luigi reads its command line; gives 0."""
    root = parsed(words)[0].root_task
    given, rest, known = parsed(words, root)
    if rest:
        refuse_unknown(NAME, rest[0], known)
    if not (given.core_help or given.core_help_all):
        task = task_of(root or "", tasks)
        own = check_values(vars(given), task)
        check_workers(given.core_workers)
        processes.check_semaphores()  # Luigi makes some itself
        for name in options.names():
            value = vars(given).get(name.removeprefix("--").replace("-", "_"))
            if value is not None:
                options.set_option(name.removeprefix("--"), value)
        options.check_recipe()
        made = task(**own)
        getattr(made, "config", None)  # which is checked when it is put together
        getattr(made, "check", int)()  # what one section says, against others
        with suppress(OSError):  # a store that cannot be written may be asked whether all is done
            lock.hold(store())
    return 0


def parsed(words: Sequence[str], root: str | None = None) -> tuple[Any, list[str], list[str]]:
    """What Luigi will read, the words that no option takes, and the options that there are."""
    parser = CmdlineParser._build_parser(root_task=root)
    parser.allow_abbrev, parser.error = False, refuse
    return *parser.parse_known_args(words), list(parser._option_string_actions)


def check_workers(given: str | None) -> None:
    """Raise SettingsError for fewer processes than one: Luigi would run nothing, and say nothing.

    They are `given` on the command line, or else by a recipe.
    """
    name, value = "--workers", given
    if not given:
        name, value = "[core] workers", get_config().get("core", "workers", "1")
    try:
        check_range(converted(int, value), 1, None)
    except ValueError as error:
        raise SettingsError(f"{name} = {value!r}: {error}") from None


def refuse(message: str) -> NoReturn:
    """In place of the parser's own usage of many lines."""
    raise UsageError(f"{NAME}: {message}")


def check_values(given: dict[str, Any], root: type[luigi.Task]) -> dict[str, Any]:
    """The values of the task's own options, as `--option`.

    Raises SettingsError for a value of the command line that its option cannot have.
    """
    own = {
        name: options.checked_value(f"--{name.replace('_', '-')}", parameter, given[name])
        for name, parameter in root.get_params()
        if isinstance(given.get(name), str)
    }
    for family, bare, name, parameter in Register.get_all_params():
        flag = name if bare else f"{family}-{name}"
        if isinstance(value := given.get(f"{family}_{name}"), str):
            options.checked_value(f"--{flag.replace('_', '-')}", parameter, value)
    return own


def task_of(name: str, tasks: Sequence[type[luigi.Task]]) -> type[luigi.Task]:
    """The task of this name; raises SettingsError where there is none."""
    known = {task.__name__: task for task in tasks}
    if not name:
        raise SettingsError(f"no task is named{nearest(name, known)}")
    if name not in known:
        raise SettingsError(f"no task is called {name}{nearest(name, known)}")
    return known[name]


def end(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """Say the last word about what nobody caught."""
    if issubclass(kind, KeyboardInterrupt):
        sys.exit(said(f"\n{KEPT}", stop.STOPPED))
    if issubclass(kind, Refusal):
        sys.exit(said(f"error: {error}", kind.code))
    sys.__excepthook__(kind, error, trace)


def end_in_peace() -> None:
    """Before all else that the end of the process brings, turn a deaf ear to signals."""
    atexit.unregister(stop.turn_deaf)
    atexit.register(stop.turn_deaf)


def tell_dataset() -> None:
    """Print what became of the photos, and where the report is."""
    say(funnel_text(chapters.chapters(tasks.in_use())))
    say(str(store() / "report.html"))


class Sentences(logging.Filter):
    """Where Luigi logs the traceback of what a person can mend, says the sentence; once.

    A fault of ours passes; nothing else does where it is `quiet`, and then the sentence waits for
    `tell`, unless a process of Luigi's has it. `code` is the exit code that belongs to it.
    """

    def __init__(self, quiet: bool = False) -> None:
        super().__init__()
        self.quiet, self.text, self.code = quiet, "", 0

    def filter(self, record: logging.LogRecord) -> bool:
        found = sentence(record)
        if found is None:
            is_fault = "Traceback" in record.getMessage() or is_failure(record)
            return is_fault or not (self.quiet or record.exc_info)
        if not self.code:
            self.text, self.code = found
            if not self.quiet or multiprocessing.parent_process():
                self.tell()
        return False

    def tell(self) -> int:
        """Say the sentence, if there is one; gives the exit code."""
        return said(f"error: {self.text}", self.code) if self.text else self.code


@contextmanager
def sentences() -> Iterator[Sentences]:
    """While Luigi builds, let it say nothing but what went wrong."""
    told, level = Sentences(quiet=True), LOG.level
    LOG.addFilter(told)
    LOG.setLevel(logging.WARNING)
    try:
        yield told
    finally:
        LOG.removeFilter(told)
        LOG.setLevel(level)


def is_failure(record: logging.LogRecord) -> bool:
    return bool(record.exc_info) and record.levelno >= logging.ERROR


def sentence(record: logging.LogRecord) -> tuple[str, int] | None:
    """What a record says of a refusal, with its exit code; Luigi logs the error or its trace.

    None for all else; no text where it is that nobody reads what is printed.
    """
    error = record.exc_info[1] if record.exc_info and is_failure(record) else None
    while error is not None and not isinstance(error, TOLD):
        error = error.__cause__
    if isinstance(error, MemoryError):
        return memory_in_words(error), 1
    if isinstance(error, SystemExit):
        return "", stop.STOPPED
    if isinstance(error, RPCError):
        return f"{error.args[0]}: start it, or set [core] local_scheduler = true", 1
    if error is not None:
        text = os_error_in_words(error) if isinstance(error, OSError) else str(error)
        text = "" if isinstance(error, BrokenPipeError) else text
        return text, getattr(error, "code", 1)
    text = record.getMessage()
    ends = re.finditer(r"^([\w.]+): ", text, re.MULTILINE) if "Traceback" in text else []
    named = [found for found in ends if found[1] in codes()]
    if not named:
        return None
    return words_of(text[named[-1].end() :].strip()), codes()[named[-1][1]]


@cache
def codes() -> dict[str, int]:
    """Exit codes by the name of the refusal, as a trace ends with it."""
    found = {name: 1 for name, kind in vars(builtins).items() if is_kind(kind, OSError)}
    waiting: list[type[Exception]] = [Refusal, RemoteError]
    while waiting:
        kind = waiting.pop()
        found[f"{kind.__module__}.{kind.__qualname__}"] = getattr(kind, "code", 1)
        waiting += kind.__subclasses__()
    return found


def is_kind(found: object, kind: type) -> bool:
    return isinstance(found, type) and issubclass(found, kind)
