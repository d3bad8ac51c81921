"""The two kinds of stage: `Stage` does rows one by one and remembers each, `SetStage` decides.

A stage's key is the digest of what this stage itself can change: its name, version and settings.
Its manifest is named after the rows that came in, as is what it made of each shard of them. What
exists is right, so cost follows what changed.
"""

import multiprocessing
from collections import Counter, namedtuple
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import luigi

from atelier.commands import say
from atelier.errors import Failure
from atelier.options import is_address, option
from pipeline import options
from pipeline.engine import cluster, crew, lock, unit
from pipeline.engine.crew import EngineConfig
from pipeline.engine.progress import Bar
from pipeline.options import Settings, settings
from pipeline.photos.folder import PhotoFolder
from pipeline.photos.places import Places
from pipeline.rows import columns, making, manifest, memo, shards
from pipeline.rows.decisions import decided
from pipeline.rows.making import Make
from pipeline.rows.manifest import Row, Told, Verdict, digest
from pipeline.rows.memo import Memo, still_open
from pipeline.rows.parquet import PARTS
from pipeline.rows.sharded import Sharded, Survey
from pipeline.rows.shards import Rows
from pipeline.sections import PortraitConfig

if TYPE_CHECKING:
    import pyarrow as pa


def must_be_folder(root: str) -> None:
    """Raise ValueError, saying what to give, for a store in an object store, or nowhere."""
    if not root:
        raise ValueError("it is empty: give a folder, as data")
    if is_address(root):
        raise ValueError(
            "the store lies on a file system: give a folder; [ExportTFRecords] publish copies what"
            " is finished to an address"
        )


@dataclass(frozen=True)
class StoreConfig(Settings):
    """Where everything that is read and written lies."""

    root: str = option(
        "data",
        "folder of all results, on a file system; a relative one lies in the repository",
        keyed="never",
        path=True,
        check=must_be_folder,
    )


@settings(StoreConfig)
class Store(luigi.Config):
    """The `[Store]` section."""


@settings(PortraitConfig)
class Portrait(luigi.Config):
    """The shared section `[Portrait]`."""


@settings(EngineConfig)
class Engine(luigi.Config):
    """The `[Engine]` section."""


def store() -> Path:
    """The folder of all results, absolute."""
    return (options.REPOSITORY / options.current(StoreConfig).root).resolve()


KEYED = ("id", "path", "format", "drop")  # what a row key may look at besides
LARGE = ("boxes", "measures")  # fields of a row that only a stage which reads them gets


class OpenRowsError(Failure):
    """Some rows could not be done, for a reason of the machine's: they are still to do."""


