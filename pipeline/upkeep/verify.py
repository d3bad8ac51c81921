"""`python -m pipeline verify`: is every file of the store as it was written? `--repair` mends it.

What is derived is taken out of the way and made again; what is not is named, and never altered.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from atelier import files
from atelier.cores import cores
from pipeline import tasks
from pipeline.engine.progress import Bar
from pipeline.rows import columns, memo, parquet, shards
from pipeline.stage import Step
from pipeline.upkeep.looks import Fault, Look, looks
from pipeline.upkeep.marks import KEYED

LEFT = {  # what is not mended, and what a person may do
    "own": "it cannot be made again, and is left as it is: bring it back from a copy",
    "unread": "it may be whole, and is left as it is: look to the disk, the mount or the network,"
    " and ask again",
}
TO_REPAIR = "verify --repair makes it again"
REPAIRED = "out of the way"


def verify(store: Path, repair: bool, build: Callable[[], int]) -> int:
    """Name every damaged thing, and mend what can be, if asked to; `build` runs the recipe.

    Returns the exit code: 1 where something is damaged and stays so.
    """
    faults = []
    for fault in found_in(store):
        faults.append(fault)
        derived = REPAIRED if repair else TO_REPAIR
        print(f"{fault.path}: {fault.what}; {LEFT.get(fault.kind, derived)}")
    if not faults:
        print("every file is as it was written")
        return 0
    derived_ones = [fault for fault in faults if fault.kind not in LEFT]
    if not repair:
        return 1
    needed = in_recipe(derived_ones)
    mend(derived_ones)
    if needed and (code := build()):
        return code
    return 1 if len(derived_ones) < len(faults) else 0


def found_in(store: Path) -> Iterator[Fault]:
    """Every damaged thing, as it is found: as fast as the disk gives the files."""
    work = list(looks(store, folder_names()))
    for copy in tasks.Publish.asked_for():
        work += [Look(told, "copy", partial(copy.faults, told)) for told in copy.finished()]
    with (
        Bar("verify", sum(look.files for look in work), lambda *_: None, "files") as bar,
        ThreadPoolExecutor(cores()) as pool,
    ):
        for look, found in zip(work, pool.map(lambda look: look.faults(), work), strict=True):
            yield from found
            bar.advance(look.files)


def folder_names() -> list[str]:
    """What the folders of the stages are called."""
    return [stage.__name__.lower() for stage in KEYED]


def in_recipe(faults: Sequence[Fault]) -> bool:
    """Whether the recipe reaches any of it."""
    steps: list[Step] = [*tasks.of_reference(), *tasks.in_use(), *tasks.detects(), tasks.Report()]
    steps += tasks.Publish.asked_for()
    steps += tasks.detects("reference") if tasks.of_reference() else []
    folders = {step.folder for step in steps}
    return any(
        fault.kind == "link"
        or not folders.isdisjoint(fault.path.parents)
        or (fault.kind == "export" and is_made_again(fault.path.parents[1]))
        for fault in faults
    )


def mend(faults: Sequence[Fault]) -> None:
    """Take what is damaged out of the way, so that who needs it makes it again."""
    pictures = defaultdict[Path, set[Path]](set)
    for fault in faults:
        if fault.kind == "picture":
            pictures[stage_folder(fault.path)].add(fault.path)
        else:
            AWAY[fault.kind](fault.path)
    for folder, damaged in pictures.items():
        for path in damaged:
            parquet.put_aside(path)
        memo.forget(folder / parquet.PARTS, keys_of_pictures(folder, damaged))
        shards.forget_made(folder)
    shards.forget_cached()


def is_made_again(out: Path) -> bool:
    """Whether the recipe makes exports of this kind, for the photos that are there now."""
    return out.name.startswith(f"{tasks.ExportTFRecords().key}-")


AWAY: dict[str, Callable[[Path], None]] = {
    "table": parquet.set_aside,
    "vectors": lambda parts: shards.forget_made(parts.parent),
    "export": lambda file: parquet.put_aside(file.parents[1]),  # not all are made again
    "page": parquet.put_aside,
    "link": files.remove,
    "copy": files.remove,
}


def stage_folder(picture: Path) -> Path:
    """The folder of the stage that wrote a picture, which lies in pictures/ab/."""
    return picture.parents[2]


def keys_of_pictures(folder: Path, pictures: set[Path]) -> set[str]:
    """The keys of the rows of a stage's memo that made these pictures."""
    store, found = folder.parents[1], set[str]()
    for part in memo.files(folder / parquet.PARTS):
        table = memo.read(part, ["key", "path", "picture"])
        names = zip(*(columns.ids(table, n) for n in ("key", "path", "picture")), strict=True)
        found |= {key for key, *own in names if not pictures.isdisjoint(store / n for n in own)}
    return found
