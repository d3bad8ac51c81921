"""ExportTFRecords: the pictures -> a dataset as one of NVlabs' programs reads it."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from atelier import files
from atelier.options import option
from pipeline.dataset import pack, publish, whole
from pipeline.dataset.ada_pytorch import ZipLayout
from pipeline.dataset.labels import labels_of
from pipeline.dataset.nvlabs import NvlabsLayout
from pipeline.dataset.pack import Export, Plan, Progress
from pipeline.dataset.publish import ExportError
from pipeline.dataset.records import Shape
from pipeline.engine.crew import EngineConfig
from pipeline.engine.unit import Batch
from pipeline.options import Settings, keyed
from pipeline.rows import columns
from pipeline.sections import DatasetConfig

if TYPE_CHECKING:
    import pyarrow as pa

Paths = Callable[[], Mapping[str, str]]  # a photo's id -> its path, or that of its video

READS = ("id", "photo", "picture", "picture_digest")
SHUFFLE_SEED = 123  # dataset_tool's
CHANNELS = {"grey": 1, "rgb": 3, "rgba": 4}
LIBRARIES = ("numpy", "pillow", "google-crc32c")
LAYOUTS: Mapping[str, Export] = {"nvlabs": NvlabsLayout(), "zip": ZipLayout()}


@dataclass(frozen=True)
class ExportTFRecordsConfig(Settings):
    """The dataset that StyleGAN2 is trained on: multi-resolution TFRecords, or a zip."""

    name: str = option("dataset", "name of the dataset: its folder, and how its files begin")
    labels: str = option(
        "none",
        "none; folder: the first folder of the photo's path is its class; or a CSV file with the"
        " columns file and label",
        keyed="content",
        path=True,
    )
    layout: str = option(
        "nvlabs", "; ".join(f"{name}: {way.help}" for name, way in LAYOUTS.items()), later=True
    )
    keep: int = option(1, "exports that are kept, the newest included", low=1, keyed="never")

    def __post_init__(self) -> None:
        super().__post_init__()
        if not files.is_name(self.name):
            self.refuse("name", files.NAMING)
        if self.layout not in LAYOUTS:
            self.refuse("layout", f"choose one of {', '.join(LAYOUTS)}")
        if self.labels not in ("none", "folder") and not Path(self.labels).is_file():
            self.refuse("labels", "give none, folder, or the path of a CSV file that exists")


def write_export(
    table: "pa.Table",
    paths: Paths,
    out: Path,
    store: Path,
    config: ExportTFRecordsConfig,
    dataset: DatasetConfig,
    on: EngineConfig,
    progress: Progress,
) -> list[str]:
    """Make `out`/<name>/ from the kept rows; returns notes for the person who runs it.

    Of the rows the columns READS are given. What an unfinished run of the same export left is
    taken over. Raises ExportError, or SettingsError for labels that do not fit.
    """
    if not len(table):
        raise ExportError(
            "no picture is left to export: `python -m pipeline status` says where the photos went"
        )
    ordered = table.take(by_name(table).take(order(len(table))))
    labels = labels_of(columns.ids(ordered, "photo"), paths, config.labels)
    layout, shape = LAYOUTS[config.layout], shape_of(dataset)
    if out.is_dir() and not whole.is_whole(out / config.name):
        whole.forget_export(out, publish.UNFINISHED)
    if not out.is_dir():
        items = pictures_of(ordered, store)
        plan = pack.plan_of(items, config.name, shape)
        made = pack.pack_all(items, plan, layout, out, store, on, progress)
        layout.finish(made / config.name, plan, labels.one_hot() if labels else None)
        described = {"ExportTFRecords": keyed(config), "Dataset": keyed(dataset)}
        classes, names = labels.classes if labels else None, columns.ids(ordered)
        describe(made / config.name, plan, layout, names, classes, described)
        publish.publish(made, out)
    pack.clear(out)
    return layout.notes(shape)


def by_name(table: "pa.Table") -> "pa.Array":
    """The numbers of the rows in the order of their pictures' file names."""
    import pyarrow as pa
    import pyarrow.compute as pc

    names = pc.replace_substring_regex(table.column("picture"), "^.*/", "")
    known = pa.table({"name": names, "id": table.column("id")})
    return pc.sort_indices(known, [("name", "ascending"), ("id", "ascending")])


def pictures_of(ordered: "pa.Table", store: Path) -> Batch:
    """The pictures of the rows, as work for whoever packs them."""
    import pyarrow as pa

    count = len(ordered)
    told = {
        "key": ordered.column("id"),
        "file": ordered.column("picture"),
        "made": pa.repeat(True, count),
        "seen_bytes": pa.repeat(0, count),
        "seen_ns": pa.nulls(count, pa.int64()),
    }
    own = {name: ordered.column(name) for name in READS}
    return Batch(pa.table(own | told).combine_chunks(), store, store)


def make_newest(out: Path, link: Path, config: ExportTFRecordsConfig) -> None:
    """Let `link` lead to the export in `out`, and remove those that are too many."""
    publish.link(link, out / config.name)
    publish.prune(out.parent, config.keep, out)


def check_export(
    photos: Sequence[str],
    paths: Paths,
    to_write: int,
    store: Path,
    config: ExportTFRecordsConfig,
    dataset: DatasetConfig,
) -> None:
    """Raise what would make the export fail, before the pictures are written.

    That is a photo without a label, or no room for the records and the pictures still to write.
    `photos` has the photo of each picture.
    """
    labels_of(photos, paths, config.labels)
    need = LAYOUTS[config.layout].disk_need(len(photos), shape_of(dataset))
    publish.check_room(store, need + to_write * usual_bytes(dataset))


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


def describe(
    folder: Path,
    plan: Plan,
    layout: Export,
    ids: Sequence[str],
    classes: Sequence[str] | None,
    config: Mapping[str, Any],
) -> None:
    """Write dataset.json: what is in the dataset, in which order, made by what."""
    facts = {
        "name": plan.name,
        "pictures": len(ids),
        "shape": plan.shape,
        **layout.facts(plan.name, plan.shape, classes),
        "config": config,
        "versions": {library: version(library) for library in LIBRARIES},
        "order": ids,
    }
    (folder / publish.DESCRIPTION).write_text(json.dumps(facts, indent=1) + "\n")
    whole.list_files(folder)
