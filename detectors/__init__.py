"""Object detectors: pictures in, boxes out. `parse` names one, `load` builds it."""

from atelier import stop

stop.quiet_start()

import os
from pathlib import Path
from typing import Any

from detectors import labelmap
from detectors.base import FACE, UNUSABLE, Detection, Detector, FaceFactors
from detectors.spec import FORMS, TENSORFLOW, Spec, check, exported_side, identity, label_map, parse

__all__ = [
    "FACE",
    "FORMS",
    "TENSORFLOW",
    "UNUSABLE",
    "Detection",
    "Detector",
    "FaceFactors",
    "Spec",
    "check",
    "class_names",
    "face_factors",
    "identity",
    "load",
    "parse",
    "remarks",
    "short",
]

# Medians against the frontal cascade's boxes on 122 portraits.
FACTORS = {
    ("haar", "profile"): FaceFactors(0.88, 0.5, 0.52),
    ("yunet", ""): FaceFactors(1.035, 0.5, 0.485),
    ("tfod", ""): FaceFactors(1.03, 0.49, 0.495),  # FaceBoxes, whose boxes go from brow to chin
}


def load(spec: Spec, min_face: float) -> Detector:
    """Build a detector; its libraries are imported only here.

    `min_face` is the smallest face to look for, as a share of the picture's longer side.
    Raises ValueError with one sentence where its model is missing or unfit.
    """
    check(spec)
    long_side = spec.long_side or exported_side(spec)
    given: dict[str, Any] = {"min_score": spec.min_score, "long_side": long_side}
    given = {name: value for name, value in given.items() if value is not None}
    match spec.kind:
        case "haar":
            from detectors.haar import HaarDetector

            return HaarDetector(min_face, spec.model, "".join(spec.names), **given)
        case "yunet":
            from detectors.yunet import YuNetDetector

            return YuNetDetector(Path(spec.model), min_face, **given)
        case "none":
            from detectors.whole import WholePicture

            return WholePicture()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # what TensorFlow has to say is raised
    from detectors import graphs, hub
    from detectors.tfod import STEP, TensorFlowDetector

    names = class_names(spec)
    path = hub.folder_of(spec.model) if spec.kind == "hub" else Path(spec.model)
    # A detector of one's own crop stretches what it is given to a square, a margin with it.
    step = 1 if spec.kind == "crop" else STEP
    return TensorFlowDetector(graphs.opened(path), names, min_face, step=step, **given)


def face_factors(spec: Spec) -> FaceFactors:
    """How a detector's face box becomes the canonical one, without loading it."""
    if spec.face:
        return spec.face
    if spec.kind in TENSORFLOW:
        return FACTORS["tfod", ""]
    return FACTORS.get((spec.kind, spec.model if spec.kind == "haar" else ""), FaceFactors())


def class_names(spec: Spec) -> dict[int, str]:
    """Class number -> label, from the list or the label map; empty if there is neither.

    Raises ValueError with file and line for a broken label map.
    """
    path = label_map(spec)
    return labelmap.read(path) if path else dict(enumerate(spec.names, start=1))


def remarks(spec: Spec) -> list[str]:
    """Sentences on what a person should know before a TensorFlow model runs."""
    if spec.kind not in TENSORFLOW:
        return []
    names = class_names(spec)
    if not names:
        return [
            f"{short(spec)} has no label map: its classes are called 1, 2, ...; give"
            " ?labels=FILE.pbtxt, or ?names=face for a model of faces"
        ]
    missing = ", ".join(map(str, labelmap.holes(names)))
    said = f"{short(spec)}: its label map names no class {missing}: such finds keep their number"
    return [said] if missing else []


def short(spec: Spec) -> str:
    """The detector as it is called where its folder does not matter."""
    if spec.kind in ("haar", "none") or spec.is_address:
        return ":".join(filter(None, (spec.kind, spec.model)))
    return f"{spec.kind}:{Path(spec.model).name}"
