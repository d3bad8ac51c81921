"""Where TensorFlow computes: said before it computes anything."""

import os
import signal
from types import FrameType

import tensorflow as tf

from training.config import Config, ConfigError


def choose(config: Config) -> str:
    """Make only the wanted devices visible; gives their names for people."""
    gpus = tf.config.list_physical_devices("GPU")
    if config.run.device == "gpu" and not gpus:
        raise ConfigError("device = gpu, but TensorFlow sees no GPU: give --device cpu, or auto")
    if config.run.device == "cpu" or not gpus:
        tf.config.set_visible_devices([], "GPU")
        gpus = []
    if gpus:
        tf.config.set_visible_devices(gpus[:1], "GPU")
        tf.config.experimental.set_memory_growth(gpus[0], True)
    if config.run.threads:
        tf.config.threading.set_intra_op_parallelism_threads(config.run.threads)
    if config.run.deterministic:
        tf.config.experimental.enable_op_determinism()
    return gpus[0].name if gpus else f"CPU, {config.run.threads or os.cpu_count()} threads"


class Interruption:
    """SIGTERM and Ctrl-C ask for a stop, once; the second one ends the process at once."""

    def __init__(self) -> None:
        self.signal = 0
        self.before: dict[int, object] = {}

    def __enter__(self) -> "Interruption":
        for number in (signal.SIGINT, signal.SIGTERM):
            self.before[number] = signal.signal(number, self.asked)
        return self

    def asked(self, number: int, frame: FrameType | None) -> None:
        if self.signal:
            raise KeyboardInterrupt
        self.signal = number

    def __exit__(self, *_: object) -> None:
        for number, handler in self.before.items():
            signal.signal(number, handler)  # type: ignore[arg-type]
