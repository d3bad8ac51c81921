"""The formats of a deployed generator: a row each, which is the list of the option's values."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from atelier.errors import Refusal
from atelier.files import is_text, is_writable
from training.deploy.frozen import write_frozen, write_savedmodel
from training.deploy.onnx_graph import write_onnx
from training.deploy.tflite import write_tflite

if TYPE_CHECKING:
    from training.deploy.program import Program

QUANTIZED = ("float16", "int8")
MISSING = "install the extra deploy: ./setup.sh, or pip install 'atelier[deploy]'"


class DeployError(Refusal):
    """What cannot be written, or not there."""


@dataclass(frozen=True)
class Format:
    """How a program becomes a file; `write` gets it, the path, and "", "float16" or "int8"."""

    suffix: str  # of its files; none: a folder
    write: Callable[[Program, Path, str], None]
    told: str
    libraries: tuple[str, ...] = ()  # that writing and running it take, of the extra deploy
    quantizes: bool = False
    mixed: bool = False  # whether it draws faster with kernels of `winograd`, ...
    phased: bool = False  # ... and of `transposed`

    def kernels(self, quantize: str) -> dict[str, bool]:
        """How `program` makes them; quantized stay small, mixed grow two to fourfold."""
        return {"mixed": self.mixed and not quantize, "phased": self.phased}


FORMATS = {
    "savedmodel": Format("", write_savedmodel, "TensorFlow's folder", mixed=True),
    "frozen": Format(".pb", write_frozen, "one file of a GraphDef", mixed=True),
    "tflite": Format(
        ".tflite",
        write_tflite,
        "LiteRT, a picture at a time",
        ("ai_edge_litert",),
        quantizes=True,
        mixed=True,
        phased=True,
    ),
    "onnx": Format(".onnx", write_onnx, "ONNX Runtime", ("tf2onnx", "onnx", "onnxruntime")),
}
OWN = ("npz", "ada-pytorch")  # weights, and no program
SUFFIXES = dict.fromkeys(OWN, ".npz") | {name: each.suffix for name, each in FORMATS.items()}


def check_words(to: str, out: Path, start: str, quantize: str, psi: float | None = None) -> None:
    """Raise DeployError where a format cannot be had so, before anything is loaded."""
    quantizing = ", ".join(name for name, each in FORMATS.items() if each.quantizes)
    if quantize and (to not in FORMATS or not FORMATS[to].quantizes):
        raise DeployError(
            f"quantize = {quantize}: {to} has none: leave it out, or --to {quantizing}"
        )
    if start == "w" and to not in FORMATS:
        raise DeployError(f"from = w: {to} holds the whole generator: leave it out")
    if psi is not None and to not in FORMATS:
        raise DeployError(f"psi = {psi:g}: {to} holds the whole generator: leave it out")
    check_suffix(to, out)
    check_place(out)
    if to in FORMATS:
        check_libraries(to)


def check_suffix(to: str, out: Path) -> None:
    """Raise DeployError where the name of a file says another format."""
    meant = [name for name, suffix in SUFFIXES.items() if suffix and suffix == out.suffix]
    if meant and to not in meant:
        named = f"{out.stem}{SUFFIXES[to]}"
        raise DeployError(
            f"out = {out} ends as {meant[0]} does, and to = {to}: --to {meant[0]}, or --out {named}"
        )


def check_place(out: Path) -> None:
    """Raise DeployError where something is there already, or nothing can be written."""
    if out.exists() or out.is_symlink():
        raise DeployError(f"out = {out} exists already: choose another name, or remove it")
    if not is_text(out.absolute()):
        raise DeployError(f"out = {out}: this name is not UTF-8: choose another")
    if not is_writable(out.absolute().parent):
        raise DeployError(f"out = {out}: nothing can be written there: choose another folder")


def check_libraries(to: str) -> None:
    """Raise DeployError where a library of the extra is missing."""
    if lacking := [name for name in FORMATS[to].libraries if find_spec(name) is None]:
        raise DeployError(f"to = {to} needs {', '.join(lacking)}, not installed here: {MISSING}")
