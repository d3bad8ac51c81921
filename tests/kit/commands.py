"""`python -m pipeline` as its users run it: in a process of its own."""

import signal
import subprocess
import sys
import time

from tests.kit.store import ROOT


def command(folder, *words, store="store", **more):
    """The arguments of Popen for `python -m pipeline` on the photos of `folder`."""
    options = {
        "Store-root": folder / store,
        "Ingest-source": folder / "photos",
        "Dataset-size": 64,
        "Detect-detector": "none",
        "Engine-scheduler": "in-process",
        **{name.replace("_", "-"): value for name, value in more.items()},
    }
    given = [word for name, value in options.items() for word in (f"--{name}", str(value))]
    return [sys.executable, "-m", "pipeline", *words, *given]


def run(folder, *words, under=(), **more):
    """Run a command to its end; `under` another one, as setpriv."""
    line = [*under, *command(folder, *words, **more)]
    return subprocess.run(line, cwd=ROOT, capture_output=True, text=True, timeout=300)


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
    """A shell's background jobs, and so all that they start, ignore Ctrl-C."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def wait_for(folder, pattern, count=1):
    """Wait until so many files are there."""
    for _ in range(24000):
        if len(list(folder.glob(pattern))) >= count:
            return
        time.sleep(0.005)
    raise TimeoutError(pattern)
