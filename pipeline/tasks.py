"""The pipeline on one page. Read it from top to bottom: that is the way of a photo."""

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import luigi

from detectors import Spec, face_factors
from pipeline.dataset import export, finished, mending, whole
from pipeline.dataset.finished import leads, link
from pipeline.dataset.sending import Sending
from pipeline.engine.crew import EngineConfig
from pipeline.options import check_given, current, settings
from pipeline.photos.folder import PhotoFolder, Scanned
from pipeline.report import chapters, page
from pipeline.rows import columns
from pipeline.rows.decisions import Decision, held
from pipeline.rows.making import Make, later
from pipeline.rows.manifest import IN_MANIFEST, PLACES, Row, Told, digest
from pipeline.rows.sharded import Survey
from pipeline.rows.shards import Rows
from pipeline.sections import DatasetConfig, PortraitConfig
from pipeline.stage import SetStage, Stage, Step, notes_of, store
from pipeline.stages import (
    crop,
    detect,
    embed,
    filter_pose,
    filter_quality,
    finds,
    framing,
    hindsight,
    ingest,
    measure,
    resize,
    zoom,
)


@settings(ingest.IngestConfig)
class Ingest(Scanned, Stage):
    """A folder -> one row per file: a photo with its id and size, or dropped, with the reason."""

    reads = ("path", "size_bytes", "mtime_ns")
    writes = ("id", "photo", *PLACES, "format", "width", "height")
    work = staticmethod(ingest.describe)
    shard_numbers = staticmethod(ingest.listed_at)
    tally = staticmethod(ingest.tally)

    @cached_property
    def photo_folder(self) -> PhotoFolder:
        return ingest.folder_of(self.photos, self.config, store())

    @cached_property
    def came_in(self) -> str:
        return ingest.came_in(self.photo_folder.scan)

    def row_key(self, row: Row) -> str:
        """Two folders may hold files of the same name, size and time."""
        return digest([super().row_key(row), self.photo_folder.inode, *ingest.anew(row)])

    def prepare(self, to_do: int) -> None:
        """What is wrong with a detector is said before the photos are read for it."""
        detect.check_detectors(current(detect.DetectConfig))

    def build(self) -> None:
        made = ingest.gathered_rows(self.done(), self.folder, self.tally)
        self.tell(made, Told(self.photo_folder.notes()))


@settings(detect.DetectConfig)
class Detect(detect.Looking, Stage):
    """A photo -> the boxes of everything one detector finds. Measures only."""

    finder = luigi.Parameter(default="", description="the detector's text; empty: the first listed")
    after = Ingest
    reads = ("photo",)
    writes = ("boxes",)
    work = staticmethod(detect.detect)


@settings(crop.CropConfig)
class Crop(SetStage):
    """Boxes -> the portrait rectangle, or several, or a reason why there is none."""

    shared = (PortraitConfig, DatasetConfig)
    tally = staticmethod(crop.tally)

    def before(self) -> list[Step]:
        """A Detect for each detector: one more re-runs none of the others.

        A rule on what none of them finds is refused before any of them looks.
        """
        _ = self.specs  # raises what is wrong with the rules
        return detects(self.photos)

    @cached_property
    def specs(self) -> list[Spec]:
        return crop.checked(self.config, current(detect.DetectConfig).looks)

    def besides(self) -> Any:
        return list(map(face_factors, self.specs)), self.recipe.wanted

    @cached_property
    def recipe(self) -> crop.Recipe:
        return crop.Recipe(*[self.config, *self.read_too(), crop.wanted(self.specs)])

    @cached_property
    def decisions(self) -> dict[str, Decision]:
        """What a person decided about source photos, as it stood when this command began."""
        return held(store()) if self.photos == "source" else {}

    def joined(self, prefix: str) -> list[Row]:
        """The photos of a shard, with what all detectors found in them."""
        return finds.joined_shard(self.found_in(prefix), self.specs)

    def portion(self, prefix: str, names: Sequence[str] = IN_MANIFEST) -> columns.Table:
        return finds.completed(super().portion(prefix, names), self.joined(prefix))

    def decide(self, prefix: str, survey: None) -> Make:
        given = self.found_in(prefix), self.specs, self.recipe, self.decisions_in(prefix)
        return later(crop.cropped_shard, self.unread(prefix), *given)

    def told(self, survey: None, made: Rows) -> Told:
        notes = notes_of(self.parents[1:]) + crop.crop_notes(self.tallies(made), self.config)
        return framing.told_portraits(made, self.recipe, notes)


