"""From a folder of photos to a StyleGAN2 dataset, and to a trained generator.

Read `tasks.py` first: it is the way of a photo, stage by stage.
"""

from pipeline import options, tasks, trainers

__all__ = ["tasks", "trainers"]

options.find_repository_config()
