"""Measures the search for near copies: how many it leaves, how many are none, and how fast it is.

    python benchmarks/copies.py [DATA] [--pictures 1000000] [--keep FILE]

DATA holds portraits_ge1024/, portraits_512_1023/ and portraits_small/: each portrait is copied in
every way of `ways.py`, and goes through Detect (YuNet), Crop and Measure as any photo does. A
digest of the name says to which half a portrait belongs: thresholds were chosen on the first.
`--keep` keeps what was measured, so that it is measured once. Without DATA only the search among
hashes of chance and of crowds is timed (`crowds.py`).
"""

import argparse
import hashlib
import sys
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path

import numpy as np
from PIL import Image

sys.path.append(str(Path(__file__).resolve().parents[1]))

import crowds
from ways import APART, WAYS, as_jpeg

from atelier import pictures
from detectors import face_factors
from pipeline.rows import manifest
from pipeline.rows.manifest import Row, rows_table
from pipeline.sections import DatasetConfig
from pipeline.stages import crop, detect, finds, measure
from pipeline.stages.copies import copies
from pipeline.stages.filter_quality import FilterQualityConfig

FOLDERS = ("portraits_ge1024", "portraits_512_1023", "portraits_small")
LOOK = detect.Look(detect.spec_of("yunet"), 0.1)
RECIPE = crop.Recipe(crop.CropConfig(enlarge=True), dataset=DatasetConfig("256"))
ORIGINAL = "original"
SIDE = 1024  # pixels: copies are made of a portrait that is no longer
QUALITY = 88
CONFIG = FilterQualityConfig()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path, nargs="?", help="folder of portraits")
    parser.add_argument("--pictures", type=int, default=1_000_000, help="to search among")
    parser.add_argument("--keep", type=Path, help="a file for the measures")
    asked = parser.parse_args()
    if asked.data:
        rows = measured_copies(asked.data, asked.keep)
        print_recall(rows)
        print_precision(rows)
        crowds.time_searches(asked.pictures, [r for r in rows if way_of(r) == ORIGINAL])
    else:
        crowds.time_searches(asked.pictures, [])


def measured_copies(data: Path, keep: Path | None) -> list[Row]:
    """A row a picture that Crop lets through, `name|way` its id."""
    if keep and keep.exists():
        return manifest.read_manifest(keep)
    paths = [path for folder in FOLDERS for path in sorted((data / folder).iterdir())]
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as workers:
        rows = [row for made in workers.map(versions, paths, chunksize=4) for row in made]
    if keep:
        manifest.write_rows(keep, rows_table(rows))
    return rows


def versions(path: Path) -> list[Row]:
    """A portrait and its copies, measured."""
    data = path.read_bytes()
    name = f"{path.parent.name}/{path.name}"
    image = Image.fromarray(pictures.decode_colour(data, SIDE))
    made = [(ORIGINAL, data)]
    for way, change in (WAYS | APART).items():
        seed = hashlib.blake2b(f"{name}|{way}".encode(), digest_size=8).digest()
        chance = np.random.default_rng(int.from_bytes(seed, "big"))
        made.append((way, as_jpeg(change(image, chance), QUALITY)))
    rows = [seen(f"{name}|{way}", data) for way, data in made]
    return [row for row in rows if row.drop is None]


def seen(name: str, data: bytes) -> Row:
    """What Detect, Crop and Measure make of a file."""
    import cv2

    cv2.setNumThreads(1)
    head = pictures.header(data, pictures.PIXEL_LIMIT)
    row = Row(name, name, format=head.format, width=head.width, height=head.height)
    found = detect.measure_photo(data, row, detect.load(LOOK.spec, LOOK.min_face))
    row = finds.joined_row([replace(row, boxes=found)], [face_factors(LOOK.spec)])
    (row,) = crop.crop(row, RECIPE)
    if row.drop is not None:
        return row
    return replace(row, measures=measure.measured(*measure.looked_at(data, row)))


def print_recall(rows: Sequence[Row]) -> None:
    """Of each way, how many copies are still there beside the original, in both halves."""
    print("| way | left, tuning half | left, held-back half |\n|---|---|---|")
    originals = {name_of(row): row for row in rows if way_of(row) == ORIGINAL}
    left = {way: [Counter(), Counter()] for way in [*WAYS, "all of these", *APART]}
    for row in rows:
        if (name := name_of(row)) in originals and (way := way_of(row)) != ORIGINAL:
            stays = not copies(
                rows_table([originals[name], row]), CONFIG.crop_bits, CONFIG.face_bits
            )
            for told in (way, "all of these") if way in WAYS else (way,):
                left[told][half(name)][stays] += 1
    for way, halves in left.items():
        print("|", way, "|", " | ".join(f"{n[True]} of {n.total()}" for n in halves), "|")


def print_precision(rows: Sequence[Row]) -> None:
    """What is found among everything at once, and how much of it is another picture."""
    print("\n| searched | found | of another portrait | these portraits |\n|---|---|---|---|")
    for number, called in enumerate(("tuning", "held-back")):
        mine = [row for row in rows if half(name_of(row)) == number and way_of(row) not in APART]
        originals = [row for row in mine if way_of(row) == ORIGINAL]
        for some, what in ((originals, "originals"), (mine, "originals and copies")):
            found = copies(rows_table(some), CONFIG.crop_bits, CONFIG.face_bits)
            pairs = [(a.split("|")[0], b.split("|")[0]) for a, b in found.items()]
            others = Counter(tuple(sorted(pair)) for pair in pairs if pair[0] != pair[1])
            named = "; ".join(f"{' and '.join(pair)}: {n}" for pair, n in others.items())
            print(f"| {len(some)} {what}, {called} | {len(found)} | {others.total()} | {named} |")


def name_of(row: Row) -> str:
    return row.id.split("|")[0]


def way_of(row: Row) -> str:
    return row.id.split("|")[1]


def half(name: str) -> int:
    """0: thresholds were chosen on it; 1: held back."""
    return hashlib.blake2b(name.encode(), digest_size=1).digest()[0] % 2


if __name__ == "__main__":
    main()
