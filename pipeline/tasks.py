"""The pipeline on one page. Read it from top to bottom: that is the way of a photo."""

from collections.abc import Sequence
from functools import cached_property
from itertools import chain
from pathlib import Path

import luigi

import detectors
from pipeline import (
    account,
    crop,
    detect,
    embed,
    export,
    files,
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
        own = self.config.source or str(store() / "raw")
        reference = self.photos == "reference"
        return options.located(current(pose.FilterPoseConfig).folder() if reference else own)

    @cached_property
    def listed(self) -> list[Row]:
        """The folder as it is: scanned once per command."""
        option = "[Ingest] source" if self.photos == "source" else "[FilterPose] reference"
        return ingest.listing(self.root, store(), option)

    def row_key(self, row: Row) -> str:
        """Two folders may hold files of the same name, size and time."""
        return digest([super().row_key(row), self.root.stat().st_ino])

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

    def besides(self) -> detectors.FaceFactors:
        """How the detector's face boxes become canonical ones."""
        return detectors.face_factors(current(detect.DetectConfig).detector)

    def decide(self, rows: list[Row]) -> Outcome:
        shared = current(crop.PortraitConfig), current(DatasetConfig)
        portraits = (crop.crop(row, self.config, *shared, self.besides()) for row in rows)
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

    def requires(self) -> list[Step]:
        """The reference comes first: what is wrong with it is said before the long work."""
        return self.before() + (of_reference()[-1:] if self.photos == "source" else [])

    def prepare(self, to_do: int) -> None:
        embed.check_weights(self.config)
        if self.photos == "source" and of_reference():
            pose.check(Embed(photos="reference").vectors(), current(pose.FilterPoseConfig))

    def vectors(self) -> pose.Vectors:
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

    def prepare(self, to_do: int) -> None:
        configs = current(export.ExportTFRecordsConfig), current(DatasetConfig)
        export.check(self.incoming(), Ingest().places(), to_do, store(), *configs)


@settings(export.ExportTFRecordsConfig)
class ExportTFRecords(SetStage):
    """All pictures -> multi-resolution TFRecords; `dataset` in the store leads to the newest."""

    shared = (DatasetConfig,)

    def before(self) -> list[Step]:
        return [Resize()]

    @property
    def came_in(self) -> str:
        """The pictures and, where labels come from paths, the paths."""
        places = Ingest().places() if self.config.labels != "none" else {}
        return digest([super().came_in, *((n, places[n].clip, places[n].path) for n in places)])

    @property
    def records(self) -> Path:
        return store() / "records" / f"{self.key}-{self.came_in}"

    def complete(self) -> bool:
        link = store() / "dataset"
        return super().complete() and publish.leads(link, self.records / self.config.name)

    def decide(self, rows: list[Row]) -> Outcome:
        given = Ingest().places(), self.records, store(), self.config, current(DatasetConfig)
        with Bar(type(self).__name__, len(rows), self.say_progress) as bar:
            notes = export.write_export(rows, *given, current(EngineConfig), bar.advance)
        publish.link(store() / "dataset", self.records / self.config.name)
        publish.prune(self.records.parent, self.config.keep, self.records)
        return Outcome(rows, notes)


@settings(report.ReportConfig)
class Report(Step):
    """What became of every photo -> one page."""

    def before(self) -> list[Step]:
        return [ExportTFRecords()]

    @property
    def came_in(self) -> str:
        told = [step.path.relative_to(store()).parts for step in in_use()]
        return digest([str(Ingest().root), told])

    @property
    def path(self) -> Path:
        return self.folder / f"{self.came_in}.html"

    def complete(self) -> bool:
        return super().complete() and publish.leads(store() / "report.html", self.path)

    def build(self) -> None:
        files.write(self.path, account.page(in_use(), self.config, Ingest()))
        publish.link(store() / "report.html", self.path)


def in_use() -> list[Step]:
    """The stages that a photo meets under these settings, in order."""
    skipped = () if current(pose.FilterPoseConfig).reference else (Embed,)
    return [stage() for stage in STAGES if stage not in skipped]


def of_reference() -> list[Step]:
    """The stages that the reference set meets, if there is one."""
    given = current(pose.FilterPoseConfig)
    way = [Ingest, Trim, Embed] if given.reference_cropped else [Ingest, Detect, Crop, Embed]
    return [stage(photos="reference") for stage in way] if given.reference else []


@settings(DatasetConfig)
class Dataset(luigi.WrapperTask):
    """Everything: photos -> records and the report. Holds the shared section `[Dataset]`."""

    def requires(self) -> list[Step]:
        options.check_given(self.config)
        return [Report()]


STAGES: list[type[Step]] = [Ingest, Detect, Crop, Embed, FilterPose, Zoom, Resize, ExportTFRecords]
TASKS: list[type[luigi.Task]] = [*STAGES, EmbedReference, Report, Dataset]
