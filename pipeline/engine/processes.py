"""A signal may reach every process of a command at once; only the first of them is to answer."""

import signal
import socket
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import get_context, resource_tracker
from typing import TypeVar

from atelier import stop
from atelier.errors import Failure, words_of
from atelier.stop import SIGNALS

T = TypeVar("T")


class NoProcessesError(Failure):
    """Processes of this machine cannot reach each other; the message says why, and the way out."""


def check_semaphores() -> None:
    """Raise NoProcessesError where none can be made, as where shared memory cannot be written."""
    try:
        get_context("fork").Lock()  # which needs no process to look after it
    except OSError as error:
        raise NoProcessesError(
            f"no process can be begun, for want of semaphores in /dev/shm ({error.strerror}):"
            " let it be mounted, with room, and writable"
        ) from None


def check_loopback() -> None:
    """Raise NoProcessesError where this machine does not reach itself."""
    try:
        with socket.create_server(("127.0.0.1", 0)) as server:
            socket.create_connection(server.getsockname(), timeout=10).close()
    except OSError as error:
        raise NoProcessesError(
            f"this machine does not reach itself at 127.0.0.1 ({words_of(error)}): bring"
            " its loopback up, as by ip link set lo up, or set [Engine] scheduler = in-process"
        ) from None


@contextmanager
def unheard() -> Iterator[None]:
    """What is started meanwhile, and all that it starts later, never hears `SIGNALS`.

    A signal that comes meanwhile is heard afterwards. The mask is a thread's, and is handed down.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    resource_tracker.ensure_running()  # takes part of the mask off the thread that begins it
    signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    try:
        with stop.later():  # another thread may take it, and have it answered in this one
            yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def run_apart(function: Callable[..., T], *arguments: object) -> T:
    """The function's result from a process of its own, whose libraries stay there.

    Raises what the function raises, BrokenProcessPool where the process dies.
    """
    check_semaphores()
    with ProcessPoolExecutor(1, get_context("spawn"), initializer=end_quietly) as process:
        with unheard():
            answer = process.submit(function, *arguments)
        return answer.result()


def end_quietly() -> None:
    """At a signal this process ends at once, without a word."""
    for number in SIGNALS:
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
