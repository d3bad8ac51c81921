"""ExportTFRecords: the pictures -> a dataset as one of NVlabs' programs reads it."""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from atelier import files
from atelier.options import option
from pipeline.dataset import finished, pack, records, sending, whole
from pipeline.dataset.ada_pytorch import ZipLayout
from pipeline.dataset.finished import ExportError
from pipeline.dataset.labels import Labels, labels_of
from pipeline.dataset.nvlabs import NvlabsLayout
from pipeline.dataset.ordered import Ordered, narrowed
from pipeline.dataset.pack import Content, Export, Plan, Progress
from pipeline.dataset.records import Shape
from pipeline.dataset.sharded import ShardedLayout
from pipeline.engine.crew import EngineConfig
from pipeline.options import Settings, keyed
from pipeline.sections import DatasetConfig
from training.sources.records import LISTED

if TYPE_CHECKING:
    import pyarrow as pa

Paths = Callable[[], Mapping[str, str]]  # a photo's id -> its path, or that of its video

READS = ("id", "picture", "picture_digest")
CHANNELS = {"grey": 1, "rgb": 3, "rgba": 4}
LIBRARIES = ("numpy", "pillow", "google-crc32c")
LAYOUTS: Mapping[str, Export] = {
    "nvlabs": NvlabsLayout(),
    "zip": ZipLayout(),
    "sharded": ShardedLayout(),
}
AUTO = "auto"
WORDS = ("none", "folder")  # of labels: they name no file


@dataclass(frozen=True)
class ExportTFRecordsConfig(Settings):
    """The dataset that StyleGAN2 is trained on: TFRecords, or a zip."""

    name: str = option("dataset", "name of the dataset: its folder, and how its files begin")
    labels: str = option(
        "none",
        "none; folder: the first folder of the photo's path is its class; or a CSV file with the"
        " columns file and label",
        keyed="content",
        path=True,
        words=WORDS,
    )
    layout: str = option(
        "nvlabs", "; ".join(f"{name}: {way.help}" for name, way in LAYOUTS.items()), later=True
    )
    pixels: Literal["auto", "raw", "png", "jpeg"] = option(
        AUTO,
        "how layout sharded holds a picture: raw; png; jpeg, at [Dataset] quality where it is none"
        " yet; auto: as it was written, without coding it anew",
        later=True,
    )
    levels: Literal["auto", "all", "full"] = option(
        AUTO,
        "of layout sharded: full: the full size only; all: every level, as nvlabs has them; auto:"
        " full",
        later=True,
    )
    publish: str = option(
        "",
        "address in an object store, as s3://bucket/sets/dogs, where a copy of the finished export"
        " is put; empty: nowhere",
        keyed="never",
        check=sending.must_be_address,
        later=True,
    )
    keep: int = option(1, "exports that are kept, the newest included", low=1, keyed="never")

    def __post_init__(self) -> None:
        super().__post_init__()
        if not files.is_name(self.name):
            self.refuse("name", files.NAMING)
        if self.layout not in LAYOUTS:
            self.refuse("layout", f"choose one of {', '.join(LAYOUTS)}")
        for name in ("pixels", "levels"):
            can = getattr(LAYOUTS[self.layout], name)
            if getattr(self, name) not in (AUTO, *can):
                self.refuse(name, f"layout {self.layout} has {' or '.join(can)}: leave it out")
        if self.labels not in WORDS and not Path(self.labels).is_file():
            self.refuse("labels", "give none, folder, or the path of a CSV file that exists")


def write_export(
    tables: "Iterable[pa.Table]",
    paths: Paths,
    out: Path,
    store: Path,
    config: ExportTFRecordsConfig,
    dataset: DatasetConfig,
    on: EngineConfig,
    progress: Progress,
) -> list[str]:
    """Make `out`/<name>/ from the kept rows; returns notes for the person who runs it.

    Of the rows the columns that `reads` names are given. What an unfinished run of the same export
    left is taken over. Raises ExportError, or SettingsError for labels that do not fit.
    """
    table = narrowed(tables)
    if not len(table):
        raise ExportError(
            "no picture is left to export: `python -m pipeline status` says where the photos went"
        )
    layout, shape = LAYOUTS[config.layout], shape_of(dataset)
    held = held_as(config, dataset)
    items = Ordered(table, layout.order(table), store)
    labels = labels_in(items.portions("photo"), paths, config)
    if out.is_dir() and not whole.is_whole(out / config.name):
        whole.forget_export(out)
    if out.is_dir():
        progress(len(items))  # they count as those that an unfinished run packed
    else:
        rows = labels.one_hot() if labels else None
        content = Content(items, rows, out.parent)
        plan = pack.plan_of(content, layout, config.name, shape, **held)
        made = pack.pack_all(content, plan, layout, out, store, on, progress)
        layout.finish(made / config.name, plan, rows)
        described = {"ExportTFRecords": keyed(config), "Dataset": keyed(dataset)}
        classes = labels.classes if labels else None
        describe(made / config.name, plan, layout, items.portions("id"), classes, described)
        finished.put_in_place(made, out)
    pack.clear(out)
    return [*layout.notes(shape), *(labels.remarks() if labels else [])]


