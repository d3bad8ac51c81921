"""Runs a deployed file without Atelier: python -I standalone.py FORMAT FILE INPUTS OUTPUTS [--...].

INPUTS is an .npz of the inputs by name, OUTPUTS gets "images" and "float". It imports nothing but
the library of the format, and stands for whoever is given the file.
"""

import argparse
import json
import os
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np

Run = Callable[[dict[str, Any]], dict[str, Any]]
OUTPUTS = ("images", "float")


def main() -> None:
    """Run each (FILE, INPUTS, OUTPUTS) in turn; with --seconds or --runs tell how fast, as JSON."""
    given = argparse.ArgumentParser(description=__doc__)
    given.add_argument("format", choices=OPENERS)
    given.add_argument("files", nargs="+")
    given.add_argument("--threads", type=int, default=0)
    given.add_argument("--seconds", type=float, default=None)
    given.add_argument("--runs", type=int, default=0)
    words = given.parse_args()
    os.environ |= {"CUDA_VISIBLE_DEVICES": "-1", "TF_CPP_MIN_LOG_LEVEL": "3"}
    if words.threads:
        os.environ["OMP_NUM_THREADS"] = str(words.threads)
    for at in range(0, len(words.files), 3):
        file, source, target = words.files[at : at + 3]
        if not at or file != words.files[at - 3]:  # several inputs of a file come together
            run = OPENERS[words.format](file, words.threads)
        with np.load(source) as found:
            inputs = dict(found)
        np.savez(target, **run(inputs))
        if words.seconds is not None:  # 0: one time
            print(json.dumps(timed(run, inputs, words.seconds)))
        if words.runs:
            print(json.dumps({"ms": milliseconds(run, inputs, words.runs)}))


def milliseconds(run: Run, inputs: dict[str, Any], runs: int) -> float:
    """The mean time of so many runs, after a tenth of them to warm up."""
    for _ in range(max(runs // 10, 1)):
        run(inputs)
    start = time.perf_counter()
    for _ in range(runs):
        run(inputs)
    return 1000 * (time.perf_counter() - start) / runs


def timed(run: Run, inputs: dict[str, Any], seconds: float) -> dict[str, float]:
    """Pictures a second in about `seconds`, and the most memory of the process so far, in MiB."""
    count, start = 0, time.perf_counter()
    while time.perf_counter() - start < seconds or not count:
        count += len(run(inputs)["images"])
    return {"rate": count / (time.perf_counter() - start), "peak": peak_mib()}


def peak_mib() -> float:
    """The most memory that this process had so far; getrusage counts that of its parent, too."""
    with open("/proc/self/status") as lines:
        (found,) = [line for line in lines if line.startswith("VmHWM:")]
    return int(found.split()[1]) / 1024


def open_savedmodel(file: str, threads: int) -> Run:
    run = tensorflow(threads).saved_model.load(file).signatures["serving_default"]
    return lambda inputs: {name: value.numpy() for name, value in run(**tensors(inputs)).items()}


def open_frozen(file: str, threads: int) -> Run:
    tf = tensorflow(threads)
    with open(file, "rb") as opened:
        graph = tf.compat.v1.GraphDef.FromString(opened.read())
    names = [node.name for node in graph.node if node.op == "Placeholder"]
    run = tf.compat.v1.wrap_function(lambda: tf.import_graph_def(graph, name=""), [])
    run = run.prune([f"{name}:0" for name in names], [f"{name}:0" for name in OUTPUTS])

    def pictures(inputs: dict[str, Any]) -> dict[str, Any]:
        outputs = run(*(tensors(inputs)[name] for name in names))
        return {name: value.numpy() for name, value in zip(OUTPUTS, outputs, strict=True)}

    return pictures


def open_tflite(file: str, threads: int) -> Run:
    try:
        from ai_edge_litert.interpreter import Interpreter
    except ImportError:
        Interpreter = tensorflow(threads).lite.Interpreter
    run = Interpreter(file, num_threads=threads or None).get_signature_runner("serving_default")

    def one(inputs: dict[str, Any], at: int) -> dict[str, Any]:
        found: dict[str, Any] = run(
            **{n: x[at : at + 1] if x.ndim else x for n, x in inputs.items()}
        )
        return found

    def pictures(inputs: dict[str, Any]) -> dict[str, Any]:
        count = max(len(x) for x in inputs.values() if x.ndim)
        found = [one(inputs, at) for at in range(count)]
        return {name: np.concatenate([each[name] for each in found]) for name in OUTPUTS}

    return pictures


def open_onnx(file: str, threads: int) -> Run:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = threads, 3
    session = onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])
    return lambda inputs: dict(zip(OUTPUTS, session.run(OUTPUTS, inputs), strict=True))


def tensorflow(threads: int) -> Any:
    """TensorFlow, with so many threads."""
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(min(threads, 1))
    return tf


def tensors(inputs: dict[str, Any]) -> dict[str, Any]:
    """Arrays as TensorFlow's."""
    tf = sys.modules["tensorflow"]
    return {name: tf.constant(value) for name, value in inputs.items()}


OPENERS: dict[str, Callable[[str, int], Run]] = {
    "savedmodel": open_savedmodel,
    "frozen": open_frozen,
    "tflite": open_tflite,
    "onnx": open_onnx,
}

if __name__ == "__main__":
    main()
