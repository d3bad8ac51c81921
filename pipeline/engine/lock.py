"""One run per store at a time, whatever containers and hosts share it.

The kernel's lock on the store's file `lock` decides: it is held as long as the command runs, and
let go by its end, however that comes. What is written in the file is for people.
"""

import atexit
import fcntl
import json
import multiprocessing
import os
import socket
from contextlib import suppress
from pathlib import Path

from atelier import files, stop
from atelier.commands import say
from atelier.errors import Failure

opened: dict[Path, int] = {}  # descriptors by store: a process that was forked has them, too


class StoreInUseError(Failure):
    """Somebody else works on this store; the message says who."""

    code = 3


def hold(store: Path) -> None:
    """Take the store's lock for this command, until it ends; asking twice is asking once.

    Luigi's worker processes belong to the command that started them. Raises StoreInUseError
    where another command holds it, OSError where the store cannot be written.
    """
    with stop.later():  # who is stopped meanwhile leaves no lock
        try:
            store.mkdir(parents=True, exist_ok=True)
            take(store)
        except OSError as error:
            raise OSError(
                f"cannot write to the store {store} ({error.strerror}): make it writable, or set"
                " [Store] root to another folder"
            ) from None
        atexit.register(release, store)


def take(store: Path) -> None:
    path = store / "lock"
    while True:
        file = opened.pop(store, -1)
        if file < 0:
            file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(file)
            take_otherwise(path, error)
            return
        if is_at(file, path):
            opened[store] = file
            return sign(file, path)
        os.close(file)  # it was released, and another file has its name


def sign(file: int, path: Path) -> None:
    """Write down who holds the lock now."""
    holder = read_holder(path)
    if holder == own_identity():
        return
    if holder is not None:
        files.sweep(path.parent)  # it died: what it left half-written goes
    os.ftruncate(file, 0)
    os.pwrite(file, json.dumps(own_identity()).encode(), 0)


def take_otherwise(path: Path, error: OSError) -> None:
    """Where the kernel gave no lock: to another process of this command, or to nobody here."""
    if error.errno in files.NO_LOCKS:
        take_by_word(path)
    elif not isinstance(error, BlockingIOError):
        raise error
    elif read_holder(path) != own_identity():
        raise StoreInUseError(in_use(path)) from None


def is_at(file: int, path: Path) -> bool:
    """Whether the open file still is the one of this name."""
    try:
        return os.path.samestat(os.fstat(file), path.stat())
    except FileNotFoundError:
        return False


def take_by_word(path: Path) -> None:
    """Where a file system has no locks: whom the file names holds it, unless he is dead."""
    holder = read_holder(path)
    if holder is None:
        say(files.unlocked(path.parent))
    elif holder != own_identity():
        if alive(holder):
            raise StoreInUseError(f"{in_use(path)}, or, if it is gone, delete {path}")
        files.sweep(path.parent)
    files.write(path, json.dumps(own_identity()))


def in_use(path: Path) -> str:
    """Who holds the lock, in words."""
    holder = read_holder(path)
    who = f"process {holder['pid']} on {holder['host']}" if holder else "another command"
    return f"{path.parent} is in use by {who}: wait for it"


def release(store: Path) -> None:
    """Give the lock back, if it is this command's, and the store is there."""
    with suppress(OSError):
        if read_holder(store / "lock") == own_identity():
            (store / "lock").unlink(missing_ok=True)
    if (file := opened.pop(store, -1)) >= 0:
        os.close(file)


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
        found = files.json_of(path.read_bytes())
    except (FileNotFoundError, ValueError):
        return None
    return found if isinstance(found, dict) and {"host", "pid", "started"} <= set(found) else None
