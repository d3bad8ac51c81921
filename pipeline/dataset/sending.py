"""A finished export, copied to an object store: what is there stays, dataset.json comes last."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from functools import lru_cache, partial
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple, Self

from atelier import files
from atelier.commands import say
from atelier.errors import words_of
from atelier.options import is_address
from pipeline.dataset.finished import DESCRIPTION, RECORDS, ExportError, gigabytes
from pipeline.dataset.growth import finished_exports
from pipeline.options import SettingsError
from pipeline.photos.folder import PhotoFolder
from pipeline.photos.objects import (
    EXTRAS,
    Address,
    ClosedError,
    GoneError,
    RemoteError,
    address,
    ahead,
)
from pipeline.rows.manifest import digest
from training.sources.records import LISTED

OPTION = "[ExportTFRecords] publish"
ON_DISK = ("file", "local")  # protocols of fsspec's
WRITERS = 4  # files under way at a time; a large one goes in several parts besides

Bars = Callable[[int], Any]  # a bar for so many files
Remote = Mapping[str, tuple[int, int]]  # an object's name -> size in bytes and mark


class Sent(NamedTuple):
    """A line of the journal: a file that was copied, and what the store then said of its copy."""

    name: str  # below the address
    digest: str  # of the file here
    size_bytes: int
    mark: int


class Sending:
    """A step that copies the export of the step before to an address, and notes what is there."""

    suffix, counted = "json", "files"
    path: Path
    folder: Path
    parents: list[Any]
    bar: Bars
    photo_folder: PhotoFolder

    @classmethod
    def asked_for(cls) -> "list[Self]":
        """The copy, where an address is given."""
        copy = cls()
        return [copy] if copy.destination() else []

    def destination(self) -> str:
        """The address, as a person gave it; or nothing."""
        return str(self.parents[0].config.publish)

    def besides(self) -> Any:
        """Each address has a journal of its own."""
        return str(address(self.destination()))

    def complete(self) -> bool:
        """Whether it is there; where not, whether it can be, which is asked before all work."""
        done = bool(super().complete())  # type: ignore[misc]
        if not done:
            name = self.parents[0].config.name
            refuse_source(opened(self.destination()), self.photo_folder.root)
            check_target(self.destination(), self.folder.parents[1], self.journal, name)
        return done

    def state(self) -> str:
        """Where the copy stands, in words."""
        to = address(self.destination())
        if not self.parents[0].complete():
            return "waits for the stages before it"
        return f"done  copied to {to}" if self.complete() else f"open  to be copied to {to}"

    def finished(self) -> list[Path]:
        """What tells of the finished copy, if there is one; the photos are not looked at for it."""
        return sorted(self.folder.glob("*.json"))

    def faults(self, told: Path) -> Iterator[tuple[Path, str]]:
        """What the store has lost of a finished copy, or holds otherwise than it was left."""
        to, known = opened(self.destination()), copies_in(self.journal)
        try:
            names = files.json_of(told.read_bytes())["files"]
        except (ValueError, KeyError, TypeError):
            yield told, "is damaged"
            return
        there = objects_at(to)
        lost = [
            n for n in names if n not in known or not is_there(known[n], known[n].digest, there)
        ]
        if lost:
            yield (
                told,
                f"{to} has lost {len(lost)} of {len(names)} files, or holds others, as {lost[0]!r}",
            )

    @property
    def journal(self) -> Path:
        """What was copied, and what the store said of it."""
        return self.folder / "sent.jsonl"

    @property
    def came_in(self) -> str:
        """The export: its folder's name stands for all that is in it."""
        return digest([self.parents[0].records.name])

    def build(self) -> None:
        """Copy it."""
        for other in self.finished():  # which is going to be replaced
            other.unlink()
        to, export = opened(self.destination()), self.parents[0].dataset
        try:
            count = send(export, to, self.journal, self.bar)
        except OSError as error:
            raise ExportError(
                f"{OPTION} = {to}: not all is copied ({words_of(error)}); the export itself is"
                " whole, and the same command goes on"
            ) from None
        names = list(names_in(export))
        size = gigabytes(sum((export / name).stat().st_size for name in names))
        files.write_json(self.path, {"address": str(to), "export": str(export), "files": names})
        say(f"Publish: {len(names)} files, {size}, are at {to}; {count} of them were copied now")


def must_be_address(text: str) -> None:
    """Raise ValueError, saying what to give, for what names no object store."""
    if text and not is_address(text):
        raise ValueError(
            "give an address, as s3://bucket/sets/dogs: on a file system the export lies anyway"
        )


def opened(destination: str) -> Address:
    """The address; raises SettingsError where none is named, or nothing here can write to it."""
    if not destination:
        raise SettingsError(f"{OPTION} is empty: give the address that the export is to go to")
    to = address(destination)
    try:
        to.check()
    except ClosedError as error:
        raise SettingsError(f"{OPTION} = {error}") from None
    return to


def refuse_source(to: Address, source: Path | Address) -> None:
    """Raise SettingsError where the next listing of the photos would find what is copied."""
    if is_below(to, source):
        raise SettingsError(
            f"{OPTION} = {to}: it lies in {source}, where the photos are, and would be taken for"
            " some of them: give an address beside it"
        )


