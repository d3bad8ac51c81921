"""How a detector is named: `kind:model?option=value&option=value`, as a web address is."""

import os
from dataclasses import replace
from functools import lru_cache
from hashlib import blake2b
from hashlib import file_digest as hash_of_file
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from atelier.errors import stand_in
from atelier.listing import head_of
from atelier.names import in_one_form
from atelier.options import at_home, number_in
from detectors.base import FaceFactors, Spec
from detectors.kinds import FORMS, KINDS
from detectors.labelmap import holes, read_label_map
from detectors.packaged import Packaged

AUTO = "auto"  # the best detector that is installed


def parse(text: str) -> Spec:
    """One detector from its text. Raises ValueError with what is wrong and what may be given.

    `%2C` and `%3F` stand for a comma and a question mark in a path, `%25` for the sign itself.
    """
    name, _, query = text.strip().partition("?")
    kind, _, model = name.partition(":")
    if kind not in KINDS:
        raise ValueError(f"no detector is called {name!r}; there are {FORMS}")
    check_model(kind, model)
    given: dict[str, Any] = {"model": at_home(unquote(model))}
    for pair in filter(None, query.split("&")):
        key, _, value = pair.partition("=")
        if key not in KINDS[kind].options:
            known = ", ".join(KINDS[kind].options) or "none"
            raise ValueError(f"{name} has no option {key!r}; there are: {known}")
        given[key] = read_option(f"{name}?{key}", key, unquote(value))
    spec = Spec(kind, **given)
    if spec.labels and spec.names:
        raise ValueError(f"{name} has labels and names: give the file or the list, not both")
    if len(spec.names) > 1 and not KINDS[kind].is_mapped:
        raise ValueError(f"{name} finds one thing: give one name")
    return spec


def usual() -> str:
    """The detector that is taken where a person leaves the choice: YuNet where its model is."""
    own_model = KINDS["yunet"].packaged
    return "yunet" if own_model and own_model.is_there else "haar"


def check_model(name: str, model: str) -> None:
    """Raise ValueError for a model that a kind does not know, or lacks."""
    kind = KINDS[name]
    if kind.is_given and not model and not kind.packaged:
        raise ValueError(f"{name} needs its model; there are {FORMS}")
    if kind.is_given or model in kind.models:
        return
    if len(kind.models) == 1:
        raise ValueError(f"the detector {name} takes no model, but was given {model!r}")
    raise ValueError(f"there is no {kind.noun} {model!r}: give {', '.join(kind.forms)}")


def read_option(what: str, key: str, value: str) -> Any:
    """The value of an option in its own type."""
    try:
        match key:
            case "labels":
                return at_home(value)
            case "names":
                return tuple(named_class(name.strip()) for name in value.split("|"))
            case "face":
                side, x, y = map(number_in, value.split(":"))
                return FaceFactors(within(side, 0.1, 10), within(x, -10, 10), within(y, -10, 10))
            case "min_score":
                return within(number_in(value), 0, 1)
            case "long_side":
                return int(within(int(value), 32, 4096))
    except ValueError:
        ways = {
            "names": "give a word for each class, as in open hand|face",
            "face": "give side:x:y, as in 1.1:0.5:0.45",
            "min_score": "give a number between 0 and 1",
            "long_side": "give pixels, 32 to 4096",
        }
        raise ValueError(f"{what}={value}: {ways[key]}") from None
    return value


def named_class(name: str) -> str:
    if not name:
        raise ValueError
    return in_one_form(name)


def within(value: float, low: float, high: float) -> float:
    if not low <= value <= high:
        raise ValueError
    return value


def on_disk(spec: Spec) -> bool:
    """Whether its model is a file or a folder: it comes with no library, and is no address."""
    kind = KINDS[spec.kind]
    return kind.is_given and not packaged(spec) and not (kind.addresses and "://" in spec.model)


def packaged(spec: Spec) -> Packaged | None:
    """The model of a package that it stands for; None where a person gave one."""
    return None if spec.model else KINDS[spec.kind].packaged


def label_map(spec: Spec) -> Path | None:
    """The label map that was given, or else the one that lies beside the model."""
    if spec.labels:
        return Path(spec.labels)
    if spec.names or not KINDS[spec.kind].is_mapped or not on_disk(spec):
        return None
    model = Path(spec.model)
    if not model.is_dir():
        beside = [model.with_suffix(".pbtxt"), model.parent / "label_map.pbtxt"]
    else:
        beside = [model / "label_map.pbtxt", model / "assets" / "label_map.pbtxt"]
    return next((path for path in beside if path.is_file()), None)


def class_names(spec: Spec) -> dict[int, str]:
    """Class number -> label, from the list or the label map; empty if there is neither.

    Raises ValueError with file and line for a broken label map.
    """
    path = label_map(spec)
    return read_label_map(path) if path else dict(enumerate(spec.names, start=1))


def findable(spec: Spec) -> set[str] | None:
    """All labels that a detector may give; None where nobody knows."""
    kind = KINDS[spec.kind]
    if not kind.is_mapped:
        return {*spec.names} or {*kind.model(spec.model).labels}
    names = class_names(spec)
    return set(names.values()) if names and not holes(names) else None


def identity(spec: Spec) -> dict[str, Any]:
    """What the finds of a detector depend on: its options, and the content of its files.

    Where they lie does not matter. An address of TensorFlow Hub stands for what it leads to.
    """
    labels = label_map(spec)
    own = replace(spec, labels="", face=None)  # the factors are applied after the detection
    known = vars(own) | {"labels": content(labels) if labels else ""}
    if version := KINDS[spec.kind].version:
        known["version"] = version
    if on_disk(spec):
        known["model"] = content(Path(spec.model))
    if own_model := packaged(spec):
        known |= {"model": own_model.digest, "packaged": own_model.version}
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


def check_spec(spec: Spec) -> None:
    """Raise ValueError where a file is missing or of another kind than its detector takes."""
    if spec.labels and not os.path.isfile(spec.labels):
        raise ValueError(f"labels={spec.labels}: there is no such file")
    check_packaged(spec)
    if not on_disk(spec):
        return
    kind, path = KINDS[spec.kind], Path(spec.model)
    # These two take a name that is too long for one that is not there.
    if not (os.path.isfile(path) or os.path.isdir(path)):
        raise ValueError(f"{spec.kind}:{spec.model}: there is no such file or folder")
    for read in filter(None, (spec.model, spec.labels)):
        if not os.access(read, os.R_OK):
            raise ValueError(f"{read}: this user may not read it: change its permissions")
        if said := stand_in(head_of(Path(read))):
            raise ValueError(f"{read} is {said}, and no model")
    if not kind.fits(path):
        raise ValueError(f"{spec.kind}:{spec.model}: give {kind.wants}")


def check_packaged(spec: Spec) -> None:
    """Raise ValueError where its model comes in a package that is not installed here."""
    if own_model := packaged(spec):
        try:
            own_model.found()
        except ValueError as error:
            raise ValueError(f"{spec.kind}: {error}") from None
