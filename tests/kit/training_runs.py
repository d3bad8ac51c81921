"""Small training runs for tests: drawn pictures, the smallest networks."""

import os
import sys
from contextlib import contextmanager, redirect_stderr
from functools import partial
from io import StringIO

import numpy as np
import tensorflow as tf
from PIL import Image

from tests.kit.forked import Forked
from training import cli, config, devices, loop, schedule, sources
from training.minibatch import Minibatch
from training.run import collapse

SMALL = {
    "fmap_base": 16,
    "fmap_max": 8,
    "z_dim": 4,
    "w_dim": 4,
    "mapping_layers": 1,
    "mbstd_group": 2,
    "batch": 4,
    "total_kimg": 0.064,
    "tick_kimg": 0.016,
    "snapshot_kimg": 0.032,
    "r1_interval": 4,
    "pl_interval": 2,
    "grid_columns": 2,
    "grid_rows": 1,
    "ema_kimg": 0.02,
}


def draw(folder, count=12, size=(8, 8), mode="RGB", seed=0):
    """A folder of made pictures."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    for number in range(count):
        pixels = rng.integers(0, 256, (size[1], size[0], len(mode)), dtype=np.uint8)
        Image.fromarray(pixels.squeeze()).save(folder / f"{number:03}.png")
    return folder


def small(data, out, **options):
    return config.configure({**SMALL, "data": str(data), "out": str(out), **options})


def train(data, out, say=lambda text: None, step=Minibatch, **options):
    """Train in this process."""
    given = small(data, out, **options)
    return loop.train(given, sources.open_source(given.data.data), say, new_step=step)


@contextmanager
def eagerly():
    """What runs once or twice computes the same without graphs, sooner than they are made."""
    tf.config.run_functions_eagerly(True)
    try:
        yield
    finally:
        tf.config.run_functions_eagerly(False)


def follow_here(command, status, say):
    """In the place of the pipeline's `child.follow`: `python -m training` in this process."""
    told = StringIO()
    with eagerly(), redirect_stderr(told):
        code = cli.main(command[command.index("training") + 1 :])
    return code, told.getvalue().strip().removeprefix("error: ")


class Rehearsal:
    """A step that compiles no graph: moves what `Minibatch` moves, by (seed, seen) and the rate."""

    def __init__(self, state, config, labels, rate_scale, replicas):
        self.state, self.config, self.scale = state, config, rate_scale
        self.rates = schedule.steps(config.rate.g_lr)

    def __call__(self, images, labels):
        state, seed = self.state, self.config.run.seed
        rate = self.scale * schedule.value_at(self.rates, state.seen)
        chance = np.random.default_rng([seed, state.seen])
        for adam in state.adams.values():
            adam.steps.assign_add(1)
            for variable in [*adam.variables.values(), *adam.second.values()]:
                variable.assign_add(rate * chance.random(variable.shape, np.float32))
        for name, mean in state.networks["G_ema"].values.items():
            mean.assign(0.5 * (mean + state.networks["G"].values[name]))
        state.path_mean.assign_add(rate)
        if self.config.augment.augment == "ada":
            state.p.assign_add(rate)
        state.seen += self.config.run.batch
        state.minibatches += 1
        told = {**dict.fromkeys(collapse.SIGNALS, chance.random()), "diversity": 1.0}
        told |= {"Loss/scores/real": tf.reduce_mean(images), "learning_rate/G": rate}
        return told | {"skipped/G": 0.0, "pl_mean": state.path_mean + 0, "augment_p": state.p + 0}


def rehearse(data, out, say=lambda text: None, step=Rehearsal, **options):
    """A whole run whose steps learn nothing: for what the loop keeps, not for what it learns."""
    return train(data, out, say, step, **options)


def command(data, out, **options):
    """The same as arguments of `python -m training`; this preset is what `small` has."""
    given = {"preset": "config-f", **SMALL, "data": data, "out": out, **options}
    return ["train", *(f"--{name}={value}" for name, value in given.items())]


def train_command(*words):
    """`python -m training`, to be started."""
    # Graphs this small are not worth optimising: half of the time of these tests would go there.
    tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": True})
    devices.AGREE = 0  # runs this small end within seconds: machines ask each other every time
    sys.exit(cli.main(list(words)))


def rehearsal_command(*words):
    """The same, with steps that learn nothing."""
    loop.train = partial(loop.train, new_step=Rehearsal)
    train_command(*words)


def start(arguments, run=train_command, **environment):
    """Such a command in a process of its own, which need not load TensorFlow first."""
    return Forked(run, [str(word) for word in arguments], environment)


def signal_after(lines, number, end=None):
    """A `say` that sends this process a signal at status line `lines`."""
    seen = []

    def say(text):
        if " kimg  " in text:
            seen.append(text)
            if len(seen) == lines:
                os.kill(os.getpid(), number)

    return say