def is_below(to: Address, source: Path | Address) -> bool:
    """Whether an address lies in a folder, however the two are written."""
    place = to.opened()[1]
    if isinstance(source, Path):
        return to.protocol in ON_DISK and Path(place).resolve().is_relative_to(source.resolve())
    own, others = (EXTRAS.get(each.protocol, each.protocol) for each in (to, source))
    if own != others:
        return False
    try:
        source.check()
    except ClosedError:  # of which its listing tells more
        return False
    root = source.opened()[1].rstrip("/")
    return place == root or place.startswith(f"{root}/" if root else "")


@lru_cache
def check_target(destination: str, store: Path, journal: Path, name: str) -> None:
    """Raise SettingsError where a dataset of this name cannot be put, or is not to be.

    Objects that are there already and nobody here has copied are in the way; of those the first is
    enough. A store that does not answer may do so once the export is there: the copy asks again.
    """
    to, own = opened(destination), (f"{name}-", f"{name}.", DESCRIPTION, LISTED)
    if to.protocol in ON_DISK and Path(to.opened()[1]).resolve().is_relative_to(store):
        raise SettingsError(
            f"{OPTION} = {to}: it lies in the store {store}, which holds results: give another"
        )
    known = copies_in(journal)
    try:
        to.check_folder()
        with suppress(GoneError):  # the folder comes with what is put into it
            names = (each.name for each in to.entries() if each.name not in known)
            refuse_strangers(to, {*islice((n for n in names if not n.startswith(own)), 1)})
        refuse_other(to, known, finished_exports(store / RECORDS))
    except ClosedError as error:
        raise SettingsError(f"{OPTION} = {error}") from None
    except RemoteError:
        return


def send(export: Path, to: Address, journal: Path, bars: Bars) -> int:
    """Let `to` hold the files of a finished export and nothing else; returns how many were copied.

    A file whose copy is there as the journal knows it is not copied again. While others are,
    there is no dataset.json, so whoever reads one sees the whole. Raises SettingsError where
    objects are in the way that nobody here has copied, OSError for what the store says.
    """
    known = copies_in(journal)
    there = objects_at(to)
    ours = {name: files.digest_file(export / name) for name in names_in(export)}
    refuse_strangers(to, there.keys() - known.keys() - ours.keys())
    refuse_other(to, known, [export / DESCRIPTION, *finished_exports(export.parents[1])])
    new = [name for name in ours if not is_there(known.get(name), ours[name], there)]
    old = there.keys() - ours.keys()
    if not new and not old:
        return 0
    if DESCRIPTION in there:
        (to / DESCRIPTION).remove()
    # What is only begun is known too: names of a later export may be others, and these ours.
    begun = [Sent(name, "", 0, 0) for name in new]
    files.write_lines(journal, [*(one for name, one in known.items() if name in there), *begun])
    first = [name for name in new if name != DESCRIPTION]
    with bars(len(first) + 1) as bar, journal.open("a") as lines:
        copy = partial(copied, export, to, ours)
        for one in ahead(copy, first, WRITERS):
            lines.write(files.line_of(one))
            lines.flush()
            bar.advance(1)
        for name in old - {DESCRIPTION}:
            (to / name).remove()
        lines.write(files.line_of(copy(DESCRIPTION)))
        bar.advance(1)
    return len(first) + 1


def copies_in(journal: Path) -> dict[str, Sent]:
    """What a journal knows of each file."""
    return {name: Sent(name, *rest) for name, *rest in files.read_lines(journal)}


def names_in(export: Path) -> Iterator[str]:
    """The files of an export, by their paths below it."""
    for path in sorted(export.rglob("*")):
        if path.is_file():
            yield path.relative_to(export).as_posix()


def objects_at(to: Address) -> Remote:
    """What is there already; nothing where there is no such folder yet."""
    try:
        return {each.name: (each.size_bytes, each.mark) for each in to.entries()}
    except GoneError:
        return {}


def is_there(known: Sent | None, digest: str, there: Remote) -> bool:
    """Whether the store holds the copy of a file as it was left."""
    if known is None or known.digest != digest:
        return False
    return there.get(known.name) == (known.size_bytes, known.mark)


def refuse_strangers(to: Address, names: set[str]) -> None:
    """Raise SettingsError where a reader would take other objects for the dataset's."""
    if names:
        raise SettingsError(
            f"{OPTION} = {to}: other objects are there, as {min(names)!r}: remove them, or name an"
            " address that holds nothing"
        )


def refuse_other(to: Address, known: Mapping[str, Sent], ours: Iterable[Path]) -> None:
    """Raise SettingsError where another dataset is there, whose files may have the same names.

    Of one that this store made, and whose journal is lost, it has the description still.
    """
    if DESCRIPTION in known:
        return
    try:
        there = (to / DESCRIPTION).read()
    except GoneError:
        return
    if all(there != path.read_bytes() for path in ours):
        raise SettingsError(
            f"{OPTION} = {to}: another dataset is there, which this store has not copied: remove"
            f" its {DESCRIPTION}, then this one takes its place, or name another address"
        )


def copied(export: Path, to: Address, digests: Mapping[str, str], name: str) -> Sent:
    """Copy one file; raises RemoteError where the store did not get all of it."""
    file = export / name
    size, mark = (to / name).send(file)
    if size != file.stat().st_size:
        raise RemoteError(f"{to / name}: {size} bytes came there, and {file} has others")
    return Sent(name, digests[name], size, mark)
