"""Object stores, s3://, gs:// and what else fsspec knows: what lies there, and its bytes.

What follows from the network or the store is an OSError of one sentence, never a photo's fault.
fsspec and the store's own package say how long they try, and as whom they come.
"""

import hashlib
import re
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path, PurePosixPath
from threading import Timer
from typing import Any, NamedTuple, TypeVar

from atelier.commands import say
from atelier.errors import words_of

READERS = 8  # requests of one process under way at a time
PARTS = 2  # of a large file that is copied, under way at a time: each takes 50 MB or more
MARKS = ("ETag", "etag", "md5Hash", "content_md5", "sha256", "checksum", "sha", "crc32c")
TIMES = ("LastModified", "last_modified", "mtime", "updated", "modified", "created")
EXTRAS = {"s3": "s3", "s3a": "s3", "gs": "gs", "gcs": "gs"}
BUCKETS = {"s3", "s3a"}  # gcsfs says of an empty bucket, too, that there is none
NO_CREDENTIALS = {"NoCredentialsError", "PartialCredentialsError", "DefaultCredentialsError"}
UNKNOWN_BUCKET = {"ParamValidationError"}  # botocore's, of a name that no bucket can have

# In seconds: botocore's own minute, for each of 25 tries, would be half an hour of silence.
TIMEOUTS = {"connect_timeout": 10, "read_timeout": 30}
SLOW_SECONDS = 20  # after which a person hears what is waited for
# What an address may hold that nobody is to read: after user:, or as a value of its query.
SECRETS = (
    re.compile(r"(?<=://)([^/:]*:)([^/]+)(?=@)"),
    re.compile(r"([?&][^=&/]*(?:key|pass|pw|secret|sig|token|cred)[^=&/]*=)([^&]+)", re.IGNORECASE),
)
SCHEME = re.compile(r"[A-Za-z][\w+.-]*(?=:)")

Info = Mapping[str, Any]
One = TypeVar("One")
Other = TypeVar("Other")
reached: set["Address"] = set()  # what this process has seen


class SourceChangedError(OSError):
    """The file is not the one that Ingest saw, or is gone: a reason to run again, not to drop."""


class RemoteError(OSError):
    """A store did not do what it was asked, for a reason that may pass."""


class ClosedError(RemoteError):
    """It will not, before somebody mends an address, a setting or a permission."""


class GoneError(ClosedError):
    """There is nothing at that address."""


KINDS = (
    (FileNotFoundError, GoneError, "there is no such bucket, folder or object"),
    (NotADirectoryError, ClosedError, "not a folder; give the one that holds the photos"),
    (
        PermissionError,
        ClosedError,
        "the store lets nobody in with these credentials ({said}): renew them, or allow them this",
    ),
    (RecursionError, ClosedError, "the store sends each request elsewhere: set its region"),
    (TimeoutError, RemoteError, "the store did not answer in time"),
)


class Entry(NamedTuple):
    """What a store says of one object."""

    name: str  # below the folder that was listed
    size_bytes: int
    mark: int  # stands for its ETag or checksum, or else for its time; 0: the store says neither
    is_file: bool


