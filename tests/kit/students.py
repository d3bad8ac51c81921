"""Students and their teachers, as small as they can be."""

from tests.kit import training_runs
from tests.kit.small_models import small_model
from training import sources
from training.devices import Replicas
from training.exchange.opening import OpenedGenerator, open_generator
from training.loop import train
from training.networks.architecture import StudentConfig
from training.networks.student import Student
from training.student import distill, options
from training.student.cli import taken

SMALL = {name: training_runs.SMALL[name] for name in ("batch", "tick_kimg", "ema_kimg")}
SMALL |= {"total_kimg": 0.032, "snapshot_kimg": 0.016, "r1_interval": 2}
SMALL |= {"grid_columns": 2, "grid_rows": 1}


def opened_student(path, **more):
    """A student with random weights, as an opened file."""
    config = StudentConfig(**more)
    arrays = {name: value.numpy() for name, value in Student(config, 1).values.items()}
    return OpenedGenerator(path, "made", config, None, {"G_ema": arrays})


def teacher_of(folder, kind="rgb", discriminator=True):
    """A teacher of one of the small kinds, in a file."""
    folder.mkdir(parents=True, exist_ok=True)
    return small_model(folder / f"{kind}.npz".replace(" ", "-"), kind, discriminator)


def asked(teacher, data, out, **more):
    """(the opened teacher, the config) of a distillation of few minibatches."""
    opened = open_generator(teacher, ("G_ema", "D"))
    g = opened.config
    given = {**SMALL, "teacher": str(teacher), "data": str(data), "out": str(out), **more}
    return opened, options.configured(given, taken(opened), (g.height, g.width))


def distilled(teacher, data, out, say=lambda text: None, **more):
    """Distil in this process; returns how it ended."""
    opened, config = asked(teacher, data, out, **more)
    replicas = Replicas()
    teaching = distill.teaching(opened, config, replicas)
    plan = distill.plan(opened, config, teaching.teacher)
    source = sources.open_source(data)
    return train(config, source, say, replicas, teaching, plan)
