"""Where the files of a dataset lie: a folder or a zip."""

import hashlib
import json
import zipfile
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Protocol, TypeVar

from atelier.arrays import BROKEN, fault_in, of_the_machine
from atelier.listing import is_hidden, kind_by_content, walk
from atelier.names import name_key
from training.sources.source import DataError

FILE = "dataset.json"  # says something of a dataset: its labels, or what it is
HEAD = 1 << 16  # bytes in which most pictures have said what they are
T = TypeVar("T")


class Store(Protocol):
    """Files by name, hidden ones and those of devices left out."""

    path: Path
    names: list[str]
    hidden: int  # files that are left out
    digest: str

    def open(self, name: str) -> bytes: ...

    def head(self, name: str) -> bytes: ...


class FolderStore:
    """The files of a folder and its subfolders; links are followed."""

    def __init__(self, path: Path) -> None:
        self.path = path
        files = {file.relative_to(path).as_posix(): file for file in walk(path) if file.is_file()}
        self.names = sorted(name for name in files if not is_hidden(name))
        self.hidden = len(files) - len(self.names)
        # What begins with a dot has never counted here.
        told = sorted(name for name in files if "/." not in f"/{name}")
        sizes = [(name, files[name].stat().st_size) for name in told]
        self.digest = hashlib.sha256(json.dumps(sizes).encode()).hexdigest()[:16]

    def open(self, name: str) -> bytes:
        return (self.path / name).read_bytes()

    def head(self, name: str) -> bytes:
        with (self.path / name).open("rb") as file:
            return file.read(HEAD)


class ZipStore:
    """The files of a zip."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self.file = zipfile.ZipFile(path)
        except BROKEN as error:
            if of_the_machine(error):
                raise
            raise DataError(f"{path} is no zip, or a part of one: make it again") from None
        entries = [entry for entry in self.file.infolist() if not entry.is_dir()]
        names = sorted({entry.filename for entry in entries})  # of two alike the later one counts
        self.names = [name for name in names if not is_hidden(name_key(name))]
        self.hidden = len(names) - len(self.names)
        sums = sorted((entry.filename, entry.CRC) for entry in entries)
        self.digest = hashlib.sha256(json.dumps(sums).encode()).hexdigest()[:16]

    def open(self, name: str) -> bytes:
        return self.read(name, lambda: self.file.read(name))

    def head(self, name: str) -> bytes:
        def beginning() -> bytes:
            with self.file.open(name) as file:
                return file.read(HEAD)

        return self.read(name, beginning)

    def read(self, name: str, reading: Callable[[], T]) -> T:
        """What `reading` gives; raises DataError for what cannot be unpacked."""
        try:
            return reading()
        except BROKEN as error:
            if of_the_machine(error) or name not in self.file.NameToInfo:
                raise
            raise DataError(f"{self.path}/{name}: {fault_in(error)}: make the zip again") from None


def only_zip(folder: Path) -> Path | None:
    """The zip of a folder with nothing besides but its description, as the pipeline writes one."""
    paths = (path for path in folder.iterdir() if not is_hidden(path.name))
    found = list(islice((path for path in paths if path.name != FILE), 2))
    return found[0] if len(found) == 1 and found[0].suffix.lower() == ".zip" else None


def picture_names(store: Store) -> list[str]:
    """The pictures of a store, sorted, by suffix or by content."""
    return [name for name in store.names if is_picture(store, name)]


def is_picture(store: Store, name: str) -> bool:
    return kind_by_content(name_key(name), lambda: store.head(name)) == "photo"
