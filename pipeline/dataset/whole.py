"""Whether an export is as it was finished: at a glance by sizes, and byte by byte.

Beside its files lies a list of them, with their sizes, and of those whose content does not vouch
for itself a digest. Records carry a checksum each, members of a zip do; that of its last record
tells a file of records from others of the same size.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from atelier import files, pictures
from atelier.errors import words_of
from pipeline.dataset import archive, records
from pipeline.dataset.finished import DESCRIPTION, UNFINISHED, leads
from training.sources.records import LISTED, last_checksum

VOUCH = {".tfrecords": records.broken_records, ".zip": archive.broken_zip}  # for themselves

Listed = Mapping[str, Mapping[str, Any]]


class Finished:
    """A stage that makes a dataset, as far as it lies on the disk."""

    config: Any

    @property
    def records(self) -> Path:
        """The folder of the export."""
        raise NotImplementedError

    @property
    def dataset(self) -> Path:
        """What trainers are given."""
        return self.records / str(self.config.name)

    def is_in_place(self, link: Path) -> bool:
        """Whether the link leads to it, and all its files are there in full length."""
        return leads(link, self.dataset) and is_whole(self.dataset)


def list_files(folder: Path) -> None:
    """Write down which files a finished dataset has."""
    there = sorted(path for path in folder.rglob("*") if path.is_file() and path.name != LISTED)
    found = {str(path.relative_to(folder)): about(path) for path in there}
    (folder / LISTED).write_text(text_of(found))


def about(path: Path) -> dict[str, Any]:
    size = {"bytes": path.stat().st_size}
    if path.suffix == ".tfrecords":
        return size | {"last": last_checksum(path)}
    return size if path.suffix in VOUCH else size | {"blake2b": digest_in(path)}


def digest_in(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=16)).hexdigest()


def text_of(found: Listed) -> str:
    own = pictures.bytes_digest(json.dumps(found).encode()).hex()
    return json.dumps({"files": found, "blake2b": own}, indent=1) + "\n"


def is_whole(folder: Path) -> bool:
    """Whether all files of an export are there in full length; none is read."""
    try:
        listed = files_of(folder)
    except (OSError, ValueError, LookupError, TypeError):
        return False
    return all(not wrong_size(folder / name, known) for name, known in listed.items())


def wrong_size(path: Path, known: Mapping[str, Any]) -> str:
    """What a look at a file's size tells against it."""
    if not path.is_file():
        return "is gone"
    size = path.stat().st_size
    return "" if known["bytes"] in (size, None) else f"has {size} bytes instead of {known['bytes']}"


def files_of(folder: Path) -> Listed:
    """The list, or what dataset.json of an earlier version tells of its files; raises ValueError.

    A damaged list is none: read and written again it would not be the same.
    """
    path = folder / LISTED
    if not path.is_file():
        return described_files(folder / DESCRIPTION, (folder / DESCRIPTION).stat().st_mtime_ns)
    text = path.read_bytes().decode()
    found: Listed = files.json_of(text)["files"]
    if text_of(found) != text:
        raise ValueError("it is not what was written")
    return found


@lru_cache(maxsize=4)
def described_files(description: Path, _: int) -> Listed:
    """The files that dataset.json names, with their sizes where the shapes tell them."""
    told = files.json_of(description.read_bytes())
    sizes = {
        level["file"]: told["pictures"] * records.record_bytes(tuple(level["shape"]))
        for level in told.get("levels", [])
    }
    sizes |= {told["file"]: None} if "file" in told else {}
    for part in told.get("parts", []):
        sizes |= part["files"]
    return {name: {"bytes": size} for name, size in sizes.items()}


def faults(folder: Path) -> Iterator[tuple[Path, str]]:
    """(file, what is wrong) of every damaged file of an export; all of it is read."""
    try:
        listed = files_of(folder)
    except (OSError, ValueError, LookupError, TypeError) as error:
        name = LISTED if (folder / LISTED).is_file() else DESCRIPTION
        yield folder / name, f"is damaged ({words_of(error)})"
        return
    if lacks_list(folder):
        yield folder / LISTED, "is gone"
    for name, known in listed.items():
        path = folder / name
        if said := wrong_size(path, known) or other_bytes(path, known):
            yield path, said


def lacks_list(folder: Path) -> bool:
    """Whether the list is gone; dataset.json of earlier versions tells of none."""
    if (folder / LISTED).is_file():
        return False
    return bool(files.json_of((folder / DESCRIPTION).read_bytes()).get("list"))


def other_bytes(path: Path, known: Mapping[str, Any]) -> str:
    """What the bytes of a file of the right size tell against it."""
    if known.get("last") not in (None, last_checksum(path)):
        return "holds other records than were written"
    if path.suffix in VOUCH:
        return VOUCH[path.suffix](path)
    wrong = "blake2b" in known and digest_in(path) != known["blake2b"]
    return "is not what was written" if wrong else ""


def forget_export(out: Path) -> None:
    """Remove a damaged export; what is half removed does not have the name of a whole one."""
    aside = out.with_name(f"{out.name}{UNFINISHED}")
    files.remove(aside)
    files.remove(out.rename(aside))
