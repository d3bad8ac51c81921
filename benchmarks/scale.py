"""What the main process costs by itself, however many photos: listing and work are faked.

    python benchmarks/scale.py [--photos 20000 80000 ...] [--copies] [--cluster] [--chart]

For each number three commands, a process each: the first run, one that finds all done, one with
ten photos more. Prints the CPU time of the main process, that of the shards which workers make, the
main process's peak of memory, and the seconds after the scan. Stages, funnel and report are the
real ones; files, pixels and records are not there, and in place of the workers results are made up
whose time does not count, unless `--cluster` asks for Dask's. The search for near copies has
figures of its own (`crowds.py`): it is left out unless asked for.

`--chart` keeps what was measured in scale.jsonl and draws all that is in it: docs/scale.svg.
"""

import argparse
import hashlib
import json
import math
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from math import log10
from operator import itemgetter
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from atelier import files, svg
from atelier.boxes import Box
from detectors.base import Detection
from pipeline import cli, tasks
from pipeline.dataset import export, finished
from pipeline.dataset.nvlabs import NvlabsLayout
from pipeline.engine import crew
from pipeline.engine.unit import ShardUnit, Unit
from pipeline.photos import folder
from pipeline.rows import columns, manifest, memo, parquet
from pipeline.rows.manifest import Item, Measures, Row, dropped
from pipeline.stage import Step

TEN = 10
COMMANDS = ("first", "nothing new", "ten more")
COLOURS = ("#1f5fbf", "#2f8f4f", "#c0392b")
FIGURES = Path(__file__).with_name("scale.jsonl")
CHART = Path(__file__).resolve().parent.parent / "docs" / "scale.svg"
NO_PHOTO, NO_FACE = 0.02, 0.1  # shares of the files, of the photos
BYTES = 3_000_000
BATCH = 10_000  # files made up at a time


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--photos", type=int, nargs="+", default=[20_000, 80_000])
    parser.add_argument("--copies", action="store_true", help="search for near copies, too")
    parser.add_argument("--cluster", action="store_true", help="through Dask's workers")
    parser.add_argument("--chart", action="store_true", help="draw docs/scale.svg, too")
    parser.add_argument("--store", type=Path, help="where one command runs; for this script itself")
    asked = parser.parse_args()
    if asked.store:
        print(json.dumps(measured(asked.store, asked.photos[0], asked.copies, asked.cluster)))
        return
    print("| photos | command | CPU | workers | after the scan | peak | written |")
    print("|---|---|---|---|---|---|---|")
    for count in asked.photos:
        with tempfile.TemporaryDirectory() as name:
            more = ["--copies"] * asked.copies + ["--cluster"] * asked.cluster
            found = tell(Path(name), count, more)
        if asked.chart:
            lines = [line for line in files.read_lines(FIGURES) if line["photos"] != count]
            files.write_lines(FIGURES, sorted([*lines, *found], key=itemgetter("photos")))
    if asked.chart:
        files.write(CHART, drawn(files.read_lines(FIGURES)))


def tell(place: Path, count: int, more: list[str]) -> list[dict[str, Any]]:
    """A line for each command, and below them where the CPU time of the first went."""
    (place / "photos").mkdir()
    lines, figures = [], []
    for command, photos in zip(COMMANDS, (count, count, count + TEN), strict=True):
        known = {path for path in place.rglob("*.parquet") if "parts" not in path.parts}
        words = [sys.executable, __file__, "--store", str(place), "--photos", str(photos)]
        done = subprocess.run([*words, *more], capture_output=True, text=True, check=False)
        if done.returncode:
            raise SystemExit(done.stderr[-2000:])
        found = json.loads(done.stdout.splitlines()[-1])
        new = {path for path in place.rglob("*.parquet") if "parts" not in path.parts} - known
        size = sum(path.stat().st_size for path in new)
        print(
            f"| {photos:,} | {command} | {found['cpu']:.1f} s |"
            f" {found['workers']:.1f} s | {found['wall']:.1f} s |"
            f" {found['peak']:.0f} MB | {len(new)} files, {size / 1e6:.1f} MB |",
            flush=True,
        )
        lines.append(", ".join(f"{name} {value:.1f}" for name, value in found["stages"].items()))
        told = {name: round(found[name], 1) for name in ("cpu", "workers", "peak")}
        figures.append({"photos": count, "command": command, **told})
    print(*(f"<!-- CPU s: {line} -->" for line in lines), sep="\n", flush=True)
    return figures


@dataclass(frozen=True)
class Powers(svg.Axis):
    """A logarithmic axis, with a line at each power of ten."""

    def share(self, value: float) -> float:
        return log10(value / self.low) / log10(self.high / self.low)

    def ticks(self) -> Iterator[float]:
        low, high = math.ceil(log10(self.low)), math.floor(log10(self.high))
        yield from (10.0**power for power in range(low, high + 1))


