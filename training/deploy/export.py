"""Write the program of a generator, and draw with the file before it gets its name."""

import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from atelier.files import replacing
from training.batches import encode
from training.deploy import standalone
from training.deploy.formats import FORMATS, DeployError, check_place
from training.deploy.program import Start, program
from training.exchange.opening import OpenedGenerator
from training.explore.drawing import psnr
from training.networks.generator import Generator
from training.run.grids import seeded_labels, seeded_latents

SEEDS = range(4)
PSI = 0.7
THREADS = (1, 2)
FURTHEST = 1e-3  # of floats in -1 ... 1; rounding alone makes some 1e-5
Arrays = dict[str, Any]  # by the names of a signature


@dataclass(frozen=True)
class Difference:
    """How far the pictures of a file are from the generator's own."""

    floats: float  # the largest, of numbers in -1 ... 1
    levels: int  # the largest, of uint8
    psnr: float  # dB, of uint8; infinite where all are equal

    def __str__(self) -> str:
        levels = f"levels by {self.levels} of 255, PSNR {self.psnr:.1f} dB"
        same = "levels not at all"
        return f"floats differ by at most {self.floats:.1e}, {levels if self.levels else same}"


def export_program(
    opened: OpenedGenerator,
    to: str,
    path: Path,
    start: Start = "z",
    quantize: str = "",
    psi: float | None = None,
) -> Difference:
    """Write the averaged generator in a format, and say how its pictures differ.

    With a `psi` that is no input, but the file's own.
    They are drawn in a process of its own that knows nothing of Atelier. Raises DeployError where
    a float32 format draws others; no file is there then.
    """
    made = program(opened, start, psi, **FORMATS[to].kernels(quantize))
    generator = opened.network()
    with replacing(path) as partial, TemporaryDirectory() as folder:
        FORMATS[to].write(made, partial, quantize)
        inputs = example_inputs(generator, start)
        inputs["psi"] = np.float32(PSI if psi is None else psi)
        taken = {name: inputs[name] for name in made.signature()}
        found = drawn_apart(to, partial, taken, Path(folder))
        difference = differing(found, drawn_here(generator, inputs))
        if not quantize and difference.floats > FURTHEST:
            raise DeployError(
                f"{path} would draw other pictures ({difference}): choose another --to"
            )
        check_place(path)  # once more: all this took a while
    return difference


def example_inputs(generator: Generator, start: Start, seeds: Sequence[int] = SEEDS) -> Arrays:
    """What a program of `generator` takes, for some seeds."""
    z = seeded_latents(seeds, generator.config.z_dim)
    labels = seeded_labels(seeds, generator.config.labels)
    inputs: Arrays = {"z": z, "psi": np.float32(PSI)}
    if start == "w":
        inputs["w"] = generator.map(tf.constant(inputs.pop("z")), tf.constant(labels)).numpy()
    elif generator.config.labels:
        inputs["label"] = labels.argmax(axis=1).astype(np.int32)
    return inputs


def drawn_here(generator: Generator, inputs: Arrays) -> NDArray[np.float32]:
    """The generator's own pictures of such inputs, as floats."""
    with tf.device("CPU"):
        w = tf.constant(inputs["w"]) if "w" in inputs else None
        if w is None:
            labels = tf.one_hot(inputs.get("label", ()), generator.config.labels)
            w = generator.map(tf.constant(inputs["z"]), labels)
        images = generator.synthesize(generator.truncate(w, inputs["psi"]))
    return np.asarray(images, np.float32)


def drawn_apart(to: str, path: Path, inputs: Arrays, folder: Path) -> Arrays:
    """The outputs of a file, by `standalone` in a process that sees nothing of Atelier."""
    np.savez(folder / "inputs.npz", **inputs)
    places = [path.absolute(), folder / "inputs.npz", folder / "outputs.npz"]
    run_apart(to, places, folder)
    with np.load(places[-1]) as found:
        return dict(found)


def told_by_threads(to: str, quantize: str, made: Any, inputs: Arrays, how: str) -> list[Arrays]:
    """What `standalone` tells of a program in a format, by THREADS, and the MB of its file.

    `how` is the option of it that asks; each is a process of its own.
    """
    with TemporaryDirectory() as name:
        folder = Path(name)
        places = [folder / "model", folder / "inputs.npz", folder / "outputs.npz"]
        FORMATS[to].write(made, places[0], quantize)
        np.savez(places[1], **inputs)
        said = (run_apart(to, places, folder, f"--threads={number}", how) for number in THREADS)
        return [json.loads(each) | {"size": size_mb(places[0])} for each in said]


def size_mb(path: Path) -> float:
    """The size of a file, or of all files in a folder, in MB."""
    files = [path, *path.rglob("*")] if path.is_dir() else [path]
    return sum(file.stat().st_size for file in files if file.is_file()) / 1e6


def run_apart(to: str, places: Sequence[Path], folder: Path, *more: str) -> str:
    """What `standalone` printed; raises DeployError where it failed."""
    words = ["-I", standalone.__file__, to, *map(str, places), *more]
    why = f"{places[0]}: {to} does not run here"
    return said_by(words, folder, lambda last: f"{why} ({last}): choose another --to")


def said_by(words: Sequence[str], folder: Path | None, failed: Callable[[str], str]) -> str:
    """What a Python of its own prints; DeployError, as `failed` makes it of its last words."""
    line = [sys.executable, *words]
    done = subprocess.run(line, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        last = (done.stderr.strip() or "it was killed").splitlines()[-1]
        raise DeployError(failed(last))
    return done.stdout


def differing(found: Arrays, own: NDArray[np.float32]) -> Difference:
    """How the outputs of a file differ from the generator's own floats."""
    off = np.subtract(found["images"], encode(own), dtype=np.float64)
    apart = psnr(found["images"], encode(own))
    return Difference(float(abs(found["float"] - own).max()), int(abs(off).max()), apart)
