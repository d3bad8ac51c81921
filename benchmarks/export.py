"""Export against the single-threaded loop that dataset_tool is, on drawn 1024 px JPEGs.

    python benchmarks/export.py [--pictures 400] [--rounds 3] [--workers 2]

All read the same files, in turns, each in a process of its own; loop and nvlabs write the same
records. The loop's time begins after its imports; ours counts everything, the start of its workers
and the last byte on the disk included. "packing" is ours from the first finished pictures on. CPU
time does not depend on what else the machine does.
"""

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image

from pipeline.dataset import records
from pipeline.engine import cluster
from pipeline.stages.ingest import IngestConfig

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # before another's `tests`
from tests.kit.records import read_records

SIZE = 1024
DISTINCT = 20  # pictures that are drawn; the others are copies of them


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pictures", type=int, default=400)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--child", choices=list(CHILDREN))
    parser.add_argument("--folder", type=Path)
    asked = parser.parse_args()
    if asked.child:
        before = sum(os.times()[:4])
        times = CHILDREN[asked.child](asked.folder / "ready", asked.folder / "out", asked.workers)
        cluster.close()  # processes are counted once they have ended
        print(sum(os.times()[:4]) - before, *times)
        return
    with tempfile.TemporaryDirectory() as folder:
        draw(Path(folder) / "ready", asked.pictures)
        compare(Path(folder), asked)


def compare(folder: Path, asked: argparse.Namespace) -> None:
    """Run all in turns and print the table."""
    took: dict[str, list[list[float]]] = {child: [] for child in CHILDREN}
    sizes: dict[str, int] = {}
    contents: dict[str, list[records.Pixels]] = {}
    for _ in range(asked.rounds):
        for child in CHILDREN:
            took[child].append(child_seconds(child, folder, asked))
            made = list((folder / "out").glob("*.tfrecords"))
            sizes[child] = sum(path.stat().st_size for path in made)
            level = folder / "out" / "out-r06.tfrecords"
            contents[child] = list(read_records(level)) if level in made else []
            shutil.rmtree(folder / "out")
    same = np.array_equal(contents["loop"], contents["nvlabs"])
    print(f"{asked.pictures} JPEGs of {SIZE} px, {asked.rounds} rounds, medians; equal: {same}")
    print(f"{asked.workers} workers{'seconds':>18}{'packing':>9}{'ratio':>7}", end="")
    print(f"{'CPU ms each':>13}{'MB each':>9}")
    loop = statistics.median(whole for _, whole, *_ in took["loop"])
    for child, rounds in took.items():
        cpu, whole, packing = (statistics.median(each) for each in zip(*rounds, strict=True))
        cpu, size = 1000 * cpu / asked.pictures, sizes[child] / asked.pictures / 1e6
        print(f"{child:18}{whole:9.2f}{packing:9.2f}{loop / whole:7.2f}{cpu:13.1f}{size:9.2f}")


def child_seconds(child: str, folder: Path, asked: argparse.Namespace) -> list[float]:
    """CPU seconds, seconds, and those of the packing."""
    command = [sys.executable, __file__, "--child", child, "--folder", str(folder)]
    command += ["--workers", str(asked.workers)]
    quiet = os.environ | {"CUDA_VISIBLE_DEVICES": "", "TF_CPP_MIN_LOG_LEVEL": "3"}
    kept = subprocess.PIPE
    out = subprocess.run(command, check=True, stdout=kept, stderr=kept, text=True, env=quiet).stdout
    return [float(word) for word in out.split()]


def draw(folder: Path, count: int) -> None:
    """Waves and grain: they compress to about the size of a photo, 0.3 bytes per pixel."""
    folder.mkdir()
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:SIZE, :SIZE] / SIZE
    for n in range(count):
        path = folder / f"{n:05}.jpg"
        if n >= DISTINCT:
            shutil.copy(folder / f"{n % DISTINCT:05}.jpg", path)
            continue
        waves = [np.sin(rng.uniform(5, 30) * x + rng.uniform(5, 30) * y) for _ in range(3)]
        pixels = 128 + 90 * np.stack(waves, axis=-1) + rng.normal(0, 4, (SIZE, SIZE, 3))
        Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(path, quality=95)


def loop(ready: Path, out: Path, workers: int) -> list[float]:
    """One picture after the other, one TensorFlow writer per level. Written from the format."""
    import tensorflow as tf

    tf.zeros(1)
    began = time.perf_counter()
    out.mkdir()
    files = sorted(ready.iterdir())
    order = np.arange(len(files))
    np.random.RandomState(123).shuffle(order)
    halvings = SIZE.bit_length() - 3
    names = [out / f"{out.name}-r{halvings + 2 - n:02}.tfrecords" for n in range(halvings + 1)]
    writers = [tf.io.TFRecordWriter(str(name)) for name in names]
    for n in order:
        mean = np.asarray(Image.open(files[n])).transpose(2, 0, 1).astype(np.float32)
        for writer in writers:
            pixels = np.rint(mean).clip(0, 255).astype(np.uint8)
            shape = tf.train.Feature(int64_list=tf.train.Int64List(value=pixels.shape))
            data = tf.train.Feature(bytes_list=tf.train.BytesList(value=[pixels.tobytes()]))
            features = tf.train.Features(feature={"shape": shape, "data": data})
            writer.write(tf.train.Example(features=features).SerializeToString())
            top, bottom = mean[:, 0::2], mean[:, 1::2]
            if writer is not writers[-1]:
                mean = top[..., 0::2] + top[..., 1::2] + bottom[..., 0::2] + bottom[..., 1::2]
                mean *= np.float32(0.25)
    for writer in writers:
        writer.close()
    return [time.perf_counter() - began] * 2


def ours(layout: str, pixels: str, ready: Path, out: Path, workers: int) -> list[float]:
    """`python -m pipeline records`: seconds in all, and of the packing alone."""
    from pipeline.dataset.ready import pack_ready, pictures_at
    from pipeline.engine.crew import EngineConfig

    done: list[tuple[float, int]] = []
    began = time.perf_counter()
    config = EngineConfig(scheduler="local", workers=workers)
    pack_ready(
        pictures_at(ready, IngestConfig().pixel_limit),
        out,
        layout,
        config,
        lambda rows: done.append((time.perf_counter(), rows)),
        pixels,
    )
    whole = time.perf_counter() - began
    counted = [(moment, rows) for moment, rows in done if rows]
    first, last = counted[0], counted[-1]
    after_first = sum(rows for _, rows in counted[1:])
    total = first[1] + after_first
    return [whole, (last[0] - first[0]) * total / max(1, after_first)]


CHILDREN: dict[str, Callable[[Path, Path, int], list[float]]] = {
    "loop": loop,
    "nvlabs": partial(ours, "nvlabs", ""),
    "sharded, raw": partial(ours, "sharded", "raw"),
    "sharded, jpeg": partial(ours, "sharded", "jpeg"),
}

if __name__ == "__main__":
    main()
