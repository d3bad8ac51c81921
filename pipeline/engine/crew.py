"""Runs units of work on Dask: a cluster of local processes, many machines, or in-process."""

import math
import random
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import CancelledError
from dataclasses import dataclass, field
from importlib.util import find_spec
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from atelier import files
from atelier.commands import say
from atelier.cores import cores
from atelier.errors import Refusal, words_of
from atelier.options import option
from pipeline.engine import cluster, fitness
from pipeline.engine.cluster import MachineError
from pipeline.engine.fitness import Terms, UnfitError
from pipeline.engine.towards import FORMS, names_scheduler
from pipeline.engine.unit import Unit
from pipeline.options import Settings

if TYPE_CHECKING:
    from distributed import Client, Future

MANY_SHARDS = 64  # that take as long as workers take to start
WINDOW = 3  # units in flight per worker
HOPELESS = 32  # tries that fail one after the other, and each row of the last: the rest will
WAIT_SECONDS = 20
STILL_SECONDS = 600  # without anything finished: a unit of 256 photos in a slow detector takes less
PATIENCE = 6  # waits without any worker: on a busy machine a new one takes a minute
MOST_KILLED = 4  # workers that one suspect may cost, and one more
MOST_WORKERS = 1024  # of one machine: Dask begins them one by one, and hears no signal meanwhile
ALL_DIE = 5  # photos in a row that kill a fresh worker: then it is not the photos

Progress = Callable[[int], None]
Failed = tuple[Unit, BaseException]  # with why


