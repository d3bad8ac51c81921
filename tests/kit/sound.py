"""A finished store that many tests damage: made once, copied for each."""

import shutil
from pathlib import Path

import pytest

from pipeline.rows import shards
from pipeline.rows.parquet import ASIDE
from pipeline.tasks import Dataset
from tests.kit.store import (
    build,
    fresh,
    photo,
    reference_of_ten,
    results,
    save,
    set_options,
    source_of_six,
    without_models,
)


def made_once(folder: Path, shard_rows: int = 2, **more: object) -> dict[str, object]:
    """A finished store of small shards in `folder`; the options that made it."""
    options = {**source_of_six(folder), **reference_of_ten(folder), **more}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(shards, "MOST_ROWS", shard_rows)
        without_models(patch)
        set_options(**options)
        assert build(Dataset())
    return options


def copied(options: dict[str, object], place: Path) -> Path:
    """The store again, at a place of its own, where the settings lead now."""
    shutil.copytree(str(options["Store_root"]), place, symlinks=True)
    set_options(**{**options, "Store_root": place})
    fresh()
    return place


def more_photos(folder: Path) -> list[Path]:
    """Three portraits more in its source."""
    made = [folder / "photos" / f"more-{number}.png" for number in range(3)]
    for number, path in enumerate(made):
        save(path, photo(20 + number, [(50 + number, 40, 22)]))
    return made


def sound_files(store: Path) -> dict[str, bytes]:
    """What is in it, without what was set aside."""
    return {name: data for name, data in results(store).items() if ASIDE not in name}
