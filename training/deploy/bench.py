"""How fast each deployed format draws, beside Atelier itself, and in how much memory."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from training.deploy.counting import size_of
from training.deploy.export import (
    THREADS,
    Arrays,
    example_inputs,
    said_by,
    size_mb,
    told_by_threads,
)
from training.deploy.formats import FORMATS, QUANTIZED, DeployError, check_libraries
from training.deploy.program import program
from training.deploy.rate import Convolutions, operations
from training.exchange.opening import OpenedGenerator
from training.networks.architecture import StudentConfig

OWN = "savedmodel"  # the format with the library of Atelier itself
HEAD = f"{'':16} {'threads':>7} {'images/s':>9} {'of rate':>7} {'peak MiB':>9} {'file MB':>8}"


@dataclass(frozen=True)
class Figure:
    """One row: a process of its own."""

    what: str
    threads: int
    rate: float  # pictures a second
    share: float  # of the operations a second of plain convolutions in the same form
    peak: float  # MiB, the libraries included
    size: float  # MB of the file

    def __str__(self) -> str:
        return (
            f"{self.what:16} {self.threads:7} {self.rate:9.1f} {self.share:7.0%}"
            f" {self.peak:9.0f} {self.size:8.2f}"
        )


@dataclass(frozen=True)
class Timing:
    """How a file is timed: so many pictures at a time, for so long."""

    batch: int
    seconds: float

    def timed(self, to: str, quantize: str, made: Any, inputs: Arrays) -> list[Any]:
        """(pictures a second, peak MiB, MB of the file) of a program, by THREADS."""
        found = told_by_threads(to, quantize, made, inputs, f"--seconds={self.seconds}")
        return [(each["rate"], each["peak"], each["size"]) for each in found]

    def plain(self, to: str, quantize: str) -> list[float]:
        """Operations a second of plain convolutions in a format, by THREADS."""
        made = Convolutions()
        found = self.timed(to, quantize, made, made.inputs(self.batch))
        return [rate * made.operations for rate, *_ in found]


def ways() -> list[tuple[str, str]]:
    """(format, quantize) of every file that can be written."""
    quantized = [name for name, each in FORMATS.items() if each.quantizes]
    return [(to, "") for to in FORMATS] + [(to, each) for to in quantized for each in QUANTIZED]


def bench(
    opened: OpenedGenerator, batch: int, seconds: float, note: Callable[[str], None]
) -> Iterator[Figure]:
    """Each way by threads, `batch` pictures at a time; what lacks its library is noted."""
    student = isinstance(opened.config, StudentConfig)
    work = 2.0 * size_of(program(opened)).multiply_adds if student else operations(opened.config)
    timing = Timing(batch, seconds)
    for threads, most in zip(THREADS, timing.plain(OWN, ""), strict=True):
        rate, *rest = own_figures(opened.path, threads, batch, seconds)
        yield Figure("python", threads, rate, rate * work / most, *rest)
    inputs = example_inputs(opened.network(), "z", [*range(batch)])
    for to, quantize in ways():
        what = f"{to} {quantize}".strip()
        try:
            check_libraries(to)
        except DeployError as error:
            note(f"{what}: {error}")
            continue
        made = program(opened, "z", None, **FORMATS[to].kernels(quantize))
        found = timing.timed(to, quantize, made, inputs)
        rates = timing.plain(to, quantize)
        for threads, (rate, *rest), most in zip(THREADS, found, rates, strict=True):
            yield Figure(what, threads, rate, rate * work / most, *rest)


def own_figures(
    model: Path, threads: int, batch: int, seconds: float
) -> tuple[float, float, float]:
    """Pictures a second, peak memory and the size of the file, of Atelier itself."""
    words = ["-m", "training.deploy.own", *map(str, (model, threads, batch, seconds))]
    found = json.loads(said_by(words, None, lambda last: f"{model} could not be timed: {last}"))
    return found["rate"], found["peak"], size_mb(model)
