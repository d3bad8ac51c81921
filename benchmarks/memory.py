"""Whether a worker's memory grows: photos through Detect and Resize, over and over.

    python benchmarks/memory.py [--photos 50000]

A few hundred small JPEGs, each different, are given again and again under other keys to one worker
of a cluster as every run has it: a unit of 256 through Detect with YuNet, then the same through
Resize. Prints the resident memory of the worker's process on the way. Parts and pictures that it
wrote are removed as it goes on.
"""

import argparse
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
from PIL import Image

sys.path.append(str(Path(__file__).resolve().parent))

import photos

from atelier.boxes import Box
from pipeline.engine import cluster, crew, unit
from pipeline.engine.crew import EngineConfig
from pipeline.rows.manifest import Item, Row
from pipeline.sections import DatasetConfig
from pipeline.stages import detect, resize

SIZES = (96, 144), (128, 192), (160, 240)
EACH = 100  # photos of a size
UNIT = 256
MARKS = 1_000, 2_500, 5_000, 10_000, 25_000, 50_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--photos", type=int, default=MARKS[-1])
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        drawn = [path for size in SIZES for path in photos.draw(folder / f"{size[0]}", EACH, size)]
        look = Look(folder, asked.photos)
        print("| photos | resident memory of the worker | photos/s |\n|---|---|---|", flush=True)
        units = unit.Units(lambda: units_of(drawn, asked.photos, folder))
        failures = crew.map_units(units, EngineConfig(workers=1), folder, look)
        cluster.end()
    if failures:
        raise SystemExit(failures[0])
    print(f"most to least from {MARKS[0]:,} on: {max(look.seen) - min(look.seen):.1f} MB")


def units_of(paths: list[Path], count: int, folder: Path) -> Iterator[unit.Unit]:
    """Detect's and Resize's work on so many photos, by turns."""
    seen, size = detect.DetectConfig("yunet").look(""), DatasetConfig(size="128")
    known = [(path, *Image.open(path).size) for path in paths]
    for start in range(0, count, UNIT):
        items = [
            item(number, *known[number % len(known)])
            for number in range(start, min(start + UNIT, count))
        ]
        yield unit.Unit(detect.detect, seen, items, folder / "detect" / "x")
        yield unit.Unit(resize.resize, size, items, folder / "resize" / "x")


def item(number: int, path: Path, width: int, height: int) -> Item:
    """A photo under a key of its own; its portrait is all of it but a border."""
    name, portrait = f"{number:032x}", Box(8, 8, width - 8, height - 8)
    row = Row(name, name, format="JPEG", width=width, height=height, rectangle=portrait)
    return Item(f"{number:020x}", row, path)


class Look:
    """Counts what is done; at each mark looks at the worker, and removes what it wrote."""

    def __init__(self, folder: Path, count: int) -> None:
        self.folder, self.marks = folder, [mark for mark in MARKS if mark < count] + [count]
        self.done, self.began, self.seen = 0, time.perf_counter(), list[float]()

    def __call__(self, number: int) -> None:
        self.done += number
        if self.done // 2 < self.marks[0]:
            return
        self.marks.pop(0)
        resident = max(child.memory_info().rss for child in psutil.Process().children(True)) / 1e6
        self.seen.append(resident)
        rate = self.done / 2 / (time.perf_counter() - self.began)
        print(f"| {self.done // 2:,} | {resident:.1f} MB | {rate:.0f} |", flush=True)
        for stage in ("detect", "resize"):
            for old in (self.folder / stage / "x").glob("*"):
                shutil.rmtree(old, ignore_errors=True)


if __name__ == "__main__":
    main()
