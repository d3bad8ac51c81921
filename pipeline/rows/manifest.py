"""The manifest: what is known about each picture. One row a picture, one Parquet file a result."""

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import cache, lru_cache
from operator import attrgetter
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, get_type_hints, runtime_checkable

from atelier.boxes import Box
from detectors.base import Detection
from pipeline.rows import parquet

if TYPE_CHECKING:
    import pyarrow as pa


class Measures(NamedTuple):
    """What a portrait looks like, in numbers. A hash is None where a picture is flat."""

    crop_hash: bytes | None  # 64 bits: dHash of the rectangle
    crop_fine: bytes | None  # 256 bits
    face_hash: bytes | None  # 64 bits: pHash of the canonical face
    face_fine: bytes | None  # 256 bits
    sharpness: float  # variance of the Laplacian of the face at 160 px
    light: float  # mean of the face, 0 to 255
    colour: float  # deviation of the chroma that lightness does not explain, in levels


@dataclass(frozen=True, slots=True)
class Row:
    """One picture's life so far: every stage fills in a little more.

    Boxes are in pixels of the upright source photo.
    """

    id: str  # the photo's id; children add a suffix: "3f9a.f2" a second face, "3f9a.z" a close-up
    photo: str = ""  # digest of the source photo's bytes: says which file to open
    path: str = ""  # below the source folder; in Ingest's manifest only
    size_bytes: int = 0  # with mtime_ns: the file as Ingest saw it; in Ingest's manifest only
    mtime_ns: int = 0
    clip: str = ""  # the video that this frame is from; in Ingest's manifest only
    second: float | None = None  # where in the clip; in Ingest's manifest only
    format: str = ""  # Pillow's name of the file format
    width: int = 0  # upright, in pixels
    height: int = 0
    boxes: tuple[Detection, ...] = ()  # everything the detector found
    face: Box | None = None  # the canonical face box that the rectangle was built on
    rectangle: Box | None = None  # the part of the photo that is the picture
    measures: Measures | None = None  # in Measure's manifest, and of what FilterQuality dropped
    embedding: str = ""  # names the feature vector: its key in Embed's parts
    score: float | None = None  # distance to the reference set
    parent: str = ""  # id of the row that a close-up was made from
    picture: str = ""  # the written picture, relative to the store
    picture_digest: bytes | None = None  # of its file; None: an earlier version wrote it
    drop: str | None = None  # why a stage let go of it, "reason: detail"; None = kept
    features: bytes = b""  # float32 vector; in Embed's parts only, never in a manifest


class Place(Protocol):
    """Where a file or a folder lies: a Path, or an address in an object store; as text, its name.

    `pipeline/photos` lists and reads both.
    """

    @property
    def name(self) -> str:
        """The last part."""

    @property
    def suffix(self) -> str:
        """What the name ends with, from its last dot on."""

    @property
    def parent(self) -> "Place":
        """The folder that it is in."""

    def __truediv__(self, name: str, /) -> "Place":
        """What lies below it."""


@runtime_checkable
class Far(Place, Protocol):
    """A place that is not on a file system."""

    def unseen(self) -> str:
        """Why this process cannot read from it, in words; nothing where it can, or may soon."""


class Item(NamedTuple):
    """One row to do: its key in the memo, and the file that holds its photo."""

    key: str
    row: Row
    path: Place
    size_bytes: int = 0
    mtime_ns: int | None = None  # with size_bytes: the file as Ingest saw it; None = our own


PLACES: dict[str, Any] = {"path": "", "size_bytes": 0, "mtime_ns": 0, "clip": "", "second": None}
IN_MANIFEST = tuple(f.name for f in fields(Row) if f.name != "features")
NUMBERS = ("measures.sharpness", "measures.light", "measures.colour")
LATER = ("measures",)  # than the first release: they leave a digest as it was where they are None
VOUCHING = ("picture_digest",)  # of a file, whether it is whole; not of the row: in no digest
values = attrgetter(*(name for name in IN_MANIFEST if name not in (*LATER, *VOUCHING)))


@dataclass(frozen=True)
class Facts:
    """What a manifest's header says, so that nobody reads its rows to know it."""

    kept_digest: str  # stands for the rows that go on, in order
    outcome: dict[str, int]  # "kept" and each reason -> number of rows
    notes: list[str]
    numbers: dict[str, float]
    shards: int = 0  # of which the manifest is the list; 0: it holds the rows itself


class Told(NamedTuple):
    """What a stage tells of all its rows."""

    notes: Sequence[str] = ()  # sentences for a person
    numbers: Mapping[str, float] = MappingProxyType({})  # for the report


class Verdict(NamedTuple):
    """Which rows a stage drops, once it has seen all of them, and what it tells of that."""

    drops: Mapping[str, str]  # id -> reason
    told: Told = Told()


def dropped(row: Row, reason: str) -> Row:
    """The row of a picture that goes no further: it stays in the books, with the reason."""
    return replace(row, drop=reason)


def outcome(row: Row) -> str:
    """`kept`, or the reason without its detail."""
    return "kept" if row.drop is None else row.drop.split(":")[0]


