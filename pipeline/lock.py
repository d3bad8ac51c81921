"""One run per store at a time."""

import atexit
import json
import multiprocessing
import os
import socket
from pathlib import Path


class StoreInUseError(RuntimeError):
    """Somebody else works on this store; the message says who."""


def hold(store: Path) -> None:
    """Take the store's lock for this command, until it ends; a dead holder's lock is taken over.

    Luigi's worker processes belong to the command that started them. Raises StoreInUseError
    where another command holds it.
    """
    path = store / "lock"
    me = identity()
    holder = read(path)
    if holder == me:
        return
    if holder is not None and alive(holder):
        raise StoreInUseError(
            f"{store} is in use by process {holder['pid']} on {holder['host']}: wait for it, or, if"
            f" it is gone, delete {path}"
        )
    mine = path.with_name(f".lock.{os.getpid()}")
    try:
        store.mkdir(parents=True, exist_ok=True)
        mine.write_text(json.dumps(me))
    except OSError as error:
        raise OSError(
            f"cannot write to the store {store} ({error.strerror}): make it writable, or set"
            " [Store] root to another folder"
        ) from None
    try:
        if holder is not None and read(path) == holder:
            path.unlink(missing_ok=True)
        os.link(mine, path)  # fails where another command was quicker
    except FileExistsError:
        raise StoreInUseError(f"{store} was just taken by another command: wait for it") from None
    finally:
        mine.unlink()
    atexit.register(release, store)


def release(store: Path) -> None:
    """Give the lock back, if it is this command's."""
    if read(store / "lock") == identity():
        (store / "lock").unlink(missing_ok=True)


def identity() -> dict[str, object]:
    """The command's main process: its host, pid and start, so that a reused pid is another one."""
    parent = multiprocessing.parent_process()
    pid = parent.pid if parent else os.getpid()
    return {"host": socket.gethostname(), "pid": pid, "started": started(pid or 0)}


def alive(holder: dict[str, object]) -> bool:
    """Whether the holder still runs; of another host nobody can tell, so yes."""
    if holder["host"] != socket.gethostname():
        return True
    return started(int(str(holder["pid"]))) == holder["started"]


def started(pid: int) -> float | None:
    import psutil

    try:
        return round(psutil.Process(pid).create_time(), 1)
    except psutil.NoSuchProcess:
        return None


def read(path: Path) -> dict[str, object] | None:
    try:
        found: dict[str, object] = json.loads(path.read_text())
        return found
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return None
