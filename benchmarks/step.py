"""The four training steps of StyleGAN2, timed, and what share of the machine's rate they reach.

    python benchmarks/step.py --size 64 --fmap-base 8192 --batch 8 --dtype bfloat16
    python benchmarks/step.py --size 64 --fmap-base 1024 --fmap-max 128 --batch 16

s/kimg counts G and D steps at every batch, path length at every 4th (half a batch), R1 at every
16th. The operations are those of the convolutions and matrix products in the graphs that ran.
"""

import argparse
import os
import sys
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
sys.path.append(str(Path(__file__).resolve().parent.parent))

import tensorflow as tf

from training import losses
from training.augment import AugmentConfig, augment
from training.networks import Discriminator, Generator, NetworkConfig

EVERY = {"g": 1, "g reg": 4, "d": 1, "d reg": 16}  # batches


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--fmap-base", type=int, default=1024)
    parser.add_argument("--fmap-max", type=int, default=512)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--dtype", default="float32")
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
    rate = conv_rate(asked.dtype)
    print(f"convolutions alone: {rate / 1e9:.0f} GFLOP/s ({asked.dtype})", flush=True)
    total = work = 0.0
    for name, step in steps(asked).items():
        if asked.only not in (None, name):
            continue
        seconds, operations = best(step, asked.repeats), flops(step)
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


class Adam:
    """Adam with beta1 = 0, one fused operation per variable."""

    def __init__(self, variables, rate, beta):
        self.variables, self.rate, self.beta = variables, rate, beta
        self.power = tf.Variable(beta)
        self.slots = [
            (tf.Variable(tf.zeros_like(v)), tf.Variable(tf.zeros_like(v))) for v in variables
        ]

    def apply(self, gradients):
        for variable, (m, v), gradient in zip(self.variables, self.slots, gradients, strict=True):
            tf.raw_ops.ResourceApplyAdam(
                var=variable.handle,
                m=m.handle,
                v=v.handle,
                beta1_power=0.0,
                beta2_power=self.power,
                lr=self.rate,
                beta1=0.0,
                beta2=self.beta,
                epsilon=1e-8,
                grad=gradient,
            )
        self.power.assign(self.power * self.beta)


class Steps:
    """G, D, their Adam slots and the average of G, with one method per step."""

    def __init__(self, asked):
        self.batch, self.size, self.ada = asked.batch, asked.size, asked.augment
        widths = {"fmap_base": asked.fmap_base, "fmap_max": asked.fmap_max}
        how = {"dtype": asked.dtype, "recompute": asked.recompute}
        config = NetworkConfig(asked.size, asked.size, **widths, **how)
        self.generator, self.discriminator = Generator(config, 0), Discriminator(config, 1)
        self.average = [tf.Variable(one) for one in self.generator.trainable_variables]
        self.g_adam = Adam(self.generator.trainable_variables, 0.0016, 0.99199197)
        self.d_adam = Adam(self.discriminator.trainable_variables, 0.00188235, 0.99058546)
        self.path_mean = tf.Variable(0.0)
        self.seeds = tf.constant([[3, n] for n in range(asked.batch)])
        self.reals = tf.random.normal([asked.batch, asked.size, asked.size, 3])

    def g(self):
        with tf.GradientTape() as tape:
            scores = self.discriminator(self.seen(self.fakes()))
            loss = tf.reduce_mean(losses.g_loss(scores))
        self.g_adam.apply(tape.gradient(loss, self.g_adam.variables))
        return loss

    def g_reg(self):
        n = max(self.batch // 2, 1)
        with tf.GradientTape() as tape:
            noise = tf.random.normal([n, self.size, self.size, 3])
            lengths = losses.path_lengths(self.generator, self.styles(n), noise, self.seeds[:n])
            penalty, mean = losses.path_length_penalty(lengths, self.path_mean)
            loss = 8 * tf.reduce_mean(penalty)
        self.g_adam.apply(tape.gradient(loss, self.g_adam.variables, None, "zero"))
        self.path_mean.assign(mean)
        return loss

    def d(self):
        images = self.fakes()
        with tf.GradientTape() as tape:
            real, fake = (self.discriminator(self.seen(one)) for one in (self.reals, images))
            loss = tf.reduce_mean(losses.d_loss(real, fake))
        self.d_adam.apply(tape.gradient(loss, self.d_adam.variables))
        for old, new in zip(self.average, self.generator.trainable_variables, strict=True):
            old.assign(new + (old - new) * 0.998)
        return loss

    def d_reg(self):
        with tf.GradientTape() as tape:
            penalty = losses.r1_penalty(self.discriminator, self.reals, augment=self.seen)
            loss = 80 * tf.reduce_mean(penalty)
        self.d_adam.apply(tape.gradient(loss, self.d_adam.variables, None, "zero"))
        return loss

    def fakes(self):
        return self.generator.synthesize(self.styles(self.batch), draws=self.seeds)

    def styles(self, n):
        z = tf.random.normal([2 * n, self.generator.config.z_dim])
        rows = tf.split(self.generator.broadcast(self.generator.map(z)), 2)
        cutoff = tf.random.uniform([], 1, self.generator.rows, tf.int32)
        return losses.mix_styles(*rows, cutoff)

    def seen(self, images):
        return augment(images, 0.5, self.seeds, AugmentConfig()) if self.ada else images


def steps(asked):
    """The four steps, as functions of nothing."""
    made = Steps(asked)
    found = {"g": made.g, "g reg": made.g_reg, "d": made.d, "d reg": made.d_reg}
    return {name: tf.function(step, jit_compile=asked.xla or None) for name, step in found.items()}


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


def flops(step) -> float:
    """Operations of the convolutions and matrix products that the result of `step` needs."""
    graph = step.get_concrete_function().graph
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