@dataclass(frozen=True)
class Address:
    """A folder or an object in a store: what lies `below` a root, as s3://bucket/photos."""

    root: str
    below: str = ""

    def __str__(self) -> str:
        between = "/" if self.below and not self.root.endswith("/") else ""
        return without_password(self.root) + between + self.below

    def __repr__(self) -> str:
        return f"Address({str(self)!r})"

    def __truediv__(self, name: str, /) -> "Address":
        return Address(self.root, f"{self.below}/{name}" if self.below else name)

    @property
    def name(self) -> str:
        return PurePosixPath(self.below or self.root).name

    @property
    def suffix(self) -> str:
        return PurePosixPath(self.name).suffix

    @property
    def parent(self) -> "Address":
        return Address(self.root, self.below.rpartition("/")[0])

    def opened(self) -> tuple[Any, str]:
        """fsspec's file system, and the path in it."""
        from fsspec.core import url_to_fs

        bucket = self.root.rpartition("://")[2].partition("/")[0]
        if self.protocol in EXTRAS and (not bucket or "@" in bucket):
            raise ClosedError(
                f"{self}: {'no bucket has this name' if bucket else 'no bucket is named'}: give"
                f" {self.protocol}://bucket/photos; credentials are set apart"
                " (docs/scale.md, Object stores)"
            )
        more = {"config_kwargs": timeouts()} if self.protocol in BUCKETS else {}
        # A listing that is remembered would say of a changed object what it was.
        system, root = url_to_fs(self.root, use_listings_cache=False, **more)
        root = root.rstrip("/")
        return system, f"{root}/{self.below}" if root and self.below else root + self.below

    @property
    def protocol(self) -> str:
        return self.root.rpartition("::")[2].partition(":")[0].lower()

    def check(self) -> None:
        """Raise ClosedError where nothing here reads such addresses."""
        with spoken_for(self):
            try:
                self.opened()
            except (TypeError, NotImplementedError) as error:  # it takes more than an address
                raise ValueError(error) from None

    def check_folder(self) -> None:
        """Raise ClosedError or RemoteError where nothing can be put below: no bucket, or a file."""
        with spoken_for(self), waited_for(self):
            system, path = self.opened()
            if self.protocol in BUCKETS:
                with suppress(PermissionError):  # who may write below may not look at all of it
                    system.info(path.partition("/")[0])
            if system.isfile(path):
                raise ClosedError(f"{self}: an object has this name: give that of a folder")

    def entries(self) -> Iterator[Entry]:
        """All objects below, in any order, listed folder by folder, several at a time.

        Raises ClosedError where there is no such folder, RemoteError for what the store says.
        """
        self.check()
        with spoken_for(self):
            system, root = self.opened()
            for info in objects_below(system, root, self):
                if info["name"] == root:
                    raise NotADirectoryError
                name = str(info["name"])
                if root and not name.startswith(f"{root}/"):  # a page of HTTP may lead anywhere
                    continue
                name = name[len(root) :].removeprefix("/")
                if name and name[-1] != "/":  # which is how some programs mark a folder
                    yield Entry(name, *facts(info), info.get("type") == "file")

    def facts(self) -> tuple[int, int]:
        """Size in bytes and mark of an object, as the store knows it now."""
        with spoken_for(self):
            system, path = self.opened()
            return facts(system.info(path))

    def read(self, number: int = -1, /) -> bytes:
        """The bytes of an object, or the first of them."""
        with spoken_for(self):
            system, path = self.opened()
            return bytes(system.cat_file(path, end=None if number < 0 else number))

    def heads(self, names: list[str], number: int) -> list[bytes | None]:
        """The first bytes of several objects below, which are not empty; none of one that is gone.

        None of one that nobody here may read. Asked for together, as far as the store's package
        can.
        """
        with spoken_for(self):
            system, root = self.opened()
            paths = [f"{root}/{name}" if root else name for name in names]
            answers = system.cat_ranges(paths, 0, number, on_error="return") if paths else []
        return [head_in(self / name, answer) for name, answer in zip(names, answers, strict=True)]

    def fetch(self, file: Path) -> None:
        """Copy an object into a file of this machine."""
        with spoken_for(self):
            system, path = self.opened()
            system.get_file(path, str(file))

    def send(self, file: Path) -> tuple[int, int]:
        """Copy a file of this machine to here; returns size in bytes and mark of the copy."""
        with spoken_for(self):
            system, path = self.opened()
            if self.protocol not in EXTRAS:  # those have no folders: a bucket would be made
                system.makedirs(path.rpartition("/")[0], exist_ok=True)
            few = {"max_concurrency": PARTS} if hasattr(system, "max_concurrency") else {}
            system.put_file(str(file), path, **few)
            return facts(system.info(path))

    def remove(self) -> None:
        """Let there be no such object."""
        with spoken_for(self):
            system, path = self.opened()
            if system.exists(path):
                system.rm_file(path)

    def unseen(self) -> str:
        """Why this process cannot read a folder, in words, where somebody has to mend it."""
        if self in reached:
            return ""
        try:
            with spoken_for(self):
                system, path = self.opened()
                system.info(path)
        except ClosedError as error:
            return f"does not see {error}"
        except RemoteError:
            return ""  # it may pass; what it breaks is tried again
        reached.add(self)
        return ""


def address(text: str) -> Address:
    """What a person gave, without what makes no difference."""
    text = SCHEME.sub(lambda scheme: scheme[0].lower(), text, count=1)
    short = text.rstrip("/")
    return Address(text if short.endswith(":") else short)


def timeouts() -> dict[str, Any]:
    """How long S3 is waited for, each time, unless fsspec's settings say so."""
    from fsspec.config import conf

    given = (conf.get(name, {}).get("config_kwargs", {}) for name in sorted(BUCKETS))
    return TIMEOUTS | {name: value for own in given for name, value in own.items()}


