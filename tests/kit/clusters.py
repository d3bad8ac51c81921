"""Schedulers and workers of Dask's as somebody starts them by hand; none outlives its test."""

import os
import socket
import subprocess
import sys
from contextlib import contextmanager, suppress

from distributed import Client

from tests.kit.store import ROOT, address_in

# Without a dashboard a scheduler listens for its figures all the same, at 8787 unless told.
HERE = ["--host", "127.0.0.1", "--no-dashboard", "--dashboard-address", "127.0.0.1:0"]


@contextmanager
def dask(*words, root=ROOT, before=(), gently=False):
    """`dask` with these words and the code of `root`; it is killed at the end, if it still lives.

    Or, `gently`, told to end: a worker with a nanny takes its processes along.
    """
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "cwd": root}
    line = [*before, sys.executable, "-m", "dask", *words]
    process = subprocess.Popen(line, env={**os.environ, "PYTHONPATH": str(root)}, **quiet)
    try:
        yield process
    finally:
        if gently:
            process.terminate()
            with suppress(subprocess.TimeoutExpired):
                process.wait(60)
        process.kill()
        process.wait()


@contextmanager
def joined(address, root=ROOT, before=()):
    """One more worker, with the code of `root`; it is killed at the end, if it still lives."""
    options = ["--host", "127.0.0.1", "--nthreads", "1", "--no-dashboard", "--no-nanny"]
    with Client(address, set_as_default=False) as client:
        count = len(client.nthreads())
        with dask("worker", address, *options, root=root, before=before) as process:
            client.wait_for_workers(count + 1, timeout=120)
            yield process


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as free:
        return free.getsockname()[1]


@contextmanager
def scheduled(port):
    """A scheduler at this port: its address and process; it is killed at the end."""
    with dask("scheduler", *HERE, "--port", str(port)) as process:
        yield f"tcp://127.0.0.1:{port}", process


@contextmanager
def announced(file, *more):
    """A scheduler that writes to this file where it is: its address."""
    with dask("scheduler", *HERE, "--port", "0", "--scheduler-file", str(file), *more):
        yield address_in(file)


@contextmanager
def of_two(file):
    """Such a scheduler with two workers, each with a nanny: its address."""
    workers = ["--nworkers", "2", "--nthreads", "1", "--no-dashboard", "--host", "127.0.0.1"]
    with announced(file) as address, dask("worker", address, *workers, gently=True):
        with Client(address, timeout=120, set_as_default=False) as client:
            client.wait_for_workers(2, timeout=120)
        yield address
