"""ExportTFRecords: the pictures -> multi-resolution records that NVlabs/stylegan2 reads."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from atelier import files
from atelier.options import option
from pipeline.dataset import pack, publish, records
from pipeline.dataset.labels import Labels, labels_of
from pipeline.dataset.pack import Progress
from pipeline.dataset.publish import ExportError
from pipeline.dataset.records import Shape
from pipeline.engine.crew import EngineConfig
from pipeline.options import Settings, keyed
from pipeline.rows.manifest import Item, Row
from pipeline.sections import DatasetConfig

SHUFFLE_SEED = 123  # dataset_tool's
CHANNELS = {"grey": 1, "rgb": 3, "rgba": 4}
LIBRARIES = ("numpy", "pillow", "google-crc32c")


@dataclass(frozen=True)
class ExportTFRecordsConfig(Settings):
    """The multi-resolution TFRecords that StyleGAN2 is trained on."""

    name: str = option("dataset", "name of the dataset: its folder, and how its files begin")
    labels: str = option(
        "none",
        "none; folder: the first folder of the photo's path is its class; or a CSV file with the"
        " columns file and label",
        keyed="content",
        path=True,
    )
    keep: int = option(1, "exports that are kept, the newest included", low=1, keyed="never")

    def __post_init__(self) -> None:
        super().__post_init__()
        if not files.is_name(self.name):
            self.refuse("name", files.NAMING)
        if self.labels not in ("none", "folder") and not Path(self.labels).is_file():
            self.refuse("labels", "give none, folder, or the path of a CSV file that exists")


def write_export(
    rows: Sequence[Row],
    photos: Mapping[str, Row],
    out: Path,
    store: Path,
    config: ExportTFRecordsConfig,
    dataset: DatasetConfig,
    on: EngineConfig,
    progress: Progress,
) -> list[str]:
    """Make `out`/<name>/ from the kept rows; returns notes for the person who runs it.

    `photos` maps a photo's id to its row in Ingest's manifest. What an unfinished run of the same
    export left is taken over. Raises ExportError, or SettingsError for labels that do not fit.
    """
    if not rows:
        raise ExportError(
            "no picture is left to export: `python -m pipeline status` says where the photos went"
        )
    by_name = sorted(rows, key=lambda row: (Path(row.picture).name, row.id))
    ordered = [by_name[index] for index in order(len(rows))]
    labels = labels_of(ordered, photos, config.labels)
    shape = shape_of(dataset)
    if not out.is_dir():
        items = [Item(row.id, row, store / row.picture) for row in ordered]
        whole = pack.pack_all(items, config.name, shape, out, store, on, progress)
        described = {"ExportTFRecords": keyed(config), "Dataset": keyed(dataset)}
        describe(whole / config.name, shape, [row.id for row in ordered], labels, described)
        publish.publish(whole, out)
    pack.clear(out)
    return export_notes(shape)


def make_newest(out: Path, link: Path, config: ExportTFRecordsConfig) -> None:
    """Let `link` lead to the export in `out`, and remove those that are too many."""
    publish.link(link, out / config.name)
    publish.prune(out.parent, config.keep, out)


def check_export(
    rows: Sequence[Row],
    photos: Mapping[str, Row],
    to_write: int,
    store: Path,
    config: ExportTFRecordsConfig,
    dataset: DatasetConfig,
) -> None:
    """Raise what would make the export fail, before the pictures are written.

    That is a photo without a label, or no room for the records and the pictures still to write.
    """
    labels_of(rows, photos, config.labels)
    need = disk_need(len(rows), shape_of(dataset)) + to_write * usual_bytes(dataset)
    publish.check_room(store, need)


def shape_of(dataset: DatasetConfig) -> Shape:
    """Channels, height, width of the dataset's pictures."""
    width, height = dataset.width_height
    return CHANNELS[dataset.channels], height, width


def order(count: int) -> list[int]:
    """Which of the pictures, sorted by file name, comes at each place: as dataset_tool shuffles."""
    indices = np.arange(count)
    np.random.RandomState(SHUFFLE_SEED).shuffle(indices)
    return [int(index) for index in indices]


def usual_bytes(config: DatasetConfig) -> int:
    """About the size of a picture's file: a photo in JPEG at quality 95, or in PNG."""
    width, height = config.width_height
    return width * height * (2 if config.format == "png" else 1) // 3


def disk_need(count: int, shape: Shape) -> int:
    """Bytes that the records of `count` pictures take."""
    return count * sum(records.record_bytes(level.shape) for level in records.levels(*shape))


def describe(
    folder: Path, shape: Shape, ids: Sequence[str], labels: Labels | None, config: Mapping[str, Any]
) -> None:
    """Write the labels, and dataset.json: what is in the records, in which order, made by what."""
    name = folder.name
    if labels:
        with (folder / f"{name}-rxx.labels").open("wb") as file:
            np.save(file, labels.one_hot())
    levels = [
        {"file": pack.Plan(name, shape, {}).path(level).name, "shape": level.shape}
        for level in records.levels(*shape)
    ]
    facts = {
        "name": name,
        "pictures": len(ids),
        "shape": shape,
        "alpha": "premultiplied" if shape[0] == 4 else None,
        "levels": levels,
        "classes": labels.classes if labels else None,
        "read_by_nvlabs_stylegan2": not export_notes(shape),
        "config": config,
        "versions": {library: version(library) for library in LIBRARIES},
        "order": ids,
    }
    (folder / publish.DESCRIPTION).write_text(json.dumps(facts, indent=1) + "\n")


def export_notes(shape: Shape) -> list[str]:
    """Why NVlabs/stylegan2 cannot read records of this shape; nothing where it can."""
    channels, height, width = shape
    reasons = []
    if channels == 4:
        reasons.append("they have 4 channels, it reads 1 or 3")
    if height != width:
        reasons.append(f"{width} x {height} is not square")
    elif height < 4 or height & (height - 1):
        reasons.append(f"{height} is no power of two")
    return [f"NVlabs/stylegan2 cannot read these records: {', '.join(reasons)}"] if reasons else []