def without_password(root: str) -> str:
    """An address as people may see it: without what lets somebody in."""
    for secret in SECRETS:
        root = secret.sub(r"\1***", root)
    return root


def without_secrets(text: str, root: str) -> str:
    """What a package says of an address, as people may see it."""
    for found in (found for secret in SECRETS for found in secret.finditer(root)):
        text = text.replace(found[1] + found[2], f"{found[1]}***")
    return text


def head_in(place: Address, answer: bytes | Exception) -> bytes | None:
    """The first bytes of an object, of which fsspec may give the error instead."""
    if isinstance(answer, FileNotFoundError):
        return b""
    if isinstance(answer, PermissionError):
        return None
    with spoken_for(place):
        if isinstance(answer, Exception):
            raise answer
        return bytes(answer)


def facts(info: Info) -> tuple[int, int]:
    """Size in bytes of an object, and a number that stands for its content, or else its time."""
    for name in (*MARKS, *TIMES):
        if value := info.get(name):
            value = value.timestamp() if isinstance(value, datetime) else value
            value = round(value * 1e6) if isinstance(value, float) else str(value).strip('"')
            known = hashlib.blake2b(f"{value}".encode(), digest_size=8).digest()
            return int(info.get("size") or 0), int.from_bytes(known) >> 1
    return int(info.get("size") or 0), 0


def objects_below(system: Any, root: str, place: Address) -> Iterator[Info]:
    """What a store says of each object below a folder.

    Folders are looked into one by one until there are as many as may be listed at a time.
    """
    waiting = deque([root])
    while waiting and len(waiting) < READERS:
        here = waiting.popleft()
        with waited_for(place):
            infos = system.ls(here, detail=True)
        for info in infos:
            name = str(info["name"])
            if info["type"] != "directory":
                yield info
            elif name.rstrip("/") != here:
                waiting.append(name)
            else:  # an object's name goes on with //
                all_below = system.find(here, detail=True).items()
                yield from (info for name, info in all_below if name.startswith(f"{here}//"))
    for some in ahead(lambda folder: list(system.find(folder, detail=True).values()), waiting):
        yield from some


def ahead(
    work: Callable[[One], Other], things: Iterable[One], most: int = READERS
) -> Iterator[Other]:
    """What `work` makes of each, in order, while threads are at the next ones."""
    with ThreadPoolExecutor(most, "objects") as pool:
        waiting: deque[Future[Other]] = deque()
        try:
            for thing in things:
                waiting.append(pool.submit(work, thing))
                if len(waiting) >= most:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()


@contextmanager
def waited_for(place: Address) -> Iterator[None]:
    """Say what is waited for, where it takes long."""
    told = Timer(
        SLOW_SECONDS,
        lambda: say(
            f"{place}: no answer for {SLOW_SECONDS} s; it is waited for, and tried again: see"
            " whether its endpoint is the right one (docs/scale.md, Object stores)"
        ),
    )
    told.daemon = True
    told.start()
    try:
        yield
    finally:
        told.cancel()


@contextmanager
def spoken_for(place: Address) -> Iterator[None]:
    """Raise in one sentence what fsspec, or what it stands on, raises."""
    try:
        yield
    except (RemoteError, MemoryError):
        raise
    except Exception as error:
        kind, words = in_words(place, error)
        raise kind(f"{place}: {without_secrets(words, place.root)}") from error


def in_words(place: Address, error: Exception) -> tuple[type[RemoteError], str]:
    """What is wrong with a store, and the way out."""
    name, said = type(error).__name__, " ".join(words_of(error).split())
    if isinstance(error, ImportError):
        extra = EXTRAS.get(place.protocol)
        way_out = f"in a checkout .venv/bin/pip install -e '.[{extra}]'" if extra else said
        return (
            ClosedError,
            f"the package that reads {place.protocol}:// is not installed: {way_out}",
        )
    for raised, kind, words in KINDS:
        if isinstance(error, raised):
            return kind, words.format(said=said)
    if name in NO_CREDENTIALS:
        way_out = "set them as the store's own tools want them (docs/scale.md, Object stores)"
        return ClosedError, f"no credentials ({said}): {way_out}"
    if isinstance(error, ValueError) or name in UNKNOWN_BUCKET:
        return ClosedError, f"no address that can be read ({said})"
    return RemoteError, f"the store cannot be reached, or refused ({said or name})"