@dataclass(frozen=True)
class EngineConfig(Settings):
    """Where the work runs. Nothing here changes a result."""

    scheduler: str = option(
        "local",
        "local (processes of this machine), in-process (one, for debugging), or the address of a"
        " Dask scheduler, tcp://host:8786 or tls://host:8786, whose workers see the same folders",
        keyed="never",
    )
    workers: int = option(
        0, "local worker processes; 0: one per core", low=0, high=MOST_WORKERS, keyed="never"
    )
    rows: int = option(
        0, "rows per unit of work; 0: chosen so that each worker gets several", low=0, keyed="never"
    )
    dashboard: bool = option(
        False, "serve Dask's dashboard on http://127.0.0.1:8787", keyed="never"
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.scheduler not in ("local", "in-process") and not names_scheduler(self.scheduler):
            self.refuse("scheduler", f"give local, in-process, {FORMS}")
        if self.dashboard and not find_spec("bokeh"):
            self.refuse("dashboard", "it needs the package bokeh: pip install bokeh")

    @property
    def processes(self) -> int:
        """Local workers: as many as asked for, or one per core this process may use."""
        return self.workers or cores()

    def rows_per_unit(self, total: int) -> int:
        """Units small enough to share among the workers, large enough to be worth a file.

        The workers of a scheduler are known once it is connected to.
        """
        workers = cluster.current.workers if cluster.current else 0
        usual = min(256, total // (8 * (workers or self.processes)))
        return self.rows or max(4, usual - usual % 4)  # Embed's batches are of 4


def pays(config: EngineConfig, shards: int) -> bool:
    """Whether workers are to make so many shards: they are there, or it is worth starting them."""
    wanted = 2 if cluster.current else MANY_SHARDS
    return config.scheduler != "in-process" and shards >= wanted


def map_units(
    units: Iterable[Unit],
    config: EngineConfig,
    store: Path,
    progress: Progress,
    library: str = "",
) -> list[str]:
    """Do all units; returns why some are still open, one sentence for each, or nothing.

    They are asked for as workers need them, and may be asked for again. A unit that fails is tried
    again row by row, and those of its rows that fail once more where they are few. A photo that
    kills its worker each time, alone, is recorded as dropped. `progress` is called with the number
    of rows just done. `library` is the one that the work loads and that shares no process with
    another such one.
    """
    first = next(iter(units), None)
    if first is None:
        return []
    if config.scheduler == "in-process":
        return in_process(units, progress)
    try:
        if config.scheduler == "local":
            client = cluster.connect("local", config.processes, config.dashboard, library)
            return on_this_machine(client, units, progress, store)
        with fitness.terms(store, first.photos) as terms:
            return on_scheduler(units, config.scheduler, progress, library, terms)
    except BaseException:
        cluster.close()
        raise


def on_this_machine(
    client: "Client", units: Iterable[Unit], progress: Progress, store: Path
) -> list[str]:
    """Do all units on processes of this machine; what one that died left half-written goes."""
    present = cluster.present(client)
    try:
        return Crew(client, progress).do(units)
    finally:
        if present - cluster.present(client):
            files.sweep(store)


def on_scheduler(
    units: Iterable[Unit], address: str, progress: Progress, library: str, terms: Terms
) -> list[str]:
    """Do all units on workers that somebody started; a scheduler that is started anew goes on.

    Raises MachineError where none is for too long, or where it did nothing before it went again.
    """
    from distributed.comm import CommClosedError

    done: set[str] = set()
    patience = cluster.CONNECT_SECONDS
    while True:
        before = len(done)
        left = (unit for unit in (unit.without(done) for unit in units) if unit.items)
        try:
            client = cluster.connect(address, 0, False, library, patience)
            return Crew(client, progress, terms, done).do(left)
        except CommClosedError:
            cluster.close()
            if patience != cluster.CONNECT_SECONDS and len(done) == before:
                raise MachineError(f"the scheduler {address} comes and goes: mend it") from None
            patience = WAIT_SECONDS * PATIENCE
            say(
                f"the scheduler {address} is gone: start it and its workers within {patience} s,"
                " and the run goes on; later, the same command does"
            )


def in_process(units: Iterable[Unit], progress: Progress) -> list[str]:
    failures = []
    for unit in units:
        try:
            unit.run()
            progress(len(unit.items))
        except Exception as error:
            if len(unit.items) > 1:
                failures += in_process(unit.split(), progress)
            else:
                failures.append(sentence(error))
    return failures


def sentence(error: BaseException) -> str:
    """What went wrong, in words."""
    text = words_of(error)
    if isinstance(error, OSError | Refusal):
        return text
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


@dataclass
class Crew:
    """Hands units to the workers and finds out which row is to blame when one is lost."""

    client: "Client"
    progress: Progress
    terms: Terms | None = None  # of workers that somebody else started
    done: set[str] = field(default_factory=set)  # the keys of rows that have their result
    looked_at: set[str] = field(default_factory=set)
    refused: dict[str, str] = field(default_factory=dict)  # workers, and why
    silent: set[str] = field(default_factory=set)
    listened_at: float = field(default_factory=time.monotonic)
    moved_at: float = field(default_factory=time.monotonic)  # when something was finished

    def do(self, units: Iterable[Unit]) -> list[str]:
        """First as cut, then what failed row by row, then who lost a worker alone."""
        failed = self.round(units)
        singles = [single for unit, _ in failed for single in unit.split()]
        random.Random(0).shuffle(singles)  # a folder that cannot be read fails many in a row
        failed = self.round(singles)
        if 0 < len(failed) < HOPELESS:
            time.sleep(1)
            failed = self.round([unit for unit, _ in failed])
        return self.blame([unit for unit, error in failed if is_lost_worker(error)]) + [
            sentence(error) for _, error in failed if not is_lost_worker(error)
        ]

    def round(self, units: Iterable[Unit], limit: float = HOPELESS) -> list[Failed]:
        """Do the units, a bounded number in flight; returns those that failed, with the error.

        Raises MachineError where so many fail in a row, and the last of them row by row, too.
        """
        failed: list[Failed] = []
        waiting = iter(units)
        units_of: dict[Future, Unit] = {}
        in_a_row = 0
        while True:
            window = WINDOW * max(1, len(self.workers()))
            for unit in islice(waiting, max(0, window - len(units_of))):
                units_of[self.submit(unit)] = unit
            if not units_of:
                return failed
            for future in self.finished(units_of):
                self.moved_at = time.monotonic()
                unit = units_of.pop(future)
                if future.status == "finished":
                    in_a_row = 0
                    self.done.update(unit.keys if self.terms else ())
                    self.progress(len(unit.items))
                elif isinstance(error := error_of(future), UnfitError):
                    self.refuse(*error.args)
                    units_of[self.submit(unit)] = unit
                elif is_lost_worker(error) or (in_a_row := in_a_row + 1) < limit:
                    failed.append((unit, error))
                else:
                    failed += self.alone(unit, in_a_row)
                    in_a_row = 0
            self.tell_still(units_of)

    def alone(self, unit: Unit, tries: int) -> list[Failed]:
        """The rows of a unit that fail by themselves, too; raises MachineError where all do."""
        failed = self.round(unit.split(), math.inf)
        if len(failed) == len(unit.items):
            raise MachineError(f"{tries} tries in a row failed: {sentence(failed[-1][1])}")
        return failed

    def submit(self, unit: Unit) -> "Future":
        if self.terms is None:
            return self.client.submit(type(unit).run, unit, pure=False)
        return self.client.submit(fitness.work, unit, self.terms, pure=False)

    def workers(self) -> set[str]:
        """The addresses of all; those that may not work are sent away as soon as they are seen."""
        present = cluster.present(self.client)
        if self.terms and (new := present - self.looked_at):
            unfit = fitness.unfit(self.client, self.terms, sorted(new), WAIT_SECONDS)
            for worker, lacking in unfit.items():
                self.refuse(worker, lacking)
            self.looked_at |= new
            present -= set(self.refused)
        return present

    def refuse(self, worker: str, lacking: str) -> None:
        """Send a worker away, and say so; raises MachineError where no other is left.

        Or where another run is at work, to which it may be fit, or this machine lacks the same.
        """
        if self.terms and lacking == fitness.unseen(self.terms.photos):
            raise MachineError(
                f"this machine, too, does not see {self.terms.photos}, or it is empty: once the"
                " photos are there the same command goes on"
            )
        if worker not in self.refused:
            self.refused[worker] = lacking
            if cluster.is_shared(self.client):
                raise MachineError(
                    f"worker {worker} {lacking}; it is not sent away, since another run is at work"
                    " on this cluster: wait for that, or start a scheduler and workers for this one"
                )
            cluster.asked(self.client, self.client.scheduler.retire_workers, workers=[worker])
            if cluster.present(self.client) <= set(self.refused):
                raise MachineError(f"no worker is fit: {worker} {lacking}")
            say(f"worker {worker} is sent away, the others go on: it {lacking}")

    def tell_silent(self) -> None:
        """Name the workers that are not heard of, once; the scheduler is going to give them up.

        They are asked for now and then, also while the others have work to do.
        """
        if time.monotonic() < self.listened_at + WAIT_SECONDS:
            return
        self.listened_at = time.monotonic()
        for worker, seconds in cluster.silent_for(self.client).items():
            if seconds > WAIT_SECONDS and worker not in self.silent:
                self.silent.add(worker)
                say(
                    f"worker {worker} has not been heard of for {seconds:.0f} s: after"
                    f" {cluster.SILENT_SECONDS} s its work goes to the others"
                )

    def tell_still(self, units_of: "Mapping[Future, Unit]") -> None:
        """Say where the oldest work is, once, where none is finished for long: a read may hang."""
        if units_of and time.monotonic() > self.moved_at + STILL_SECONDS:
            self.moved_at = math.inf
            oldest = next(iter(units_of.values())).items[0].path
            say(
                f"nothing was finished for {STILL_SECONDS / 60:.0f} min, at {oldest} or after it: a"
                " long video takes its time; where a drive hangs end the run, mend the drive, and"
                " give the same command again"
            )

    def finished(self, futures: Iterable["Future"]) -> set["Future"]:
        """Wait for some to end; raises MachineError where no worker is left to do them."""
        from distributed import wait

        for _ in range(PATIENCE):
            self.tell_silent()
            try:
                with self.client.as_current():
                    return set(wait(list(futures), WAIT_SECONDS, "FIRST_COMPLETED").done)
            except TimeoutError:
                if cluster.present(self.client):
                    return set()
            except CancelledError:  # by a scheduler that lost its worker at that moment
                return {future for future in futures if future.status != "pending"}
        raise MachineError("all workers are lost and none came back: start some, then run again")

    def blame(self, suspects: Sequence[Unit]) -> list[str]:
        """Run each suspect alone; one that kills its worker every time is dropped with that reason.

        It is tried once more often than there are workers, so at least once on a fresh one.
        """
        open_rows: list[str] = []
        guilty: list[Unit] = []
        innocent = False
        for unit in suspects:
            times = 1 + min(max(1, len(cluster.present(self.client))), MOST_KILLED)
            errors = self.errors_alone(unit, times)
            if len(errors) < times:
                innocent = True
            elif not all(map(is_lost_worker, errors)):
                open_rows.append(sentence(errors[-1]))
            else:
                guilty.append(unit)
            if len(guilty) >= ALL_DIE and not innocent:
                raise MachineError(
                    f"{len(guilty)} photos in a row killed their worker: the machine is short of"
                    " memory, or a library is broken"
                )
        for unit in guilty:
            unit.give_up("kills its worker: crashed or ran out of memory each time, alone")
            self.progress(1)
        return open_rows

    def errors_alone(self, unit: Unit, times: int) -> list[BaseException]:
        """Run one unit, with nothing beside it, until it succeeds, at most so many times."""
        errors: list[BaseException] = []
        while len(errors) < times and (failed := self.round([unit])):
            errors.append(failed[0][1])
        return errors


def error_of(future: "Future") -> BaseException:
    """Why a unit failed; raises MachineError where its worker says that it cannot do any."""
    error: Any = None if future.status == "cancelled" else future.exception()
    if isinstance(error, MachineError):
        raise error
    return error if isinstance(error, BaseException) else RuntimeError(f"lost: {future.status}")


def is_lost_worker(error: BaseException) -> bool:
    from distributed import KilledWorker

    return isinstance(error, KilledWorker)
