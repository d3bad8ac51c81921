import json
import os
import subprocess
import sys

import pytest

from pipeline.engine import lock

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
    process = subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path)], stdin=pipe, stdout=pipe)
    assert process.stdout.readline() == b"held\n"
    yield process
    process.kill()
    process.communicate()


def test_a_second_command_hears_who_holds_the_store(tmp_path, other):
    with pytest.raises(lock.StoreInUseError, match=f"is in use by process {other.pid} on "):
        lock.hold(tmp_path)


def test_a_dead_holders_lock_is_taken_over(tmp_path, other):
    other.kill()
    other.wait()
    lock.hold(tmp_path)
    assert json.loads((tmp_path / "lock").read_text())["pid"] == os.getpid()
    lock.release(tmp_path)
    assert not (tmp_path / "lock").exists()


def test_a_command_may_ask_twice(tmp_path):
    lock.hold(tmp_path)
    lock.hold(tmp_path)
    assert lock.read_holder(tmp_path / "lock") == lock.own_identity()
    lock.release(tmp_path)
    assert lock.read_holder(tmp_path / "lock") is None


def test_a_lock_that_cannot_be_read_is_nobodys(tmp_path):
    (tmp_path / "lock").write_text("")
    lock.hold(tmp_path)
    assert lock.read_holder(tmp_path / "lock") == lock.own_identity()
    lock.release(tmp_path)


def test_a_holder_on_another_host_is_believed(tmp_path):
    (tmp_path / "lock").write_text(json.dumps({"host": "elsewhere", "pid": 1, "started": 0}))
    with pytest.raises(lock.StoreInUseError, match="process 1 on elsewhere"):
        lock.hold(tmp_path)
