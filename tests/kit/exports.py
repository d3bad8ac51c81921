"""Small exports for tests: made pictures, the rows of them, and what came of it."""

import io
import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from pipeline.dataset.export import ExportTFRecordsConfig, write_export
from pipeline.engine.crew import EngineConfig
from pipeline.rows.manifest import Row, rows_table
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
    """Their ids are spread evenly, as digests are."""
    return [
        Row(
            id=f"{n * (1 << 24) // count:06x}",
            photo=f"p{n}",
            picture=f"resize/k/pictures/{n % 3}/{n * 7 % 10}.png",
        )
        for n in range(count)
    ]


def photos() -> dict[str, str]:
    """The path of each photo."""
    folders = ("cat", "dog", "ant")
    return {f"p{n}": f"{folders[n % 3]}/{n}.jpg" for n in range(COUNT)}


def run(
    store: Path,
    out: str = "one",
    on: EngineConfig = HERE,
    dataset: DatasetConfig = SMALL,
    progress: list[int] | None = None,
    some: list[Row] | None = None,
    **options: Any,
) -> Path:
    config = ExportTFRecordsConfig(**options)
    tell = (lambda _: None) if progress is None else progress.append
    tables = [rows_table(some or rows())]
    write_export(tables, photos, store / out, store, config, dataset, on, tell)
    return store / out / config.name


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def pictures(folder: Path, number: int = 4) -> list[np.ndarray[Any, Any]]:
    return list(read_records(folder / f"{folder.name}-r{number:02}.tfrecords"))


class AdaPytorchFolder:
    """A zip as stylegan2-ada-pytorch's own reader takes it: what it demands, and what it gives."""

    def __init__(self, path: Path) -> None:
        Image.init()
        self.zip = zipfile.ZipFile(path)
        known = self.zip.namelist()
        endings = [name for name in known if Path(name).suffix.lower() in Image.EXTENSION]
        self.names = sorted(endings)
        self.shape = self.picture(0).shape
        channels, height, width = self.shape
        assert channels in (1, 3) and height == width == 1 << (width.bit_length() - 1)
        labels = json.loads(self.zip.read("dataset.json"))["labels"]
        self.labels = None
        if labels is not None:
            by_name = dict(labels)
            self.labels = np.array([by_name[name.replace("\\", "/")] for name in self.names])
            if self.labels.ndim == 1:
                self.labels = np.eye(self.labels.max() + 1, dtype=np.float32)[self.labels]

    def picture(self, number: int) -> np.ndarray[Any, Any]:
        """C H W, of the shape of the first."""
        with Image.open(io.BytesIO(self.zip.read(self.names[number]))) as image:
            pixels = np.array(image)
        pixels = pixels[:, :, np.newaxis] if pixels.ndim == 2 else pixels
        return pixels.transpose(2, 0, 1)
