"""What the recipes reach in a store: manifests, from them shards, rows, pictures and exports."""

import configparser
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline import options, tasks
from pipeline.dataset import finished, pack
from pipeline.options import SettingsError
from pipeline.rows import columns
from pipeline.rows.shards import listed_shards
from pipeline.stage import Stage, Step, store

if TYPE_CHECKING:
    import pyarrow as pa

KEYED = (*tasks.STAGES, tasks.Trim, tasks.Report)  # all else in the store is never touched
RECIPES = ("luigi.cfg", "recipes/*.cfg")


@dataclass
class Marks:
    """All that some recipe reaches."""

    folders: set[Path] = field(default_factory=set)  # of stages
    done: set[Path] = field(default_factory=set)  # those in which it is known what is reached
    undone: set[Path] = field(default_factory=set)  # those in which a recipe may find anything
    files: set[Path] = field(default_factory=set)  # manifests, shards, pages, exports
    keys: "dict[Path, list[pa.Array]]" = field(default_factory=lambda: defaultdict(list))
    pictures: "dict[Path, list[pa.Array]]" = field(default_factory=lambda: defaultdict(list))

    @property
    def exact(self) -> set[Path]:
        """The folders in which what is not marked is reached by nobody."""
        return self.done - self.undone


def marked(root: Path, more_recipes: Sequence[Path]) -> Marks:
    """What this command's settings, the repository's recipes and these reach in a store."""
    found = Marks()
    for path in RECIPES:
        for recipe in sorted(options.REPOSITORY.glob(path)):
            mark_recipe(root, recipe, found)
    for recipe in more_recipes:
        if not recipe.is_file():
            raise SettingsError(f"--keep {recipe}: there is no such file")
        mark_recipe(root, recipe, found, own=True)
    mark_settings(found, own=True)
    mark_shown(root / "report.html", found)
    return found


def mark_shown(page: Path, marks: Marks) -> None:
    """Mark the report that a person opens, whichever settings it tells of."""
    if page.is_symlink() and page.exists():
        report = page.parent / page.readlink()
        marks.files.add(report)
        marks.folders.add(report.parent)
        marks.done.add(report.parent)


def mark_recipe(root: Path, recipe: Path, marks: Marks, own: bool = False) -> None:
    """Mark what a recipe reaches in this store, whichever it names.

    A person's own that names no photos is meant for those of this command.
    """
    photos = options.recipe_value("Ingest", "source")
    with options.recipe(recipe):
        if own:
            check_kept(recipe)
        options.set_option("Store-root", str(root))
        if own and not options.recipe_value("Ingest", "source"):
            options.set_option("Ingest-source", photos)
        mark_settings(marks, own)


def check_kept(recipe: Path) -> None:
    """Raise SettingsError where not all that a recipe says is understood: all of it is to stay."""
    try:
        options.check_recipe()
    except (configparser.Error, UnicodeDecodeError, SettingsError) as error:
        raise SettingsError(f"--keep {recipe}: {' '.join(str(error).split())}") from None


def mark_settings(marks: Marks, own: bool) -> None:
    """Mark what is reached under the settings in force.

    Those whose photos are not there reach no rows; `own`, a person's, then keep all.
    """
    marks.folders |= {step.folder for step in stages()}
    known: dict[Step, bool] = {}
    try:
        for step in in_order():
            known[step] = all(known[each] for each in step.parents) and step.path.is_file()
            if known[step]:
                mark_step(step, marks)
            else:
                mark_undone(step, marks)
    except SettingsError:
        for step in in_order() if own else []:
            mark_undone(step, marks)


def stages() -> list[Step]:
    """Every stage under the settings in force, in use or not."""
    return [*(stage() for stage in KEYED), *tasks.detects()]


def in_order() -> list[Step]:
    """The stages in use, each after those whose rows come in."""
    found: dict[Step, None] = {}

    def visit(step: Step) -> None:
        for each in step.parents:
            visit(each)
        found.setdefault(step)

    for step in [*tasks.of_reference(), tasks.Report()]:
        visit(step)
    return list(found)


def mark_undone(step: Step, marks: Marks) -> None:
    """Keep all that a stage has begun: it goes on from there."""
    marks.undone.add(step.folder)
    if isinstance(step, tasks.ExportTFRecords):
        marks.files |= set((store() / finished.RECORDS).glob(f"{step.key}-*{finished.UNFINISHED}"))


def mark_step(step: Step, marks: Marks) -> None:
    """Mark what a stage that is done needs."""
    marks.done.add(step.folder)
    marks.files.add(step.path)
    if isinstance(step, tasks.Report):
        return
    marks.files |= {shard.file for shard in listed_shards(step.path)}
    if isinstance(step, tasks.ExportTFRecords):
        marks.files |= {step.records, pack.unfinished(step.records)}
    if isinstance(step, Stage):
        marks.files |= {step.file_of(prefix) for prefix in step.prefixes()}
        marks.keys[step.folder] += keys_of_rows(step)
        marks.pictures[step.folder] += list(pictures_of_rows(step))


def keys_of_rows(step: Stage) -> "Iterator[pa.Array]":
    """The keys of the rows that came in, and of those that were done besides."""
    for prefix in step.prefixes():
        yield step.keys(step.portion(prefix))
    if isinstance(step, tasks.Embed):
        yield columns.array([step.row_key(row) for row in step.refused()])


def pictures_of_rows(step: Stage) -> Iterator[Any]:
    """The pictures that a stage wrote, relative to the store: of videos their frames."""
    import pyarrow.compute as pc

    for table in step.made().tables(("picture", "path", "clip")):
        yield columns.combined(table.column("picture"))
        frames = table.filter(pc.not_equal(table.column("clip"), ""))
        yield columns.combined(frames.column("path"))
