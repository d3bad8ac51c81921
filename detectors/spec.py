"""How a detector is named: `kind:model?option=value&option=value`, as a web address is."""

import json
from dataclasses import dataclass, replace
from functools import lru_cache
from hashlib import blake2b
from hashlib import file_digest as hash_of_file
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from detectors.base import FaceFactors

OWN = ("names", "min_score", "face", "long_side")  # options of every detector that looks
MODEL_OPTIONS = ("labels", *OWN)
OPTIONS: dict[str, tuple[str, ...]] = {
    "haar": OWN,
    "yunet": ("min_score", "face", "long_side"),
    "tfod": MODEL_OPTIONS,
    "hub": MODEL_OPTIONS,
    "crop": MODEL_OPTIONS,
    "none": (),
}
FORMS = (
    "haar, haar:profile, haar:upperbody, yunet:FILE.onnx, tfod:FILE.pb, tfod:FOLDER, hub:HANDLE,"
    " crop:FOLDER, none"
)
CASCADES = ("", "profile", "upperbody")
SCALE = "detector.json"  # beside an exported detector: the scale that it was measured at
TENSORFLOW = ("tfod", "hub", "crop")


@dataclass(frozen=True)
class Spec:
    """One detector and its options; None is the detector's own default."""

    kind: str
    model: str = ""  # a cascade's name, a file, a folder or a Hub handle
    labels: str = ""  # a label map, .pbtxt
    names: tuple[str, ...] = ()  # of class 1, 2, ...
    min_score: float | None = None  # finds below it are not written down
    face: FaceFactors | None = None
    long_side: int | None = None  # pixels: how large it sees the photo

    @property
    def is_address(self) -> bool:
        """Whether the model is one of TensorFlow Hub's, named by its address."""
        return self.kind == "hub" and "://" in self.model


def parse(text: str) -> Spec:
    """One detector from its text. Raises ValueError with what is wrong and what may be given.

    `%2C` and `%3F` stand for a comma and a question mark in a path, `%25` for the sign itself.
    """
    name, _, query = text.strip().partition("?")
    kind, _, model = name.partition(":")
    if kind not in OPTIONS:
        raise ValueError(f"no detector is called {name!r}; there are {FORMS}")
    check_model(kind, model)
    given: dict[str, Any] = {"model": unquote(model)}
    for pair in filter(None, query.split("&")):
        key, _, value = pair.partition("=")
        if key not in OPTIONS[kind]:
            known = ", ".join(OPTIONS[kind]) or "none"
            raise ValueError(f"{name} has no option {key!r}; there are: {known}")
        given[key] = read(f"{name}?{key}", key, unquote(value))
    spec = Spec(kind, **given)
    if spec.labels and spec.names:
        raise ValueError(f"{name} has labels and names: give the file or the list, not both")
    if kind == "haar" and len(spec.names) > 1:
        raise ValueError(f"{name} finds one thing: give one name")
    return spec


def check_model(kind: str, model: str) -> None:
    if kind == "haar" and model not in CASCADES:
        raise ValueError(f"there is no cascade {model!r}: give haar, haar:profile, haar:upperbody")
    if kind == "none" and model:
        raise ValueError(f"the detector none takes no model, but was given {model!r}")
    if kind in ("yunet", *TENSORFLOW) and not model:
        raise ValueError(f"{kind} needs its model; there are {FORMS}")


def read(what: str, key: str, value: str) -> Any:
    """The value of an option in its own type."""
    try:
        match key:
            case "names":
                return tuple(name.strip() for name in value.split("|"))
            case "face":
                side, x, y = map(float, value.split(":"))
                return FaceFactors(side, x, y)
            case "min_score":
                return within(float(value), 0, 1)
            case "long_side":
                return int(within(int(value), 32, 4096))
    except ValueError:
        ways = {
            "face": "give side:x:y, as in 1.1:0.5:0.45",
            "min_score": "give a number between 0 and 1",
            "long_side": "give pixels, 32 to 4096",
        }
        raise ValueError(f"{what}={value}: {ways[key]}") from None
    return value


def within(value: float, low: float, high: float) -> float:
    if not low <= value <= high:
        raise ValueError
    return value


def label_map(spec: Spec) -> Path | None:
    """The label map that was given, or else the one that lies beside the model."""
    if spec.labels:
        return Path(spec.labels)
    if spec.names or spec.kind not in TENSORFLOW or spec.is_address:
        return None
    model = Path(spec.model)
    if not model.is_dir():
        beside = [model.with_suffix(".pbtxt"), model.parent / "label_map.pbtxt"]
    else:
        beside = [model / "label_map.pbtxt", model / "assets" / "label_map.pbtxt"]
    return next((path for path in beside if path.is_file()), None)


def exported_side(spec: Spec) -> int | None:
    """The long side that a crop detector was exported for; None where its folder says nothing.

    Raises ValueError with the file where it cannot be read.
    """
    path = Path(spec.model) / SCALE
    if spec.kind != "crop" or not path.is_file():
        return None
    try:
        return int(within(int(json.loads(path.read_text())["long_side"]), 32, 4096))
    except (ValueError, TypeError, KeyError):
        raise ValueError(
            f"{path} names no long_side of 32 to 4096 pixels: export the detector again"
        ) from None


def identity(spec: Spec) -> dict[str, Any]:
    """What the finds of a detector depend on: its options, and the content of its files.

    Where they lie does not matter. An address of TensorFlow Hub stands for what it leads to.
    """
    labels = label_map(spec)
    own = replace(spec, labels="", face=None)  # the factors are applied after the detection
    known = vars(own) | {"labels": content(labels) if labels else ""}
    if spec.kind == "crop":
        known["version"] = 2  # photos are not padded
    if spec.kind == "yunet" or (spec.kind in TENSORFLOW and not spec.is_address):
        known["model"] = content(Path(spec.model))
    return known


def content(path: Path) -> str:
    """The digest of a file, or of all files in a folder with their names."""
    if path.is_file():
        seen = path.stat()
        return file_digest(path, seen.st_size, seen.st_mtime_ns)
    files = sorted(file for file in path.rglob("*") if file.is_file())
    told = [f"{file.relative_to(path)} {content(file)}" for file in files]
    return blake2b("\n".join(told).encode(), digest_size=10).hexdigest()


@lru_cache(maxsize=4096)
def file_digest(path: Path, size: int, mtime_ns: int) -> str:
    """Read once, as long as its size and time stand."""
    with path.open("rb") as file:
        return hash_of_file(file, "blake2b").hexdigest()[:20]


def check(spec: Spec) -> None:
    """Raise ValueError where a file is missing or of another kind than its detector takes."""
    if spec.labels and not Path(spec.labels).is_file():
        raise ValueError(f"labels={spec.labels}: there is no such file")
    if spec.kind in ("haar", "none") or spec.is_address:
        return
    path = Path(spec.model)
    if not path.exists():
        raise ValueError(f"{spec.kind}:{spec.model}: there is no such file or folder")
    if spec.kind == "yunet" and (path.is_dir() or path.suffix != ".onnx"):
        raise ValueError(f"{spec.kind}:{spec.model}: give YuNet's model, a file *.onnx")
    if spec.kind == "tfod" and path.is_file() and path.suffix != ".pb":
        raise ValueError(f"{spec.kind}:{spec.model}: give a frozen graph *.pb, or a SavedModel")
    if spec.kind == "crop" and not path.is_dir():
        raise ValueError(f"{spec.kind}:{spec.model}: give the folder that the training exported")
