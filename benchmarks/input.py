"""The input pipeline alone against the training step, and how memory grows over 10,000 images.

    python benchmarks/input.py --size 64 --count 2000
    python benchmarks/input.py --size 1024 --count 64 --images 0        # reading alone

The records are made here. Times are per image; the step is that of the preset `config-f` with the
widths of `benchmarks/step.py`'s second line, the cheapest network that anybody would train.
"""

import argparse
import os
import sys
import tempfile
import time
from contextlib import closing
from itertools import islice
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")  # as `python -m training` does
sys.path.append(str(Path(__file__).resolve().parent.parent))

import numpy as np
import psutil
import tensorflow as tf

from training import batches as data
from training import presets, sources, startup
from training.minibatch import Minibatch
from training.state import network_configs, new_state

BATCH = 16


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--count", type=int, default=2000, help="records to make")
    parser.add_argument("--images", type=int, default=10_000, help="to train on, for memory")
    asked = parser.parse_args()
    startup.keep_memory()  # as `python -m training` does
    with tempfile.TemporaryDirectory() as folder:
        source = sources.open_source(written(Path(folder), asked.size, asked.count))
        alone, busy = reading(source, min(asked.count, 512))
        print(f"{asked.size} px: input {1e3 * alone:.2f} ms/image, {1e3 * busy:.2f} of a processor")
        if not asked.images:
            return
        step, grown = training(source, asked.images)
    print(f"  step {1e3 * step:.1f} ms/image")
    print(f"  input is {alone / step:.1%} of the step (aim: under 10 %)")
    print(f"  memory grew by {grown:.1f} MB over {asked.images} images (aim: at most 50)")


def written(folder: Path, size: int, count: int) -> Path:
    """Records as NVlabs' tools write them, of noise."""
    rng, path = np.random.default_rng(0), folder / f"made-r{size.bit_length() - 1:02}.tfrecords"
    with tf.io.TFRecordWriter(str(path)) as file:
        for _ in range(count):
            pixels = rng.integers(0, 256, (3, size, size), np.uint8)
            feature = tf.train.Feature
            features = {
                "shape": feature(int64_list=tf.train.Int64List(value=pixels.shape)),
                "data": feature(bytes_list=tf.train.BytesList(value=[pixels.tobytes()])),
            }
            example = tf.train.Example(features=tf.train.Features(feature=features))
            file.write(example.SerializeToString())
    return folder


def reading(source: sources.Source, count: int) -> tuple[float, float]:
    """(seconds, seconds of all processors) per image, with nothing else to do."""
    with closing(data.reals(source, 0, BATCH, 0, mirror=True)) as batches:
        for _ in islice(batches, 3):  # compiled, and every buffer seen once
            pass
        began, busy = time.perf_counter(), time.process_time()
        for _ in islice(batches, count // BATCH):
            pass
        spent = time.perf_counter() - began, time.process_time() - busy
        return spent[0] / (count // BATCH * BATCH), spent[1] / (count // BATCH * BATCH)


def training(source: sources.Source, count: int) -> tuple[float, float]:
    """(seconds per image, MB that memory grew by after the first tenth)."""
    widths = {"fmap_base": 1024, "fmap_max": 128} if source.shape[0] <= 64 else {}
    config = presets.resolve("config-f", *source.shape[:2], {"batch": BATCH, **widths})
    state = new_state(config, network_configs(config, source.shape, 0))
    minibatch, process = Minibatch(state, config, source.labels, 1), psutil.Process()
    with closing(data.reals(source, 0, BATCH, 0, mirror=True)) as batches:
        for batch in islice(batches, 17):  # every graph is compiled in these
            minibatch(*batch)
        times, begun = [], 0
        while state.seen < max(count, 32 * BATCH):
            began = time.perf_counter()
            minibatch(*next(batches))
            times.append(time.perf_counter() - began)
            begun = begun or (process.memory_info().rss if state.seen >= count / 10 else 0)
        return float(np.mean(times)) / BATCH, (process.memory_info().rss - begun) / 1e6


if __name__ == "__main__":
    main()
