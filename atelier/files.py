"""Files that are whole or not there, names that they can have, and one writer at a time."""

import errno
import fcntl
import hashlib
import json
import math
import os
import re
import shutil
import socket
import time
from collections.abc import Callable, Iterable, Iterator, Set
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

from atelier.errors import Refusal

SHOWN = 20  # letters of a text that is no JSON
LONGEST = 200  # letters of a name that more is put behind
NAMING = f"use letters, digits, _ - and . only, at most {LONGEST}"
DAY = 86_400  # seconds
HOST_MAX = 64  # bytes of a host's name in that of a half-written file
CANNOT = (errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL)  # what some file systems say
NO_LOCKS = (errno.ENOLCK, *CANNOT)
NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)  # of what is said of a write, without a name
PARTIAL = re.compile(r"\..+\.(?P<host>[^.]*)-(?P<pid>\d+)(in(?P<space>\d+))?\.partial")


class BrokenLineError(Refusal):
    """A line of a file that cannot be read; the message names it."""


class NoJSONError(json.JSONDecodeError):
    """A text that is no JSON; the message says from where on."""

    def __str__(self) -> str:
        if not self.doc.strip():
            return "it is empty"
        rest = self.doc[self.pos :].rstrip()
        if not rest or self.msg.startswith("Unterminated string"):
            return "it ends too early"
        line = f"line {self.lineno}, " if "\n" in self.doc.strip() else ""
        shown = (rest.splitlines()[0] or rest)[:SHOWN]
        return f"at {line}column {self.colno} it does not go on as JSON does: {shown!r}"


def digest_file(path: Path) -> str:
    """The SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def is_name(text: str) -> bool:
    """Whether a folder can have this name anywhere, and is not hidden by it."""
    return bool(re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.-]*", text)) and len(text) <= LONGEST


def is_text(path: Path) -> bool:
    """Whether its name is UTF-8, as TensorFlow and others want what they open themselves."""
    return not any("\udc80" <= letter <= "\udcff" for letter in str(path))


def is_writable(folder: Path) -> bool:
    """Whether files can be written to a folder, or to one made there."""
    return not why_not_writable(folder)


def why_not_writable(folder: Path) -> OSError | None:
    """What stops files from being written to a folder, or to one made there, if anything does.

    What is made to see it goes again. A user who may write anywhere is stopped by what the file
    system says, not by permissions.
    """
    new = [place for place in (folder, *folder.parents) if not os.path.lexists(place)]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with TemporaryFile(dir=folder):
            return None
    except OSError as error:
        return error
    finally:
        unmake(new)


def free_bytes(folder: Path) -> float:
    """How much can be written there; without end where the file system does not say, as of FUSE."""
    disk = shutil.disk_usage(folder)
    return disk.free if disk.total else math.inf


@contextmanager
def replacing(path: Path, lasting: bool = True) -> Iterator[Path]:
    """A name beside `path` for a file or a folder; it gets the final name once the context ends.

    What has the final name is whole; `lasting`, it stays so through a loss of power, which takes
    a disk some milliseconds. A folder that was there is replaced.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with passing(path) as partial:
        with naming(path):
            yield partial
        if lasting:
            for inner in (*partial.rglob("*"), partial):
                sync(inner)
        if partial.is_dir() and path.is_dir():
            shutil.rmtree(path)
        partial.replace(path)
        if lasting:
            sync(path.parent)


@contextmanager
def passing(path: Path) -> Iterator[Path]:
    """The name beside `path` of what is gone once the context ends; `sweep` knows it, too."""
    partial = partial_of(path)
    try:
        yield partial
    finally:
        remove(partial)


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Let an error name the file for which there was no room: the system names none, or of a copy
    both."""
    try:
        yield
    except OSError as error:
        if error.errno in NO_ROOM and (not error.filename or error.filename2):
            raise OSError(error.errno, error.strerror, str(path)) from None
        raise


def partial_of(path: Path) -> Path:
    """Where this process writes what will be `path`."""
    end = f".{own_host()}-{os.getpid()}in{own_space()}.partial"
    name, room = os.fsencode(path.name), os.pathconf("/", "PC_NAME_MAX") - len(end) - 1
    if len(name) > room:  # two long names differ by their digests
        digest = hashlib.sha256(name).hexdigest()[:16].encode()
        name = name[: room - len(digest)].decode("utf-8", "ignore").encode() + digest
    return path.with_name(f".{os.fsdecode(name)}{end}")


def own_host() -> str:
    """This machine's name, as names of half-written files have it: of letters that part nothing."""
    return socket.gethostname().replace(".", "_")[:HOST_MAX]


def own_space() -> str:
    """What tells the numbers of this process's neighbours from those of another container."""
    try:
        return str(os.stat("/proc/self/ns/pid").st_ino)
    except OSError:
        return "0"


def write(path: Path, data: bytes | str, lasting: bool = True) -> None:
    """Write a file in one go; text as UTF-8."""
    with replacing(path, lasting) as partial:
        partial.write_bytes(data.encode() if isinstance(data, str) else data)


def write_json(path: Path, value: Any) -> None:
    """Write anything that JSON can hold in one go, for people to read too."""
    write(path, json.dumps(value, indent=1) + "\n")