class Measure(Stage):
    """A rectangle -> hashes, sharpness, light, colour. Measures only."""

    after = Crop
    reads = ("photo", "rectangle", "face")
    writes = ("measures",)
    work = staticmethod(measure.measure_portraits)


@settings(filter_quality.FilterQualityConfig)
class FilterQuality(SetStage):
    """Measures -> the portraits that are good enough and repeat no other."""

    version = 3

    def before(self) -> list[Step]:
        filter_quality.check_scores(self.config)
        return [Measure() if filter_quality.asked().anything else Crop()]

    def besides(self) -> Any:
        return filter_quality.asked().keyed_rules

    @cached_property
    def decisions(self) -> dict[str, Decision]:
        """What a person accepted: no rule is asked about it."""
        return {name: d for name, d in held(store()).items() if d.action == "accept"}

    @cached_property
    def brought_in(self) -> dict[str, float] | None:
        """The numbers of a file of one's own: photo -> score."""
        return filter_quality.scores_of(self.config, self.places.paths)

    @property
    def came_in(self) -> str:
        """The measures and, where scores are brought in, whose they are: they go by paths."""
        return digest([super().came_in, *sorted((self.brought_in or {}).items())])

    def survey(self) -> Survey:
        asked = filter_quality.asked()
        given = self.arriving(*asked.reads), asked, self.decisions, self.brought_in
        return self.surveyed(filter_quality.filter_quality(*given))

    def decide(self, prefix: str, survey: Survey) -> Make:
        return later(filter_quality.filtered, self.unread(prefix), survey.verdicts[prefix])


class Trim(Stage):
    """A reference picture that is cropped already -> the whole of it, without uniform borders."""

    after = Ingest
    reads = ("photo",)
    writes = ("rectangle",)
    work = staticmethod(embed.trim)


@settings(embed.EmbedConfig)
class Embed(hindsight.Measuring, Stage):
    """A rectangle -> its Inception features. Measures only."""

    reads = ("photo", "rectangle")
    writes = ("embedding",)
    work = staticmethod(embed.embed)
    library = "torch"

    def before(self) -> list[Step]:
        cut = self.photos == "reference" and current(filter_pose.FilterPoseConfig).reference_cropped
        return [Trim(photos=self.photos) if cut else portraits(self.photos)]

    def requires(self) -> list[Step]:
        """The reference comes first: what is wrong with it is said before the long work."""
        return self.before() + (of_reference()[-1:] if self.photos == "source" else [])

    def prepare(self, to_do: int) -> None:
        embed.check_weights(self.config)
        if self.photos == "source" and of_reference():
            reference = Embed(photos="reference").vectors()
            filter_pose.check_reference(reference, current(filter_pose.FilterPoseConfig))

    def refused(self) -> list[Row]:
        """The portraits refused for their pose; none where there are too few to judge by."""
        asked = self.photos == "source" and current(filter_pose.FilterPoseConfig).reference
        return hindsight.refused(Crop()) if asked else []


class EmbedReference(luigi.WrapperTask):
    """The reference set, through the same stages as the photos."""

    def requires(self) -> Embed:
        return Embed(photos="reference")


