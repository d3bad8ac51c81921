"""Where the photos of a store lie, as Ingest's manifest says it."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.rows import columns, manifest, shards
from pipeline.rows.manifest import PLACES, Row
from pipeline.rows.shards import Rows

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True)
class Places:
    """The kept rows of Ingest's manifest: they alone know paths."""

    path: Path  # the manifest

    def near(self, prefix: str) -> "pa.Table":
        """Where the photos of a shard lie."""
        shard = shards.by_prefix(self.path)[prefix]
        return columns.kept(shard.table(("id", "photo", *PLACES, "drop")))

    def rows(self) -> dict[str, Row]:
        """Each photo's id -> its row."""
        kept = (row for row in Rows(shards.listed_shards(self.path)) if row.drop is None)
        return {row.photo: row for row in kept}

    def paths(self) -> dict[str, str]:
        """Each photo's id -> its path below the source, or that of its video."""
        known = Rows(shards.listed_shards(self.path)).columns("photo", "clip", "path", "drop")
        told = (columns.ids(columns.kept(known), name) for name in ("photo", "clip", "path"))
        return {photo: clip or path for photo, clip, path in zip(*told, strict=True)}

    def names(self) -> list[Any]:
        """What stands for all of it."""
        made = shards.listed_shards(self.path)
        if len(made) > 1:
            return [(each.prefix, (each.tally or {})["places"]) for each in made]
        rows = manifest.rows_of(self.near(made[0].prefix))
        return [(row.photo, row.clip, row.path) for row in rows]
