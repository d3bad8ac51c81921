"""The pipeline on one page. Read it from top to bottom: that is the way of a photo."""

from collections.abc import Sequence
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import Any

import luigi

from detectors import FaceFactors, Spec, face_factors, identity, short
from pipeline.dataset import export
from pipeline.dataset.publish import leads, link
from pipeline.engine.crew import EngineConfig
from pipeline.options import check_given, current, settings
from pipeline.photos.folder import PhotoFolder
from pipeline.report import chapters, page
from pipeline.rows.decisions import Decision, held
from pipeline.rows.manifest import PLACES, Outcome, Row
from pipeline.rows.memo import features
from pipeline.sections import DatasetConfig, PortraitConfig
from pipeline.stage import SetStage, Stage, Step, digest, notes_of, store
from pipeline.stages import crop, detect, embed, filter_pose, finds, ingest, resize, zoom


@settings(PortraitConfig)
class Portrait(luigi.Config):
    """The shared section `[Portrait]`."""


@settings(ingest.IngestConfig)
class Ingest(Stage):
    """A folder -> one row per file: a photo with its id and size, or dropped, with the reason."""

    reads = ("path", "size_bytes", "mtime_ns")
    writes = ("id", "photo", *PLACES, "format", "width", "height")
    work = staticmethod(ingest.describe)

    @cached_property
    def photo_folder(self) -> PhotoFolder:
        """The folder of photos, or of the reference set: scanned once per command."""
        reference = self.photos == "reference"
        named = current(filter_pose.FilterPoseConfig).folder() if reference else self.config.source
        option = "[FilterPose] reference" if reference else "[Ingest] source"
        return PhotoFolder(named, option, store(), self.config.hidden)

    @cached_property
    def came_in(self) -> str:
        """The folder; one with files that 0.1 misread is another one than it saw."""
        anew = any(map(ingest.was_misread, self.incoming()))
        return digest([self.photo_folder.digest, "anew"]) if anew else self.photo_folder.digest

    def incoming(self) -> list[Row]:
        return self.photo_folder.rows

    def row_key(self, row: Row) -> str:
        """Two folders may hold files of the same name, size and time."""
        anew = ["anew"] if ingest.was_misread(row) else []
        return digest([super().row_key(row), self.photo_folder.inode, *anew])

    def settle(self, rows: list[Row]) -> Sequence[Row]:
        return ingest.drop_copies(rows)


@settings(detect.DetectConfig)
class Detect(Stage):
    """A photo -> the boxes of everything one detector finds. Measures only."""

    finder = luigi.Parameter(default="", description="the detector's text; empty: the first listed")
    after = Ingest
    reads = ("photo",)
    writes = ("boxes",)
    work = staticmethod(detect.detect)

    @property
    def title(self) -> str:
        """With the detector's name, where there are several."""
        several = len(self.config.listed) > 1
        return super().title + (f" {short(self.work_settings().spec)}" if several else "")

    def work_settings(self) -> Any:
        return self.config.look(self.finder)

    def besides(self) -> dict[str, Any]:
        return identity(self.work_settings().spec)

    @property
    def library(self) -> str:  # type: ignore[override]
        return str(self.work_settings().library)

    def row_key(self, row: Row) -> str:
        """0.1 took the sides of a TIFF that lies for each other, so its boxes are wrong."""
        known = super().row_key(row)
        return digest([known, "upright"]) if row.format == "TIFF" else known

    def prepare(self, to_do: int) -> None:
        detect.check_detectors(self.config)

    def notes(self, rows: Sequence[Row]) -> list[str]:
        return detect.detect_notes(rows, self.work_settings())


@settings(crop.CropConfig)
class Crop(SetStage):
    """Boxes -> the portrait rectangle, or several, or a reason why there is none."""

    shared = (PortraitConfig, DatasetConfig)

    def before(self) -> list[Step]:
        """A Detect for each detector: one more re-runs none of the others."""
        return detects(self.photos)

    @cached_property
    def specs(self) -> list[Spec]:
        return crop.checked(self.config, current(detect.DetectConfig).looks)

    def factors(self) -> list[FaceFactors]:
        """How each detector's face boxes become canonical ones."""
        return [face_factors(spec) for spec in self.specs]

    def besides(self) -> Any:
        return self.factors(), self.recipe.wanted

    @cached_property
    def recipe(self) -> crop.Recipe:
        portrait, dataset = self.read_too()
        return crop.Recipe(self.config, portrait, dataset, crop.wanted(self.specs))

    @cached_property
    def decisions(self) -> dict[str, Decision]:
        """What a person decided about source photos, as it stood when this command began."""
        return held(store()) if self.photos == "source" else {}

    def incoming(self) -> list[Row]:
        return finds.joined_rows([step.rows() for step in self.before()], self.factors())

    def decide(self, rows: list[Row]) -> Outcome:
        portraits = (crop.crop(row, self.recipe, self.decisions.get(row.photo)) for row in rows)
        notes = [*notes_of(self.before()[1:]), *crop.crop_notes(rows, self.config)]
        return Outcome(list(chain.from_iterable(portraits)), notes)


class Trim(Stage):
    """A reference picture that is cropped already -> the whole of it, without uniform borders."""

    after = Ingest
    reads = ("photo",)
    writes = ("rectangle",)
    work = staticmethod(embed.trim)


