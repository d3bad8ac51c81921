"""The pipeline on one page. Read it from top to bottom: that is the way of a photo."""

from collections.abc import Sequence
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import Any

import luigi

import detectors
from pipeline import (
    crop,
    detect,
    embed,
    export,
    ingest,
    manifest,
    options,
    parts,
    pose,
    publish,
    report,
    resize,
    zoom,
)
from pipeline.dataset import DatasetConfig
from pipeline.engine import EngineConfig
from pipeline.manifest import Outcome, Row
from pipeline.options import current, settings
from pipeline.progress import Bar
from pipeline.report import Chapter
from pipeline.stage import SetStage, Stage, Step, digest, store


@settings(crop.PortraitConfig)
class Portrait(luigi.Config):
    """The shared section `[Portrait]`."""


@settings(ingest.IngestConfig)
class Ingest(Stage):
    """A folder -> one row per file: a photo with its id and size, or dropped, with the reason."""

    reads = ("path", "size_bytes", "mtime_ns")
    writes = ("id", "photo", *manifest.PLACES, "format", "width", "height")
    work = staticmethod(ingest.describe)

    @cached_property
    def root(self) -> Path:
        """The folder of photos, or of the reference set."""
        given = self.config.source or str(store() / "raw")
        if self.photos == "reference":
            given = current(pose.FilterPoseConfig).reference
        return options.located(given)

    @cached_property
    def listed(self) -> list[Row]:
        """The folder as it is: scanned once per command."""
        ingest.check_source(self.root, store())
        rows = ingest.listing(self.root)
        if not rows:
            raise options.SettingsError(f"source {self.root}: the folder is empty")
        return rows

    @cached_property
    def came_in(self) -> str:
        return manifest.digest(self.listed)

    def incoming(self) -> list[Row]:
        return self.listed

    def ingest(self) -> "Ingest":
        return self

    def places(self) -> dict[str, Row]:
        """Each photo's id -> the row that says where it lies."""
        return {row.photo: row for row in self.rows() if row.drop is None}

    def file(self, row: Row) -> Path:
        """Where the photo of a row of this stage lies."""
        return (store() if row.clip else self.root) / row.path

    def settle(self, rows: list[Row]) -> Sequence[Row]:
        return ingest.drop_copies(rows)


class PhotoStage(Stage):
    """A stage whose work opens source photos: Ingest says where they lie."""

    def ingest(self) -> Ingest:
        return Ingest(photos=self.photos)


@settings(detect.DetectConfig)
class Detect(PhotoStage):
    """A photo -> the boxes of everything the detector finds. Measures only."""

    reads = ("photo",)
    writes = ("boxes",)
    work = staticmethod(detect.detect)

    def before(self) -> list[Step]:
        return [self.ingest()]


@settings(crop.CropConfig)
class Crop(SetStage):
    """Boxes -> the portrait rectangle, or several, or a reason why there is none."""

    shared = (crop.PortraitConfig, DatasetConfig)

    def before(self) -> list[Step]:
        return [Detect(photos=self.photos)]

    def decide(self, rows: list[Row]) -> Outcome:
        factors = detectors.face_factors(current(detect.DetectConfig).detector)
        shared = current(crop.PortraitConfig), current(DatasetConfig)
        portraits = (crop.crop(row, self.config, *shared, factors) for row in rows)
        return Outcome(list(chain.from_iterable(portraits)))


class Trim(PhotoStage):
    """A reference picture that is cropped already -> the whole of it, without uniform borders."""

    reads = ("photo",)
    writes = ("rectangle",)
    work = staticmethod(embed.trim)

    def before(self) -> list[Step]:
        return [self.ingest()]


@settings(embed.EmbedConfig)
class Embed(PhotoStage):
    """A rectangle -> its Inception features. Measures only."""

    reads = ("photo", "rectangle")
    writes = ("embedding",)
    work = staticmethod(embed.embed)
    library = "torch"

    def before(self) -> list[Step]:
        cropped = self.photos == "reference" and current(pose.FilterPoseConfig).reference_cropped
        return [Trim(photos=self.photos) if cropped else Crop(photos=self.photos)]

    def prepare(self, to_do: int, rows: int) -> None:
        embed.check_weights(self.config)

    def vectors(self) -> Any:
        """(key, float32 vector as bytes) of each row's embedding."""
        wanted = {row.embedding for row in self.rows() if row.drop is None}
        return parts.features(self.folder / "parts", wanted)


class EmbedReference(luigi.WrapperTask):
    """The reference set, through the same stages as the photos."""

    def requires(self) -> Embed:
        return Embed(photos="reference")


