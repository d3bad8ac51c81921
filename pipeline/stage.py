"""The two kinds of stage: `Stage` does rows one by one and remembers each, `SetStage` all at once.

A stage's key is the digest of what this stage itself can change: its name, version and settings.
Its manifest is named after the rows that came in. A manifest that exists is right.
"""

import hashlib
import json
import multiprocessing
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import luigi

from atelier.commands import say
from atelier.errors import Failure
from atelier.options import option
from pipeline import options
from pipeline.engine import cluster, crew, lock, unit
from pipeline.engine.crew import EngineConfig
from pipeline.engine.progress import Bar
from pipeline.options import Settings, settings
from pipeline.photos.folder import PhotoFolder
from pipeline.rows import manifest, memo
from pipeline.rows.decisions import Decision, decided
from pipeline.rows.manifest import Item, Outcome, Row


@dataclass(frozen=True)
class StoreConfig(Settings):
    """Where everything that is read and written lies."""

    root: str = option(
        "data",
        "folder of all results; a relative one lies in the repository",
        keyed="never",
        path=True,
    )


@settings(StoreConfig)
class Store(luigi.Config):
    """The `[Store]` section."""


@settings(EngineConfig)
class Engine(luigi.Config):
    """The `[Engine]` section."""


def store() -> Path:
    """The folder of all results, absolute."""
    return (options.REPOSITORY / options.current(StoreConfig).root).resolve()


class OpenRowsError(Failure):
    """Some rows could not be done, for a reason of the machine's: they are still to do."""