def passed_on(rows: Iterable[Row]) -> list[Row]:
    """The kept rows as the next stage sees them: without the places where photos lie."""
    return [replace(row, **PLACES) for row in rows if row.drop is None]


def digest_rows(rows: Iterable[Row]) -> str:
    """Stands for these rows in this order: equal rows, equal digest."""
    hasher = hashlib.blake2b(digest_size=10)
    for row in rows:
        later = [(name, value) for name in LATER if (value := getattr(row, name)) is not None]
        hasher.update(repr((*values(row), *later)).encode())
    return hasher.hexdigest()


def write_rows(
    path: Path,
    table: "pa.Table",
    notes: Sequence[str] = (),
    numbers: Mapping[str, float] = MappingProxyType({}),
) -> None:
    """Write a manifest in one go: readers see no file or the whole one, never half."""
    rows = rows_of(table)
    facts = {
        "kept_digest": digest_rows(passed_on(rows)),
        "outcome": dict(sorted(Counter(map(outcome, rows)).items())),
        "notes": list(notes),
        "numbers": dict(numbers),
    }
    parquet.write_table(path, parquet.with_header(table, facts))


ENCODER = json.JSONEncoder(sort_keys=True, default=list)


def digest(values: Iterable[Any]) -> str:
    """Names a result: equal values, equal name."""
    text = ENCODER.encode(list(values))
    return hashlib.blake2b(text.encode(), digest_size=10).hexdigest()


def digest_values(values: Iterable[Any]) -> str:
    """Stands for these values in this order."""
    hasher = hashlib.blake2b(digest_size=10)
    for value in values:
        hasher.update(repr(value).encode())
    return hasher.hexdigest()


def read_manifest(path: Path) -> list[Row]:
    """The rows of one file, in order."""
    return rows_of(read_columns(path, IN_MANIFEST))


def top_names(names: Sequence[str]) -> list[str]:
    """The columns of which fields are named, too."""
    return list(dict.fromkeys(name.partition(".")[0] for name in names))


def read_columns(path: Path, names: Sequence[str]) -> "pa.Table":
    """These columns of one file, in this order; one that it lacks holds nothing.

    Of the numbers in Measures it gets those alone that are named as in NUMBERS.
    """
    import pyarrow as pa

    table = parquet.read_table(path, names)
    names = top_names(names)
    there = set(table.column_names)
    if there.issuperset(names):
        return table.select(list(names))
    kinds = schema() | {"features": pa.binary()}
    found = {n: table.column(n) if n in there else pa.nulls(len(table), kinds[n]) for n in names}
    return pa.table(found)


@lru_cache(maxsize=1024)
def facts(path: Path) -> Facts:
    """The header of a manifest. A manifest never changes, so it is read once."""
    return Facts(**parquet.read_header(path))


def rows_table(rows: Sequence[Row], **more: tuple["pa.DataType", list[Any]]) -> "pa.Table":
    """Rows as an Arrow table; `more` are further columns: name -> (type, values)."""
    import pyarrow as pa

    columns: dict[str, Any] = {}
    for name, kind in schema().items():
        column = [getattr(row, name) for row in rows]
        columns[name] = pa.array([plain(value) for value in column], kind)
    columns |= {name: pa.array(column, kind) for name, (kind, column) in more.items()}
    return pa.table(columns)


@cache
def schema() -> dict[str, "pa.DataType"]:
    """The columns of a manifest, and their kinds."""
    import pyarrow as pa

    box = pa.list_(pa.int64(), 4)
    detections = pa.list_(
        pa.struct([("label", pa.string()), ("score", pa.float64()), ("box", box)])
    )
    kinds: dict[Any, Any] = {
        int: pa.int64(),
        str: pa.string(),
        float: pa.float64(),
        float | None: pa.float64(),
        str | None: pa.string(),
        bytes | None: pa.binary(),
    }
    kinds |= {Box | None: box, tuple[Detection, ...]: detections}
    hints = get_type_hints(Measures)
    kinds[Measures | None] = pa.struct([(n, kinds[kind]) for n, kind in hints.items()])
    return {f.name: kinds[f.type] for f in fields(Row) if f.name in IN_MANIFEST}


def plain(value: Any) -> Any:
    """A field as Arrow wants it: named tuples become dicts."""
    if isinstance(value, Measures):
        return value._asdict()
    if isinstance(value, tuple) and value and isinstance(value[0], Detection):
        return [found._asdict() for found in value]
    return value


def rows_of(table: "pa.Table") -> list[Row]:
    """The rows of an Arrow table; columns that are no field of a row are left out."""
    names = [name for name in IN_MANIFEST if name in table.column_names]
    columns = {name: table.column(name).to_pylist() for name in names}
    for name in {"face", "rectangle"}.intersection(names):
        columns[name] = [Box(*box) if box else None for box in columns[name]]
    if "boxes" in columns:
        columns["boxes"] = [
            tuple(Detection(d["label"], d["score"], Box(*d["box"])) for d in found)
            for found in columns["boxes"]
        ]
    if "measures" in columns:
        columns["measures"] = [Measures(**m) if m else None for m in columns["measures"]]
    return [
        Row(**dict(zip(names, row, strict=True)))
        for row in zip(*(columns[name] for name in names), strict=True)
    ]
