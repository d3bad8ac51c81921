"""Work for the engine's tests: module-level, so that worker processes can import it."""

import os
import signal
import time
from dataclasses import replace
from pathlib import Path


def measure(items, settings, folder):
    for item in items:
        yield [replace(item.row, width=len(item.row.id))]


def fail_on_bad(items, settings, folder):
    """Fails as a full disk does where the row is called bad."""
    for item in items:
        if item.row.id.startswith("bad"):
            raise OSError(28, "No space left on device", item.row.id)
        yield [item.row]


def die_on_bad(items, settings, folder):
    """Kills its process where the row is called bad, as a library does that crashes."""
    for item in items:
        if item.row.id.startswith("bad"):
            die()
        yield [item.row]


def die_once(items, settings, folder):
    """Kills its process the first time it is run at all."""
    marker = Path(settings)
    if not marker.exists():
        marker.touch()
        die()
    for item in items:
        yield [item.row]


def die_always(items, settings, folder):
    die()


def die():
    """Not at once: Dask gives up a worker that dies before all know that it has begun."""
    time.sleep(0.5)
    os.kill(os.getpid(), signal.SIGKILL)