@settings(pose.FilterPoseConfig)
class FilterPose(SetStage):
    """Features -> the rows that are like the reference set. Without one, every row."""

    def before(self) -> list[Step]:
        if not self.config.reference:
            return [Crop()]
        return [Embed(), Embed(photos="reference")]

    def decide(self, rows: list[Row]) -> Outcome:
        if not self.config.reference:
            return Outcome(rows, ["no reference set: every portrait passes"])
        own, reference = Embed(), Embed(photos="reference")
        return pose.filter_pose(rows, own.vectors(), reference.vectors(), self.config)


@settings(zoom.ZoomConfig)
class Zoom(SetStage):
    """Portraits -> themselves and some close-ups, cut from the source photo."""

    shared = (crop.PortraitConfig, DatasetConfig)

    def before(self) -> list[Step]:
        return [FilterPose()]

    def decide(self, rows: list[Row]) -> Outcome:
        shared = current(crop.PortraitConfig), current(DatasetConfig)
        return Outcome(*zoom.zoom(rows, self.config, *shared))


class Resize(PhotoStage):
    """A rectangle -> the picture: fitted, padded, encoded once."""

    shared = (DatasetConfig,)
    reads = ("photo", "rectangle")
    writes = ("picture",)
    work = staticmethod(resize.resize)

    def before(self) -> list[Step]:
        return [Zoom()]

    def work_settings(self) -> DatasetConfig:
        return current(DatasetConfig)

    def prepare(self, to_do: int, rows: int) -> None:
        shape = export.shape_of(current(DatasetConfig))
        need = to_do * resize.usual_bytes(current(DatasetConfig)) + export.disk_need(rows, shape)
        publish.check_room(store(), need)


@settings(export.ExportTFRecordsConfig)
class ExportTFRecords(SetStage):
    """All pictures -> multi-resolution TFRecords; `dataset` in the store leads to the newest."""

    shared = (DatasetConfig,)

    def before(self) -> list[Step]:
        return [Resize()]

    @property
    def came_in(self) -> str:
        """The pictures and, where labels come from paths, the paths."""
        paths = Ingest().came_in if self.config.labels != "none" else ""
        return digest([super().came_in, paths])

    @property
    def records(self) -> Path:
        return store() / "records" / f"{self.key}-{self.came_in}"

    def complete(self) -> bool:
        return super().complete() and self.records.is_dir()

    def decide(self, rows: list[Row]) -> Outcome:
        configs = self.config, current(DatasetConfig), current(EngineConfig)
        with Bar(type(self).__name__, len(rows), self.say_progress) as bar:
            where = Ingest().places(), self.records, store()
            notes = export.write_export(rows, *where, *configs, bar.advance)
        self.link()
        publish.prune(self.records.parent, self.config.keep, self.records)
        return Outcome(rows, notes)

    def link(self) -> None:
        """Let `dataset` in the store lead to this export."""
        publish.link(store() / "dataset", self.records / self.config.name)


@settings(report.ReportConfig)
class Report(Step):
    """What became of every photo -> one page."""

    def before(self) -> list[Step]:
        return [ExportTFRecords()]

    @property
    def came_in(self) -> str:
        return digest(step.path.relative_to(store()).parts for step in in_use())

    @property
    def path(self) -> Path:
        return self.folder / f"{self.came_in}.html"

    def chapters(self) -> list[Chapter]:
        facts = [(step, manifest.facts(step.path)) for step in in_use()]
        return [Chapter(type(step).__name__, step.rows(), known.notes) for step, known in facts]

    def build(self) -> None:
        scan = Ingest()
        files = {row.photo or row.id: scan.file(row) for row in scan.rows()}
        limit = manifest.facts(FilterPose().path).numbers.get("limit")
        photo = report.opener(lambda row: files.get(row.photo or row.id))
        picture = report.opener(lambda row: store() / row.picture)
        told = self.chapters(), self.config, str(scan.root), limit
        resize.write(self.path, report.page(*told, photo, picture).encode())
        self.link()

    def link(self) -> None:
        """Let `report.html` in the store lead to this page."""
        publish.link(store() / "report.html", self.path)


def in_use() -> list[Step]:
    """The stages that a photo meets under these settings, in order."""
    skipped = () if current(pose.FilterPoseConfig).reference else (Embed,)
    return [stage() for stage in STAGES if stage not in skipped]


@settings(DatasetConfig)
class Dataset(luigi.WrapperTask):
    """Everything: photos -> records and the report. Holds the shared section `[Dataset]`."""

    def requires(self) -> list[Step]:
        if self.config != current(DatasetConfig):
            raise options.SettingsError("give every stage the setting: --Dataset-size, not --size")
        return [Report()]


STAGES: list[type[Step]] = [Ingest, Detect, Crop, Embed, FilterPose, Zoom, Resize, ExportTFRecords]
TASKS: list[type[luigi.Task]] = [*STAGES, EmbedReference, Report, Dataset]
