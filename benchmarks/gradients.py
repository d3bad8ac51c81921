"""Whether this machine's card computes the gradients that its CPU computes, as one table.

    python benchmarks/gradients.py
    python benchmarks/gradients.py --size 16 --cases plain

Of each training step the largest difference of a variable's gradient, relative to the largest
number of it, or to a tenth of the largest of all variables: between the card and the CPU, both in
float32, and on the CPU when all weights move by some millionths, which shows what rounding does
where a leaky ReLU has its kink. Each side is a process of its own. Without a card the CPU is
compared with itself, and the first column is 0.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
ROOT = Path(__file__).resolve().parent.parent
sys.path.append(str(ROOT))

CLASSES = 3
CASES: dict[str, dict[str, Any]] = {
    "plain": {},
    "ada": {"augment": "fixed", "augment_p": 0.7, "augment_pipe": "bgcfnc"},
    "labels": {"labels": True, "d_mapping_layers": 2},
    "skip": {"d_architecture": "skip", "conv_clamp": 256.0},
}
SMALL = {"fmap_base": 512, "fmap_max": 64, "z_dim": 32, "w_dim": 32, "mapping_layers": 2}
MOVED = 1e-6  # of a weight, the standard deviation: about what long sums in float32 are off by
Gradients = dict[str, NDArray[np.float32]]  # "step/number of the variable" -> its gradient


def main() -> None:
    asked = parser().parse_args()
    if asked.one:
        case, device, moved, out = asked.one
        np.savez(out, **gradients(case, device, float(moved), asked.size, asked.batch))
        return
    print("| case | step | from the CPU | the CPU, weights moved |")
    print("|---|---|---|---|")
    for case in asked.cases:
        own, card, moved = (
            in_a_process(asked, case, *how) for how in (("cpu", 0.0), ("auto", 0.0), ("cpu", MOVED))
        )
        for step in dict.fromkeys(name.split("/")[0] for name in own):
            far = [f"{difference(own, other, step):.1e}" for other in (card, moved)]
            print(f"| {case} | {step} | {' | '.join(far)} |", flush=True)


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    made.add_argument("--size", type=int, default=32)
    made.add_argument("--batch", type=int, default=8)
    made.add_argument("--cases", nargs="+", choices=CASES, default=list(CASES))
    made.add_argument("--one", nargs=4, help=argparse.SUPPRESS)
    return made


def in_a_process(asked: argparse.Namespace, case: str, device: str, moved: float) -> Gradients:
    """The gradients of a case on a device."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "found.npz"
        words = ["--one", case, device, moved, out, "--size", asked.size, "--batch", asked.batch]
        subprocess.run([sys.executable, __file__, *map(str, words)], check=True, cwd=ROOT)
        with np.load(out) as found:
            return dict(found)


def gradients(case: str, device: str, moved: float, size: int, batch: int) -> Gradients:
    """Of every step of the first minibatch, with real images drawn by chance."""
    from atelier import cuda

    if device != "cpu":
        cuda.prepare()
    import tensorflow as tf

    from training import devices, presets
    from training.minibatch import Minibatch
    from training.state import network_configs, new_state

    given = {"batch": batch, "precision": "float32", "xla": "false", "devices": 1}
    options = {**SMALL, **given, "device": device, **CASES[case]}
    config = presets.resolve("config-f", size, size, options)
    replicas = devices.choose(config)
    classes = CLASSES if config.data.labels else 0
    state = new_state(config, network_configs(config, (size, size, 3), classes))
    chance = np.random.default_rng(0)
    for network in state.networks.values():
        for value in network.values.values():
            value.assign(value * (1 + moved * chance.standard_normal(value.shape)))
    rows = np.eye(classes, dtype=np.float32) if classes else np.zeros((1, 0), np.float32)
    minibatch = Minibatch(state, config, rows, 1.0, replicas, use="none")
    drawn = np.random.default_rng(1).uniform(-1, 1, (batch, size, size, 3))
    reals = tf.constant(drawn, tf.float32), tf.constant(rows[np.arange(batch) % len(rows)])
    first, one = tf.constant(0, tf.int64), tf.constant(1.0)
    found = {}
    for step in minibatch.steps:
        images = reals if step.reals else (one, one)
        mean = tf.constant(0.0)
        part, _ = minibatch.shares[step.name](first, first, *images, one, mean)
        found |= {f"{step.name}/{number}": each.numpy() for number, each in enumerate(part)}
    return found


def difference(own: Gradients, other: Gradients, step: str) -> float:
    """The largest of all variables of a step, relative; NaN where any number is none."""
    names = [name for name in own if name.startswith(f"{step}/")]
    sizes = np.array([abs(own[name]).max() for name in names])
    apart = np.array([abs(own[name] - other[name]).max() for name in names])
    return float((apart / np.maximum(sizes, sizes.max() / 10)).max())


if __name__ == "__main__":
    main()
