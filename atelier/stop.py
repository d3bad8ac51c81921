"""Ctrl-C, SIGTERM and SIGHUP: what runs ends in peace, and without a traceback."""

import atexit
import math
import os
import select
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from types import FrameType
from typing import Any, NoReturn

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
STOPPED = 130  # the exit code: not finished, but nothing is lost
PATIENCE = 10  # seconds to clean up before one more signal ends the process at once
SOON = 2  # seconds in which most stops are done, and further signals mean the same
WAITING = (
    "stopping after this step, with a checkpoint;"
    f" one more Ctrl-C ends it within {PATIENCE} seconds, without"
)
OVER = 0  # no signal has this number

Answer = Callable[[int, FrameType | None], None]


def quiet_start(*scripts: str) -> None:
    """While a command still loads its libraries a signal ends it at once, in silence.

    To be called first by a package that is a command; where it is imported it does nothing.
    The command is `python -m PACKAGE`, or one of the scripts that load the package.
    """
    if is_command("-m", *scripts):
        listen(lambda *_: os._exit(STOPPED))
        atexit.register(ignore)  # the first to be registered is the last to be called


def is_command(*scripts: str) -> bool:
    """Whether this process is one of these commands: not a worker that one of them started."""
    return command_name() in scripts and not is_worker()


def command_name() -> str:
    """The script that this process runs; of `python -m PACKAGE`, the package."""
    folder, name = os.path.split(sys.argv[0])
    return os.path.basename(folder) if name == "__main__.py" else name


def is_worker() -> bool:
    """Whether a command started this process; one just begun does not know its parent yet."""
    processes = sys.modules.get("multiprocessing.process")
    is_child = processes is not None and processes.parent_process() is not None
    return is_child or "--multiprocessing-fork" in sys.orig_argv


@contextmanager
def heard() -> Iterator[None]:
    """The first signal raises KeyboardInterrupt; further ones leave it the time to clean up.

    What the process was started to ignore, as by nohup, it goes on to ignore.
    """
    with listening(Once()):
        yield


@contextmanager
def later() -> Iterator[None]:
    """A signal that comes meanwhile is answered afterwards."""
    waiting: list[int] = []
    try:
        with listening(lambda number, _: waiting.append(number)):
            yield
    finally:
        for number in waiting:
            signal.raise_signal(number)


def leave(code: int) -> NoReturn:
    """End the process; a signal meanwhile neither interrupts its last steps nor prints anything."""
    turn_deaf()
    sys.exit(code)


def turn_deaf() -> None:
    """From now on a signal ends the process only after a while."""
    listen(Once(began=time.monotonic()))


def ignore() -> None:
    """Ignore signals: Python forgets its own answers to them while it takes itself down."""
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)


@contextmanager
def listening(handler: Answer) -> Iterator[None]:
    """Let it hear all signals that are not ignored, until the context ends."""
    before = listen(handler)
    try:
        yield
    finally:
        restore(before)


def restore(before: Mapping[int, Any]) -> None:
    """Give the signals to what heard them before."""
    for number, handler in before.items():
        signal.signal(number, handler)


def listen(handler: Answer) -> dict[int, Any]:
    """Let it hear all signals that are not ignored; gives what heard them before.

    Only the main thread answers any: of another, as a notebook may have, nothing is changed.
    """
    if threading.current_thread() is not threading.main_thread():
        return {}
    before: dict[int, Any] = {number: signal.getsignal(number) for number in SIGNALS}
    for number, old in before.items():
        if old is not signal.SIG_IGN:
            signal.signal(number, handler)
    return before


class Once:
    """Raises KeyboardInterrupt at the first signal; one more, much later, ends the process.

    A fork of the process leaves Ctrl-C to it, and raises SystemExit when it is told to end.
    """

    def __init__(self, began: float = 0.0) -> None:
        self.began, self.process = began, os.getpid()

    def __call__(self, number: int, frame: FrameType | None) -> None:
        if os.getpid() != self.process:
            if number != signal.SIGINT:
                sys.exit(STOPPED)
            return
        if not self.began:
            self.began = time.monotonic()
            raise KeyboardInterrupt
        if time.monotonic() - self.began > PATIENCE:
            os._exit(STOPPED)


class Interruption:
    """A signal asks for a stop; a later Ctrl-C raises KeyboardInterrupt, once.

    A second SIGTERM does not: one comes from the system for each thread of a parent that dies.
    Python answers signals between its own steps alone, and a step of a library may take minutes. So
    a thread hears them as well: it says what is waited for, and ends the process where a second
    Ctrl-C finds no answer.
    """

    def __init__(self) -> None:
        self.signal = 0
        self.began = 0.0
        self.raised = False
        self.before: dict[int, Any] = {}

    def __enter__(self) -> "Interruption":
        self.before = listen(self.asked)
        if not self.before:  # in a thread that hears none
            return self
        self.hearing, self.telling = os.pipe()
        os.set_blocking(self.telling, False)
        self.ready = select.poll()
        self.ready.register(self.hearing, select.POLLIN)
        self.told_before = signal.set_wakeup_fd(self.telling, warn_on_full_buffer=False)
        if self.signal:  # which came before
            os.write(self.telling, bytes([self.signal]))
        self.thread = threading.Thread(target=self.attend, daemon=True)
        self.thread.start()
        return self

    def asked(self, number: int, frame: FrameType | None) -> None:
        if not self.signal:
            self.signal, self.began = number, time.monotonic()
        elif number == signal.SIGINT and time.monotonic() - self.began > SOON and not self.raised:
            self.raised = True
            raise KeyboardInterrupt

    def attend(self) -> None:
        """Hear what `asked` hears, whatever the process is at, until the context ends."""
        if self.heard(*SIGNALS) == OVER or self.heard(seconds=SOON) == OVER:
            return
        if sys.stderr and sys.stderr.isatty():
            print(f"\n{WAITING}", file=sys.stderr, flush=True)
        if self.heard(signal.SIGINT) == OVER or self.heard(seconds=PATIENCE) == OVER:
            return
        os._exit(STOPPED)

    def heard(self, *wanted: int, seconds: float = math.inf) -> int | None:
        """The first of the wanted signals, or OVER; None after so many seconds without one."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            if not self.ready.poll(None if left == math.inf else 1000 * left):
                break
            if (number := os.read(self.hearing, 1)[0]) in (OVER, *wanted):
                return number
        return None

    def __exit__(self, *_: object) -> None:
        if not self.before:
            return
        signal.set_wakeup_fd(self.told_before)
        os.write(self.telling, bytes([OVER]))
        self.thread.join()
        os.close(self.hearing)
        os.close(self.telling)
        if not self.raised:
            restore(self.before)
