"""Where TensorFlow computes, and which part of a minibatch is whose.

Every replica keeps its own copy of each variable and moves it by the same summed gradient, so all
copies stay equal without being sent.
"""

import hashlib
import json
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import tensorflow as tf

from atelier import cuda
from atelier.commands import errno_of, number_of
from atelier.cores import cores
from atelier.errors import Refusal, reason_in
from atelier.files import json_of
from training import startup
from training.config import Config, ConfigError
from training.networks.parameters import Tensor

AGREE = 3.0  # seconds


class Replicas:
    """The replicas of a `tf.distribute` strategy, seen from one process; alone without one.

    Of a minibatch cut into rounds, replica r computes in round n the samples i with
    i mod (rounds * count) = n * count + r, as the groups of minibatch standard deviation are
    strided.
    """

    def __init__(self, strategy: Any = None, worker: int = 0, workers: int = 1) -> None:
        self.strategy = strategy or tf.distribute.get_strategy()
        self.count: int = self.strategy.num_replicas_in_sync
        self.worker, self.workers = worker, workers
        self.here = self.count // workers
        self.flags = self.each(self.sum)

    @property
    def chief(self) -> bool:
        """Whether this process writes the run's files."""
        return self.worker == 0

    def check(self, config: Config) -> None:
        """Raise ConfigError where a minibatch cannot be dealt out to them."""
        batch, rounds = config.run.batch, config.run.accumulation
        rest = batch % (rounds * self.count)
        said = f"batch = {batch} over {self.count} devices"
        if rest:
            raise ConfigError(
                f"{said} and accumulation = {rounds} is no whole number: choose a multiple of"
                f" {rounds * self.count}, or fewer --devices; the preset auto counts --devices"
                f" {self.count} where it is stated"
            )
        config.check_parts(self.count)
        if config.loss.pl_weight and path_batch(config) % self.count:
            raise ConfigError(
                f"{said} leaves no whole number for path lengths (batch / pl_shrink ="
                f" {path_batch(config)}): choose another batch, or pl_shrink = 1"
            )

    # In the process.

    def each(self, function: Callable[..., Any], xla: bool = False) -> Callable[..., Any]:
        """`function`, compiled, once per replica; arguments are for all, or dealt out by `deal`."""
        if xla:
            function = tf.function(function, autograph=False, jit_compile=True)
        compiled = tf.function(partial(self.strategy.run, function), autograph=False)
        return lambda *arguments: compiled(arguments)

    def first(self, results: Any) -> Any:
        """The results of one replica here, where those of all are equal."""
        return tf.nest.map_structure(
            lambda result: self.strategy.experimental_local_results(result)[0], results
        )

    def offsets(self, batch: int) -> list[int]:
        """Which samples of a minibatch this process has to read, in order."""
        return [i for i in range(batch) if i % self.count // self.here == self.worker]

    def deal(self, samples: Tensor, number: int, rounds: int) -> Any:
        """Of this process's samples, those of round `number`, to each replica its own."""
        if self.count == 1:
            return samples[number::rounds] if rounds > 1 else samples
        start, step = number * self.here, rounds * self.here
        own = iter([samples[start + r :: step] for r in range(self.here)])
        return self.strategy.experimental_distribute_values_from_function(lambda _: next(own))

    def totals(self, numbers: Sequence[float]) -> list[float]:
        """The sums over all replicas; all processes must ask at the same moment."""
        return [float(n) for n in self.first(self.flags(tf.constant(numbers, tf.float32)))]

    def check_same(self, run: Path, value: Any) -> None:
        """Raise ConfigError where processes that train together begin differently."""
        if self.workers == 1:
            return
        text = json.dumps(value, sort_keys=True)
        mine = int(hashlib.sha256(text.encode()).hexdigest()[:7], 16)
        total = self.first(self.flags(tf.constant(mine, tf.int64)))
        if int(total) != mine * self.count:
            raise ConfigError(
                f"{run} is another run, or at another moment, on another of the {self.workers}"
                " machines: give all the same command, and a folder that all of them see"
            )

    # In a replica.

    def part(self, number: Tensor) -> Tensor:
        """Which part of the minibatch this replica computes in round `number`."""
        replica = tf.distribute.get_replica_context().replica_id_in_sync_group
        return number * self.count + tf.cast(replica, tf.int64)

    def sum(self, values: Any) -> Any:
        """The sum over all replicas."""
        if self.count == 1:
            return values
        placed = tf.nest.map_structure(tf.identity, values)  # arguments lie on no device yet
        context = tf.distribute.get_replica_context()
        return context.all_reduce(tf.distribute.ReduceOp.SUM, placed)


class Agreement:
    """Whether any of the processes that train together was told to stop.

    All of them ask after the same minibatch, every AGREE seconds or so: to ask waits for the
    devices. How many minibatches that are follows from the mean pace, which all of them know.
    """

    def __init__(self, replicas: Replicas, clock: Callable[[], float] = time.monotonic) -> None:
        self.replicas, self.clock = replicas, clock
        self.every, self.since, self.last = 1, 0, clock()

    def __call__(self, told: bool) -> bool:
        """To be called after each minibatch, by all."""
        if self.replicas.workers == 1:
            return told
        self.since += 1
        if self.since < self.every:
            return False
        pace = (self.clock() - self.last) / self.since
        flags, paces = self.replicas.totals([float(told), pace])
        mean = paces / self.replicas.count
        self.every = max(int(AGREE / mean), 1) if mean else 1
        self.since, self.last = 0, self.clock()
        return flags > 0


def choose(config: Config) -> Replicas:
    """Make only the wanted devices visible, and join them; to be called before anything else."""
    run = config.run
    if run.threads:
        tf.config.threading.set_intra_op_parallelism_threads(run.threads)
    if run.deterministic:
        tf.config.experimental.enable_op_determinism()
    names = gpus(config) or cpus(config)
    worker, workers = cluster()
    if run.xla == "true" and len(names) * workers > 1:
        raise ConfigError("xla = true works on one device only: leave it out, or give --devices 1")
    set_arithmetic(run.precision)
    if workers > 1:
        strategy: Any = tf.distribute.MultiWorkerMirroredStrategy()
    else:
        strategy = tf.distribute.MirroredStrategy(names) if len(names) > 1 else None
    replicas = Replicas(strategy, worker, workers)
    replicas.check(config)
    return replicas


def set_arithmetic(precision: str) -> None:
    """TensorFlow multiplies float32 with 10 bits on cards that can, unless told not to."""
    tf.config.experimental.enable_tensor_float_32_execution(precision == "tf32")


def uses_xla(config: Config) -> bool:
    """Whether the steps are compiled: only where it is asked for (docs/decisions/0010)."""
    return config.run.xla == "true"


def gpus(config: Config) -> list[str]:
    """The GPUs to use, or none; the others become invisible."""
    found, wanted = tf.config.list_physical_devices("GPU"), config.run.devices
    if config.run.device == "gpu" and not found:
        why = cuda.why_none("gpu") or "TensorFlow sees no GPU"
        raise ConfigError(f"device = gpu, but {why}; or give --device cpu")
    used = [] if config.run.device == "cpu" else found[: wanted or None]
    if used and len(used) < wanted:
        raise ConfigError(f"devices = {wanted}, but TensorFlow sees {len(found)}: give fewer")
    tf.config.set_visible_devices(used, "GPU")
    return [f"GPU:{number}" for number in range(len(used))]


def cpus(config: Config) -> list[str]:
    """The CPU, or as many logical parts of it as were asked for."""
    count = config.run.devices or 1
    if count > 1:
        parts = [tf.config.LogicalDeviceConfiguration()] * count
        whole = tf.config.list_physical_devices("CPU")[0]
        tf.config.set_logical_device_configuration(whole, parts)
    return [f"CPU:{number}" for number in range(count)]


def devices_in_words(replicas: Replicas, config: Config) -> str:
    """The devices, for people, why a card that is there is none of them, and what is slow."""
    names = [named(device) for device in tf.config.get_visible_devices("GPU")]
    threads = config.run.threads or cores()
    said = ", ".join(names) or f"the CPU, {number_of(threads, 'thread')}"
    if replicas.count > 1:
        said += f"; {replicas.count} replicas"
    if replicas.workers > 1:
        said += f" on {replicas.workers} workers, this is number {replicas.worker}"
    why = [] if names else [cuda.why_none(config.run.device)]
    if not names and config.run.precision == "bfloat16" and startup.emulates_bfloat16():
        why.append(f"{startup.WITHOUT_BFLOAT16}: give --precision float32")
    known = "; ".join(filter(None, why))
    return f"{said}: {known}" if known else said


def named(gpu: Any) -> str:
    """A GPU with the name of its make."""
    make = tf.config.experimental.get_device_details(gpu).get("device_name", "of unknown make")
    return f"{gpu.name.removeprefix('/physical_device:')} ({make})"


LOST = (  # what machines that train together see of one that is gone
    tf.errors.UnavailableError,
    tf.errors.AbortedError,
    tf.errors.CancelledError,
    tf.errors.DeadlineExceededError,
    tf.errors.UnknownError,
)
OF_A_CARD = (  # what its driver and libraries give up with: a kernel, cuDNN, no algorithm
    tf.errors.InternalError,
    tf.errors.UnknownError,
    tf.errors.UnavailableError,
    tf.errors.UnimplementedError,
    tf.errors.NotFoundError,
)
HELD = "other programs may hold the card's memory, too (nvidia-smi shows them)"


class DeviceError(Refusal):
    """What a device, or another machine, could not do."""


@contextmanager
def explained(config: Config, replicas: Replicas) -> Iterator[None]:
    """Say in one sentence what can be mended; raises DeviceError."""
    try:
        yield
    except tf.errors.OpError as error:
        if said := given_up(error, config, replicas):
            raise DeviceError(said) from error
        raise


def given_up(error: Any, config: Config, replicas: Replicas) -> str:
    """What a device, or another machine, did not do, and the way out; nothing of other errors."""
    if errno_of(error):  # it is about a file: a disk may be full, too
        return ""
    if isinstance(error, tf.errors.ResourceExhaustedError):
        return too_large(config, replicas)
    kind = type(error).__name__
    reason = f"{kind}: {reason_in(error.message)}"
    if replicas.workers > 1 and isinstance(error, LOST):
        return (
            f"another worker stopped answering ({kind}): start all of them with the same command"
            " again"
        )
    if uses_xla(config):
        return f"XLA gave up ({reason}): leave out --xla true"
    if tf.config.get_visible_devices("GPU") and isinstance(error, OF_A_CARD):
        return f"the card gave up ({reason}): {HELD}; the same command goes on"
    return ""


def too_large(config: Config, replicas: Replicas) -> str:
    """What is said where the memory does not hold what is computed at once."""
    part = config.run.batch // config.run.accumulation // replicas.count
    fewer = part // 2 >= (config.network.mbstd_group or part)
    ways = ["no --xla true"] if uses_xla(config) else []
    ways += [f"--accumulation {2 * config.run.accumulation}"] if fewer else []
    ways += ["--recompute", "--precision bfloat16", "a smaller --batch"]
    said = f"there is too little memory for {part} images at once: give {', or '.join(ways)}"
    return f"{said}; {HELD}" if tf.config.get_visible_devices("GPU") else said


def path_batch(config: Config) -> int:
    """Images of a path length step."""
    return max(config.run.batch // config.loss.pl_shrink, 1)


def cluster() -> tuple[int, int]:
    """(this process, processes) of TF_CONFIG; (0, 1) without it."""
    text = os.environ.get("TF_CONFIG", "")
    if not text:
        return 0, 1
    try:
        known = json_of(text)
        workers, task = known["cluster"]["worker"], known["task"]
        if set(known["cluster"]) != {"worker"} or task["type"] != "worker":
            raise ValueError
        if not 0 <= int(task["index"]) < len(workers):
            raise ValueError
        return int(task["index"]), len(workers)
    except (ValueError, KeyError, TypeError):
        task = {"type": "worker", "index": 0}
        example = json.dumps({"cluster": {"worker": ["a:2222", "b:2222"]}, "task": task})
        raise ConfigError(
            f"TF_CONFIG = {text}: give the machines as in {example}, with index 1 on the second"
        ) from None
