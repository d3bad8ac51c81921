"""TrainStyleGAN: `python -m training` on the newest dataset, in a process of its own."""

import ctypes
import multiprocessing
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import Field, dataclass, fields, make_dataclass
from pathlib import Path

from pipeline import lock
from pipeline.options import REPOSITORY, Settings, SettingsError, located, option
from training import checkpoint, presets, runs
from training.config import SECTIONS, Config, ConfigError

RUNS = "runs"  # the folder in the store
DECIDED_HERE = ("data", "out")
WRONG_INPUT, COLLAPSED, STOPPED = 2, 3, 130  # exit codes of `python -m training train`
REASONS = ("error: ", "collapsed at ")  # how a line begins that says why the trainer ends
STATUS = re.compile(r"([\d.]+) of ([\d.e+]+) kimg ")

Say = Callable[[str, int], None]  # hears the status line and the percentage

PR_SET_PDEATHSIG = 1  # Linux: the signal to get when the parent dies; it outlives exec
# What the child runs before it becomes the trainer: should its parent be killed, it gets SIGTERM,
# so that it leaves a checkpoint and ends.
BEGIN = f"""
import ctypes, os, sys
ctypes.CDLL(None).prctl({PR_SET_PDEATHSIG}, {signal.SIGTERM:d})
if os.getppid() == int(sys.argv[1]):
    os.execv(sys.executable, [sys.executable, "-m", "training", "train", *sys.argv[2:]])
"""


class TrainError(RuntimeError):
    """Training did not finish; the message says why, and the way out."""


@dataclass(frozen=True)
class TrainerConfig(Settings):
    """Training: the options of `python -m training train`; an empty one is as the preset says."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.-]*", self.options()["name"]):
            self.refuse("name", "use letters, digits, _ - and . only")
        self.resolved(64, 64)

    def options(self) -> dict[str, str]:
        """Every option, an empty one too."""
        return {f.name: getattr(self, f.name) for f in fields(self)}

    def resolved(self, width: int, height: int) -> Config:
        """All of training's options, for pictures of this size; raises SettingsError."""
        given = {name: value for name, value in self.options().items() if value}
        try:
            return presets.resolve(given.pop("preset", ""), height, width, given)
        except ConfigError as error:
            raise SettingsError(f"[TrainStyleGAN] {error}") from None

    def words(self) -> list[str]:
        """What is given, for the trainer's command line."""
        given = {name: value for name, value in self.options().items() if value}
        if "resume_from" in given:
            given["resume_from"] = str(located(given["resume_from"]))
        return [f"--{name}={value}" for name, value in given.items()]


def declared() -> Iterator[tuple[str, type[str], Field[str]]]:
    """Training's own options with its own sentences, as (name, type, field)."""
    known = f"{', '.join(presets.PRESETS)}: what holds where an option of this section is empty"
    yield "preset", str, option("config-f", known)
    for f in (f for section in SECTIONS.values() for f in fields(section)):
        if f.name not in DECIDED_HERE:
            default = "stylegan2" if f.name == "name" else ""
            yield f.name, str, option(default, f.metadata["help"])


TrainStyleGANConfig: type[TrainerConfig] = make_dataclass(
    "TrainStyleGANConfig",
    declared(),
    bases=(TrainerConfig,),
    frozen=True,
    namespace={"__doc__": TrainerConfig.__doc__},
)


def images_seen(run: Path) -> int:
    """How far a run's newest checkpoint is."""
    saved = checkpoint.listed(run)
    return checkpoint.seen_at(saved[-1]) if saved else 0


def finished(data: Path, store: Path, config: TrainerConfig, width: int, height: int) -> bool:
    """Whether a run of these options on this dataset has reached its total_kimg."""
    wanted = config.resolved(width, height)
    total = round(1000 * wanted.run.total_kimg)
    return any(images_seen(run) >= total for run in known(store) if is_of(run, data, wanted))


def known(store: Path) -> list[Path]:
    """The folders of all runs."""
    return sorted(path.parent for path in (store / RUNS).glob("*/config.json"))


