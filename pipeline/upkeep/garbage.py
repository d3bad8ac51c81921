"""Garbage collection: results that no recipe reaches any more, and what nobody finished.

What is swept is listed first. A kill in the middle leaves a store that works: nothing that is
reached is touched, and rows go before the pictures that they name.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from atelier import files
from atelier.commands import number_of
from pipeline.dataset.finished import EXPORT, KEY, UNFINISHED
from pipeline.rows import columns, memo
from pipeline.rows.parquet import ASIDE, PARTS, SHARDS
from pipeline.upkeep.marks import KEYED, Marks, marked

if TYPE_CHECKING:
    import pyarrow as pa

LEFT = re.compile(rf"{EXPORT}({re.escape(UNFINISHED)}|{re.escape(ASIDE)})")
RESULT = re.compile(rf"([0-9a-f]+-)?{KEY}|unfinished")  # of a stage; the last: a report's page


@dataclass(frozen=True)
class Heap:
    """Things of one kind that are to go."""

    folder: Path
    what: str  # empty: the whole folder
    size: float  # bytes
    sweep: Callable[[], None]


def garbage(store: Path, more_recipes: Sequence[Path], delete: bool) -> int:
    """List what no recipe reaches, and delete it if asked to."""
    marks = marked(store, more_recipes)
    found = list(heaps(store, marks))
    for heap in found:
        print(f"{heap.size / 1e6:10.1f} MB  {heap.folder}{heap.what and f': {heap.what}'}")
        if delete:
            heap.sweep()
    if kept := [folder for folder in marks.undone if folder.is_dir()]:
        print(f"{number_of(len(kept), 'stage')} not done yet: all that is there is kept until then")
    total = f"{sum(heap.size for heap in found) / 1e6:.1f} MB"
    if not found:
        print("nothing to delete: every result is reached by a recipe")
    elif delete:
        print(f"deleted: {total}")
    else:
        print(f"these, {total}, are reached by no recipe; gc --delete deletes them")
    return 0


def heaps(store: Path, marks: Marks) -> Iterator[Heap]:
    """All that is to go; nothing is altered yet."""
    for folder in sorted(stage_folders(store)):
        if folder not in marks.folders:
            yield of_paths(folder, "", [folder])
            continue
        if folder in marks.exact:
            yield from superseded(folder, marks)
        strays = [*half_written(folder.rglob), *folder.rglob(f"*{ASIDE}")]
        yield from some(folder, "file", "damaged, or not finished by anybody", strays)
    beside = [path for path in sorted((store / "records").glob("*")) if LEFT.fullmatch(path.name)]
    left = [path for path in beside if path not in marks.files]
    yield from some(store / "records", "export", "damaged, or not finished by anybody", left)
    yield from some(store, "file", "not finished by anybody", half_written(store.glob))


def half_written(found: Callable[[str], Iterator[Path]]) -> list[Path]:
    """What a process began to write, by its name."""
    return [path for path in found(".*.partial") if files.PARTIAL.fullmatch(path.name)]


def stage_folders(store: Path) -> Iterator[Path]:
    """The folders that are named by a stage's key; others are a person's."""
    for stage in KEYED:
        found = (store / stage.__name__.lower()).glob("*")
        yield from (path for path in found if path.is_dir() and re.fullmatch(KEY, path.name))


def superseded(folder: Path, marks: Marks) -> Iterator[Heap]:
    """What nobody reaches in a stage's folder that is in use."""
    for where, noun, why in (
        ("*.parquet", "manifest", "superseded by later ones"),
        (f"{SHARDS}/*.parquet", "shard", "listed by no manifest"),
        ("*.html", "report", "superseded by later ones"),
    ):
        found = (path for path in sorted(folder.glob(where)) if RESULT.fullmatch(path.stem))
        yield from some(folder, noun, why, [path for path in found if path not in marks.files])
    yield from forgotten_rows(folder, marks.keys[folder])
    yield from forgotten_pictures(folder, marks.pictures[folder])


def forgotten_rows(folder: Path, keys: "list[pa.Array]") -> Iterator[Heap]:
    """The results in a stage's memo that no row asks for."""
    import pyarrow as pa
    import pyarrow.compute as pc

    known = pa.concat_arrays([pa.array([], pa.string()), *(k.cast(pa.string()) for k in keys)])
    kept, count, size = dict[Path, list[int]](), 0, 0.0
    for part in memo.files(folder / PARTS):
        own = columns.combined(memo.read(part, ["key"]).column("key"))
        left = np.flatnonzero(pc.is_in(own, known).to_numpy(zero_copy_only=False)).tolist()
        if len(left) < len(own):
            kept[part] = left
            count += len(own) - len(left)
            size += part.stat().st_size * (1 - len(left) / len(own))
    if count:
        what = f"{number_of(count, 'result')} asked for by no row"
        yield Heap(folder, what, size, lambda: sweep_rows(kept))


def sweep_rows(kept: dict[Path, list[int]]) -> None:
    """Leave only these rows of each part."""
    for part, numbers in kept.items():
        memo.keep(part, numbers)


def forgotten_pictures(folder: Path, pictures: "list[pa.Array]") -> Iterator[Heap]:
    """The pictures that no row names."""
    names = {folder.parents[1] / name for some in pictures for name in some.to_pylist() if name}
    found = (path for path in folder.glob("pictures/*/*") if path.suffix in (".jpg", ".png"))
    there = (path for path in found if path.name[:2] == path.parent.name)  # as ours all lie
    old = [path for path in sorted(there) if path not in names and not path.name.startswith(".")]
    yield from some(folder, "picture", "named by no row", old)


def some(folder: Path, noun: str, why: str, paths: Sequence[Path]) -> Iterator[Heap]:
    """A heap of them, if there are any."""
    if paths:
        yield of_paths(folder, f"{number_of(len(paths), noun)} {why}", paths)


def of_paths(folder: Path, what: str, paths: Sequence[Path]) -> Heap:
    def sweep() -> None:
        for path in paths:
            files.remove(path)

    return Heap(folder, what, sum(map(size_of, paths)), sweep)


def size_of(path: Path) -> int:
    """Bytes in a file, or in all files of a folder."""
    found = path.rglob("*") if path.is_dir() and not path.is_symlink() else [path]
    return sum(each.lstat().st_size for each in found if each.is_symlink() or each.is_file())
