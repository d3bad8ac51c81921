"""Ctrl-C reaches every process of a terminal at once; only the first of them is to answer."""

import signal
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import get_context, resource_tracker
from typing import TypeVar

T = TypeVar("T")
SIGINT = {signal.SIGINT}


@contextmanager
def unheard() -> Iterator[None]:
    """What is started meanwhile, and all that it starts later, never hears SIGINT.

    A signal that comes meanwhile is heard afterwards. The mask is a thread's, and is handed down.
    """
    resource_tracker.ensure_running()  # which would take the mask off the thread that begins it
    before = signal.pthread_sigmask(signal.SIG_BLOCK, SIGINT)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def run_apart(function: Callable[..., T], *arguments: object) -> T:
    """The function's result from a process of its own, whose libraries stay there.

    Raises what the function raises, BrokenProcessPool where the process dies.
    """
    with ProcessPoolExecutor(1, get_context("spawn"), initializer=end_quietly) as process:
        with unheard():
            answer = process.submit(function, *arguments)
        return answer.result()


def end_quietly() -> None:
    """At SIGINT this process ends at once, without a word."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGINT)
