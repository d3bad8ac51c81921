import errno
import fcntl
import json
import os
import signal
import socket
import subprocess
import sys

import pytest

from atelier import stop
from pipeline.engine import lock
from tests.kit.commands import heard_by_default

HOLD = """
import sys
from pathlib import Path
from pipeline.engine import lock
lock.hold(Path(sys.argv[1]))
print("held", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def other(tmp_path):
    """Another process that holds the lock of the store tmp_path."""
    pipe = subprocess.PIPE
    line = [sys.executable, "-c", HOLD, str(tmp_path)]
    process = subprocess.Popen(line, stdin=pipe, stdout=pipe, preexec_fn=heard_by_default)
    assert process.stdout.readline() == b"held\n"
    yield process
    process.kill()
    process.communicate()


@pytest.mark.slow
def test_a_second_command_hears_who_holds_the_store(tmp_path, other):
    with pytest.raises(lock.StoreInUseError, match=f"is in use by process {other.pid} on "):
        lock.hold(tmp_path)


@pytest.mark.slow
def test_a_dead_holders_lock_is_taken_over(tmp_path, other):
    other.kill()
    other.wait()
    lock.hold(tmp_path)
    assert json.loads((tmp_path / "lock").read_text())["pid"] == os.getpid()
    lock.release(tmp_path)
    assert not (tmp_path / "lock").exists()


def test_the_lock_of_a_restarted_container_is_nobodys(tmp_path):
    """Its host has another name, and its process died without a word."""
    (tmp_path / "lock").write_text(json.dumps({"host": "elsewhere", "pid": 1, "started": 0}))
    stray = tmp_path / f".a.jpg.{socket.gethostname().replace('.', '_')}-999999999.partial"
    stray.touch()
    lock.hold(tmp_path)
    assert lock.read_holder(tmp_path / "lock") == lock.own_identity()
    assert not stray.exists()
    lock.release(tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGKILL])
def test_whatever_ends_the_holder_lets_go(number, tmp_path, other):
    other.send_signal(number)
    other.wait(60)
    lock.hold(tmp_path)
    assert lock.read_holder(tmp_path / "lock") == lock.own_identity()
    lock.release(tmp_path)


def test_a_process_that_was_forked_holds_on(tmp_path):
    lock.hold(tmp_path)
    if not (child := os.fork()):
        signal.pause()
    os.close(lock.opened.pop(tmp_path))  # as the parent's death does
    try:
        with pytest.raises(BlockingIOError), (tmp_path / "lock").open() as again:
            fcntl.flock(again, fcntl.LOCK_EX | fcntl.LOCK_NB)
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    lock.hold(tmp_path)
    lock.release(tmp_path)


@pytest.mark.slow
@pytest.mark.skipif(os.geteuid() != 0, reason="only root may make a PID namespace")
def test_two_containers_of_one_name_do_not_share_a_store(tmp_path, other):
    """In its own PID namespace a process sees nobody of the number that the lock names."""
    apart = ["unshare", "--pid", "--fork", "--mount-proc"]
    words = [*apart, sys.executable, "-c", HOLD, str(tmp_path)]
    second = subprocess.run(words, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    assert second.returncode == 1
    assert f"StoreInUseError: {tmp_path} is in use by process {other.pid} on " in second.stderr


@pytest.mark.parametrize("text", ["", "[]", '{"pid": 1}', "3", '{"host', "\0" * 40])
def test_a_lock_that_cannot_be_read_is_nobodys(text, tmp_path):
    (tmp_path / "lock").write_text(text)
    lock.hold(tmp_path)
    assert lock.read_holder(tmp_path / "lock") == lock.own_identity()
    lock.release(tmp_path)


def test_where_files_cannot_be_locked_the_word_counts(tmp_path, monkeypatch, capsys):
    def no_locks(file, how):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", no_locks)
    lock.hold(tmp_path)
    assert "lies where files cannot be locked" in capsys.readouterr().out
    lock.release(tmp_path)
    assert not (tmp_path / "lock").exists()
    elsewhere = {"host": "elsewhere", "pid": 1, "started": 0}
    (tmp_path / "lock").write_text(json.dumps(elsewhere))
    with pytest.raises(lock.StoreInUseError, match=r"process 1 on elsewhere: .* delete "):
        lock.hold(tmp_path)
    dead = {"host": socket.gethostname(), "pid": 999999999, "started": "never"}
    (tmp_path / "lock").write_text(json.dumps(dead))
    lock.hold(tmp_path)
    lock.release(tmp_path)


def test_who_is_stopped_while_it_takes_the_lock_leaves_none(tmp_path, monkeypatch):
    def stopped(file, path, sign=lock.sign):
        signal.raise_signal(signal.SIGTERM)
        sign(file, path)

    monkeypatch.setattr(lock, "sign", stopped)
    before = signal.signal(signal.SIGTERM, signal.SIG_DFL)
    with stop.heard(), pytest.raises(KeyboardInterrupt):
        lock.hold(tmp_path)
    signal.signal(signal.SIGTERM, before)
    lock.release(tmp_path)
    assert not (tmp_path / "lock").exists()


def test_a_command_may_ask_twice(tmp_path):
    lock.hold(tmp_path)
    lock.hold(tmp_path)
    assert lock.read_holder(tmp_path / "lock") == lock.own_identity()
    lock.release(tmp_path)
    assert lock.read_holder(tmp_path / "lock") is None
