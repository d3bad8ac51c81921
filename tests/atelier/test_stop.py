"""A signal is answered whatever the process is at, also in the middle of a library's long step."""

import os
import pty
import signal
import subprocess
import sys
import time

import pytest

from atelier import stop
from tests.kit.commands import heard_by_default
from tests.kit.store import ROOT

TRAINING = """
import hashlib, sys
from atelier import stop
stop.PATIENCE, stop.SOON = float(sys.argv[1]), 0.5
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
        process = subprocess.Popen(
            words, cwd=ROOT, stdout=out, stderr=theirs, text=True, preexec_fn=heard_by_default
        )
        made.append(process)
        assert process.stdout.readline() == "training\n"
        time.sleep(0.3)  # so that it is in the middle of a step
        return process

    yield started, ours
    for process in made:
        process.kill()
        process.wait()
        process.stdout.close()
    for descriptor in (ours, theirs):
        os.close(descriptor)


@pytest.mark.slow
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


@pytest.mark.slow
def test_a_signal_that_is_heard_in_time_leaves_a_checkpoint(training):
    started, _ = training
    process = started(60, SHORT)
    for number in (signal.SIGTERM, signal.SIGTERM):  # of which a second one asks for no more
        process.send_signal(number)
    assert process.communicate() == ("a checkpoint\n", None) and process.returncode == 0


@pytest.fixture
def heard():
    """Hears all signals but Interruption's: the signals so far."""
    numbers = []
    before = {each: signal.signal(each, lambda n, _: numbers.append(n)) for each in stop.SIGNALS}
    yield numbers
    stop.restore(before)


def test_what_heard_signals_before_hears_them_again_and_nothing_stays_open(heard, monkeypatch):
    opened = len(os.listdir("/proc/self/fd"))
    with stop.Interruption() as asked:
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGINT):  # as good as one
            signal.raise_signal(number)
    assert asked.signal == signal.SIGTERM and heard == []
    signal.raise_signal(signal.SIGTERM)
    assert heard == [signal.SIGTERM]
    monkeypatch.setattr(stop, "SOON", 0)
    with pytest.raises(KeyboardInterrupt), stop.Interruption():
        for number in (signal.SIGTERM, signal.SIGTERM, signal.SIGINT):
            signal.raise_signal(number)
    assert len(os.listdir("/proc/self/fd")) == opened and signal.set_wakeup_fd(-1) == -1


@pytest.mark.slow
def test_signals_of_others_ask_for_no_stop(heard, monkeypatch, capsys):
    monkeypatch.setattr(stop, "SOON", 0)
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    before = signal.signal(signal.SIGUSR1, lambda *_: None)
    with stop.Interruption() as asked:
        signal.raise_signal(signal.SIGUSR1)
        time.sleep(0.2)
        assert not asked.signal and capsys.readouterr().err == ""
        signal.raise_signal(signal.SIGINT)
        time.sleep(0.2)
        assert asked.signal and stop.WAITING in capsys.readouterr().err
    signal.signal(signal.SIGUSR1, before)
