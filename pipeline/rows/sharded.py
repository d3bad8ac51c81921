"""What a stage knows of its rows as shards: which come in, and what it made of each."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.rows import columns, manifest, shards
from pipeline.rows.decisions import Decision, decided
from pipeline.rows.making import Make, Portion, nothing_counted
from pipeline.rows.manifest import Row, Told, digest
from pipeline.rows.shards import Rows, Shard

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True)
class Survey:
    """What a stage found out about all rows: with those that come in, what decides on a shard."""

    verdicts: Mapping[str, Mapping[str, str]]  # prefix -> id -> why it is dropped, or chosen
    told: Told
    more: Any = None


class Sharded:
    """A stage, as far as it maps shards to shards."""

    photos: Any  # whose shards they are: those of the source, or of the reference set
    # What is counted of a shard, so that what is said of all rows need not read them.
    tally: Any = staticmethod(nothing_counted)

    @property
    def path(self) -> Path:
        """The manifest."""
        raise NotImplementedError

    @property
    def folder(self) -> Path:
        """Where all its manifests lie."""
        raise NotImplementedError

    @property
    def parents(self) -> "Sequence[Sharded]":
        """The stages whose rows come in."""
        raise NotImplementedError

    @property
    def decisions(self) -> Mapping[str, Decision]:
        """What a person decided about the photos that come in."""
        return {}

    def prefixes(self) -> list[str]:
        """The shards in which the rows come in, and go on."""
        return [shard.prefix for shard in shards.listed_shards(self.parents[0].path)]

    def shard(self, prefix: str) -> Shard:
        """What this stage made of a shard."""
        return shards.by_prefix(self.path)[prefix]

    def portion(self, prefix: str, names: Sequence[str] = manifest.IN_MANIFEST) -> "pa.Table":
        """These columns of the rows of a shard as the first stage before this one passed them on.

        `drop` is among them.
        """
        return Portion(self.parents[0].shard(prefix).file).table(names)

    def unread(self, prefix: str) -> Any:
        """The rows of a shard that come in, for a `making.later` that may be done elsewhere."""
        return Portion(self.parents[0].shard(prefix).file)

    def portion_digest(self, prefix: str) -> str:
        """Stands for all that came in for a shard."""
        kept = [
            step.shard(prefix).kept_digest
            if step.photos == self.photos
            else manifest.facts(step.path).kept_digest
            for step in self.parents
        ]
        return digest([*kept, *decided(self.decisions_in(prefix))])

    def decisions_in(self, prefix: str) -> dict[str, Decision]:
        """Those about the photos of a shard."""
        return self.decisions_of_each[prefix] if self.decisions else {}

    @cached_property
    def decisions_of_each(self) -> dict[str, dict[str, Decision]]:
        """Those of all shards, by prefix: many decisions are looked through once."""
        return shards.of_each(self.decisions, self.prefixes())

    def found_in(self, prefix: str) -> list[Shard]:
        """What each of the stages before made of a shard."""
        return [step.shard(prefix) for step in self.parents]

    def file_of(self, prefix: str, *verdict: Any) -> Path:
        """Where what this stage makes of a shard lies; the only one is the manifest itself."""
        if not prefix:
            return self.path
        told = digest([self.portion_digest(prefix), *verdict])
        return shards.sharded_file(self.folder, prefix, told)

    def arriving(self, *names: str) -> "pa.Table":
        """These columns of all rows that come in."""
        return columns.together(*(table for _, table in self.arriving_shards(*names)))

    def arriving_shards(self, *names: str) -> "Iterator[tuple[str, pa.Table]]":
        """The same, shard by shard, each with its prefix."""
        chosen = manifest.top_names(names)
        for shard in shards.listed_shards(self.parents[0].path):
            yield shard.prefix, columns.kept(shard.table((*names, "drop"))).select(chosen)

    def incoming(self) -> list[Row]:
        """The rows that come in, in order."""
        tables = map(self.portion, self.prefixes())
        return [row for table in tables for row in manifest.rows_of(table)]

    def made(self) -> Rows:
        """What this stage made of every row that came in."""
        return Rows(shards.listed_shards(self.path))

    def rows(self) -> list[Row]:
        """All of them, in memory."""
        return list(self.made())

    def tallies(self, made: Rows) -> list[Mapping[str, Any]]:
        """What was counted of each shard."""
        if made.held is not None:
            return [self.tally(made.held)]
        return [shard.tally or {} for shard in made.made]

    def mapped(
        self, make: Callable[[str], Make], verdict: Callable[[str], Any] | None = None
    ) -> Rows:
        """Each shard through what `make` says, unless what that makes of it is there already."""
        prefixes = self.prefixes()
        if prefixes == [""]:
            return Rows((), make("")())
        files = [self.file_of(each, *([verdict(each)] if verdict else [])) for each in prefixes]
        both = list(zip(files, prefixes, strict=True))
        missing = [each for each in both if not each[0].is_file()]
        known = {} if missing == both else shards.recorded(self.folder)
        for file, _ in missing:
            known.pop(file, None)
        self.make_ahead(missing, make)

        def one(file: Path, prefix: str) -> Shard:
            made = known.get(file)
            return made or shards.found_or_made(file, prefix, lambda: make(prefix)(), self.tally)

        return Rows([one(*each) for each in both])

    def make_ahead(self, missing: Sequence[tuple[Path, str]], make: Callable[[str], Make]) -> None:
        """Let others make shards, where there are any; what is missing then is made here."""

    def write(self, made: Rows, told: Told) -> None:
        """Write the manifest."""
        if made.held is not None:
            manifest.write_rows(self.path, made.held, *told)
        else:
            shards.write_list(self.path, made.made, *told)
