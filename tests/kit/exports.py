"""Small exports for tests: made pictures, the rows of them, and what came of it."""

from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from pipeline.dataset.export import ExportTFRecordsConfig, write_export
from pipeline.engine.crew import EngineConfig
from pipeline.rows.manifest import Row
from pipeline.sections import DatasetConfig
from tests.kit.records import read_records

HERE = EngineConfig(scheduler="in-process", rows=3)
SMALL = DatasetConfig(size="16", format="png")
COUNT = 10


def draw(path: Path, seed: int, size: tuple[int, int] = (16, 16), mode: str = "RGB") -> None:
    width, height = size
    shape = (height, width, len(mode)) if mode != "L" else (height, width)
    pixels = np.random.default_rng(seed).integers(0, 256, shape, np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


def rows(count: int = COUNT) -> list[Row]:
    return [
        Row(id=f"{n:04x}", photo=f"p{n}", picture=f"resize/k/pictures/{n % 3}/{n * 7 % 10}.png")
        for n in range(count)
    ]


def photos() -> dict[str, Row]:
    folders = ("cat", "dog", "ant")
    return {f"p{n}": Row(id="", path=f"{folders[n % 3]}/{n}.jpg") for n in range(COUNT)}


def run(
    store: Path,
    out: str = "one",
    on: EngineConfig = HERE,
    dataset: DatasetConfig = SMALL,
    progress: list[int] | None = None,
    **options: Any,
) -> Path:
    config = ExportTFRecordsConfig(**options)
    tell = (lambda _: None) if progress is None else progress.append
    write_export(rows(), photos(), store / out, store, config, dataset, on, tell)
    return store / out / config.name


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def pictures(folder: Path, number: int = 4) -> list[np.ndarray[Any, Any]]:
    return list(read_records(folder / f"{folder.name}-r{number:02}.tfrecords"))
