"""`python -m pipeline` as its users run it: in this process, or in one of its own."""

import atexit
import logging
import signal
import subprocess
import sys
import time
from contextlib import contextmanager, redirect_stderr, redirect_stdout, suppress
from copy import deepcopy
from io import StringIO
from subprocess import CompletedProcess

import luigi
from luigi.configuration import LuigiConfigParser

from atelier import stop
from pipeline import cli
from pipeline.engine import lock
from pipeline.rows import manifest
from tests.kit.store import ROOT, fresh


def words_of(folder, *words, store="store", **more):
    """The words of a command on the photos of `folder`."""
    options = {
        "Store-root": folder / store,
        "Ingest-source": folder / "photos",
        "Dataset-size": 64,
        "Detect-detector": "none",
        "Engine-scheduler": "in-process",
        **{name.replace("_", "-"): value for name, value in more.items()},
    }
    return [
        *words,
        *(word for name, value in options.items() for word in (f"--{name}", str(value))),
    ]


def command(folder, *words, **more):
    """The arguments of Popen for such a command."""
    return [sys.executable, "-m", "pipeline", *words_of(folder, *words, **more)]


def run(folder, *words, store="store", **more):
    """Run a command to its end in this process, which knows nothing of it afterwards."""
    try:
        return told(words_of(folder, *words, store=store, **more))
    finally:
        with suppress(OSError):  # no such store
            lock.release(folder / store)


def told(words):
    """What the command of these words returns and prints."""
    out, err = StringIO(), StringIO()
    with settings_of_its_own(), redirect_stdout(out), redirect_stderr(err):
        code = cli.main(words)
    atexit.unregister(lock.release)
    return CompletedProcess(words, code, out.getvalue(), err.getvalue())


@contextmanager
def settings_of_its_own():
    """As a process begins: luigi.cfg is read, nothing is cached; ours come back afterwards."""
    config, LuigiConfigParser._instance = LuigiConfigParser._instance, None
    hooks = luigi.Task._event_callbacks
    luigi.Task._event_callbacks = deepcopy(hooks)
    log = logging.getLogger("luigi-interface")
    level = log.level
    fresh()
    manifest.facts.cache_clear()
    try:
        yield
    finally:
        LuigiConfigParser._instance, luigi.Task._event_callbacks = config, hooks
        log.setLevel(level)
        fresh()
        manifest.facts.cache_clear()


def run_apart(folder, *words, under=(), **more):
    """Run a command to its end in a process of its own; `under` another one, as setpriv."""
    line = [*under, *command(folder, *words, **more)]
    return subprocess.run(line, cwd=ROOT, capture_output=True, text=True, timeout=300)


def run_here(work, *given):
    """In the place of the pipeline's `processes.run_apart`: in this process."""
    return work(*given)


def error(done, code=1):
    """What a command that failed said, which is one sentence."""
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    (said,) = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert said == done.stderr.splitlines()[-1]
    return said.removeprefix("error: ")


def started(folder, *words, **more):
    """A command that runs, with all its processes in a group of their own, and hears Ctrl-C."""
    line = command(folder, *words, **more)
    pipes = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen(
        line, cwd=ROOT, start_new_session=True, preexec_fn=heard_by_default, **pipes
    )


def heard_by_default():
    """A shell's background jobs ignore Ctrl-C, those of nohup SIGHUP, and so do all they start."""
    for number in stop.SIGNALS:
        signal.signal(number, signal.SIG_DFL)


def wait_for(folder, pattern, count=1):
    """Wait until so many files are there."""
    for _ in range(24000):
        if len(list(folder.glob(pattern))) >= count:
            return
        time.sleep(0.005)
    raise TimeoutError(pattern)
