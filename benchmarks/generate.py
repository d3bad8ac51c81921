"""One picture at a time on a CPU: a SavedModel of ours against the same with plain convolutions.

    python benchmarks/generate.py --size 1024
    python benchmarks/generate.py --size 256 --rounds 5
    python benchmarks/generate.py --model data/runs/first

The generator is config-f with random weights, or the one that is named. Each form runs in a process
of its own, and they draw in turns, so that a busy machine is busy for all of them. Processor
time, of both cores together, is what to compare then. "first picture" is from the start of the
process, TensorFlow's import included; the last row is `python -m training generate`.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
ROOT = Path(__file__).resolve().parent.parent
sys.path.append(str(ROOT))

FORMS = {"plain": "savedmodel", "savedmodel": "savedmodel", "frozen": "frozen", "tflite": "tflite"}
HEAD = f"{'':12} {'wall s':>8} {'of plain':>8} {'cpu s':>8} {'of plain':>8} {'GFLOP/s':>8}"
THREADS = 2


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--fmap-base", type=int, default=16384)
    parser.add_argument("--model", type=Path, help="instead of random weights")
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--pictures", type=int, default=3, help="of each form in a round")
    parser.add_argument("--forms", default="plain,savedmodel,tflite")
    parser.add_argument("--draw", nargs=3, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.draw:
        draw(*asked.draw)
        return
    with TemporaryDirectory() as name:
        race(asked, Path(name))


def race(asked: argparse.Namespace, folder: Path) -> None:
    """Export, time in turns, print."""
    model = asked.model or random_model(asked, folder)
    operations = export(model, folder, forms := asked.forms.split(","))
    began = {form: started(form, folder) for form in forms}
    times: dict[str, list] = {form: [] for form in forms}
    for _ in range(asked.rounds):
        for form, (process, _) in began.items():
            for _ in range(asked.pictures):
                print(file=process.stdin, flush=True)
                times[form].append(json.loads(process.stdout.readline()))
    print(f"load of the machine: {os.getloadavg()[0]:.1f}")
    print(HEAD)
    base = np.median(times[forms[0]], axis=0)
    for form in forms:
        wall, cpu = np.median(times[form], axis=0)
        shares = f"{wall:8.3f} {wall / base[0]:8.2f} {cpu:8.3f} {cpu / base[1]:8.2f}"
        print(f"{form:12} {shares} {operations / wall / 1e9:8.0f}")
    print(f"{'':12} first picture: wall s, cpu s, peak GB")
    for form, (process, first) in began.items():
        process.stdin.close()
        process.wait()
        print(f"{form:12} {first[0]:8.1f} {first[1]:8.1f} {first[2]:8.2f}")
    wall, cpu, peak = generated(model, folder)
    print(f"{'generate':12} {wall:8.1f} {cpu:8.1f} {peak:8.2f}")


def random_model(asked: argparse.Namespace, folder: Path) -> Path:
    """A generator that nobody trained, none of whose parameters is 0."""
    from training.exchange.npz import save_generator
    from training.exchange.opening import OpenedGenerator
    from training.networks.architecture import GeneratorConfig
    from training.networks.generator import Generator

    config = GeneratorConfig(asked.size, asked.size, fmap_base=asked.fmap_base)
    rng = np.random.default_rng(0)
    arrays = {
        name: value.numpy() + 0.1 * rng.standard_normal(value.shape).astype(np.float32)
        for name, value in Generator(config, start=1).values.items()
    }
    path = folder / "random.npz"
    save_generator(path, OpenedGenerator(path, "made", config, None, {"G_ema": arrays}))
    return path


def export(model: Path, folder: Path, forms: list[str]) -> float:
    """Write each form, and what they take; the operations of a picture."""
    from training.deploy.export import example_inputs
    from training.deploy.formats import FORMATS
    from training.deploy.program import program
    from training.deploy.rate import operations
    from training.exchange.opening import open_generator

    opened = open_generator(model)
    for form in forms:
        to = FORMATS[FORMS[form]]
        kernels = {} if form == "plain" else to.kernels("")
        to.write(program(opened, **kernels), folder / form, "")
    np.savez(folder / "inputs.npz", **example_inputs(opened.network(), "z", [0]))
    return operations(opened.config)


def started(form: str, folder: Path):
    """A process that draws a picture for each line it reads, and what its first one took."""
    words = [sys.executable, __file__, "--draw", form, str(folder), repr(time.time())]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    process = subprocess.Popen(words, stderr=subprocess.DEVNULL, **pipes)
    return process, json.loads(process.stdout.readline())


def draw(form: str, folder: str, began: str) -> None:
    """The process of a form: its first picture, then one for each line."""
    from training.deploy.standalone import OPENERS, peak_mib

    run = OPENERS[FORMS[form]](f"{folder}/{form}", THREADS)
    with np.load(f"{folder}/inputs.npz") as found:
        inputs = dict(found)
    run(inputs)
    print(json.dumps([time.time() - float(began), time.process_time(), peak_mib() / 1024]))
    sys.stdout.flush()
    run(inputs)
    for _ in sys.stdin:
        wall, cpu = time.perf_counter(), time.process_time()
        run(inputs)
        print(json.dumps([time.perf_counter() - wall, time.process_time() - cpu]), flush=True)


def generated(model: Path, folder: Path) -> tuple[float, float, float]:
    """Wall time, processor time and peak memory in GB of one picture by the command."""
    words = ["-m", "training", "generate", f"--model={model}", "--seeds=0", f"--out={folder / 'o'}"]
    before, wall = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, *words], cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    peak = 0.0
    while process.poll() is None:
        peak = max(peak, held(process.pid))
        time.sleep(0.02)
    wall = time.perf_counter() - wall
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if process.returncode:
        raise SystemExit("generate failed")
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return wall, cpu, peak


def held(pid: int) -> float:
    """The most memory that a process has held so far, in GB."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0.0
    return next((int(line.split()[1]) / 1e6 for line in lines if line.startswith("VmHWM")), 0.0)


if __name__ == "__main__":
    main()