@settings(embed.EmbedConfig)
class Embed(Stage):
    """A rectangle -> its Inception features. Measures only."""

    reads = ("photo", "rectangle")
    writes = ("embedding",)
    work = staticmethod(embed.embed)
    library = "torch"

    def before(self) -> list[Step]:
        cropped = (
            self.photos == "reference" and current(filter_pose.FilterPoseConfig).reference_cropped
        )
        return [Trim(photos=self.photos) if cropped else Crop(photos=self.photos)]

    def requires(self) -> list[Step]:
        """The reference comes first: what is wrong with it is said before the long work."""
        return self.before() + (of_reference()[-1:] if self.photos == "source" else [])

    def prepare(self, to_do: int) -> None:
        embed.check_weights(self.config)
        if self.photos == "source" and of_reference():
            filter_pose.check_reference(
                Embed(photos="reference").vectors(), current(filter_pose.FilterPoseConfig)
            )

    def vectors(self) -> filter_pose.Vectors:
        """(key, float32 vector as bytes) of each row's embedding."""
        wanted = {row.embedding for row in self.rows() if row.drop is None}
        return features(self.folder / "parts", wanted)


class EmbedReference(luigi.WrapperTask):
    """The reference set, through the same stages as the photos."""

    def requires(self) -> Embed:
        return Embed(photos="reference")


@settings(filter_pose.FilterPoseConfig)
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
        return filter_pose.filter_pose(rows, own.vectors(), reference.vectors(), self.config)


@settings(zoom.ZoomConfig)
class Zoom(SetStage):
    """Portraits -> themselves and some close-ups, cut from the source photo."""

    after = FilterPose
    shared = (PortraitConfig, DatasetConfig)

    def decide(self, rows: list[Row]) -> Outcome:
        return Outcome(*zoom.zoom(rows, self.config, *self.read_too()))


class Resize(Stage):
    """A rectangle -> the picture: fitted, padded, encoded once."""

    after = Zoom
    shared = (DatasetConfig,)
    reads = ("photo", "rectangle")
    writes = ("picture",)
    work = staticmethod(resize.resize)

    def work_settings(self) -> DatasetConfig:
        return current(DatasetConfig)

    def prepare(self, to_do: int) -> None:
        configs = current(export.ExportTFRecordsConfig), current(DatasetConfig)
        export.check_export(self.incoming(), self.places(), to_do, store(), *configs)


@settings(export.ExportTFRecordsConfig)
class ExportTFRecords(SetStage):
    """All pictures -> multi-resolution TFRecords; `dataset` in the store leads to the newest."""

    after = Resize
    shared = (DatasetConfig,)

    @property
    def came_in(self) -> str:
        """The pictures and, where labels come from paths, the paths."""
        places = self.places() if self.config.labels != "none" else {}
        return digest([super().came_in, *((n, places[n].clip, places[n].path) for n in places)])

    @property
    def records(self) -> Path:
        return store() / "records" / f"{self.key}-{self.came_in}"

    @property
    def dataset(self) -> Path:
        return self.records / str(self.config.name)

    def complete(self) -> bool:
        return super().complete() and leads(store() / "dataset", self.dataset)

    def decide(self, rows: list[Row]) -> Outcome:
        given = self.places(), self.records, store(), self.config, current(DatasetConfig)
        with self.bar(len(rows)) as bar:
            notes = export.write_export(rows, *given, current(EngineConfig), bar.advance)
        export.make_newest(self.records, store() / "dataset", self.config)
        return Outcome(rows, notes)


@settings(page.ReportConfig)
class Report(Step):
    """What became of every photo -> one page."""

    after = ExportTFRecords
    suffix = "html"

    @property
    def came_in(self) -> str:
        told = [step.path.relative_to(store()).parts for step in in_use()]
        return digest([str(self.photo_folder.root), told])

    def complete(self) -> bool:
        return super().complete() and leads(store() / "report.html", self.path)

    def build(self) -> None:
        chapters.write_report(self.path, in_use(), self.config)
        link(store() / "report.html", self.path)


def detects(photos: str = "source") -> list[Step]:
    """A Detect for each detector of the list, in its order."""
    return [Detect(photos=photos, finder=text) for text in current(detect.DetectConfig).listed]


def in_use() -> list[Step]:
    """The stages that a photo meets under these settings, in order."""
    skipped = () if current(filter_pose.FilterPoseConfig).reference else (Embed,)
    return [stage() for stage in STAGES if stage not in skipped]


def of_reference() -> list[Step]:
    """The stages that the reference set meets, if there is one."""
    given = current(filter_pose.FilterPoseConfig)
    way = [Ingest, Trim, Embed] if given.reference_cropped else [Ingest, Detect, Crop, Embed]
    return [stage(photos="reference") for stage in way] if given.reference else []


@settings(DatasetConfig)
class Dataset(luigi.WrapperTask):
    """Everything: photos -> records and the report. Holds the shared section `[Dataset]`."""

    def requires(self) -> list[Step]:
        check_given(self.config)
        return [Report()]


STAGES: list[type[Step]] = [Ingest, Detect, Crop, Embed, FilterPose, Zoom, Resize, ExportTFRecords]
TASKS: list[type[luigi.Task]] = [*STAGES, EmbedReference, Report, Dataset]
