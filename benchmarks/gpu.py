"""Training on this machine's card: s/kimg and memory by size, precision and XLA, as one table.

    python benchmarks/gpu.py
    python benchmarks/gpu.py --sizes 64 --fmap-base 64 --fmap-max 16 --batch 8 --repeats 1

Each line is a process of its own, so that its peak of memory is its own, and has the widths and the
batch of the preset `auto` unless others are given. s/kimg counts G and D at every batch, path
lengths at every 4th, R1 at every 16th; the seconds before the first minibatch is done come beside
it. Without a card it computes on the CPU and says so. What does not fit into memory, or what a card
cannot do, is said in its line. After `--minutes` it ends: XLA, which may compile for minutes, comes
last, and a line that is not there by then says so.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from itertools import product
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
ROOT = Path(__file__).resolve().parent.parent
sys.path.append(str(ROOT))

PRECISIONS = ("float32", "tf32", "bfloat16")
XLA = ("false", "true")
LEAST = 10  # seconds: with fewer left no line is begun
ROW = "| {size} | {batch} | {precision} | {xla} | {kimg} | {memory} | {first} |"


def main() -> None:
    asked = parser().parse_args()
    if asked.one:
        print(json.dumps(measured(asked)))
        return
    until = time.monotonic() + 60 * asked.minutes
    print(f"Steps of `auto`'s networks on {device_in_words()}.\n", flush=True)
    names = ("size", "batch", "precision", "xla", "s/kimg", "peak GB", "first minibatch, s")
    for line in (names, ["---"] * len(names)):
        print(f"| {' | '.join(line)} |")
    for xla, size, precision in product(sorted(asked.xla), asked.sizes, asked.precisions):
        left = until - time.monotonic()
        print(ROW.format(**in_a_process(asked, size, precision, xla, left)), flush=True)


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    made.add_argument("--sizes", type=int, nargs="+", default=[64, 256, 1024])
    made.add_argument("--precisions", nargs="+", choices=PRECISIONS, default=PRECISIONS)
    made.add_argument("--xla", nargs="+", choices=XLA, default=XLA)
    made.add_argument("--fmap-base", type=int, help="as the preset has it, if not given")
    made.add_argument("--fmap-max", type=int)
    made.add_argument("--batch", type=int)
    made.add_argument("--repeats", type=int, default=5, help="minibatches of 16 that are timed")
    made.add_argument("--minutes", type=float, default=10, help="for the whole table")
    made.add_argument("--one", action="store_true", help=argparse.SUPPRESS)
    return made


def in_a_process(
    asked: argparse.Namespace, size: int, precision: str, xla: str, left: float
) -> dict[str, Any]:
    """One line of the table, which has so many seconds."""
    row = {"size": size, "batch": asked.batch or "auto", "precision": precision, "xla": xla}
    row |= {"kimg": "no time left", "memory": "", "first": ""}
    if left < LEAST:
        return row
    words = ["--one", "--sizes", size, "--precisions", precision, "--xla", xla]
    words += ["--repeats", asked.repeats]
    for name in ("fmap_base", "fmap_max", "batch"):
        if getattr(asked, name):
            words += [f"--{name.replace('_', '-')}", getattr(asked, name)]
    line = [sys.executable, __file__, *map(str, words)]
    try:
        done = subprocess.run(line, capture_output=True, text=True, cwd=ROOT, timeout=left)
    except subprocess.TimeoutExpired:
        return row | {"kimg": f"not within {left:.0f} s"}
    if done.returncode:
        said = done.stderr.strip().splitlines() or ["?"]
        full = "ResourceExhausted" in done.stderr or done.returncode == -9
        return row | {"kimg": "too little memory" if full else said[-1][:80]}
    return row | json.loads(done.stdout.splitlines()[-1])


def measured(asked: argparse.Namespace) -> dict[str, Any]:
    """s/kimg of the trainer's own minibatches, the peak of memory, and how long the first took."""
    from atelier import cuda

    cuda.prepare()
    import numpy as np
    import tensorflow as tf

    from training import devices, presets
    from training.minibatch import Minibatch
    from training.state import network_configs, new_state

    size = asked.sizes[0]
    given = {name: getattr(asked, name) for name in ("fmap_base", "fmap_max", "batch")}
    options = {name: value for name, value in given.items() if value}
    options |= {"precision": asked.precisions[0], "xla": asked.xla[0], "devices": 1}
    config = presets.resolve("auto", size, size, options | {"augment": "none"})
    devices.choose(config)
    state = new_state(config, network_configs(config, (size, size, 3), 0))
    minibatch = Minibatch(state, config, np.zeros((1, 0), np.float32), 1.0)
    batch = config.run.batch
    images, labels = tf.zeros([batch, size, size, 3]), tf.zeros([batch, 0])

    def sixteen() -> float:
        """Seconds of a whole round of regularisation: each step as often as in training."""
        start = time.perf_counter()
        for _ in range(16):
            told = minibatch(images, labels)
        told["Loss/D/loss"].numpy()  # all that was asked for is done
        return time.perf_counter() - start

    start = time.perf_counter()
    minibatch(images, labels)["Loss/D/loss"].numpy()  # all four steps are traced, or compiled
    first = time.perf_counter() - start
    state.minibatches = 0
    seconds = min(sixteen() for _ in range(asked.repeats))
    kimg = f"{seconds / 16 / batch * 1000:.2f}"
    return {"batch": batch, "kimg": kimg, "memory": peak(), "first": f"{first:.0f}"}


def peak() -> str:
    """GB of the card, or of this process where there is none."""
    import tensorflow as tf

    if tf.config.get_visible_devices("GPU"):
        return f"{tf.config.experimental.get_memory_info('GPU:0')['peak'] / 1e9:.1f}"
    import resource

    return f"{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6:.1f}"


def device_in_words() -> str:
    """The card that is used; asked for in a process of its own, which gives it back."""
    code = (
        "from atelier import cuda; cuda.prepare();"
        "from training import devices; from training.config import configure;"
        "c = configure({'devices': 1}); print(devices.devices_in_words(devices.choose(c), c))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    return (done.stdout.strip().splitlines() or [f"nothing: {done.stderr.strip()[-200:]}"])[-1]


if __name__ == "__main__":
    main()
