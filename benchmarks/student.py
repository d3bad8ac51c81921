"""How fast a student draws on this CPU, beside its teacher and plain convolutions of LiteRT.

    python benchmarks/student.py [--sides 256 512 1024] [--rounds 5] [--teacher-side 256]

Weights are random: they change no time. Every file draws from w, one picture at a time; they take
turns in one process, and the fastest and the median of all runs are told, for the machine may be
busy. The last column is the student's multiply-adds a second by those of plain 3x3 convolutions.
"""

import argparse
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

sys.path.append(str(Path(__file__).resolve().parent.parent))

import numpy as np
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter

from training.deploy.counting import size_of
from training.deploy.formats import FORMATS
from training.deploy.program import program
from training.exchange.opening import OpenedGenerator
from training.networks.architecture import GeneratorConfig, StudentConfig
from training.networks.student import new_generator

THREADS = (1, 2)
PLAIN = (64, 128)  # pixels and channels of the plain convolutions
LAYERS = 4


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sides", type=int, nargs="+", default=[256, 512, 1024])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--teacher-side", type=int, default=256)
    asked = parser.parse_args()
    with TemporaryDirectory() as name:
        files, sizes = written(Path(name), asked.sides, asked.teacher_side)
        every = runners(files)
        warm = [run() for run in every.values()]
        times: dict = {each: [] for each, _ in zip(every, warm, strict=True)}
        for _ in range(asked.rounds):
            for each, run in every.items():
                times[each].append(run())
    tell(times, sizes)


def written(
    folder: Path, sides: list[int], teacher_side: int
) -> tuple[dict[str, Path], dict[str, int]]:
    """(TFLite files by name, multiply-adds by name)."""
    files, sizes = {"plain": folder / "plain.tflite"}, {"plain": plain(folder / "plain.tflite")}
    wanted = [(f"teacher {teacher_side}", GeneratorConfig, teacher_side, "")]
    wanted += [(f"student {side}", StudentConfig, side, "") for side in sides]
    wanted += [(f"student {side} int8", StudentConfig, side, "int8") for side in sides[:1]]
    for name, kind, side, quantize in wanted:
        config = kind(height=side, width=side)
        arrays = {key: v.numpy() for key, v in new_generator(config, 1).values.items()}
        made = program(OpenedGenerator(Path(name), "made", config, None, {"G_ema": arrays}), "w", 1)
        files[name], sizes[name] = folder / f"{name}.tflite", size_of(made).multiply_adds
        FORMATS["tflite"].write(made, files[name], quantize)
    return files, sizes


def plain(path: Path) -> int:
    """Write convolutions of 3x3 and nothing else; returns their multiply-adds."""
    side, channels = PLAIN
    kernels = [
        tf.random.stateless_normal([3, 3, channels, channels], [1, n]) for n in range(LAYERS)
    ]

    @tf.function(input_signature=[tf.TensorSpec([1, side, side, channels], tf.float32)])
    def run(x: tf.Tensor) -> tf.Tensor:
        for kernel in kernels:
            x = tf.nn.conv2d(x, kernel, 1, "SAME")
        return x

    concrete = run.get_concrete_function()
    path.write_bytes(tf.lite.TFLiteConverter.from_concrete_functions([concrete]).convert())
    return LAYERS * side * side * 9 * channels * channels


def runners(files: dict[str, Path]) -> dict:
    """(name, threads) -> what draws once and returns its milliseconds."""
    return {(n, threads): runner(file, threads) for n, file in files.items() for threads in THREADS}


def runner(file: Path, threads: int):
    interpreter = Interpreter(str(file), num_threads=threads)
    interpreter.allocate_tensors()
    for each in interpreter.get_input_details():
        given = np.full(each["shape"], 0.5, np.float32)
        interpreter.set_tensor(each["index"], given)

    def run() -> float:
        start = time.perf_counter()
        interpreter.invoke()
        return 1000 * (time.perf_counter() - start)

    return run


def tell(times: dict, sizes: dict[str, int]) -> None:
    """The table."""
    print(f"{'':18} {'threads':>7} {'fastest ms':>11} {'median ms':>10} {'of plain':>9}")
    for (name, threads), found in times.items():
        rate = sizes[name] / min(found)
        share = rate / (sizes["plain"] / min(times["plain", threads]))
        print(f"{name:18} {threads:7} {min(found):11.1f} {np.median(found):10.1f} {share:9.0%}")


if __name__ == "__main__":
    main()
