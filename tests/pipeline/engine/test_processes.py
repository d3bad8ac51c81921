"""What processes of one machine need to reach each other is asked for before they are begun."""

import errno
import os

import pytest

from pipeline import cli, luigi_script, tasks
from pipeline.engine import cluster, processes


def refusing(number):
    def refuse(*_, **__):
        raise OSError(number, os.strerror(number))

    return refuse


@pytest.mark.parametrize("number", [errno.EROFS, errno.ENOSPC, errno.ENOENT, errno.ENOSYS])
def test_a_machine_without_shared_memory_is_told_of_it(monkeypatch, number):
    monkeypatch.setattr("multiprocessing.context.BaseContext.Lock", refusing(number))
    for begins in (
        lambda: processes.run_apart(len, ""),
        lambda: cluster.connect("local", 1, False, ""),
        lambda: cli.build_task(tasks.Dataset()),
        lambda: luigi_script.check(["Dataset"], tasks.TASKS),
    ):
        with pytest.raises(processes.NoProcessesError, match="semaphores in /dev/shm") as told:
            begins()
        assert os.strerror(number) in str(told.value)


@pytest.mark.parametrize("lacking", ["create_server", "create_connection"])
def test_a_machine_that_does_not_reach_itself_is_told_of_it(monkeypatch, lacking):
    cluster.close()
    monkeypatch.setattr(f"socket.{lacking}", refusing(errno.ENETUNREACH))
    with pytest.raises(processes.NoProcessesError, match=r"itself at 127\.0\.0\.1 .* = in-process"):
        cluster.connect("local", 1, False, "")


def test_this_machine_has_both():
    processes.check_semaphores()
    processes.check_loopback()
