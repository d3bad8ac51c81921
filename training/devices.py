"""Where TensorFlow computes: said before it computes anything."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

import tensorflow as tf

from training.config import Config, ConfigError
from training.replicas import Replicas, cluster


def choose(config: Config) -> Replicas:
    """Make only the wanted devices visible, and join them; to be called before anything else."""
    run = config.run
    if run.threads:
        tf.config.threading.set_intra_op_parallelism_threads(run.threads)
    if run.deterministic:
        tf.config.experimental.enable_op_determinism()
    names = gpus(config) or cpus(config)
    worker, workers = cluster()
    if run.xla and len(names) * workers > 1:
        raise ConfigError("xla = true works on one device only: leave it out, or give --devices 1")
    if workers > 1:
        strategy: Any = tf.distribute.MultiWorkerMirroredStrategy()
    else:
        strategy = tf.distribute.MirroredStrategy(names) if len(names) > 1 else None
    replicas = Replicas(strategy, worker, workers)
    replicas.check(config)
    return replicas


def gpus(config: Config) -> list[str]:
    """The GPUs to use, or none; the others become invisible."""
    found, wanted = tf.config.list_physical_devices("GPU"), config.run.devices
    if config.run.device == "gpu" and not found:
        raise ConfigError("device = gpu, but TensorFlow sees no GPU: give --device cpu, or auto")
    used = [] if config.run.device == "cpu" else found[: wanted or None]
    if used and len(used) < wanted:
        raise ConfigError(f"devices = {wanted}, but TensorFlow sees {len(found)}: give fewer")
    tf.config.set_visible_devices(used, "GPU")
    for device in used:
        tf.config.experimental.set_memory_growth(device, True)
    return [f"GPU:{number}" for number in range(len(used))]


def cpus(config: Config) -> list[str]:
    """The CPU, or as many logical parts of it as were asked for."""
    count = config.run.devices or 1
    if count > 1:
        parts = [tf.config.LogicalDeviceConfiguration()] * count
        whole = tf.config.list_physical_devices("CPU")[0]
        tf.config.set_logical_device_configuration(whole, parts)
    return [f"CPU:{number}" for number in range(count)]


def described(replicas: Replicas, config: Config) -> str:
    """The devices, for people."""
    names = [device.name for device in tf.config.get_visible_devices("GPU")]
    threads = config.run.threads or os.cpu_count()
    said = ", ".join(names) or f"CPU, {threads} threads"
    if replicas.count > 1:
        said += f"; {replicas.count} replicas"
    if replicas.workers > 1:
        said += f" on {replicas.workers} workers, this is number {replicas.worker}"
    return said


LOST = (
    tf.errors.UnavailableError,
    tf.errors.AbortedError,
    tf.errors.CancelledError,
    tf.errors.DeadlineExceededError,
    tf.errors.UnknownError,
)


class DeviceError(ValueError):
    """What a device, or another machine, could not do."""


@contextmanager
def explained(config: Config, replicas: Replicas) -> Iterator[None]:
    """Say in one sentence what can be mended; raises DeviceError."""
    try:
        yield
    except tf.errors.ResourceExhaustedError:
        part = config.run.batch // config.run.accumulation // replicas.count
        fewer = part // 2 >= config.network.mbstd_group
        ways = [f"--accumulation {2 * config.run.accumulation}"] if fewer else []
        ways += ["--recompute", "--precision bfloat16", "a smaller --batch"]
        raise DeviceError(
            f"there is too little memory for {part} images at once: give {', or '.join(ways)}"
        ) from None
    except LOST as error:
        if replicas.workers == 1:
            raise
        raise DeviceError(
            f"another worker stopped answering ({type(error).__name__}): start all of them with"
            " the same command again"
        ) from None


class Interruption:
    """SIGTERM and Ctrl-C ask for a stop; a Ctrl-C after that ends the process at once.

    A second SIGTERM does not: one comes from the system for each thread of a parent that dies.
    """

    def __init__(self) -> None:
        self.signal = 0
        self.before: dict[int, object] = {}

    def __enter__(self) -> "Interruption":
        for number in (signal.SIGINT, signal.SIGTERM):
            self.before[number] = signal.signal(number, self.asked)
        return self

    def asked(self, number: int, frame: FrameType | None) -> None:
        if self.signal and number == signal.SIGINT:
            raise KeyboardInterrupt
        self.signal = number

    def __exit__(self, *_: object) -> None:
        for number, handler in self.before.items():
            signal.signal(number, handler)  # type: ignore[arg-type]
