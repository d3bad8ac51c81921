"""What ten photos more cost an export of 20,000 small pictures: bytes written, and the disk's peak.

    python benchmarks/growth.py [--pictures 20000] [--more 10] [--size 64] [--workers 2]

The pictures are made up; ids are digests, as Ingest's are. A file counts as written where it has
an inode that no earlier export has. The peak is that of all exports together, looked at every 20
ms: one that is there, and the one that grows.
"""

import argparse
import hashlib
import os
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np

from atelier import pictures
from pipeline.dataset import export
from pipeline.dataset.export import ExportTFRecordsConfig
from pipeline.engine.crew import EngineConfig
from pipeline.rows.manifest import Row, rows_table
from pipeline.sections import DatasetConfig

DISTINCT = 200  # pictures that are drawn; the others are copies of them


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pictures", type=int, default=20_000)
    parser.add_argument("--more", type=int, default=10)
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--workers", type=int, default=2)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        store = Path(folder)
        rows = drawn(store, asked.pictures + asked.more, asked.size)
        print(f"{asked.pictures} pictures of {asked.size} px, then {asked.more} more")
        print(f"{'':16}{'files':>7}{'MB':>8}{'seconds':>9}", end="")
        print(f"{'more: files':>13}{'MB':>8}{'share':>8}{'seconds':>9}{'peak MB':>9}")
        for name, options in KINDS.items():
            grow(name, store / name, store, rows, asked, options)


KINDS: dict[str, dict[str, Any]] = {
    "sharded, jpeg": {"layout": "sharded"},
    "sharded, raw": {"layout": "sharded", "pixels": "raw"},
    "nvlabs": {},
}


def drawn(store: Path, count: int, size: int) -> list[Row]:
    """The pictures, and a row for each, in the order of arrival."""
    rng, made = np.random.default_rng(0), []
    for n in range(count):
        if n < DISTINCT:
            tile = np.kron(rng.integers(0, 200, (8, 8, 3)), np.ones((size // 8, size // 8, 1)))
            pixels = (tile + rng.integers(0, 50, tile.shape)).astype(np.uint8)
            made.append(pictures.encode(pixels, "jpeg", 95))
        path = store / "pictures" / f"{n % 256:02x}" / f"{n}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(made[n % DISTINCT])
    return [row(n, f"pictures/{n % 256:02x}/{n}.jpg") for n in range(count)]


def row(number: int, picture: str) -> Row:
    name = hashlib.blake2b(str(number).encode(), digest_size=16).hexdigest()
    return Row(name, name, picture=picture)


def grow(
    name: str,
    exports: Path,
    store: Path,
    rows: list[Row],
    asked: argparse.Namespace,
    options: dict[str, Any],
) -> None:
    """Export, export with more, and print a line."""
    config, dataset = ExportTFRecordsConfig(**options), DatasetConfig(size=str(asked.size))
    on = EngineConfig(workers=asked.workers)
    took, held = [], []
    peak, stop = [0], threading.Event()
    watching = threading.Thread(target=watch, args=(exports, peak, stop))
    for number, own in (("one", rows[: asked.pictures]), ("two", rows)):
        if number == "two":
            watching.start()
        table = rows_table(sorted(own, key=lambda row: row.id))
        began = time.perf_counter()
        export.write_export([table], dict, exports / number, store, config, dataset, on, quiet)
        took.append(time.perf_counter() - began)
        held.append(inodes(exports / number))
    stop.set()
    watching.join()
    one, two = held
    new = {inode: size for inode, size in two.items() if inode not in one}
    size, more = sum(two.values()), sum(new.values())
    print(f"{name:16}{len(one):7}{sum(one.values()) / 1e6:8.1f}{took[0]:9.1f}", end="")
    print(f"{len(new):13}{more / 1e6:8.2f}{100 * more / size:7.2f}%", end="")
    print(f"{took[1]:9.1f}{peak[0] / 1e6:9.1f}", flush=True)


def quiet(_: int) -> None:
    """Nobody watches the progress."""


def inodes(folder: Path) -> dict[int, int]:
    """Every record file's inode, and its bytes."""
    found: dict[int, int] = {}
    for path in folder.rglob("*.tfrecords"):
        seen = path.stat()
        found[seen.st_ino] = seen.st_size
    return found


def watch(folder: Path, peak: list[int], stop: threading.Event) -> None:
    """Keep the most that all files below a folder took at once."""
    while not stop.wait(0.02):
        blocks: dict[int, int] = {}
        for where, _, names in os.walk(folder):
            for name in names:
                try:
                    seen = os.stat(os.path.join(where, name))
                except FileNotFoundError:
                    continue  # it was renamed meanwhile
                blocks[seen.st_ino] = seen.st_size
        peak[0] = max(peak[0], sum(blocks.values()))


if __name__ == "__main__":
    main()
