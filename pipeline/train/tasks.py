"""What is trained, beside the way of a photo: a generator, and a detector of one's own crop."""

from functools import partial

import luigi

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

    def complete(self) -> bool:
        data, size = self.requires(), current(DatasetConfig).width_height
        return data.complete() and stylegan.finished(data.dataset, store(), self.config, *size)

    def run(self) -> None:
        cluster.close()  # days without photos to work on
        stylegan.train(self.requires().dataset, store(), self.config, partial(show_progress, self))


@settings(crop_detector.TrainCropDetectorConfig)
class TrainCropDetector(luigi.Task):
    """Labelled boxes -> a folder that `[Detect] detector = crop:FOLDER` takes, and its figures."""

    def complete(self) -> bool:
        return crop_detector.finished(store(), self.config)

    def run(self) -> None:
        cluster.close()
        crop_detector.train(store(), self.config, partial(show_progress, self))


TASKS: list[type[luigi.Task]] = [TrainStyleGAN, TrainCropDetector]
