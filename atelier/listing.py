"""Which files of a folder or an archive count, and as what: one answer for everybody who asks."""

import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath
from typing import BinaryIO, Literal

from PIL import Image

from atelier.pictures import FORMATS, picture_format

Kind = Literal["hidden", "photo", "video", "raw", "other"]

HIDDEN = "hidden, or a device's own folder"
PHOTOS = {suffix for suffix, name in Image.registered_extensions().items() if name in FORMATS}
PHOTOS |= {".dib", ".mpo"}
VIDEOS = {".mp4", ".m4v", ".mkv", ".avi", ".mov", ".webm", ".mts", ".m2ts", ".mpg", ".mpeg", ".vob"}
VIDEOS |= {".3gp", ".3g2", ".wmv", ".flv", ".ogv"}
RAW = {".3fr", ".arw", ".cr2", ".cr3", ".crw", ".dcr", ".dng", ".erf", ".fff", ".gpr", ".iiq"}
RAW |= {".k25", ".kdc", ".mef", ".mos", ".mrw", ".nef", ".nrw", ".orf", ".pef", ".ptx", ".raf"}
RAW |= {".raw", ".rw2", ".rwl", ".sr2", ".srf", ".srw", ".x3f"}
# What may hold a picture, and is none of a person's: half a download, a copy, a video's thumbnail.
NO_PHOTOS = {".part", ".partial", ".crdownload", ".opdownload", ".download", ".tmp", ".temp"}
NO_PHOTOS |= {".bak", ".jpg_original", ".thm", ".ithmb", ".lrv"}
# Whose suffix says well enough that they are something else: they are not opened.
NO_PHOTOS |= {".txt", ".csv", ".json", ".xml", ".md", ".html", ".ini", ".db", ".log", ".xmp"}
NO_PHOTOS |= {".aae", ".pdf", ".zip", ".gz", ".tar", ".7z", ".rar", ".mp3", ".wav", ".tfrecords"}
NO_PHOTOS |= {".labels"}
KINDS: dict[Kind, set[str]] = {"photo": PHOTOS, "video": VIDEOS, "raw": RAW, "other": NO_PHOTOS}
# Folders of file servers, phones and desktops: trash, thumbnails, earlier versions.
DEVICES = {
    *("@eadir", "#recycle", "#snapshot", "@recycle", "@recently-snapshot", "@sharebin", "@tmp"),
    *("$recycle.bin", "recycler", "system volume information", "lost+found", "lost.dir"),
    *("__macosx", "network trash folder", "temporary items", "files_trashbin", "files_versions"),
}
LIBRARY = ("resources", "private", "thumbnails", "previews", "scopes")  # beside its originals
DEVICE_ENDS = (".lrdata", *(f".photoslibrary/{folder}" for folder in LIBRARY))
DEVICE_NAME = re.compile(r"(SYNOPHOTO|SYNOINDEX)_\w+")
HEAD = 64  # bytes that say what a file is


def is_hidden(name: str) -> bool:
    """Whether a file, by its path with `/` below the folder that was named, is nobody's photo."""
    at = ""
    *folders, own = name.split("/")
    for folder in folders:
        at += f"/{folder.lower()}"
        if folder.startswith(".") or folder.lower() in DEVICES or at.endswith(DEVICE_ENDS):
            return True
    return own.startswith(".") or bool(DEVICE_NAME.match(own))


def kind_by_name(name: str) -> Kind | None:
    """What the suffix of a file says that it counts as, if it says anything."""
    suffix = PurePosixPath(name).suffix.lower()
    return next((kind for kind, suffixes in KINDS.items() if suffix in suffixes), None)


def kind_by_content(name: str, head: Callable[[], bytes]) -> Kind:
    """What a file counts as, wherever it lies; `head` is asked only where its name says nothing."""
    return kind_by_name(name) or ("photo" if picture_format(head()) else "other")


def walk(source: Path, but: Path | None = None) -> Iterator[Path]:
    """Every file below a folder, but for those of one; links are followed, a folder is walked once.

    So a loop ends. Hidden folders come last: what they link to is found in its own place first.
    """
    seen = {inode(but)} if but and but.exists() else set()
    hidden: list[Path] = []
    yield from walk_apart(source, source, seen, hidden)
    for place in sorted(hidden):
        yield from walk_apart(place, source, seen, None)


def walk_apart(
    place: Path, source: Path, seen: set[tuple[int, int]], hidden: list[Path] | None
) -> Iterator[Path]:
    """The files below a place; hidden folders are put aside where there is a list for them."""
    on_error = raise_error if hidden is not None else pass_closed
    waiting = [place]  # not os.walk: until Python 3.12 it calls itself for each level
    while waiting:
        here = waiting.pop()
        try:
            folders, names = names_in(here)
        except OSError as error:
            on_error(error)
            continue
        if (own := inode(here)) in seen:
            continue
        seen.add(own)
        below = here.relative_to(source)
        aside = {name for name in folders if is_hidden((below / name / "-").as_posix())}
        if hidden is not None:
            hidden += [here / name for name in aside]
            folders = [name for name in folders if name not in aside]
        waiting += [here / name for name in sorted(folders, reverse=True)]
        yield from (here / name for name in sorted(names))


def names_in(folder: Path) -> tuple[list[str], list[str]]:
    """The names of the folders in a folder, and of links to folders, and those of its files."""
    folders, names = list[str](), list[str]()
    with os.scandir(folder) as found:
        for entry in found:
            (folders if leads_to_folder(entry) else names).append(entry.name)
    return folders, names


def leads_to_folder(entry: "os.DirEntry[str]") -> bool:
    """Whether it is a folder, or leads to one; what cannot be asked is a file."""
    try:
        return entry.is_dir()
    except OSError:
        return False


def inode(folder: Path) -> tuple[int, int]:
    """Tells a folder from any other, whatever it is called."""
    facts = folder.stat()
    return facts.st_dev, facts.st_ino


def counted(source: Path) -> dict[str, Path]:
    """The files below a folder that are not hidden, by their path with `/` below it."""
    found = {path.relative_to(source).as_posix(): path for path in walk(source)}
    return {name: path for name, path in found.items() if not is_hidden(name)}


def photos(source: Path) -> dict[str, Path]:
    """Those of them that are photos, by suffix or by content."""
    return {name: path for name, path in counted(source).items() if is_photo(name, path)}


def is_photo(name: str, path: Path) -> bool:
    return kind_by_content(name, lambda: head_of(path)) == "photo" and path.is_file()


def with_suffix(source: Path, suffix: str, deep: bool = False) -> list[Path]:
    """The files of a folder, or `deep` below it, that have a suffix and are not hidden, sorted."""
    if deep:
        return sorted(path for name, path in counted(source).items() if ends(name, suffix))
    names = (path for path in source.iterdir() if ends(path.name, suffix))
    return sorted(path for path in names if not is_hidden(path.name) and path.is_file())


def ends(name: str, suffix: str) -> bool:
    return PurePosixPath(name).suffix.lower() == suffix


def head_of(path: Path) -> bytes:
    """The first bytes of a file; none where it is no file."""
    if not path.is_file():
        return b""
    with path.open("rb") as file:
        return first_bytes(file)


def first_bytes(file: BinaryIO) -> bytes:
    return file.read(HEAD)


def raise_error(error: OSError) -> None:
    raise error


def pass_closed(error: OSError) -> None:
    """A disk's own lost+found is closed to everybody: nobody misses what is in there."""
    if not isinstance(error, PermissionError):
        raise error
