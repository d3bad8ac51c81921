"""What a look at each file of a store tells: nothing is altered, and every byte is read."""

from collections.abc import Callable, Collection, Iterator, Sequence
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any, Literal, NamedTuple

from atelier import pictures
from atelier.arrays import broken_arrays
from atelier.containers import is_whole_png
from atelier.files import json_of
from pipeline.dataset import whole
from pipeline.dataset.finished import DESCRIPTION
from pipeline.report.chapters import is_whole_page
from pipeline.rows import columns, decisions, manifest, parquet
from pipeline.rows.parquet import PARTS, SHARDS
from training.sources.records import LISTED

AT_ONCE = 256  # pictures of one look
PICTURES = "pictures"  # in a stage's folder
KNOWN_OF_PICTURES = ("key", "path", "clip", "picture", "picture_digest", "drop")
OWN = ("runs", "detectors")  # folders of trainings

Kind = Literal["table", "picture", "vectors", "export", "page", "link", "copy", "own", "unread"]

FILES: tuple[Kind, ...] = ("table", "page", "own")  # a look at one of these is at a single file


class Fault(NamedTuple):
    """A damaged file, what is wrong with it, and what kind of thing it is."""

    path: Path
    what: str
    kind: Kind


Found = Fault | tuple[Path, str]  # of a look's own kind, where it says none


class Look(NamedTuple):
    """A part of the work: at a file, or at a few."""

    at: Path
    kind: Kind
    find: Callable[[], Iterator[Found]]
    files: int = 1

    def faults(self) -> list[Fault]:
        """What is found; what the machine did not read is one too, of which nothing is known.

        What is no file, as a pipe or a link that leads nowhere, is not opened: one could wait.
        """
        try:
            if self.kind in FILES and not parquet.is_file(self.at):
                return [Fault(self.at, "is no file", self.kind)]
            return [
                each if isinstance(each, Fault) else Fault(*each, self.kind) for each in self.find()
            ]
        except OSError as error:
            return [unread(Path(str(error.filename or self.at)), error)]


def unread(path: Path, error: OSError) -> Fault:
    """A file that the machine did not read: it may be whole."""
    return Fault(path, f"cannot be read ({error.strerror or error})", "unread")


def looks(store: Path, stages: Collection[str]) -> Iterator[Look]:
    """All that there is to do; `stages` are the folders of the stages."""
    for folder in chain.from_iterable(subfolders(store / stage) for stage in stages):
        yield from looks_at_stage(folder)
    yield from looks_at_exports(store)
    kept = decisions.file_in(store)
    if kept.is_file():
        yield Look(kept, "own", partial(look_at_decisions, kept))
    for path in chain.from_iterable(sorted((store / name).rglob("*")) for name in OWN):
        if path.suffix in BY_SUFFIX and not path.is_dir() and not path.name.startswith("."):
            yield Look(path, "own", partial(look_at_own, path))


def looks_at_exports(store: Path) -> Iterator[Look]:
    """At every finished export, and at the links to the newest things."""
    for export in chain.from_iterable(map(subfolders, subfolders(store / "records"))):
        if (export / DESCRIPTION).is_file() or (export / LISTED).is_file():
            yield Look(export, "export", partial(whole.faults, export))
    for link in (store / "dataset", store / "report.html"):
        if link.is_symlink():
            yield Look(link, "link", partial(look_at_link, link))


def subfolders(folder: Path) -> list[Path]:
    """The folders in it, without what is set aside."""
    found = sorted(folder.iterdir()) if folder.is_dir() else []
    return [path for path in found if path.is_dir() and path.suffix != parquet.ASIDE]


def looks_at_stage(folder: Path) -> Iterator[Look]:
    """At the manifests, shards, parts, pictures and pages of a stage's folder."""
    for lists in (folder, folder / SHARDS, folder / PARTS):
        for path in sorted(lists.glob("*.parquet")):
            yield Look(path, "table", partial(look_at_table, path))
    for path in sorted(folder.glob("*.html")):
        yield Look(path, "page", partial(look_at_page, path))
    known = known_pictures(folder) if (folder / PARTS).is_dir() else []
    for start in range(0, len(known), AT_ONCE):
        some = known[start : start + AT_ONCE]
        yield Look(folder / PICTURES, "picture", partial(look_at_pictures, some), len(some))
    if folder.parent.name == "embed":
        yield Look(folder / PARTS, "vectors", partial(look_at_vectors, folder))


def look_at_table(path: Path) -> Iterator[tuple[Path, str]]:
    """A sealed file is compared with its seal, another one read; a list's files must be there."""
    try:
        table = parquet.checked_table(path, ["file"])
        told = manifest.Facts(**parquet.header_of(table)) if is_manifest(path) else None
        for name in columns.ids(table, "file") if told and told.shards else []:
            if not (path.parent / name).is_file():
                yield path, f"lists {name}, which is gone"
    except parquet.broken() as error:
        if isinstance(error, OSError) and error.errno:
            raise
        yield path, "is damaged"
    except parquet.UNTOLD:
        yield path, "is damaged: its header tells nothing"