def drawn(figures: Sequence[dict[str, Any]]) -> str:
    """Time and memory over the number of photos."""
    photos = [line["photos"] / 1000 for line in figures]
    x = Powers("thousand photos", min(photos), max(photos))
    charts = []
    for title, what in (("CPU seconds of the main process", "cpu"), ("its peak, MB", "peak")):
        values = [line[what] for line in figures]
        low, high = math.floor(log10(min(values))), math.ceil(log10(max(values)))
        y = Powers("", 10.0**low, 10.0**high)
        curves = [
            svg.Curve(*points(figures, command, what), colour, label=command)
            for command, colour in zip(COMMANDS, COLOURS, strict=True)
        ]
        charts.append(svg.chart(title, x, y, curves))
    return svg.page(charts)


def points(
    figures: Sequence[dict[str, Any]], command: str, what: str
) -> tuple[list[float], list[float]]:
    own = sorted((line["photos"], line[what]) for line in figures if line["command"] == command)
    return [count / 1000 for count, _ in own], [value for _, value in own]


def measured(place: Path, count: int, copies: bool, workers: bool) -> dict[str, Any]:
    """One command in this process; what it cost, without the faked listing."""
    scans: list[tuple[float, float]] = []
    shards: list[tuple[float, float]] = []
    spent: dict[str, float] = {}
    replace_work(count, scans)
    if not workers:
        crew.map_units = partial(made_up, scans=scans, shards=shards)
        crew.pays = lambda _, number: number > 1
    time_builds(spent, lambda: sum(cpu for _, cpu in scans + shards))
    options = ["--Store-root", place / "store", "--Ingest-source", place / "photos"]
    options += ["--Detect-detector", "haar", "--FilterQuality-sharpness", "worst 0.02"]
    options += ["--FilterQuality-copies", "drop" if copies else "keep"]
    began = time.perf_counter(), time.process_time()
    code = cli.main(["run", *map(str, options)])
    wall, cpu = time.perf_counter() - began[0], time.process_time() - began[1]
    if code:
        raise SystemExit(code)
    outside = tuple(map(sum, zip(*scans, *shards, strict=True)))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
    times = {"cpu": cpu - outside[1], "wall": wall - outside[0]}
    return {**times, "workers": sum(cpu for _, cpu in shards), "peak": peak, "stages": spent}


def replace_work(count: int, scans: list[tuple[float, float]]) -> None:
    """Let every stage find made-up results, and the listing made-up files."""
    folder.listing = lambda *_: listed(count, scans)  # type: ignore[assignment]
    for stage, work in (
        (tasks.Ingest, describe),
        (tasks.Detect, detect),
        (tasks.Measure, measure),
        (tasks.Resize, resize),
    ):
        stage.work = staticmethod(work)
    export.LAYOUTS = {"nvlabs": NoRecords()}
    export.usual_bytes = lambda _: 0
    finished.check_room = lambda *_: None


