"""Times Embed and FilterPose against `python -m pytorch_fid` per picture, on drawn photos.

    python benchmarks/embed.py

Each rate is of two single-thread processes, from 1024 px JPEGs to scores, after the start.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from itertools import repeat
from multiprocessing import get_context
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from pipeline.rows.manifest import Item, Row
from pipeline.stages import embed, filter_pose

REPOSITORY = Path(__file__).resolve().parent.parent
PROCESSES = 2
PHOTOS = 160
REFERENCE = 40
BY_HAND = 3  # pictures that pytorch_fid is timed on


def main() -> None:
    argparse.ArgumentParser(description=__doc__.splitlines()[0]).parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        weights = made_weights(folder)
        items = draw(folder, PHOTOS)
        practice = pytorch_fid_seconds(folder, weights, items)
        print("| what | pictures/s | CPU ms a picture | times pytorch_fid |\n|---|---|---|---|")
        print(f"| `python -m pytorch_fid` on each picture | {1 / practice:.2f} | | 1 |")
        for dtype in ("float32", "bfloat16"):
            rate, cpu = ours(items, weights, dtype)
            figures = f"{rate:.1f} | {1000 * cpu:.0f} | {rate * practice:.0f}"
            print(f"| Embed and FilterPose, {dtype} | {figures} |")


def made_weights(folder: Path) -> Path:
    """Random weights, where pytorch_fid looks for its own download."""
    path = folder / "hub/checkpoints/pt_inception-2015-12-05-6726825d.pth"
    path.parent.mkdir(parents=True)
    script = REPOSITORY / "tests/kit/random_inception.py"
    subprocess.run([sys.executable, str(script), str(path)], check=True)
    return path


def draw(folder: Path, count: int) -> list[Item]:
    """Photos of 1024 x 1024, ellipses on a textured ground, as JPEGs of about 300 KB."""
    items = []
    for number in range(count):
        rng = np.random.default_rng(number)
        ground = rng.integers(0, 256, (24, 24, 3), dtype=np.uint8)
        image = Image.fromarray(ground).resize((1024, 1024), Image.Resampling.BICUBIC)
        pen = ImageDraw.Draw(image)
        for _ in range(12):
            x, y, width, height = rng.integers(40, 700, 4).tolist()
            colour = tuple(rng.integers(0, 256, 3).tolist())
            pen.ellipse((x, y, x + width, y + height), fill=colour)
        pixels = np.asarray(image) + rng.normal(0, 6, (1024, 1024, 1))
        path = folder / f"{number}.jpg"
        Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8)).save(path, quality=92)
        items.append(Item(f"{number:03}", Row(id=f"{number:03}", width=1024, height=1024), path))
    return items


def pytorch_fid_seconds(folder: Path, weights: Path, items: list[Item]) -> float:
    """How long one picture takes: two copies of it in a folder, against saved statistics."""
    reference = folder / "reference"
    reference.mkdir()
    for item in items[:REFERENCE]:
        shutil.copy(item.path, reference)
    saved = folder / "reference.npz"
    pytorch_fid(weights, "--save-stats", str(reference), str(saved))
    seconds = []
    for item in items[:BY_HAND]:
        twice = folder / f"twice-{item.key}"
        twice.mkdir()
        for copy in ("a.jpg", "b.jpg"):
            shutil.copy(item.path, twice / copy)
        start = time.perf_counter()
        pytorch_fid(weights, str(twice), str(saved))
        seconds.append(time.perf_counter() - start)
    return float(np.median(seconds))


def pytorch_fid(weights: Path, *arguments: str) -> None:
    """Run its command as people do, on all cores."""
    environment = os.environ | {"TORCH_HOME": str(weights.parents[2])}
    command = [sys.executable, "-W", "ignore", "-m", "pytorch_fid", "--device", "cpu", *arguments]
    subprocess.run(command, check=True, capture_output=True, env=environment)


def ours(items: list[Item], weights: Path, dtype: str) -> tuple[float, float]:
    """Pictures per second of embedding and deciding all; CPU seconds to embed one."""
    config = embed.EmbedConfig(weights=str(weights), dtype=dtype, device="cpu")
    units = [items[start : start + 20] for start in range(0, len(items), 20)]
    with ProcessPoolExecutor(PROCESSES, mp_context=get_context("spawn")) as workers:
        list(workers.map(run, [items[:8]] * 8, repeat(config)))  # loads the network
        start = time.perf_counter()
        done = list(workers.map(run, units, repeat(config)))
        rows = [row for unit, _ in done for row in unit]
        vectors = [(row.embedding, row.features) for row in rows]
        decision = filter_pose.FilterPoseConfig(reference="drawn", limit="q95")
        likeness = filter_pose.likeness_to(vectors[:REFERENCE], decision)
        scores = filter_pose.scores_for([row.embedding for row in rows], vectors, likeness)
        filter_pose.filter_pose([row.id for row in rows], scores, likeness, decision)
        rate = len(items) / (time.perf_counter() - start)
    return rate, sum(seconds for _, seconds in done) / len(items)


def run(items: list[Item], config: embed.EmbedConfig) -> tuple[list[Row], float]:
    """One unit of work, in a worker: its rows and CPU seconds."""
    start = time.process_time()
    rows = [row for rows in embed.embed(items, config, Path()) for row in rows]
    return rows, time.process_time() - start


if __name__ == "__main__":
    main()