@settings(filter_pose.FilterPoseConfig)
class FilterPose(SetStage):
    """Features -> the rows that are like the reference set. Without one, every row."""

    def before(self) -> list[Step]:
        return [Embed(), Embed(photos="reference")] if self.config.reference else [portraits()]

    def survey(self) -> Survey:
        if not self.config.reference:
            return Survey({}, Told(["no reference set: every portrait passes"]))
        return self.surveyed(*hindsight.compared(Embed(), Embed(photos="reference"), self.config))

    def decide(self, prefix: str, survey: Survey) -> Make:
        given = filter_pose.of_shard(prefix, survey)
        return later(filter_pose.with_scores, self.unread(prefix), *given)


@settings(zoom.ZoomConfig)
class Zoom(SetStage):
    """Portraits -> themselves and some close-ups, cut from the source photo."""

    after = FilterPose
    shared = (PortraitConfig, DatasetConfig)

    def survey(self) -> Survey:
        tables = self.arriving_shards(*zoom.READS)
        return zoom.chosen_parents(tables, self.config, current(DatasetConfig))

    def decide(self, prefix: str, survey: Survey) -> Make:
        given = survey.verdicts[prefix], self.config, *self.read_too()
        return later(zoom.with_close_ups, self.unread(prefix), *given)


class Resize(Stage):
    """A rectangle -> the picture: fitted, padded, encoded once."""

    after = Zoom
    shared = (DatasetConfig,)
    reads = ("photo", "rectangle")
    writes = ("picture", "picture_digest")
    work = staticmethod(resize.resize)

    def work_settings(self) -> DatasetConfig:
        return current(DatasetConfig)

    def prepare(self, to_do: int) -> None:
        given = self.arriving("photo"), self.places.paths, to_do, store()
        export.check_export(*given, current(export.ExportTFRecordsConfig), current(DatasetConfig))


@settings(export.ExportTFRecordsConfig)
class ExportTFRecords(whole.Finished, SetStage):
    """All pictures -> TFRecords, or a zip; `dataset` in the store leads to the newest."""

    after = Resize
    shared = (DatasetConfig,)

    @property
    def came_in(self) -> str:
        """The pictures and, where labels come from paths, the paths."""
        places = self.places.names() if self.config.labels != "none" else []
        return digest([super().came_in, *places])

    @property
    def records(self) -> Path:
        return store() / finished.RECORDS / f"{self.key}-{self.came_in}"

    def complete(self) -> bool:
        return super().complete() and self.is_in_place(store() / "dataset")

    def survey(self) -> Survey:
        notes = mending.mended(self.write_records, self.arriving, store(), Resize().make_again)
        export.make_newest(self.records, store() / "dataset", self.config)
        return Survey({}, Told(notes))

    def write_records(self) -> list[str]:
        """Pack the pictures that came in."""
        tables = (table for _, table in self.arriving_shards(*export.reads(self.config)))
        given = self.places.paths, self.records, store(), self.config, current(DatasetConfig)
        with self.bar(self.parents[0].made().outcome().get("kept", 0)) as bar:
            return export.write_export(tables, *given, current(EngineConfig), bar.advance)


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


class Publish(Sending, Step):
    """The finished export -> a copy of it in an object store, where one is named."""

    after = ExportTFRecords


def detects(photos: str = "source") -> list[Step]:
    """A Detect for each detector of the list, in its order."""
    return [Detect(photos=photos, finder=text) for text in current(detect.DetectConfig).listed]


def portraits(photos: str = "source") -> Step:
    """The stage that says which portraits go on: FilterQuality, where it is asked anything."""
    asked = photos == "source" and filter_quality.asked().anything
    return FilterQuality() if asked else Crop(photos=photos)


def in_use() -> list[Step]:
    """The stages that a photo meets under these settings, in order."""
    skipped: list[type[Step]] = [] if current(filter_pose.FilterPoseConfig).reference else [Embed]
    skipped += [] if filter_quality.asked().anything else [Measure, FilterQuality]
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
        return [*Publish.asked_for(), Report()]


STAGES: list[type[Step]] = [Ingest, Detect, Crop, Measure, FilterQuality, Embed, FilterPose]
STAGES += [Zoom, Resize, ExportTFRecords]
TASKS: list[type[luigi.Task]] = [*STAGES, EmbedReference, Report, Publish, Dataset]
