"""The training loop: from a config and a source to a run."""

import json
import time
from collections.abc import Callable, Generator
from contextlib import closing, nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from numpy.typing import NDArray

from atelier import files
from atelier.arrays import save_arrays
from atelier.stop import Interruption
from training import batches, schedule, sources
from training.config import Config, ConfigError
from training.devices import Agreement, Replicas, explained
from training.exchange.conversion import begun_checkpoint
from training.features.client import Net
from training.metrics import figures
from training.metrics import measure as metrics
from training.metrics.fakes import Fakes
from training.minibatch import Measures, Minibatch
from training.run import checkpoints, collapse, journal
from training.run import folder as runs
from training.run.snapshot import Snapshots
from training.state import Plan, State, network_configs, new_state, restored

Say = Callable[[str], None]
End = Literal["finished", "stopped", "collapsed"]
# (state, config, labels, scale of the learning rate, replicas) -> (images, labels) -> numbers
NewStep = Callable[[State, Config, NDArray[Any], float, Replicas], Callable[..., Measures]]


def stylegan2(config: Config, source: sources.Source) -> Plan:
    """A generator and its discriminator, as the options say; raises ValueError for their shape."""
    pair = network_configs(config, source.shape, source.labels.shape[1])
    return Plan(pair.saved(), lambda: new_state(config, pair))


ROLLBACKS = 8  # at most: the learning rate is 1/256 by then


