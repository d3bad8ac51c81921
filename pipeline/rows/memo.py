"""The memo of a stage: results by row key, in parts that are written once and never changed."""

import hashlib
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

from pipeline.rows import manifest
from pipeline.rows.manifest import Row

Results = dict[str, list[Row]]


def keys(folder: Path) -> set[str]:
    """The row keys that have a result."""
    import pyarrow.parquet as pq

    return {
        key
        for part in files(folder)
        for key in pq.read_table(part, columns=["key"]).column("key").to_pylist()
    }


def outcomes(folder: Path, wanted: Collection[str]) -> dict[str, str]:
    """What became of the wanted keys that have a result: `kept`, or the reason without detail."""
    import pyarrow.parquet as pq

    found: dict[str, str] = {}
    for part in files(folder):
        table = pq.read_table(part, columns=["key", "drop"])
        pairs = zip(*(table.column(name).to_pylist() for name in ("key", "drop")), strict=True)
        found |= {key: drop.split(":")[0] if drop else "kept" for key, drop in pairs}
    return {key: outcome for key, outcome in found.items() if key in wanted}


def write_part(folder: Path, results: Results, prefix: str = "") -> None:
    """Write one part; its name is the digest of the keys in it."""
    import pyarrow as pa

    pairs = [(key, row) for key in sorted(results) for row in results[key]]
    more: dict[str, tuple[pa.DataType, list[Any]]] = {
        "key": (pa.string(), [key for key, _ in pairs])
    }
    if any(row.features for _, row in pairs):
        more["features"] = (pa.binary(), [row.features for _, row in pairs])
    name = hashlib.blake2b("".join(sorted(results)).encode(), digest_size=10).hexdigest()
    table = manifest.rows_table([row for _, row in pairs], **more)
    manifest.write_table(folder / f"{prefix}{name}.parquet", table)


def read_parts(folder: Path, wanted: Collection[str]) -> Results:
    """The results of the wanted keys, as far as there are any; feature vectors are left out."""
    import pyarrow.parquet as pq

    found: Results = {}
    for part in files(folder):
        table = pq.read_table(part, columns=["key", *manifest.IN_MANIFEST])
        here: Results = {}
        for key, row in zip(table.column("key").to_pylist(), manifest.rows_of(table), strict=True):
            if key in wanted:
                here.setdefault(key, []).append(row)
        found |= here  # a key in two parts has equal results: the last part's are taken whole
    return found


def features(folder: Path, wanted: Collection[str]) -> Iterator[tuple[str, bytes]]:
    """(key, float32 vector as bytes) of the wanted keys, part by part: they need not fit memory."""
    import pyarrow.parquet as pq

    for part in files(folder):
        if "features" in pq.read_schema(part).names:
            table = pq.read_table(part, columns=["key", "features"])
            pairs = zip(*(table.column(n).to_pylist() for n in ("key", "features")), strict=True)
            yield from ((key, vector) for key, vector in pairs if key in wanted and vector)


def files(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.parquet"))