class Step(luigi.Task):
    """What both kinds of stage share: the key, the manifest's name, when it is complete."""

    photos = luigi.ChoiceParameter(
        choices=["source", "reference"],
        default="source",
        description="run over the source photos, or over the reference set of FilterPose",
    )

    config: Any = Settings()  # what `@settings` puts here; a stage without a section has no options
    version: ClassVar[int] = 1  # raise it when the code changes a result
    resources: ClassVar[Mapping[str, int]] = {"engine": 1}  # one at a time: each uses all workers
    shared: ClassVar[tuple[type[Settings], ...]] = ()  # sections that it reads besides its own
    after: ClassVar["type[Step] | None"] = None  # the stage whose rows come in
    suffix: ClassVar[str] = "parquet"  # of its result

    @property
    def decisions(self) -> Mapping[str, Decision]:
        """What a person decided about the photos that come in."""
        return {}

    @property
    def title(self) -> str:
        """What a person sees it called."""
        return type(self).__name__ + (" of reference" if self.photos == "reference" else "")

    def before(self) -> "list[Step]":
        """The stages whose rows come in; its own come from the first of them."""
        return [self.after(photos=self.photos)] if self.after else []

    def requires(self) -> "list[Step]":
        return self.before()

    @cached_property
    def key(self) -> str:
        options.check_recipe()
        options.check_given(self.config)
        configs = [self.config, *self.read_too()]
        values = [[type(config).__name__, options.keyed(config)] for config in configs]
        return digest([type(self).__name__, self.version, values, self.besides()])

    def read_too(self) -> list[Any]:
        """The shared sections that it reads, as they are set."""
        return [options.current(section) for section in self.shared]

    def besides(self) -> Any:
        """What else this stage's results depend on."""
        return None

    def ingest(self) -> "Step":
        """The stage that all the rows come from."""
        return self.before()[0].ingest() if self.before() else self

    @property
    def photo_folder(self) -> PhotoFolder:
        """Where the photos lie: Ingest knows."""
        return self.ingest().photo_folder

    def places(self) -> dict[str, Row]:
        """Each photo's id -> the row that says where it lies."""
        return {row.photo: row for row in self.ingest().rows() if row.drop is None}

    @property
    def folder(self) -> Path:
        return store() / type(self).__name__.lower() / self.key

    @property
    def came_in(self) -> str:
        """Stands for all that came in; only to be asked once the stages before are complete."""
        kept = [manifest.facts(step.path).kept_digest for step in self.before()]
        return digest([*kept, *decided(self.decisions)])

    @property
    def path(self) -> Path:
        """The result for the rows that came in: of all but Report, a manifest."""
        return self.folder / f"{self.came_in}.{self.suffix}"

    def complete(self) -> bool:
        return all(step.complete() for step in self.before()) and self.path.is_file()

    def output(self) -> luigi.LocalTarget:
        ready = all(step.complete() for step in self.before())
        return luigi.LocalTarget(self.path if ready else self.folder / "not-known-yet")

    def incoming(self) -> list[Row]:
        """The rows that come in, in order, as the first stage before this one passed them on."""
        return manifest.passed_on(manifest.read_manifest(self.before()[0].path))

    def rows(self) -> list[Row]:
        """What this stage made of every row that came in."""
        return manifest.read_manifest(self.path)

    def run(self) -> None:
        """Called by Luigi."""
        lock.hold(store())
        try:
            self.build()
        finally:
            if multiprocessing.parent_process():  # a worker process of Luigi's ends with its task
                cluster.end()

    def build(self) -> None:
        """Write the manifest."""
        raise NotImplementedError

    def tell(self, outcome: Outcome) -> None:
        """Write the manifest, and print what a person should know."""
        manifest.write_manifest(self.path, *outcome)
        for note in outcome.notes:
            say(f"{type(self).__name__}: {note}")

    def bar(self, total: int) -> Bar:
        """Counts rows on the terminal and on Luigi's status page."""
        return Bar(self.title, total, self.say_progress)

    def say_progress(self, done: int, total: int) -> None:
        show_progress(self, f"{done} of {total}", 100 * done // max(total, 1))


def show_progress(task: luigi.Task, status: str, percent: int) -> None:
    """Tell Luigi's status page, if a worker runs this."""
    if task.set_status_message:
        task.set_status_message(status)
    if task.set_progress_percentage:
        task.set_progress_percentage(percent)


class SetStage(Step):
    """Looks at all rows at once and decides; it is cheap, so nothing but the result is kept."""

    def decide(self, rows: list[Row]) -> Outcome:
        """Say what becomes of every row."""
        raise NotImplementedError

    def build(self) -> None:
        self.tell(self.decide(self.incoming()))


class Stage(Step):
    """Does rows one by one in the engine's workers and remembers every result by its row key."""

    reads: ClassVar[tuple[str, ...]]  # the fields of a row that its result depends on
    writes: ClassVar[tuple[str, ...]]  # the fields that its result fills in
    work: ClassVar[Any]  # a module-level unit.Work
    library: ClassVar[str] = ""  # what it loads that must not meet TensorFlow or torch

    def work_settings(self) -> Any:
        """What `work` is given beside the rows."""
        return self.config

    def settle(self, rows: list[Row]) -> Sequence[Row]:
        """A last look at all rows together, in order."""
        return rows

    def notes(self, rows: Sequence[Row]) -> Sequence[str]:
        """What a person should know about all rows together, in sentences."""
        return []

    def prepare(self, to_do: int) -> None:
        """Raise what would make the work on so many rows fail, before it begins."""

    def row_key(self, row: Row) -> str:
        return digest([self.key, *(getattr(row, name) for name in self.reads)])

    def build(self) -> None:
        rows = self.incoming()
        keys = [self.row_key(row) if row.drop is None else "" for row in rows]
        self.do_open(rows, keys)
        results = memo.read_parts(self.folder / "parts", set(keys))
        outcomes = [
            self.merged(row, result)
            for row, key in zip(rows, keys, strict=True)
            for result in (results[key] if key else [row])
        ]
        settled = self.settle(outcomes)
        self.tell(Outcome(settled, self.notes(settled)))

    def progress(self) -> tuple[Counter[str], int]:
        """What became of the rows that have a result, by outcome, and how many have none."""
        keys = {self.row_key(row) for row in self.incoming() if row.drop is None}
        done = memo.outcomes(self.folder / "parts", keys)
        return Counter(done.values()), len(keys - done.keys())

    def do_open(self, rows: Sequence[Row], keys: Sequence[str]) -> None:
        """Do the rows that have no result yet; raises OpenRowsError if some still have none."""
        done = memo.keys(self.folder / "parts")
        to_do = {key: row for row, key in zip(rows, keys, strict=True) if key and key not in done}
        if to_do:
            self.prepare(len(to_do))
        config = options.current(EngineConfig)
        size = config.rows_per_unit(len(to_do))
        items = self.items(to_do)
        units = unit.cut(items, size, type(self).work, self.work_settings(), self.folder)
        with self.bar(len(items)) as bar:
            failures = crew.map_units(units, config, store(), bar.advance, self.library)
        if failures:
            raise OpenRowsError(
                f"{type(self).__name__}: {len(failures)} of {len(rows)} rows are still open, and"
                f" nothing was recorded for them; mend this and run the same again: {failures[0]}"
            )

    def items(self, to_do: Mapping[str, Row]) -> list[Item]:
        """The rows to do, each with the file that holds its photo."""
        if not to_do:
            return []
        folder, places = self.photo_folder, self.places() if self.before() else None
        items = []
        for key, row in to_do.items():
            place = row if places is None else places[row.photo]
            seen = None if place.clip else place.mtime_ns
            items.append(Item(key, row, folder.file(place), place.size_bytes, seen))
        return items

    def merged(self, row: Row, result: Row) -> Row:
        """The row that came in, with what this stage found out about it."""
        found = {name: getattr(result, name) for name in (*self.writes, "drop")}
        return replace(row, **found)


def notes_of(steps: Sequence[Step]) -> list[str]:
    """What complete stages told."""
    return [note for step in steps for note in manifest.facts(step.path).notes]


def digest(values: Iterable[Any]) -> str:
    """Names a result: equal values, equal name."""
    text = json.dumps(list(values), sort_keys=True, default=list)
    return hashlib.blake2b(text.encode(), digest_size=10).hexdigest()
