"""What is trained, beside the way of a photo: a generator, and a detector of one's own crop."""

from functools import partial

import luigi

from pipeline import cluster, train, train_crop
from pipeline.dataset import DatasetConfig
from pipeline.options import current, settings
from pipeline.stage import show_progress, store
from pipeline.tasks import ExportTFRecords


@settings(train.TrainStyleGANConfig)
class TrainStyleGAN(luigi.Task):
    """Records -> a run that has reached its total_kimg: checkpoints, grids, statistics."""

    def requires(self) -> ExportTFRecords:
        return ExportTFRecords()

    def complete(self) -> bool:
        data, size = self.requires(), current(DatasetConfig).width_height
        return data.complete() and train.finished(data.dataset, store(), self.config, *size)

    def run(self) -> None:
        cluster.close()  # days without photos to work on
        train.train(self.requires().dataset, store(), self.config, partial(show_progress, self))


@settings(train_crop.TrainCropDetectorConfig)
class TrainCropDetector(luigi.Task):
    """Labelled boxes -> a folder that `[Detect] detector = crop:FOLDER` takes, and its figures."""

    def complete(self) -> bool:
        return train_crop.finished(store(), self.config)

    def run(self) -> None:
        cluster.close()
        train_crop.train(store(), self.config, partial(show_progress, self))


TASKS: list[type[luigi.Task]] = [TrainStyleGAN, TrainCropDetector]
