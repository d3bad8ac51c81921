"""Where exports lie: room on the disk, the final name, older exports, the link to the newest."""

import errno
import os
import re
import shutil
from collections.abc import Mapping
from pathlib import Path

from atelier import files
from atelier.errors import Failure

RECORDS = "records"  # the folder of all exports, in the store
DESCRIPTION = "dataset.json"  # an export has one; what has none is left alone
UNFINISHED = ".partial"
KEY = "[0-9a-f]{20}"  # a digest, as results are named by: what has another name is a person's
EXPORT = rf"{KEY}-{KEY}"


class ExportError(Failure):
    """The records cannot be written; the message says why, and the way out."""


def reserve(sizes: Mapping[Path, int]) -> None:
    """Make files of these sizes, in bytes, or keep those that are there.

    Raises ExportError before the first byte where the disk has no room for them.
    """
    folder = next(iter(sizes)).parent
    there = sum(path.stat().st_blocks * 512 for path in sizes if path.is_file())
    check_room(folder, sum(sizes.values()) - there)
    folder.mkdir(parents=True, exist_ok=True)
    for path, size in sizes.items():
        file = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            with files.naming(path):
                os.posix_fallocate(file, 0, size)
        finally:
            os.close(file)


def check_room(folder: Path, need: int) -> None:
    """Raise ExportError where the disk of `folder`, made or to be made, lacks `need` bytes."""
    there = next(parent for parent in (folder, *folder.absolute().parents) if parent.is_dir())
    free = files.free_bytes(there)
    if need > free:
        raise ExportError(
            f"the export needs {gigabytes(need)} and {there} has {gigabytes(free)} free: make room,"
            " set [Store] root to a larger disk, or give a smaller [Dataset] size"
        )


def gigabytes(count: float) -> str:
    return f"{count / 1e9:.1f} GB" if count >= 1e8 else f"{count / 1e6:.1f} MB"


def put_in_place(folder: Path, out: Path) -> None:
    """Give a complete folder its final name, once everything in it is safely on the disk."""
    for path in (*folder.rglob("*"), folder):
        files.sync(path)
    out.parent.mkdir(parents=True, exist_ok=True)
    folder.rename(out)
    files.sync(out.parent)


def prune(exports: Path, keep: int, newest: Path) -> list[Path]:
    """Remove all but `keep` exports, `newest` never, and what unfinished ones left; says which.

    To be called once `newest` is whole. Other folders are left alone, as an export that somebody
    has given another name.
    """
    own = [path for path in exports.iterdir() if re.fullmatch(EXPORT, path.name)]
    finished = {path for path in own if any(path.glob(f"*/{DESCRIPTION}"))}
    others = sorted(finished - {newest}, key=lambda path: path.stat().st_mtime_ns, reverse=True)
    gone = others[keep - 1 :]
    for path in exports.glob(f"{newest.name.split('-')[0]}-*{UNFINISHED}"):
        if re.fullmatch(EXPORT, path.stem):
            shutil.rmtree(path)
    for path in gone:  # what is half removed must not have the name of a whole one
        shutil.rmtree(path.rename(path.with_name(f"{path.name}{UNFINISHED}")))
    return gone


def leads(name: Path, folder: Path) -> bool:
    """Whether the symbolic link `name` leads to `folder`."""
    return name.is_symlink() and name.resolve() == folder.resolve()


def link(name: Path, folder: Path) -> None:
    """Let the symbolic link `name` lead to `folder`, at every moment to the old or the new one."""
    link_beside(name, os.path.relpath(folder, name.parent)).replace(name)


def link_beside(name: Path, to: str) -> Path:
    """A symbolic link that only lacks its name; raises ExportError where it cannot get that."""
    if name.exists() and not name.is_symlink():
        raise ExportError(f"{name} is in the way of a link of that name: move it away")
    beside = files.partial_of(name)
    beside.unlink(missing_ok=True)
    try:
        beside.symlink_to(to)
    except OSError as error:
        if error.errno not in (errno.EPERM, *files.CANNOT):
            raise
        raise ExportError(
            f"{name} is to be a symbolic link, and the file system there has none: set [Store] root"
            " to a folder on another"
        ) from None
    return beside


def check_links(store: Path) -> None:
    """Raise ExportError where no link can lead to the newest export."""
    link_beside(store / "dataset", RECORDS).unlink()
