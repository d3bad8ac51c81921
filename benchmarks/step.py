"""The four training steps of StyleGAN2, timed, and what share of the machine's rate they reach.

    python benchmarks/step.py --size 64 --fmap-base 8192 --batch 8 --precision bfloat16
    python benchmarks/step.py --size 64 --fmap-base 1024 --fmap-max 128 --batch 16

These are the trainer's own steps, with their draws, Adam, running means and, in `d`, the average
of G. s/kimg counts G and D steps at every batch, path length at every 4th (half a batch), R1 at
every 16th. The operations are those of the convolutions and matrix products in the graphs.
"""

import argparse
import os
import sys
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
sys.path.append(str(Path(__file__).resolve().parent.parent))

import numpy as np
import tensorflow as tf

from training import presets
from training.minibatch import Minibatch
from training.state import network_config, new_state

EVERY = {"g": 1, "g reg": 4, "d": 1, "d reg": 16}  # batches


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
    parser.add_argument("--xla", action="store_true")
    asked = parser.parse_args()
    tf.config.threading.set_intra_op_parallelism_threads(asked.threads)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    report(asked)


def report(asked: argparse.Namespace) -> None:
    """Time the steps and print a line for each."""
    rate = conv_rate(asked.precision)
    print(f"convolutions alone: {rate / 1e9:.0f} GFLOP/s ({asked.precision})", flush=True)
    total = work = 0.0
    for name, (step, gradient) in steps(asked).items():
        if asked.only not in (None, name):
            continue
        seconds, operations = best(step, asked.repeats), 0 if asked.xla else flops(gradient)
        share = operations / seconds / rate
        print(
            f"{name:6} {seconds:8.3f} s  {operations / seconds / 1e9:6.0f} GFLOP/s = {share:4.0%}"
            f"  peak {peak():5.1f} GB",
            flush=True,
        )
        total, work = total + seconds / EVERY[name], work + operations / EVERY[name]
    kimg = 1000 / asked.batch * total
    print(
        f"{kimg:.1f} s/kimg, {work / total / 1e9:.0f} GFLOP/s = {work / total / rate:.0%} of that"
    )


def steps(asked):
    """Name -> (the whole step, its gradient alone), as functions of nothing."""
    options = {name: getattr(asked, name) for name in ("batch", "precision", "recompute", "xla")}
    ada = {"augment": "fixed", "augment_p": 0.5} if asked.augment else {}
    widths = {"fmap_base": asked.fmap_base, "fmap_max": asked.fmap_max}
    config = presets.resolve("config-f", asked.size, asked.size, {**options, **ada, **widths})
    state = new_state(config, network_config(config, (asked.size, asked.size, 3), 0))
    made = Minibatch(state, config, np.zeros((1, 0), np.float32), rate_scale=1)
    phases, rate, weight = made.phases, tf.constant(0.001), tf.constant(10.0)
    seen = number = tf.constant(0, tf.int64)
    reals = tf.random.normal([asked.batch, asked.size, asked.size, 3])
    labels = tf.zeros([asked.batch, 0])

    def g():
        return phases.g_main(seen, number)

    def g_reg():
        return phases.g_path(seen, number, tf.constant(0.0))

    def d():
        return phases.d_main(seen, number, reals, labels)

    def d_reg():
        return phases.d_r1(seen, number, reals, labels, weight)

    def with_average():
        phases.average(tf.constant(0.99))
        return made.finish_d(*d(), rate)

    return {
        "g": (lambda: made.finish_g(*g(), rate), g),
        "g reg": (lambda: made.finish_g(*g_reg(), rate), g_reg),
        "d": (with_average, d),
        "d reg": (lambda: made.finish_d(*d_reg(), rate), d_reg),
    }


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
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        result = run()
        tf.nest.map_structure(lambda tensor: tensor.numpy(), result)
        times.append(time.perf_counter() - start)
    return min(times)


def flops(gradient) -> float:
    """Operations of the convolutions and matrix products that a gradient needs."""
    outer = tf.function(gradient, autograph=False).get_concrete_function().graph
    (graph,) = [function.graph for function in outer._functions.values()]
    left, needed = [t.op for t in graph.outputs] + list(graph.control_outputs), {}
    while left:
        op = left.pop()
        if op.name not in needed:
            needed[op.name] = op
            left += [tensor.op for tensor in op.inputs] + list(op.control_inputs)
    return sum(operations(op) for op in needed.values())


def operations(op) -> float:
    """2 x multiplications of one operation."""
    if op.type == "Conv2D":
        return 2 * op.outputs[0].shape.num_elements() * kernel(op.inputs[1].shape)
    if op.type == "Conv2DBackpropInput":
        return 2 * op.inputs[2].shape.num_elements() * kernel(op.inputs[1].shape)
    if op.type == "Conv2DBackpropFilter":
        return 2 * op.inputs[2].shape.num_elements() * kernel(op.outputs[0].shape)
    if op.type == "MatMul":
        inner = op.inputs[0].shape[0 if op.get_attr("transpose_a") else 1]
        return 2 * op.outputs[0].shape.num_elements() * inner
    return 0


def kernel(shape) -> int:
    """Multiplications per output number."""
    return shape[0] * shape[1] * shape[2]


def peak() -> float:
    """The most memory this process has held, in GB."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM"):
            return int(line.split()[1]) / 1e6
    return 0.0


if __name__ == "__main__":
    main()