def is_manifest(path: Path) -> bool:
    """Whether a table is a manifest, or a shard of one: those have a header."""
    return path.parent.name not in (PARTS, SHARDS)


def known_pictures(folder: Path) -> list[tuple[Path, bytes | None]]:
    """The pictures that a stage wrote, as its memo knows them, with their digests.

    A damaged part is a fault of its own, and its rows are done again, with their pictures.
    """
    store, found = folder.parents[1], dict[Path, bytes | None]()
    for path in sorted((folder / PARTS).glob("*.parquet")):
        try:
            table = parquet.checked_table(path, KNOWN_OF_PICTURES)
        except unreadable():
            continue
        for row in columns.kept(table).to_pylist():
            name = row["picture"] or (row["path"] if row["clip"] else "")
            if name.startswith(f"{folder.parent.name}/{folder.name}/"):
                found[store / name] = row.get("picture_digest")
    return list(found.items())


def look_at_pictures(known: Sequence[tuple[Path, bytes | None]]) -> Iterator[Found]:
    """Each is compared with its digest; of those without one a PNG vouches for itself."""
    for path, digest in known:
        try:
            if not parquet.is_file(path):
                yield path, "is gone"
                continue
            data = path.read_bytes()
        except OSError as error:
            yield unread(path, error)
            continue
        if digest and pictures.bytes_digest(data) != digest:
            yield path, "is not what was written"
        elif not digest and not is_readable(path, data):
            yield path, "is broken"


def is_readable(path: Path, data: bytes) -> bool:
    """Whether a picture without a digest can be what was written."""
    if path.suffix == ".png":
        return is_whole_png(data)
    try:
        pictures.decode(data)
    except pictures.UnreadableError:
        return False
    return True


def look_at_vectors(folder: Path) -> Iterator[tuple[Path, str]]:
    """Whether the parts of Embed have all feature vectors that its rows name."""
    wanted, there = set[str](), set[str]()
    for path in chain(folder.glob("*.parquet"), folder.glob(f"{SHARDS}/*.parquet")):
        wanted |= set(known_column(path, "embedding"))
    for path in folder.glob(f"{PARTS}/*.parquet"):
        there |= set(known_column(path, "key"))
    if lost := len(wanted - there - {"", None}):
        yield folder / PARTS, f"has lost {lost} feature vectors"


def unreadable() -> tuple[type[Exception], ...]:
    """What reading a damaged table, or a part of it, raises."""
    return *parquet.broken(), *parquet.UNTOLD


def known_column(path: Path, name: str) -> list[Any]:
    """A column of a table that is whole and has it."""
    try:
        table = parquet.checked_table(path, [name, "drop"])
    except unreadable():
        return []
    there = {name, "drop"} <= set(table.column_names)
    return columns.ids(columns.kept(table), name) if there else []


def look_at_page(path: Path) -> Iterator[tuple[Path, str]]:
    if not is_whole_page(path.read_bytes()):
        yield path, "is not what was written"


def look_at_link(path: Path) -> Iterator[tuple[Path, str]]:
    if not path.exists():
        yield path, "leads nowhere"


def look_at_decisions(path: Path) -> Iterator[tuple[Path, str]]:
    """Line by line."""
    *lines, rest = path.read_bytes().split(b"\n")
    for number, line in enumerate(lines, 1):
        try:
            if line.strip():
                decisions.parse_decision(path, number, line)
        except decisions.DecisionsError as error:
            yield path, str(error).removeprefix(f"{path} ")
    if rest:
        yield path, f"line {len(lines) + 1} is cut off: it is left out"


def look_at_own(path: Path) -> Iterator[tuple[Path, str]]:
    """Files of trainings, as far as they tell whether they are whole."""
    if said := BY_SUFFIX[path.suffix](path):
        yield path, said


def broken_png(path: Path) -> str:
    return "" if is_whole_png(path.read_bytes()) else "is not what was written"


def broken_json(path: Path) -> str:
    """Of a file of lines each is looked at; the last may be cut off where its writer was killed."""
    lines = path.read_bytes().split(b"\n")[:-1] if path.suffix == ".jsonl" else [path.read_bytes()]
    for number, line in enumerate(lines, 1):
        try:
            json_of(line)
        except ValueError:
            return f"line {number} is no JSON" if path.suffix == ".jsonl" else "is no JSON"
    return ""


BY_SUFFIX: dict[str, Callable[[Path], str]] = {
    ".npz": broken_arrays,
    ".png": broken_png,
    ".json": broken_json,
    ".jsonl": broken_json,
}
