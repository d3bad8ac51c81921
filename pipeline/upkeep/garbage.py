"""Garbage collection: results that no recipe reaches any more."""

import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

from pipeline import options, tasks
from pipeline import stage as stages

KEYED = (*tasks.STAGES, tasks.Trim, tasks.Report)  # all else in the store is never touched

RECIPES = ("luigi.cfg", "recipes/*.cfg")


def garbage(store: Path, more_recipes: Sequence[Path], delete: bool) -> int:
    """List the stage folders that no recipe reaches, and delete them if asked to."""
    recipes = [path for name in RECIPES for path in sorted(options.REPOSITORY.glob(name))]
    reached = {stages.store() / name / key for name, key in keys()}  # this command's own settings
    reached |= {folder for recipe in [*recipes, *more_recipes] for folder in folders(recipe)}
    found = sorted(folder for folder in stage_folders(store) if folder not in reached)
    for folder in found:
        size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
        print(f"{size / 1e6:10.1f} MB  {folder}")
        if delete:
            shutil.rmtree(folder)
    if not found:
        print("nothing to delete: every result is reached by a recipe")
    elif not delete:
        print("these are reached by no recipe; gc --delete deletes them")
    return 0


def folders(recipe: Path) -> Iterator[Path]:
    """The folder of every stage under one recipe, in this command's store."""
    if not recipe.is_file():
        raise options.SettingsError(f"--keep {recipe}: there is no such file")
    with options.recipe(recipe):
        reached = keys()
    for name, key in reached:
        yield stages.store() / name / key


def keys() -> list[tuple[str, str]]:
    """(folder, key) of every stage under the settings in force."""
    steps = [*(stage() for stage in KEYED), *tasks.detects()]
    return [(type(step).__name__.lower(), step.key) for step in steps]


def stage_folders(store: Path) -> Iterator[Path]:
    for stage in KEYED:
        yield from (path for path in (store / stage.__name__.lower()).glob("*") if path.is_dir())