def is_of(run: Path, data: Path, config: Config) -> bool:
    """Whether this run has the identity of these options, and learnt from this dataset.

    A folder of records is named after what is in it, so that its name tells, wherever it lies.
    """
    try:
        saved = runs.saved(run) or {}
        given = [saved["config"]["data"]["data"]]
        given += [change["options"].get("data", "") for change in saved["changes"]]
        dataset = {name: value for name, value in saved["dataset"].items() if name != "path"}
    except (ConfigError, KeyError, TypeError):
        return False  # not written by a trainer of this version
    same = any(Path(path).parts[-2:] == data.parts[-2:] for path in given)
    return same and run.name == f"{config.run.name}-{runs.key(config, dataset)}"


def told(store: Path) -> Iterator[str]:
    """A line per run: its name and how far it is."""
    for run in known(store):
        total = runs.current(runs.saved(run) or {})["total_kimg"]
        yield f"{run.name}: {images_seen(run) / 1000:g} of {total:g} kimg"


def train(data: Path, store: Path, config: TrainerConfig, say: Say) -> None:
    """Train until total_kimg, or go on; what the trainer prints goes to the terminal.

    The store's lock is given back: this takes days, and a run has a lock of its own.

    After SIGINT or SIGTERM the trainer writes a checkpoint, then KeyboardInterrupt is raised.
    Raises TrainError where training ends early for another reason.
    """
    lock.release(store)
    words = [f"--data={data}", f"--out={store / RUNS}", *config.words()]
    follow([sys.executable, "-c", BEGIN, str(os.getpid()), *words], say)


def follow(command: list[str], say: Say) -> None:
    """Run the trainer, pass on what it prints and the signals, and judge how it ended."""
    reason = ""
    with started(command) as trainer, forwarding(trainer) as received:
        assert trainer.stdout
        for line in trainer.stdout:
            if line.startswith(REASONS):
                reason = line.strip().removeprefix("error: ")
            if not line.startswith("error: "):
                print(line, end="", flush=True)
            if found := STATUS.match(line):
                say(line.strip(), int(100 * float(found[1]) / max(float(found[2]), 1e-9)))
    if received:
        raise KeyboardInterrupt
    judge(trainer.returncode, reason)


@contextmanager
def started(command: list[str]) -> Iterator["subprocess.Popen[str]"]:
    """The trainer, out of reach of the terminal's own Ctrl-C; nothing that ends us leaves it."""
    with subprocess.Popen(
        command,
        cwd=REPOSITORY,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as trainer:
        try:
            yield trainer
        finally:
            if trainer.stdout:
                trainer.stdout.close()
            if trainer.poll() is None and sys.exc_info()[0]:
                trainer.terminate()
            trainer.wait()


@contextmanager
def forwarding(trainer: "subprocess.Popen[str]") -> Iterator[list[int]]:
    """Pass the first SIGINT or SIGTERM on; gathers them all. The trainer's answer takes a while."""
    received: list[int] = []

    def forward(number: int, _: object) -> None:
        if not received:
            print("\nstopping: the trainer writes a checkpoint first", file=sys.stderr, flush=True)
            trainer.terminate()
        received.append(number)

    if multiprocessing.parent_process():  # Luigi's worker process: it ends with its parent, too
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    before = {n: signal.signal(n, forward) for n in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield received
        trainer.wait()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def judge(code: int, reason: str) -> None:
    """Raise TrainError unless the trainer says that it finished."""
    if code == WRONG_INPUT and reason:
        raise TrainError(reason)
    if code == COLLAPSED:
        raise TrainError(
            f"training {reason or 'collapsed'}; its checkpoints are kept: lower g_lr and d_lr,"
            " raise r1_gamma, or set on_collapse = rollback in [TrainStyleGAN], and run it again"
        )
    if code == STOPPED:
        raise TrainError("somebody stopped the trainer; the same command goes on")
    if code < 0:
        raise TrainError(
            f"the trainer was killed by signal {-code} (for want of memory it is 9: take a smaller"
            " batch, or accumulation); the same command goes on from the newest checkpoint"
        )
    if code:
        raise TrainError(f"the trainer failed with exit code {code}; its last words are above")
