"""Files of earlier exports that a new one keeps: by hard links, so that they take no room."""

import errno
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from atelier import files
from atelier.commands import say
from pipeline.dataset import finished
from pipeline.dataset.pack import WHOLE, Part, Plan
from pipeline.rows.parquet import ASIDE

# What a file system says that has no hard links, or no more of them, or is another one.
NO_LINK = {
    errno.EXDEV,
    errno.EPERM,
    errno.EACCES,
    errno.EMLINK,
    errno.ENOSYS,
    errno.EOPNOTSUPP,
}
UNFINISHED_PARTS = "parts.json"  # what an export is going to hold, while it is unfinished


class Kept(NamedTuple):
    """A file of an earlier export, and its name in the new one."""

    there: Path
    name: str


class Known(NamedTuple):
    """A part of an earlier export: its files with their sizes, None where a name says it all."""

    part: Part
    sizes: Mapping[Path, int | None]


def kept_files(plan: Plan, names: Sequence[Sequence[str]], exports: Path | None) -> list[Kept]:
    """Files that hold what a part of the plan does, whose names in it are `names`."""
    wanted = {part.holds: own for part, own in zip(plan.parts, names, strict=True)}
    found: dict[str, list[Kept]] = {}
    for known in earlier_parts(exports) if exports else ():
        holds = known.part.holds
        own = wanted.get(holds, ())
        if holds not in found and len(own) == len(known.sizes) and is_whole(known):
            found[holds] = [Kept(*pair) for pair in zip(known.sizes, own, strict=True)]
    return [kept for some in found.values() for kept in some]


def earlier_parts(exports: Path) -> Iterator[Known]:
    """The parts of finished exports, and of those that were interrupted."""
    for path in finished_exports(exports):
        yield from parts_in(path, path.parent)
    for path in sorted(exports.glob(f"*{finished.UNFINISHED}/{UNFINISHED_PARTS}")):
        for folder in (path.parent / WHOLE).glob("*"):
            yield from parts_in(path, folder)


def finished_exports(exports: Path) -> list[Path]:
    """What finished exports say of themselves."""
    found = sorted(exports.glob(f"*/*/{finished.DESCRIPTION}"))
    return [path for path in found if path.parent.parent.suffix not in (finished.UNFINISHED, ASIDE)]


def parts_in(description: Path, folder: Path) -> list[Known]:
    """The parts that a file tells of, if it can be read; what is not told is packed again."""
    try:
        return [
            Known(
                Part(each["holds"], each["pictures"]),
                {folder / name: size for name, size in each["files"].items()},
            )
            for each in files.json_of(description.read_bytes()).get("parts", [])
        ]
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return []


def is_whole(known: Known) -> bool:
    """Whether all files of a part are there, as long as they were."""
    try:
        sizes = [(path.stat().st_size, told) for path, told in known.sizes.items()]
    except OSError:
        return False
    return all(told in (None, size) for size, told in sizes)


def held_already(plan: Plan, exports: Path) -> int:
    """How many pictures a finished export holds as the plan does; the most of several."""
    facts = (plan.pixels, plan.levels == "all", list(plan.shape))
    counts = [0]
    for path in finished_exports(exports):
        with suppress(OSError, ValueError, KeyError, TypeError):
            told = files.json_of(path.read_bytes())
            if (told["pixels"], told["all_levels"], told["shape"]) == facts:
                counts.append(int(told["pictures"]))
    return max(counts)


def keep_files(kept: Sequence[Kept], folder: Path) -> None:
    """Bring the files into a folder, unless they are there: by links, or where none can be, copied.

    Raises ExportError where the disk has no room for copies.
    """
    left = [each for each in kept if not (folder / each.name).exists()]
    copies = [each for each in left if not is_linked(each.there, folder / each.name)]
    if not copies:
        return
    finished.check_room(folder, sum(each.there.stat().st_size for each in copies))
    for each in copies:
        with files.replacing(folder / each.name) as partial:
            shutil.copyfile(each.there, partial)
    say(f"{len(copies)} record files were copied: {folder} takes no hard links to {kept[0].there}")


def is_linked(there: Path, name: Path) -> bool:
    """Make a hard link; returns False where the file system takes none."""
    try:
        os.link(there, name)
    except OSError as error:
        if error.errno not in NO_LINK:
            raise
        return False
    return True


def described_parts(
    plan: Plan, names: Sequence[Sequence[str]], folder: Path | None
) -> list[dict[str, Any]]:
    """The parts as `parts_in` reads them; without a folder before their files are there."""
    return [
        {
            "files": {name: (folder / name).stat().st_size if folder else None for name in own},
            "pictures": part.pictures,
            "holds": part.holds,
        }
        for part, own in zip(plan.parts, names, strict=True)
    ]
