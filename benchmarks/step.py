"""The four training steps of StyleGAN2, timed, and what share of the machine's rate they reach.

    python benchmarks/step.py --size 64 --fmap-base 8192 --batch 8 --precision bfloat16
    python benchmarks/step.py --size 64 --fmap-base 1024 --fmap-max 128 --batch 16
    python benchmarks/step.py --size 64 --fmap-base 8192 --batch 8 --report
    python benchmarks/step.py --fmap-max 128 --batch 16 --turns 30

These are the trainer's own steps, with their draws, Adam and running means. s/kimg counts G and D
steps and the averages at every batch, path length at every 4th (half a batch), R1 at every 16th.
The operations are those of the convolutions and matrix products in the graphs, so of a convolution
with half the products half. `--report` runs nothing: it counts what of each graph a GPU would
compute, and what it would have to ask the host. `--turns` makes each step with ADA and without, in
turns, so that what else a machine does slows both.
"""

import argparse
import os
import sys
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")  # as `python -m training` does
sys.path.append(str(Path(__file__).resolve().parent.parent))

import graphs
import numpy as np
import tensorflow as tf

from training import presets
from training.devices import set_arithmetic
from training.minibatch import Minibatch
from training.state import network_configs, new_state

EVERY = {"G": 1, "G_path": 4, "D": 1, "D_r1": 16, "averages": 1}  # batches


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--fmap-base", type=int, default=1024)
    parser.add_argument("--fmap-max", type=int, default=512)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--precision", default="float32")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--only", choices=EVERY, help="one step, as for its peak of memory")
    parser.add_argument("--recompute", action="store_true")
    parser.add_argument("--augment", action="store_true", help="ADA with p = 0.5")
    parser.add_argument(
        "--turns", type=int, default=0, help="so many rounds of all steps, with ADA and without"
    )
    parser.add_argument("--xla", action="store_true")
    parser.add_argument("--report", action="store_true", help="no times: what the graphs hold")
    asked = parser.parse_args()
    tf.config.threading.set_intra_op_parallelism_threads(asked.threads)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    told = print_graphs if asked.report else print_turns if asked.turns else print_times
    told(asked)


def print_times(asked: argparse.Namespace) -> None:
    """Time the steps and print a line for each."""
    rate = conv_rate(asked.precision)
    print(f"convolutions alone: {rate / 1e9:.0f} GFLOP/s ({asked.precision})", flush=True)
    total = work = 0.0
    for name, (step, gradient) in steps(asked).items():
        if asked.only not in (None, name):
            continue
        seconds = best(step, asked.repeats)
        operations = 0 if asked.xla else graphs.tally(graphs.graph_of(gradient)).flops
        share = operations / seconds / rate
        print(
            f"{name:8} {seconds:8.3f} s  {operations / seconds / 1e9:6.0f} GFLOP/s = {share:4.0%}"
            f"  peak {peak():5.1f} GB",
            flush=True,
        )
        total, work = total + seconds / EVERY[name], work + operations / EVERY[name]
    kimg = 1000 / asked.batch * total
    print(
        f"{kimg:.1f} s/kimg, {work / total / 1e9:.0f} GFLOP/s = {work / total / rate:.0%} of that"
    )


def print_turns(asked: argparse.Namespace) -> None:
    """Time each step with ADA and without, in turns: medians, and the ratio of a minibatch."""
    ways = [argparse.Namespace(**{**vars(asked), "augment": made}) for made in (False, True)]
    both = [steps(way) for way in ways]
    pairs = {name: [way[name][0] for way in both] for name in EVERY}
    for run in (run for pair in pairs.values() for run in pair):
        run()  # compiles
    rounds = [
        {name: [seconds(run) for run in pair] for name, pair in pairs.items()}
        for _ in range(asked.turns)
    ]
    found = {name: np.median([told[name] for told in rounds], axis=0) for name in EVERY}
    for name, (plain, ada) in found.items():
        print(
            f"{name:8} {plain:8.3f} s, with ADA {ada:8.3f} s, {ada / plain:5.2f} times", flush=True
        )
    plain, ada = (sum(pair[i] / EVERY[name] for name, pair in found.items()) for i in (0, 1))
    print(f"a minibatch {plain:.3f} s, with ADA {ada:.3f} s, {ada / plain:.3f} times")


