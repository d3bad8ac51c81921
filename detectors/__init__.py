"""Object detectors: pictures in, boxes out. `parse` names one, `load` builds it."""

from atelier import stop

stop.quiet_start()

import sys
from contextlib import nullcontext
from importlib import import_module
from pathlib import Path
from typing import cast

from atelier import cuda
from detectors.base import FACE, UNUSABLE, Detection, Detector, FaceFactors, Spec
from detectors.kinds import FORMS, KINDS
from detectors.labelmap import holes
from detectors.spec import (
    AUTO,
    check_packaged,
    check_spec,
    class_names,
    findable,
    identity,
    on_disk,
    parse,
    usual,
)

__all__ = [
    "AUTO",
    "FACE",
    "FORMS",
    "KINDS",
    "UNUSABLE",
    "Detection",
    "Detector",
    "FaceFactors",
    "Spec",
    "check_packaged",
    "check_spec",
    "class_names",
    "face_factors",
    "findable",
    "identity",
    "load",
    "on_disk",
    "parse",
    "remarks",
    "short",
    "usual",
]


def load(spec: Spec, min_face: float) -> Detector:
    """Build a detector; its libraries are imported only here.

    `min_face` is the smallest face to look for, as a share of the picture's longer side.
    Raises ValueError with one sentence where its model is missing or unfit.
    """
    check_spec(spec)
    kind = KINDS[spec.kind]
    if kind.library == "tensorflow" and kind.library not in sys.modules:
        cuda.prepare()
    module, _, loader = kind.loader.partition(":")
    with cuda.importing_tensorflow() if kind.library == "tensorflow" else nullcontext():
        own = import_module(module)
    return cast(Detector, getattr(own, loader)(spec, min_face))


def face_factors(spec: Spec) -> FaceFactors:
    """How a detector's face box becomes the canonical one, without loading it."""
    return spec.face or KINDS[spec.kind].model(spec.model).factors


def remarks(spec: Spec) -> list[str]:
    """Sentences on what a person should know before a TensorFlow model runs."""
    if not KINDS[spec.kind].is_mapped:
        return []
    names = class_names(spec)
    if not names:
        return [
            f"{short(spec)} has no label map: its classes are called 1, 2, ...; give"
            " ?labels=FILE.pbtxt, or ?names=face for a model of faces"
        ]
    missing = ", ".join(map(str, holes(names)))
    said = f"{short(spec)}: its label map names no class {missing}: such finds keep their number"
    return [said] if missing else []


def short(spec: Spec) -> str:
    """The detector as it is called where its folder does not matter."""
    if on_disk(spec):
        return f"{spec.kind}:{Path(spec.model).name}"
    return ":".join(filter(None, (spec.kind, spec.model)))
