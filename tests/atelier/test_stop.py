"""A signal is answered whatever the process is at, also in the middle of a library's long step."""

import os
import pty
import signal
import subprocess
import sys
import time
from contextlib import suppress

import pytest

from atelier import stop
from tests.kit.store import ROOT

TRAINING = """
import hashlib, sys
from atelier import stop
stop.PATIENCE, stop.SOON = float(sys.argv[1]), 0.1
with stop.Interruption() as asked:
    print("training", flush=True)
    while not asked.signal:
        hashlib.pbkdf2_hmac("sha256", b"", b"", int(sys.argv[2]))  # hears no signal
    print("a checkpoint")
"""
LONG, SHORT = 10**9, 2 * 10**6  # rounds: many minutes, a second or so


@pytest.fixture
def training():
    """Starts such a training at a terminal; gives it, and what the terminal shows."""
    ours, theirs = pty.openpty()
    made = []

    def started(patience, rounds):
        words = [sys.executable, "-c", TRAINING, str(patience), str(rounds)]
        out = subprocess.PIPE
        process = subprocess.Popen(words, cwd=ROOT, stdout=out, stderr=theirs, text=True)
        made.append(process)
        assert process.stdout.readline() == "training\n"
        return process

    yield started, ours
    for process in made:
        process.kill()
        process.wait()
        process.stdout.close()
    for descriptor in (ours, theirs):
        os.close(descriptor)


def test_a_second_ctrl_c_ends_what_does_not_come_to_hear_it(training):
    started, screen = training
    process = started(0.5, LONG)
    for _ in range(3):  # three at once are as good as one
        process.send_signal(signal.SIGINT)
    with open(screen, closefd=False) as shown:
        assert [next(shown), next(shown)] == ["\n", f"{stop.WAITING}\n"]
    with pytest.raises(subprocess.TimeoutExpired):  # one alone never does
        process.wait(1)
    process.send_signal(signal.SIGINT)
    assert process.communicate() == ("", None) and process.returncode == stop.STOPPED


def test_a_signal_that_is_heard_in_time_leaves_a_checkpoint(training):
    started, _ = training
    process = started(60, SHORT)
    for number in (signal.SIGTERM, signal.SIGTERM):  # of which a second one asks for no more
        process.send_signal(number)
    assert process.communicate() == ("a checkpoint\n", None) and process.returncode == 0


def test_what_heard_signals_before_hears_them_again_and_nothing_stays_open():
    heard, opened = [], len(os.listdir("/proc/self/fd"))
    with stop.listening(lambda number, _: heard.append(number)):
        with stop.Interruption() as asked:
            signal.raise_signal(signal.SIGTERM)
            assert asked.signal == signal.SIGTERM and not heard
        signal.raise_signal(signal.SIGTERM)
        assert heard == [signal.SIGTERM]
        with suppress(KeyboardInterrupt), stop.Interruption():
            signal.raise_signal(signal.SIGINT)
            signal.raise_signal(signal.SIGINT)
            time.sleep(60)
    assert len(os.listdir("/proc/self/fd")) == opened and signal.set_wakeup_fd(-1) == -1
