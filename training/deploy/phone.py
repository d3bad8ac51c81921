"""How long a student takes for a picture, beside the times that its paper tells of phones."""

from collections.abc import Iterator

from training.deploy.counting import size_of
from training.deploy.export import THREADS, example_inputs, told_by_threads
from training.deploy.formats import QUANTIZED
from training.deploy.program import program
from training.exchange.opening import OpenedGenerator

RUNS = 50  # as in the paper
PHONES = (
    "iPhone 11", "iPhone 12", "iPhone 13 Pro", "Pixel 6", "Pixel 7", "Galaxy S10", "Galaxy S20"
)  # fmt: skip
TABLE_2 = {  # milliseconds, by side and chip (Jia et al. 2023, table 2)
    (256, "CPU"): (23.02, 18.87, 16.05, 43.14, 37.83, 52.83, 40.23),
    (256, "GPU"): (12.14, 11.99, 7.22, 12.24, 17.00, 17.01, 8.95),
    (512, "CPU"): (38.39, 37.33, 29.46, 67.57, 62.23, 87.50, 56.89),
    (512, "GPU"): (18.46, 15.66, 9.29, 16.71, 21.81, 24.05, 14.14),
}
TOOL = "adb push student.tflite /data/local/tmp && adb shell /data/local/tmp/benchmark_model"
WORDS = "--graph=/data/local/tmp/student.tflite --num_runs=50 --warmup_runs=5"


def on_a_phone(opened: OpenedGenerator, runs: int = RUNS) -> Iterator[str]:
    """Lines for people: the student's size, its times here from w, the paper's, and a command."""
    made = program(opened, "w", 1.0)
    yield f"without its mapping network: {size_of(made)}"
    yield f"ms per picture from w, mean of {runs} runs, {' and '.join(map(str, THREADS))} threads"
    inputs = example_inputs(opened.network(), "w", [0])
    inputs = {name: inputs[name] for name in made.signature()}
    for quantize in ("", *QUANTIZED):
        found = told_by_threads("tflite", quantize, made, inputs, f"--runs={runs}")
        shown = " ".join(f"{each['ms']:8.2f}" for each in found)
        yield f"  tflite {quantize or 'float32':8} {shown}"
    yield "the paper, on phones: " + ", ".join(PHONES)
    for (side, chip), said in TABLE_2.items():
        shown = " ".join(f"{ms:6.2f}" for ms in said)
        yield f"  {side} px, {chip}  {shown}"
    yield "on a phone, with TFLite's own tool, after export --to tflite --from w --psi 1:"
    for chip in ("--use_xnnpack=true --num_threads=2", "--use_gpu=true"):
        yield f"  {TOOL} {WORDS} {chip}"