def write_lines(path: Path, rows: Iterable[Any]) -> None:
    """Write a file of one JSON value a line in one go."""
    write(path, "".join(map(line_of, rows)))


def json_of(text: str | bytes, **how: Any) -> Any:
    """What JSON says; raises ValueError for whatever is none, however deep or long it is.

    The message goes behind "no JSON", for a person; what the functions of `how` raise is as it is.
    """
    try:
        return json.loads(text, **how)
    except json.JSONDecodeError as error:
        raise NoJSONError(error.msg, error.doc, error.pos) from None
    except UnicodeDecodeError:
        raise ValueError("it is no text: save it as UTF-8") from None
    except ValueError as error:
        if type(error) is not ValueError:
            raise
        raise ValueError("a number in it has too many digits") from None
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def line_of(row: Any) -> str:
    """A JSON value as a line of such a file."""
    return json.dumps(row) + "\n"


def read_lines(path: Path, **needed: Any) -> list[Any]:
    """One JSON value a line; none where there is no file.

    A last line that a crash cut short is left out. Raises BrokenLineError for any other, and for
    one that has not what is `needed`: names, each with its type.
    """
    rows = []
    lines = path.read_bytes().split(b"\n") if path.exists() else []
    lines = lines[:-1] if lines and not lines[-1] else lines
    for number, line in enumerate(lines, start=1):
        try:
            rows.append(json_of(line))
        except ValueError as error:
            if number < len(lines):
                raise BrokenLineError(
                    f"{path} line {number} is no JSON ({error}): mend the line or delete it"
                ) from None
            continue
        if lacking := [name for name, kind in needed.items() if not has(rows[-1], name, kind)]:
            raise BrokenLineError(
                f"{path} line {number} does not say {lacking[0]}: mend the line or delete it"
            )
    return rows


def has(row: Any, name: str, kind: Any) -> bool:
    """Whether a JSON value is an object that holds this, of this type; no number beyond int64."""
    value = row.get(name) if isinstance(row, dict) else None
    return isinstance(value, kind) and not (isinstance(value, int) and abs(value) >= 2**63)


def sync(path: Path) -> None:
    """Make what was written to a file last, or, where the file system can, a folder's names."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if not path.is_dir() or error.errno not in CANNOT:
            raise
    finally:
        os.close(descriptor)


def sweep(folder: Path) -> None:
    """Remove what processes of this machine that died left half-written below a folder.

    Others may work there meanwhile; what another user left, and alone may remove, stays.
    """
    for inside, folders, names in os.walk(folder):
        for name in (*folders, *names):
            with suppress(FileNotFoundError, PermissionError):
                if is_left(path := Path(inside, name)):
                    remove(path)


def is_left(path: Path) -> bool:
    """Whether a process of this machine began to write this, and died.

    Who lives in another container of the same name cannot be seen: after a day nobody does.
    """
    found = PARTIAL.fullmatch(path.name)
    if not found or found["host"] != own_host():
        return False
    if found["space"] in (None, own_space()):
        return not Path(f"/proc/{found['pid']}").exists()
    return time.time() - path.lstat().st_mtime > DAY


def remove(path: Path) -> None:
    """Remove a file, or a folder with all that is in it, if it is there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


@contextmanager
def alone(
    path: Path, refusal: Refusal | None = None, say: Callable[[str], None] | None = None
) -> Iterator[None]:
    """Hold the lock file `path` against other processes; it is let go by their end, too.

    Where another holds it `refusal` is raised; without one this waits. Where the file system has no
    locks nobody is held off, which `say` is told.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | (fcntl.LOCK_NB if refusal else 0))
        except OSError as error:
            if refusal and isinstance(error, BlockingIOError):
                raise refusal from None
            if error.errno not in NO_LOCKS:
                raise
            if say:
                say(unlocked(path.parent))
        yield


@contextmanager
def made_for(folder: Path, first: Set[str], refusal: Refusal) -> Iterator[None]:
    """Make a folder for some work; where that is refused or fails, what was made goes again.

    So do the files called `first` in one that was empty. But for what holds more than them, or was
    begun by another process meanwhile, which holds its `lock`. `refusal` is raised where no folder
    can be made.
    """
    new = [place for place in (folder, *folder.parents) if not place.exists()]
    empty = not any(folder.glob("*"))  # or new
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        unmake(new)
        raise refusal from None
    try:
        yield
    except (Refusal, OSError):
        if empty:
            unbegin(folder, first)
        unmake(new)
        raise


def unbegin(folder: Path, first: Set[str]) -> None:
    """Remove these files from a folder that holds no others, and in which nobody else works.

    Two commands that begin at once both find that there is no folder.
    """
    with suppress(Refusal, OSError):
        if not first >= set(os.listdir(folder)):
            return  # before a lock is made beside them
        with alone(folder / "lock", Refusal("another process is at it")):
            if first >= set(os.listdir(folder)):
                for file in folder.iterdir():
                    file.unlink()


def unmake(places: Iterable[Path]) -> None:
    """Remove folders, the innermost first, as far as they are empty."""
    for place in places:
        with suppress(OSError):
            place.rmdir()


def unlocked(folder: Path) -> str:
    """What a person should know where a file system has no locks."""
    return f"{folder} lies where files cannot be locked: start nothing else on it meanwhile"