class Step(Sharded, luigi.Task):
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
    counted: ClassVar[str] = "rows"  # on its bar
    library: Any = ""  # what its workers load that must not meet TensorFlow or torch

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
        if not self.parents:  # of Ingest, whose key is asked before any other's
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

    @cached_property
    def parents(self) -> "list[Step]":
        """The stages before, put together once: that takes longer than to read a shard."""
        return self.before()

    def ingest(self) -> "Step":
        """The stage that all the rows come from."""
        return self.parents[0].ingest() if self.parents else self

    @property
    def photo_folder(self) -> PhotoFolder:
        """Where the photos lie: Ingest knows."""
        return self.ingest().photo_folder

    @property
    def places(self) -> Places:
        """Where each of them lies."""
        return Places(self.ingest().path)

    @cached_property
    def folder(self) -> Path:
        return store() / type(self).__name__.lower() / self.key

    @property
    def came_in(self) -> str:
        """Stands for all that came in; only to be asked once the stages before are complete."""
        kept = [manifest.facts(step.path).kept_digest for step in self.parents]
        return digest([*kept, *decided(self.decisions)])

    @cached_property
    def path(self) -> Path:
        """The result for the rows that came in: of all but Report, a manifest.

        It does not change while a command runs, and each one's follows from all before it.
        """
        return self.folder / f"{self.came_in}.{self.suffix}"

    def complete(self) -> bool:
        return all(step.complete() for step in self.parents) and self.path.is_file()

    def output(self) -> luigi.LocalTarget:
        ready = all(step.complete() for step in self.parents)
        return luigi.LocalTarget(self.path if ready else self.folder / "not-known-yet")

    def run(self) -> None:
        """Called by Luigi."""
        lock.hold(store())
        try:
            self.build()
        finally:
            columns.release()
            if multiprocessing.parent_process():  # a worker process of Luigi's ends with its task
                cluster.end()

    def build(self) -> None:
        """Write the manifest."""
        raise NotImplementedError

    def make_ahead(self, missing: Sequence[tuple[Path, str]], make: Callable[[str], Make]) -> None:
        """The workers do, where it pays; what they do not manage is left to this process."""
        config = options.current(EngineConfig)
        if crew.pays(config, len(missing)):
            todo = unit.Units(
                lambda: (unit.shard_unit(*each, make(each[1]), self.tally) for each in missing)
            )
            crew.map_units(todo, config, store(), lambda _: None, self.library)

    def tell(self, made: Rows, told: Told) -> None:
        """Write the manifest, and print what a person should know."""
        self.write(made, told)
        for note in told.notes:
            say(f"{type(self).__name__}: {note}")

    def bar(self, total: int) -> Bar:
        """Counts on the terminal and on Luigi's status page."""
        return Bar(self.title, total, self.say_progress, self.counted)

    def say_progress(self, done: int, total: int) -> None:
        show_progress(self, f"{done} of {total}", 100 * done // max(total, 1))


def show_progress(task: luigi.Task, status: str, percent: int) -> None:
    """Tell Luigi's status page, if a worker runs this."""
    if task.set_status_message:
        task.set_status_message(status)
    if task.set_progress_percentage:
        task.set_progress_percentage(percent)


class SetStage(Step):
    """Decides shard by shard, after a look at all rows; cheap: nothing but the result is kept."""

    def survey(self) -> Any:
        """What must be known of all rows, a Survey: read from a few of their columns; or None."""
        return None

    @property
    def library(self) -> str:
        """That of the stage before, so that its workers go on."""
        return self.parents[0].library if self.parents else ""

    def decide(self, prefix: str, survey: Any) -> Make:
        """How it is found out what becomes of every row of a shard; usually, that it goes on."""
        return making.later(making.as_it_came, self.unread(prefix))

    def told(self, survey: Any, made: Rows) -> Told:
        """What a person should know about all rows."""
        told: Told = survey.told
        return told

    def surveyed(self, verdict: Verdict, more: Any = None) -> Survey:
        """The verdict, cut into what concerns each shard."""
        return Survey(shards.of_each(verdict.drops, self.prefixes()), verdict.told, more)

    def build(self) -> None:
        survey = self.survey()
        verdicts = survey.verdicts if survey else {}
        made = self.mapped(
            lambda prefix: self.decide(prefix, survey),
            lambda prefix: sorted(verdicts.get(prefix, {}).items()),
        )
        self.tell(made, self.told(survey, made))


class Stage(Step):
    """Does rows one by one in the engine's workers and remembers every result by its row key."""

    reads: ClassVar[tuple[str, ...]]  # the fields of a row that its result depends on
    writes: ClassVar[tuple[str, ...]]  # the fields that its result fills in
    work: ClassVar[Any]  # a module-level unit.Work

    def work_settings(self) -> Any:
        """What `work` is given beside the rows."""
        return self.config

    def notes(self, tallies: Sequence[Mapping[str, Any]]) -> Sequence[str]:
        """What a person should know about all rows together, in sentences."""
        return []

    def prepare(self, to_do: int) -> None:
        """Raise what would make the work on so many rows fail, before it begins."""

    def row_key(self, row: Row) -> str:
        """Of a row that has only what a stage may read: no boxes, unless it says so."""
        return digest([self.key, *(getattr(row, name) for name in self.reads)])

    def keys(self, table: "pa.Table") -> "pa.Array":
        """The key of each row of a table; null of one that was dropped."""
        import pyarrow as pa

        names = tuple(self.told_apart())
        rows = map(narrow(names), *(columns.ids(table, name) for name in names))
        return pa.array([None if row.drop else self.row_key(row) for row in rows], pa.string())

    def told_apart(self) -> list[str]:
        """The fields of a row that its key may look at."""
        return sorted({*self.reads, *KEYED})

    def small(self) -> list[str]:
        """The fields of a row that a worker gets to see."""
        return [name for name in manifest.IN_MANIFEST if name not in LARGE or name in self.reads]

    def results(self) -> Memo:
        """Its results, row by row."""
        return Memo(self.folder / PARTS, self.prefixes())

    def build(self) -> None:
        made = self.done()
        self.tell(made, Told(self.notes(self.tallies(made))))

    def do_rows(self, rows: Sequence[Row]) -> None:
        """Do some rows besides, which are in no manifest."""
        tables = dict(shards.parted(*columns.located_rows(rows), self.prefixes()))
        known = self.results()
        known.cut(self.shard_numbers)
        keys = {prefix: self.keys(table) for prefix, table in tables.items()}
        self.do_open(keys, known, tables.__getitem__)

    def make_again(self, keys: Collection[str]) -> None:
        """Do the rows of these keys anew; all else is as it was."""
        memo.forget(self.folder / PARTS, keys)
        shards.forget_made(self.folder)
        self.build()

    def done(self) -> Rows:
        """Do what is to do; returns what the stage made of all rows."""
        known, prefixes = self.results(), self.prefixes()
        known.cut(self.shard_numbers)
        fresh = [each for each in prefixes if not (each and self.file_of(each).is_file())]
        keys = {prefix: self.keys(self.portion(prefix, self.told_apart())) for prefix in fresh}
        self.do_open(keys, known, lambda prefix: self.portion(prefix, self.small()))
        known.look()
        return self.mapped(lambda prefix: self.merged(prefix, keys[prefix], known))

    def shard_numbers(self, table: "pa.Table") -> columns.Numbers:
        """Where among the shards the results of a part belong."""
        return columns.leading(table.column("id"))

    def progress(self) -> tuple[Counter[str], int]:
        """What became of the rows that have a result, by outcome, and how many have none."""
        names, prefixes = self.told_apart(), self.prefixes()
        keys = (self.keys(self.portion(prefix, names)).to_pylist() for prefix in prefixes)
        wanted = {key for some in keys for key in some if key}
        done = memo.outcomes(self.folder / PARTS, wanted)
        return Counter(done.values()), len(wanted - done.keys())

    def do_open(
        self,
        keys: "Mapping[str, pa.Array]",
        known: Memo,
        portion: "Callable[[str], pa.Table]",
    ) -> None:
        """Do the rows that have no result yet; raises OpenRowsError if some still have none."""
        to_do = {prefix: still_open(own, known.keys(prefix)) for prefix, own in keys.items()}
        total = sum(map(len, to_do.values()))
        if total:
            self.prepare(total)
        config = options.current(EngineConfig)

        def units() -> Iterator[unit.Unit]:
            size = config.rows_per_unit(total)
            for prefix, numbers in to_do.items():
                if len(numbers):
                    table, own = portion(prefix).take(numbers), keys[prefix].take(numbers)
                    places = self.places.near(prefix) if self.parents else table
                    roots = self.photo_folder.root, store()
                    batch = unit.batch(table, own, places, self.small(), *roots)
                    given = type(self).work, self.work_settings(), self.folder, prefix
                    yield from unit.cut(batch, size, *given)

        with self.bar(total) as bar:
            failures = crew.map_units(unit.Units(units), config, store(), bar.advance, self.library)
        if failures:
            raise OpenRowsError(
                f"{type(self).__name__}: {len(failures)} of {sum(map(len, keys.values()))} rows are"
                " still open, and nothing was recorded for them; mend this and run the same again:"
                f" {failures[0]}"
            )

    def merged(self, prefix: str, keys: "pa.Array", known: Memo) -> Make:
        """The rows of a shard that came in, with what this stage found out about them."""
        own = known.of(prefix)
        names = *self.writes, "drop"
        return making.later(
            memo.merged, self.unread(prefix), own, known.folder, prefix, keys, names
        )


@cache
def narrow(names: tuple[str, ...]) -> Any:
    """Rows of these fields alone, as lists where they are boxes: a Row takes five times as long."""
    return namedtuple("narrow", names)  # type: ignore[misc]


def notes_of(steps: Sequence[Step]) -> list[str]:
    """What complete stages told."""
    return [note for step in steps for note in manifest.facts(step.path).notes]
