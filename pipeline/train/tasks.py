"""What is trained, beside the way of a photo: a generator, its student, a detector of a crop."""

from functools import partial
from pathlib import Path

import luigi

from pipeline.dataset.export import ExportTFRecordsConfig
from pipeline.engine import cluster
from pipeline.options import current, settings
from pipeline.sections import DatasetConfig
from pipeline.stage import show_progress, store
from pipeline.tasks import ExportTFRecords
from pipeline.train import crop_detector, student, stylegan


@settings(stylegan.TrainStyleGANConfig)
class TrainStyleGAN(luigi.Task):
    """Records -> a run that has reached its total_kimg: checkpoints, grids, statistics."""

    trained = False  # by this command: a dataset that was built meanwhile is for the next one

    def requires(self) -> ExportTFRecords:
        return ExportTFRecords()

    def check(self) -> None:
        """Raise SettingsError where no network draws the dataset's size, or its model another."""
        dataset = current(DatasetConfig)
        stylegan.check_size(dataset)
        stylegan.check_begun(self.config, dataset, current(ExportTFRecordsConfig), store())

    def complete(self) -> bool:
        self.check()
        ready = self.trained or self.requires().complete()
        done = ready and stylegan.finished(*self.asked())
        if not (done or self.trained):
            stylegan.check_inception(self.config)  # before photos are looked at for it
        return done

    def asked(self) -> tuple[Path, Path, stylegan.TrainerConfig, int, int]:
        """What tells this run from others: dataset, store, options, width and height."""
        data, size = self.requires().dataset, current(DatasetConfig).width_height
        return data, store(), stylegan.as_begun(data, store(), self.config, *size), *size

    def finished_run(self) -> Path | None:
        """The run that has reached its total_kimg."""
        return next(stylegan.runs_at_end(*self.asked()), None)

    def grid(self) -> Path | None:
        """The newest grid of the finished run."""
        return stylegan.newest_grid(self.finished_run())

    def run(self) -> None:
        cluster.close()  # days without photos to work on
        stylegan.train_generator(*self.asked()[:3], partial(show_progress, self))
        self.trained = True


@settings(student.DistillStyleGANConfig)
class DistillStyleGAN(luigi.Task):
    """Records and a generator -> a student of it that has reached its total_kimg."""

    trained = False  # by this command

    def requires(self) -> list[luigi.Task]:
        taught = [] if student.named_teacher(self.config) else [TrainStyleGAN()]
        return [ExportTFRecords(), *taught]

    def check(self) -> None:
        """Raise SettingsError where no network draws the dataset's size, or no teacher can be."""
        if student.named_teacher(self.config):
            stylegan.check_size(current(DatasetConfig))
        else:
            trainer, size = TrainStyleGAN(), current(DatasetConfig).width_height
            trainer.check()
            taught = trainer.config.resolved_beside(stylegan.known_runs(store()), *size)
            self.config.resolved_after({"mbstd_group": taught.network.mbstd_group}, *size)

    def complete(self) -> bool:
        self.check()
        ready = self.trained or all(task.complete() for task in self.requires())
        done = ready and bool(self.finished_run())
        if not (done or self.trained):
            given = current(DatasetConfig), current(ExportTFRecordsConfig)
            student.check_files(self.config, *given)  # before photos are looked at for it
        return done

    def asked(self) -> tuple[Path, Path, student.StudentTrainerConfig, Path]:
        """What tells this run from others: dataset, store, options, teacher."""
        teacher = student.named_teacher(self.config) or TrainStyleGAN().finished_run()
        assert teacher  # what is required is complete
        return self.requires()[0].dataset, store(), self.config, teacher

    def finished_run(self) -> Path | None:
        """The run that has reached its total_kimg."""
        return next(student.runs_at_end(*self.asked()), None)

    def grid(self) -> Path | None:
        """The newest grid of the finished run: teacher above student."""
        return stylegan.newest_grid(self.finished_run())

    def run(self) -> None:
        cluster.close()
        student.distil(*self.asked(), partial(show_progress, self))
        self.trained = True


@settings(crop_detector.TrainCropDetectorConfig)
class TrainCropDetector(luigi.Task):
    """Labelled boxes -> a folder that `[Detect] detector = crop:FOLDER` takes, and its figures."""

    def complete(self) -> bool:
        return crop_detector.finished(store(), self.config)

    def run(self) -> None:
        cluster.close()
        crop_detector.train_detector(store(), self.config, partial(show_progress, self))


TASKS: list[type[luigi.Task]] = [TrainStyleGAN, DistillStyleGAN, TrainCropDetector]
