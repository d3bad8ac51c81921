"""One run per store at a time."""

import atexit
import fcntl
import json
import multiprocessing
import os
import socket
from contextlib import suppress
from pathlib import Path

from atelier import files
from atelier.errors import Failure


class StoreInUseError(Failure):
    """Somebody else works on this store; the message says who."""

    code = 3


def hold(store: Path) -> None:
    """Take the store's lock for this command, until it ends; a dead holder's lock is taken over.

    Luigi's worker processes belong to the command that started them. Raises StoreInUseError
    where another command holds it, OSError where the store cannot be written.
    """
    try:
        store.mkdir(parents=True, exist_ok=True)
        with (store / ".lock.guard").open("w") as guard:  # one at a time may look and decide
            fcntl.flock(guard, fcntl.LOCK_EX)
            take(store / "lock")
    except OSError as error:
        raise OSError(
            f"cannot write to the store {store} ({error.strerror}): make it writable, or set"
            " [Store] root to another folder"
        ) from None
    atexit.register(release, store)


def take(path: Path) -> None:
    holder = read_holder(path)
    if holder is not None and holder != own_identity() and alive(holder):
        raise StoreInUseError(
            f"{path.parent} is in use by process {holder['pid']} on {holder['host']}: wait for it,"
            f" or, if it is gone, delete {path}"
        )
    if holder is not None and holder != own_identity():
        files.sweep(path.parent)  # it died: what it left half-written goes
    files.write(path, json.dumps(own_identity()))


def release(store: Path) -> None:
    """Give the lock back, if it is this command's, and the store is there."""
    with suppress(OSError):
        if read_holder(store / "lock") == own_identity():
            (store / "lock").unlink(missing_ok=True)


def own_identity() -> dict[str, object]:
    """The command's main process: its host, pid and start, so that a reused pid is another one."""
    parent = multiprocessing.parent_process()
    pid = (parent.pid if parent else None) or os.getpid()
    return {"host": socket.gethostname(), "pid": pid, "started": started(pid)}


def alive(holder: dict[str, object]) -> bool:
    """Whether the holder still runs; of another host nobody can tell, so yes."""
    if holder["host"] != socket.gethostname():
        return True
    return started(int(str(holder["pid"]))) == holder["started"]


def started(pid: int) -> str | None:
    """When a process of this host began, as the kernel counts it: a changed clock moves nothing."""
    try:
        facts = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (
            f"{facts[19]} ticks after {Path('/proc/sys/kernel/random/boot_id').read_text().strip()}"
        )
    except OSError:
        return None


def read_holder(path: Path) -> dict[str, object] | None:
    """Who holds the lock; nobody where there is none, or nothing that can be read."""
    try:
        found: dict[str, object] = json.loads(path.read_text())
        return found
    except (FileNotFoundError, ValueError):
        return None
