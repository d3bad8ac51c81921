"""Work for the engine's tests: module-level, so that worker processes can import it."""

import os
import signal
import time
from dataclasses import replace
from pathlib import Path

from pipeline.engine import cluster


def measure(items, settings, folder):
    for item in items:
        yield [replace(item.row, width=len(item.row.id))]


def measure_slowly(items, settings, folder):
    for item in items:
        time.sleep(0.2)
        yield [item.row]


def wait_for_photo(items, settings, folder):
    """Hangs until there is one, a minute at most."""
    for item in items:
        for _ in range(600):
            if not item.path.exists():
                time.sleep(0.1)
        yield [item.row]


def fail_on_bad(items, settings, folder):
    """Fails as a full disk does where the row is called bad."""
    for item in items:
        if item.row.id.startswith("bad"):
            raise OSError(28, "No space left on device", item.row.id)
        yield [item.row]


def fail_always(items, settings, folder):
    """Fails as a full disk does; the file that is given grows by a byte each time."""
    with settings.open("ab") as tries:
        tries.write(b"x")
    raise OSError(28, "No space left on device")


def die_on_bad(items, settings, folder):
    """Kills its process where the row is called bad, as a library does that crashes."""
    for item in items:
        if item.row.id.startswith("bad"):
            os.kill(os.getpid(), signal.SIGKILL)
        yield [item.row]


def die_once(items, settings, folder):
    """Kills its process the first time it is run at all."""
    marker = Path(settings)
    if not marker.exists():
        marker.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    for item in items:
        yield [item.row]


def die_always(items, settings, folder):
    os.kill(os.getpid(), signal.SIGKILL)


def refuse(items, settings, folder):
    """A worker that lacks what the work needs."""
    raise cluster.MachineError("this worker lacks the model: make setup")
    yield