def reads(config: ExportTFRecordsConfig) -> tuple[str, ...]:
    """The columns of the rows that are looked at; photos for the sake of their labels."""
    return (*READS, *(["photo"] if config.labels != "none" else []))


def labels_in(
    photos: "Iterable[pa.ChunkedArray]", paths: Paths, config: ExportTFRecordsConfig
) -> Labels | None:
    """The labels of these photos, as far as there are to be any."""
    asked = photos if config.labels != "none" else []
    return labels_of([name for some in asked for name in some.to_pylist()], paths, config.labels)


def make_newest(out: Path, link: Path, config: ExportTFRecordsConfig) -> None:
    """Let `link` lead to the export in `out`, and remove those that are too many."""
    finished.link(link, out / config.name)
    finished.prune(out.parent, config.keep, out)


def check_export(
    photos: "pa.Table",
    paths: Paths,
    to_write: int,
    store: Path,
    config: ExportTFRecordsConfig,
    dataset: DatasetConfig,
) -> None:
    """Raise what would make the export fail, before the pictures are written.

    That is a photo without a label, an address that nothing here can write to, a store in which no
    link can lead there, or no room for the records and the pictures still to write.
    `photos` has the photo of each picture, in the column of that name.
    """
    if config.labels != "none":
        labels_in([photos.column("photo")], paths, config)
    if config.publish:
        sending.opened(config.publish)
    finished.check_links(store)
    plan = Plan(config.name, shape_of(dataset), len(photos), **held_as(config, dataset))
    layout = LAYOUTS[config.layout]
    plan = replace(plan, count=layout.to_write(plan, to_write, store / finished.RECORDS))
    finished.check_room(store, layout.disk_need(plan) + to_write * usual_bytes(dataset))


def held_as(config: ExportTFRecordsConfig, dataset: DatasetConfig) -> dict[str, Any]:
    """How the records hold a picture; raises SettingsError for what cannot be."""
    layout = LAYOUTS[config.layout]
    usual = dataset.format if dataset.format in layout.pixels else layout.pixels[0]
    pixels = usual if config.pixels == AUTO else config.pixels
    if pixels == "jpeg" and dataset.channels == "rgba":
        config.refuse("pixels", "JPEG has no transparency; give png or raw")
    levels = layout.levels[0] if config.levels == AUTO else config.levels
    return {"pixels": pixels, "levels": levels, "quality": dataset.quality}


def shape_of(dataset: DatasetConfig) -> Shape:
    """Channels, height, width of the dataset's pictures."""
    width, height = dataset.width_height
    return CHANNELS[dataset.channels], height, width


def usual_bytes(config: DatasetConfig) -> int:
    """About the size of a picture's file."""
    return records.usual_bytes(shape_of(config), config.format)


def describe(
    folder: Path,
    plan: Plan,
    layout: Export,
    ids: "Iterable[pa.Array | pa.ChunkedArray]",
    classes: Sequence[str] | None,
    config: Mapping[str, Any],
) -> None:
    """Write dataset.json: what is in the dataset, in which order, made by what."""
    facts = {
        "name": plan.name,
        "pictures": plan.count,
        "shape": plan.shape,
        **layout.facts(folder, plan, classes),
        "config": config,
        "versions": {library: version(library) for library in LIBRARIES},
        "list": LISTED,
    }
    # A list of a million in lines of its own is written in Python, unless it is asked for so.
    told = json.dumps(facts, indent=1).removesuffix("\n}")
    with (folder / finished.DESCRIPTION).open("w") as file:
        file.write(f'{told},\n "order": [\n  ')
        for number, some in enumerate(ids):
            told = json.dumps(some.to_pylist(), separators=(",\n  ", ""))[1:-1]
            file.write(",\n  " * bool(number) + told)
        file.write("\n ]\n}\n")
    whole.list_files(folder)
