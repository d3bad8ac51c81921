"""Files of earlier exports that a new one keeps: by hard links, so that they take no room."""

import errno
import json
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from atelier import files
from atelier.commands import say
from pipeline.dataset import publish
from pipeline.dataset.pack import Part, Plan

# What a file system says that has no hard links, or no more of them, or is another one.
NO_LINK = {
    errno.EXDEV,
    errno.EPERM,
    errno.EACCES,
    errno.EMLINK,
    errno.ENOSYS,
    errno.EOPNOTSUPP,
}


class Kept(NamedTuple):
    """A file of an earlier export, and its name in the new one."""

    there: Path
    name: str


def described_exports(exports: Path) -> Iterator[tuple[Path, Mapping[str, Any]]]:
    """The folders of finished exports that are cut into parts, and what each says of itself."""
    for path in sorted(exports.glob(f"*/*/{publish.DESCRIPTION}")):
        if path.parent.parent.suffix != publish.UNFINISHED:
            try:
                facts = json.loads(path.read_bytes())
            except (OSError, ValueError):
                continue  # what cannot be read keeps nothing; its pictures are packed again
            if isinstance(facts, dict) and facts.get("parts"):
                yield path.parent, facts


def kept_files(plan: Plan, names: Sequence[Sequence[str]], exports: Path | None) -> list[Kept]:
    """Files that hold what a part of the plan does, whose names in it are `names`."""
    wanted = {part.holds: own for part, own in zip(plan.parts, names, strict=True)}
    found: dict[str, list[Kept]] = {}
    for folder, facts in described_exports(exports) if exports else ():
        for part in facts["parts"]:
            own = wanted.get(part["holds"])
            if own and part["holds"] not in found and is_whole(folder, part["files"]):
                pairs = zip(part["files"], own, strict=True)
                found[part["holds"]] = [Kept(folder / old, new) for old, new in pairs]
    return [kept for some in found.values() for kept in some]


def is_whole(folder: Path, sizes: Mapping[str, int]) -> bool:
    """Whether all files of a part are there, as long as they were."""
    try:
        return all((folder / name).stat().st_size == size for name, size in sizes.items())
    except OSError:
        return False


def keep_files(kept: Sequence[Kept], folder: Path) -> None:
    """Bring the files into a folder, unless they are there: by links, or where none can be, copied.

    Raises ExportError where the disk has no room for copies.
    """
    left = [each for each in kept if not (folder / each.name).exists()]
    copies = [each for each in left if not is_linked(each.there, folder / each.name)]
    if not copies:
        return
    publish.check_room(folder, sum(each.there.stat().st_size for each in copies))
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


def most_kept(plan: Plan, exports: Path) -> int:
    """How many pictures an earlier export holds in the same way; the largest of several."""
    held = [plan.pixels, plan.levels, list(plan.shape)]
    counts = [
        sum(part["pictures"] for part in facts["parts"])
        for _, facts in described_exports(exports)
        if [facts["pixels"], facts["levels"], facts["shape"]] == held
    ]
    return max(counts, default=0)


def as_said(plan: Plan, names: Sequence[Sequence[str]], folder: Path) -> list[dict[str, Any]]:
    """The parts of an export, as dataset.json says them and as `kept_files` reads them."""
    return [told_part(part, own, folder) for part, own in zip(plan.parts, names, strict=True)]


def told_part(part: Part, names: Sequence[str], folder: Path) -> dict[str, Any]:
    sizes = {name: (folder / name).stat().st_size for name in names}
    return {"files": sizes, "pictures": part.pictures, "holds": part.holds}
