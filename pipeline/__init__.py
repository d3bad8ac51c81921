"""From a folder of photos to a StyleGAN2 dataset, and to a trained generator.

Read `tasks.py` first: it is the way of a photo, stage by stage.
"""

from atelier import stop

stop.quiet_start("luigi")  # what follows takes half a second to load

from atelier import commands

commands.answer_for_files("luigi")

from pipeline import luigi_script, options, tasks, train
from pipeline.train.tasks import DistillStyleGAN, TrainCropDetector, TrainStyleGAN

__all__ = ["DistillStyleGAN", "TrainCropDetector", "TrainStyleGAN", "tasks", "train"]

options.find_repository_config()
luigi_script.begin([*tasks.TASKS, *train.tasks.TASKS])
