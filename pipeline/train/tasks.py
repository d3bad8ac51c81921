"""What is trained, beside the way of a photo: a generator, and a detector of one's own crop."""

from functools import partial
from pathlib import Path

import luigi

from pipeline.dataset.export import ExportTFRecordsConfig
from pipeline.engine import cluster
from pipeline.options import current, settings
from pipeline.sections import DatasetConfig
from pipeline.stage import show_progress, store
from pipeline.tasks import ExportTFRecords
from pipeline.train import crop_detector, stylegan


@settings(stylegan.TrainStyleGANConfig)
class TrainStyleGAN(luigi.Task):
    """Records -> a run that has reached its total_kimg: checkpoints, grids, statistics."""

    def requires(self) -> ExportTFRecords:
        return ExportTFRecords()

    def check(self) -> None:
        """Raise SettingsError where the dataset would not be for the model to begin from."""
        sections = current(DatasetConfig), current(ExportTFRecordsConfig)
        stylegan.check_begun(self.config, *sections, store())

    def complete(self) -> bool:
        self.check()
        return self.requires().complete() and stylegan.finished(*self.asked())

    def asked(self) -> tuple[Path, Path, stylegan.TrainerConfig, int, int]:
        """What tells this run from others: dataset, store, options, width and height."""
        size = current(DatasetConfig).width_height
        return self.requires().dataset, store(), self.config, *size

    def grid(self) -> Path | None:
        """The newest grid of the finished run."""
        return stylegan.grid(*self.asked())

    def run(self) -> None:
        cluster.close()  # days without photos to work on
        stylegan.train_generator(
            self.requires().dataset, store(), self.config, partial(show_progress, self)
        )


@settings(crop_detector.TrainCropDetectorConfig)
class TrainCropDetector(luigi.Task):
    """Labelled boxes -> a folder that `[Detect] detector = crop:FOLDER` takes, and its figures."""

    def complete(self) -> bool:
        return crop_detector.finished(store(), self.config)

    def run(self) -> None:
        cluster.close()
        crop_detector.train_detector(store(), self.config, partial(show_progress, self))


TASKS: list[type[luigi.Task]] = [TrainStyleGAN, TrainCropDetector]