def steps(asked):
    """Name -> (the whole step, its gradient alone), as functions of nothing; and the averages."""
    made = minibatch(asked)
    rate, seen = tf.constant(0.001), tf.constant(0, tf.int64)
    reals = tf.random.normal([asked.batch, asked.size, asked.size, 3])
    labels, weight = tf.zeros([asked.batch, 0]), tf.constant(2.0)

    def whole(step):
        return lambda: made.take(step, seen, reals, labels, weight, rate)

    def gradient(step):
        images = (reals, labels) if step.reals else (rate, rate)
        return lambda: made.shares[step.name](seen, seen, *images, weight, rate)

    def averages():
        return made.average(tf.constant(0.99), tf.constant(0.5), tf.constant(0.0))

    found = {step.name: (whole(step), gradient(step)) for step in made.steps}
    return found | {"averages": (averages, averages)}


def minibatch(asked) -> Minibatch:
    """The trainer's own, of the networks that were asked for."""
    options = {name: getattr(asked, name) for name in ("batch", "precision", "recompute")}
    options["xla"] = "true" if asked.xla else "false"
    ada = {"augment": "fixed", "augment_p": 0.5} if asked.augment else {}
    widths = {"fmap_base": asked.fmap_base, "fmap_max": asked.fmap_max}
    config = presets.resolve("config-f", asked.size, asked.size, {**options, **ada, **widths})
    set_arithmetic(config.run.precision)
    state = new_state(config, network_configs(config, (asked.size, asked.size, 3), 0))
    use = "none" if asked.report else None
    return Minibatch(state, config, np.zeros((1, 0), np.float32), rate_scale=1, use=use)


def print_graphs(asked: argparse.Namespace) -> None:
    """What each step would do on a GPU, as a table of Markdown."""
    print("| step | nodes | launches | read by the host | no kernel on a GPU | GFLOP |")
    print("|---|---|---|---|---|---|")
    for name, (step, _) in steps(asked).items():
        found = graphs.tally(graphs.graph_of(step))
        missing = ", ".join(found.missing) or "none"
        numbers = f"{found.nodes} | {found.launches} | {found.reads} | {missing}"
        print(f"| {name} | {numbers} | {found.flops / 1e9:.1f} |", flush=True)


def conv_rate(dtype: str) -> float:
    """Operations per second of a plain 3x3 convolution of 256 channels and its two gradients."""
    x, w = tf.random.normal([8, 32, 32, 256]), tf.random.normal([3, 3, 256, 256])
    x, w = tf.cast(x, dtype), tf.cast(w, dtype)

    @tf.function
    def run():
        with tf.GradientTape() as tape:
            tape.watch([x, w])
            y = tf.nn.conv2d(x, w, 1, "SAME")
        return tape.gradient(y, [x, w], output_gradients=x), y

    return 3 * 2 * 9 * 8 * 32 * 32 * 256 * 256 / best(run, 10)


def best(run, repeats: int) -> float:
    """The shortest of some runs, in seconds, after one that traces."""
    run()
    return min(seconds(run) for _ in range(repeats))


def seconds(run) -> float:
    """How long it takes, with its results."""
    start = time.perf_counter()
    tf.nest.map_structure(lambda tensor: tensor.numpy(), run())
    return time.perf_counter() - start


def peak() -> float:
    """The most memory this process has held, in GB."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM"):
            return int(line.split()[1]) / 1e6
    return 0.0


if __name__ == "__main__":
    main()