@dataclass
class Run:
    """A run that is open for training: where it is, what it knows, how far it is."""

    folder: Path
    config: Config
    source: sources.Source
    known: dict[str, Any]  # config.json
    replicas: Replicas
    state: State
    teacher: Any = None  # of the plan
    collapsed: collapse.Collapse | None = None  # why training ended, if it did

    @property
    def every(self) -> tuple[int, int]:
        """Images per tick and per snapshot; the latter a multiple of the former."""
        part, shape = self.config.run, self.source.shape
        tick_kimg = part.tick_kimg or schedule.default_tick_kimg(*shape[:2])
        tick = max(round(tick_kimg * 1000), part.batch)
        snapshot = round(part.snapshot_kimg * 1000) or 10 * tick
        return tick, max(snapshot // tick, 1) * tick

    def reals(self) -> Generator[batches.Batch, None, None]:
        """This process's real images, from the next one on."""
        part = self.config.run
        offsets = self.replicas.offsets(part.batch)
        mirror = self.config.data.mirror
        return batches.reals(self.source, part.seed, part.batch, self.state.seen, mirror, offsets)

    def journal(self) -> journal.Journal:
        """stats.jsonl, up to the checkpoint."""
        return journal.Journal(self.folder, self.state.seen, writes=self.replicas.chief)

    def measure(
        self, fakes: Fakes, say: Say, stopped: Callable[[], bool], seen: int | None = None
    ) -> None:
        """The metrics of this moment, or of another; one process has them."""
        wanted, net = self.measuring
        if self.replicas.chief:
            seen = self.state.seen if seen is None else seen
            metrics.look(self.folder, seen, fakes, self.source, wanted, net, say, stopped)

    def measure_first(self, say: Say) -> None:
        """See that measuring can work, and measure a teacher, once."""
        if self.replicas.chief:
            metrics.ready(self.folder, self.source, *self.measuring, say)
        if self.teacher:
            fakes = Fakes(self.teacher, self.source.labels, "teacher ")
            self.measure(fakes, say, lambda: False, seen=0)

    @property
    def measuring(self) -> tuple[str, Net]:
        """What is to be measured at each snapshot, and with which network."""
        part = self.config.run
        net = Net(part.standin or "inception", part.inception, part.device, part.threads)
        return part.metrics, net

    def save(self, doubtful: bool = False) -> None:
        """A checkpoint of this moment; one process writes it.

        Older ones that are not kept go, unless it is `doubtful`, as it is of a tick that jumped or
        is not at its end: they may be what to go back to.
        """
        if not self.replicas.chief:
            return
        about = {
            "key": self.known["key"],
            "network": self.known["network"],
            "counters": self.state.counters(),
        }
        path = checkpoints.checkpoint_path(self.folder, self.state.seen)
        save_arrays(path, self.state.arrays(), about)
        if not doubtful or self.config.run.on_collapse == "ignore":
            checkpoints.retain(self.folder, self.config.run.keep, figures.best(self.folder))


def train(
    config: Config,
    source: sources.Source,
    say: Say = print,
    replicas: Replicas | None = None,
    new_step: NewStep = Minibatch,
    plan: Plan | None = None,
) -> End:
    """Train until total_kimg, a signal, or a collapse; the same call goes on where it stopped.

    Several processes that train together call it at the same time, and one of them writes.
    `new_step` makes what trains on a minibatch, `plan` says of which networks (StyleGAN2's, unless
    given); all else is kept here.
    """
    replicas = replicas or Replicas()
    folder = runs.folder(config, sources.dataset_identity(source))
    busy = ConfigError(
        f"{folder} is being trained by another process: wait for it, or choose another out"
    )
    alone = files.alone(folder / "lock", busy, say) if replicas.chief else nullcontext()
    with alone, explained(config, replicas), Interruption() as interruption:
        files.sweep(folder)
        plan = plan or stylegan2(config, source)
        run = open_run(folder, config, source, say, replicas, plan)
        while (end := trained(run, interruption, say, new_step)) == "collapsed":
            if not rolled_back(run, say):
                break
        return end


def open_run(
    folder: Path, config: Config, source: sources.Source, say: Say, replicas: Replicas, plan: Plan
) -> Run:
    """The run as its newest checkpoint left it, or a new one; config.json is written first."""
    dataset, about = sources.dataset_identity(source), plan.about
    known = runs.whole_run(folder)
    if known is not None:
        runs.check_same(folder, known, config, dataset)
    known = known or runs.begin_run(config, dataset, about)
    newest, broken = newest_whole(folder, say)
    with replicas.strategy.scope():
        state = plan.begin()
    if newest:
        checkpoints.same_network(about, newest.about["network"], newest.path)
        restored(state, config, newest.arrays, newest.about["counters"])
        say(f"goes on from {newest.path.name}")
    elif config.run.resume_from:
        taken_over(state, config, about, say)
    replicas.check_same(folder, {"seen": state.seen, "key": known["key"]} | about)
    if replicas.chief:
        checkpoints.set_aside(broken)
        figures.forget_after(folder, state.seen)
        remember(folder, known, config, state.seen)
    return Run(folder, config, source, known, replicas, state, plan.teacher)


def newest_whole(
    folder: Path, say: Say, until: int | None = None
) -> tuple[checkpoints.Checkpoint | None, dict[Path, str]]:
    """`checkpoint.newest`, which also tells of those that are broken."""
    found, broken = checkpoints.newest(folder, until)
    for problem in broken.values():
        say(f"{problem}; the one before is used")
    return found, broken


def taken_over(state: State, config: Config, about: dict[str, Any], say: Say) -> None:
    """Begin where another run or network was: weights, and of a run slots, means, images seen."""
    old, notes = begun_checkpoint(Path(config.run.resume_from))
    for note in notes:
        say(note)
    network = old.about["network"]
    known = about | network if "G" in network else network  # what is not said of D is this run's
    checkpoints.same_network(about, known, old.path)
    counters = {**old.about["counters"], "tally": {}}
    if config.run.restart_schedule:
        counters |= {"seen": 0, "minibatches": 0}
    of_d = {name: array for name, array in state.arrays().items() if name.startswith("D/")}
    anew = {} if of_d.keys() & old.arrays.keys() else of_d
    restored(state, config, {**anew, **old.arrays}, counters)
    say(f"begins from {old.path} at {state.seen / 1000:g} kimg")


def remember(folder: Path, known: dict[str, Any], config: Config, seen: int) -> None:
    """Write config.json: as it began, and what each later command changed at which kimg."""
    differing = runs.changed(known, config)
    if differing:
        known["changes"].append({"kimg": seen / 1000, "options": differing})
    if differing or not (folder / "config.json").exists():
        files.write_json(folder / "config.json", known)


def trained(run: Run, interruption: Interruption, say: Say, new_step: NewStep) -> End:
    """Minibatch after minibatch, until something ends it."""
    # What is needed.
    config, state, replicas = run.config, run.state, run.replicas
    total, (tick, snapshot) = round(config.run.total_kimg * 1000), run.every
    scale = 0.5 ** len(run.known["rollbacks"])
    minibatch = new_step(state, config, run.source.labels, scale, replicas)
    snapshots = Snapshots(run.folder, state, config, run.source, replicas, run.teacher)
    tally, agreed = journal.Tally(state.tally), Agreement(replicas)
    fakes = Fakes(state.networks["G_ema"], run.source.labels)
    reals = run.reals()
    run.measure_first(say)
    with closing(reals), closing(run.journal()) as log:
        # A new run begins with a picture and a checkpoint of nothing.
        if not checkpoints.list_checkpoints(run.folder):
            snapshots.leave()
            run.save()

        watch = collapse.Watch(log.lines)
        pace, stop, second = None, False, state.seen + 2 * config.run.batch
        while state.seen < total and not stop:
            # Train both networks.
            before = state.seen
            tally.add(minibatch(*next(reals)))
            stop = agreed(bool(interruption.signal))
            pace = pace or journal.Pace(state.seen)  # the first one was compiled: not counted
            if state.seen == second and (
                note := journal.outlook(pace.per_kimg(state.seen), tick, total - state.seen)
            ):
                say(note)
            if not schedule.due(before, state.seen, tick):
                continue

            # Now and then, write down, look for a collapse, and save.
            line = tally.close()
            line |= {"seen": state.seen, "kimg": state.seen / 1000, "time": time.time()}
            line["seconds_per_kimg"] = pace.per_kimg(state.seen)
            log.write(line)
            say(journal.status(line, config.run.total_kimg))
            run.collapsed = watch.hear(line)
            if run.collapsed and config.run.on_collapse != "ignore":
                return "collapsed"
            if schedule.due(before, state.seen, snapshot) and state.seen < total:
                snapshots.leave()
                state.tally = tally.plain()
                run.save(watch.jumped)
                run.measure(fakes, say, lambda: bool(interruption.signal))
            pace = journal.Pace(state.seen)

        # Leave a checkpoint first, then the film.
        state.tally = tally.plain()
        run.save(watch.jumped or bool(state.tally))
        if state.seen < total:
            say(f"stopped at {state.seen / 1000:g} kimg; the same command goes on")
            return "stopped"
        snapshots.leave()
        run.measure(fakes, say, lambda: bool(interruption.signal))
        snapshots.film()
        say(f"finished at {state.seen / 1000:g} kimg: {run.folder}")
        return "finished"


def rolled_back(run: Run, say: Say) -> bool:
    """After a collapse: give up what came after the last good checkpoint, and halve the rate."""
    what, rollbacks = run.collapsed, run.known["rollbacks"]
    assert what is not None
    say(f"collapsed at {what.seen / 1000:g} kimg: {what.reason}")
    if run.config.run.on_collapse == "stop":
        say(f"the last good tick was {what.good / 1000:g} kimg; --on-collapse rollback goes back")
        return False
    good, _ = newest_whole(run.folder, say, until=what.good)
    if good is None or len(rollbacks) >= ROLLBACKS:
        say("there is nothing to go back to" if good is None else f"{ROLLBACKS} times: giving up")
        return False
    restored(run.state, run.config, good.arrays, good.about["counters"])
    seen, run.collapsed = run.state.seen, None
    rollbacks.append({"kimg": what.seen / 1000, "to_kimg": seen / 1000, "reason": what.reason})
    if run.replicas.chief:
        checkpoints.forget_after(run.folder, seen)
        figures.forget_after(run.folder, seen)
        files.write_json(run.folder / "config.json", run.known)
    say(f"back to {seen / 1000:g} kimg with half the learning rate")
    return True


def printed(config: Config, dataset: Any) -> str:
    """The whole config, as it is shown before the first step."""
    return json.dumps({"config": asdict(config), "dataset": dict(dataset)}, indent=1)