def time_builds(spent: dict[str, float], outside: Callable[[], float]) -> None:
    """Note the CPU time of the main process in each stage, without what is done outside it."""
    run = Step.run

    def timed(step: Step) -> None:
        began = time.process_time() - outside()
        run(step)
        name = type(step).__name__
        spent[name] = spent.get(name, 0.0) + time.process_time() - outside() - began
        spent[f"{name} MB"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3

    Step.run = timed  # type: ignore[method-assign]


def listed(count: int, scans: list[tuple[float, float]]) -> Iterator[Row]:
    """So many files; notes how long it takes to make them up."""
    for start in range(0, count, BATCH):
        began = time.perf_counter(), time.process_time()
        rows = [listed_file(number) for number in range(start, min(start + BATCH, count))]
        scans.append((time.perf_counter() - began[0], time.process_time() - began[1]))
        yield from rows


def listed_file(number: int) -> Row:
    path = f"{number // 1000:05}/IMG_{number:08}.jpg"
    row = Row(hashlib.blake2b(path.encode(), digest_size=16).hexdigest(), path=path)
    if number % 50 == 0:
        return dropped(row, "not a photo (.txt)")
    return replace(row, size_bytes=BYTES + number, mtime_ns=1_700_000_000_000_000_000 + number)


def describe(items: Sequence[Item], config: object, place: Path) -> Iterator[list[Row]]:
    for item in items:
        name = hashlib.blake2b(f"content {item.row.path}".encode(), digest_size=16).hexdigest()
        yield [replace(item.row, id=name, photo=name, format="JPEG", width=4000, height=6000)]


def chance(row: Row) -> np.random.Generator:
    return np.random.default_rng(int(row.id[:12], 16))


def detect(items: Sequence[Item], config: object, place: Path) -> Iterator[list[Row]]:
    for item in items:
        rng = chance(item.row)
        tall = int(rng.integers(300, 1500))
        left, top = int(rng.integers(800, 1800)), int(rng.integers(1200, 2400))
        face = Box(left, top, left + tall * 4 // 5, top + tall)
        found = [Detection("face", 0.9, face), Detection("nose", 0.8, face)]
        yield [replace(item.row, boxes=tuple(found if rng.random() > NO_FACE else []))]


def measure(items: Sequence[Item], config: object, place: Path) -> Iterator[list[Row]]:
    for item in items:
        rng = chance(item.row)
        bits = rng.bytes(80)
        numbers = [round(float(value), 2) for value in rng.random(3) * 100]
        measures = Measures(bits[:8], bits[8:40], bits[40:48], bits[48:], *numbers)
        yield [replace(item.row, measures=measures)]


def resize(items: Sequence[Item], config: object, place: Path) -> Iterator[list[Row]]:
    for item in items:
        name = Path(*place.parts[-2:], "pictures", item.key[:2], f"{item.key}.jpg")
        yield [replace(item.row, picture=str(name))]


def made_up(
    units: Iterable[Unit],
    config: object,
    store: Path,
    progress: Callable[[int], None],
    library: str = "",
    *,
    scans: list[tuple[float, float]],
    shards: list[tuple[float, float]],
) -> list[str]:
    """In place of the workers: results that are made of columns, in parts that are not synced.

    Shards are the real ones; that workers would make them is noted apart.
    """
    write = files.replacing
    for unit in units:
        began = time.perf_counter(), time.process_time()
        if isinstance(unit, ShardUnit):
            unit.run()
            shards.append((time.perf_counter() - began[0], time.process_time() - began[1]))
            continue
        files.replacing = partial(write, lasting=False)
        own = unit.items.table
        name = unit.folder.parent.name
        made = MADE_UP[name](own) if name in MADE_UP else {"id": own.column("id")}
        kept = [n for n in own.column_names if n in manifest.IN_MANIFEST and n not in made]
        table = pa.table({n: own.column(n) for n in ("key", *kept)} | made)
        known = columns.ids(own, "key")
        parquet.write_table(memo.part_of(unit.folder / "parts", unit.shard, known), table)
        files.replacing = write
        scans.append((time.perf_counter() - began[0], time.process_time() - began[1]))
        progress(len(own))
    return []


def random(own: pa.Table) -> np.random.Generator:
    return np.random.default_rng(int(own.column("key")[0].as_py(), 16))


def described(own: pa.Table) -> dict[str, Any]:
    paths = columns.ids(own, "path")
    names = [
        hashlib.blake2b(f"content {path}".encode(), digest_size=16).hexdigest() for path in paths
    ]
    count = len(own)
    sizes = {"width": pa.repeat(4000, count), "height": pa.repeat(6000, count)}
    return {"id": names, "photo": names, "format": pa.repeat("JPEG", count), **sizes}


def detected(own: pa.Table) -> dict[str, Any]:
    rng, count = random(own), len(own)
    tall, left = rng.integers(300, 1500, count), rng.integers(800, 1800, count)
    top, there = rng.integers(1200, 2400, count), (rng.random(count) > NO_FACE).astype(int) * 2
    ends = np.cumsum([0, *there])
    which = np.repeat(np.arange(count), there)
    box = np.stack([left, top, left + tall * 4 // 5, top + tall], axis=1)[which]
    kind = manifest.schema()["boxes"]
    found = pa.StructArray.from_arrays(
        [
            pa.array(["face", "nose"] * (len(which) // 2), pa.string()),
            pa.array([0.9, 0.8] * (len(which) // 2), pa.float64()),
            pa.FixedSizeListArray.from_arrays(pa.array(box.ravel()), 4).cast(
                pa.list_(pa.int64(), 4)
            ),
        ],
        names=["label", "score", "box"],
    )
    return {"boxes": pa.ListArray.from_arrays(pa.array(ends, pa.int32()), found).cast(kind)}


def looked_at(own: pa.Table) -> dict[str, Any]:
    rng, count = random(own), len(own)
    kind = manifest.schema()["measures"]
    bits = [[rng.bytes(size) for _ in range(count)] for size in (8, 32, 8, 32)]
    numbers = [np.round(rng.random(count) * 100, 2) for _ in range(3)]
    values = [pa.array(v, kind.field(at).type) for at, v in enumerate([*bits, *numbers])]
    return {"measures": pa.StructArray.from_arrays(values, fields=list(kind))}


def written(own: pa.Table) -> dict[str, Any]:
    return {"picture": [f"resize/x/pictures/{k[:2]}/{k}.jpg" for k in columns.ids(own, "key")]}


MADE_UP = {"ingest": described, "detect": detected, "measure": looked_at, "resize": written}


class NoRecords(NvlabsLayout):
    """Records that are not written."""

    def disk_need(self, plan: Any) -> int:
        return 0

    def lay_out(self, folder: Path, plan: Any, content: Any) -> None:
        (folder).mkdir(parents=True, exist_ok=True)

    def write_items(self, items: Sequence[Item], plan: Any, folder: Path) -> list[list[Row]]:
        return [[item.row] for item in items]


if __name__ == "__main__":
    main()
