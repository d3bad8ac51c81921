"""A training as a child process: it is sent signals, outlives no parent, and says how it ended."""

import ctypes
import multiprocessing
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from atelier import commands, stop
from atelier.errors import Failure
from pipeline.options import REPOSITORY

WRONG_INPUT, STOPPED = 2, 130  # exit codes of every trainer
SAVING = (
    "\nstopping: the trainer writes a checkpoint first;"
    f" one more Ctrl-C, after {stop.PATIENCE} seconds, ends it without"
)
SOMEBODY = "somebody stopped the trainer; the same command goes on"
REASONS = ("error: ", "collapsed at ")  # how a line begins that says why the trainer ends

Say = Callable[[str, int], None]  # hears the status line and the percentage

PR_SET_PDEATHSIG = 1  # Linux: the signal to get when the parent dies; it outlives exec
# What the child runs before it becomes the trainer: should its parent be killed, it gets SIGTERM,
# so that it leaves a checkpoint and ends.
BEGIN = f"""
import ctypes, os, sys
ctypes.CDLL(None).prctl({PR_SET_PDEATHSIG}, {signal.SIGTERM:d})
if os.getppid() == int(sys.argv[1]):
    os.execv(sys.executable, [sys.executable, "-m", *sys.argv[2:]])
"""


class TrainError(Failure):
    """Training did not finish; the message says why, and the way out."""


def command(package: str, words: Sequence[str], name: str = "train") -> list[str]:
    """The command line that becomes `python -m PACKAGE NAME WORDS`."""
    return [sys.executable, "-c", BEGIN, str(os.getpid()), package, name, *words]


def follow(command: list[str], status: re.Pattern[str], say: Say) -> tuple[int, str]:
    """Run the trainer, pass on what it prints and the signals; gives (exit code, reason).

    `status` finds (how far, of how much) in a status line. Raises KeyboardInterrupt where a signal
    was passed on.
    """
    reason = ""
    with started(command) as trainer, forwarding(trainer, SAVING) as received:
        assert trainer.stdout
        for line in trainer.stdout:
            if line.startswith(REASONS):
                reason = line.strip().removeprefix("error: ")
            if not line.startswith("error: "):
                commands.say(line.removesuffix("\n"))
            if found := status.match(line):
                say(line.strip(), int(100 * float(found[1]) / max(float(found[2]), 1e-9)))
    if received and multiprocessing.parent_process():  # of Luigi's, which ends without a trace
        raise TrainError(SOMEBODY)
    if received:
        raise KeyboardInterrupt
    return trainer.returncode, reason


def attended(command: list[str]) -> int:
    """Run a command that talks to the terminal itself, pass on signals; gives its exit code."""
    own = {**os.environ, "PYTHONPATH": import_path()}
    begun = subprocess.Popen(command, env=own, stdin=subprocess.DEVNULL, start_new_session=True)
    with not_left(begun) as one, forwarding(one) as received:
        code = one.wait()
    return STOPPED if received else code


@contextmanager
def started(command: list[str]) -> Iterator["subprocess.Popen[str]"]:
    """The trainer, out of reach of the terminal's own Ctrl-C."""
    begun = subprocess.Popen(
        command,
        cwd=REPOSITORY,
        env={**os.environ, "PYTHONPATH": import_path()},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="backslashreplace",  # names of files, and libraries, need not speak UTF-8
        start_new_session=True,
    )
    with not_left(begun) as trainer:
        yield trainer


@contextmanager
def not_left(process: "subprocess.Popen[Any]") -> Iterator["subprocess.Popen[Any]"]:
    """A process that ends with the context: told to where that ends early, whatever the reason."""
    with process:
        try:
            yield process
        finally:
            if process.stdout:
                process.stdout.close()
            if process.poll() is None and sys.exc_info()[0]:
                process.terminate()
            process.wait()


def import_path() -> str:
    """PYTHONPATH for the trainer: the packages that run here, wherever they lie."""
    code = str(Path(__file__).resolve().parents[2])
    return os.pathsep.join(filter(None, (code, os.environ.get("PYTHONPATH"))))


@contextmanager
def forwarding(trainer: "subprocess.Popen[Any]", saying: str = "") -> Iterator[list[int]]:
    """Pass the first signal on, as SIGTERM, and say so; gathers them all.

    The answer takes a while: a Ctrl-C is passed on, too, that comes much later.
    """
    received: list[int] = []
    began = 0.0

    def forward(number: int, _: object) -> None:
        nonlocal began
        if not received:
            began = time.monotonic()
            if saying:
                commands.said(saying, 0)
            trainer.terminate()
        elif number == signal.SIGINT and time.monotonic() - began > stop.PATIENCE:
            trainer.send_signal(number)
        received.append(number)

    if multiprocessing.parent_process():  # Luigi's worker process: it ends with its parent, too
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    with stop.listening(forward):
        yield received
        trainer.wait()


def judge(code: int, reason: str, smaller: str) -> None:
    """Raise TrainError unless the trainer says that it finished.

    `smaller` names the options that save memory.
    """
    if code == WRONG_INPUT and reason:
        raise TrainError(reason)
    if code in (STOPPED, -signal.SIGTERM):  # the latter while it loads Python
        raise TrainError(SOMEBODY)
    if code < 0:
        raise TrainError(
            f"the trainer was killed by signal {-code} (for want of memory it is 9: take a smaller"
            f" {smaller}); the same command goes on from the newest checkpoint"
        )
    if code:
        raise TrainError(f"the trainer failed with exit code {code}; its last words are above")
