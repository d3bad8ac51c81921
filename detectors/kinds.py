"""The kinds of detector, one row each: what is known of them before their libraries are loaded."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from detectors.base import FACE, FACE_POINTS, FaceFactors
from detectors.packaged import YUNET, Packaged

OWN = ("names", "min_score", "face", "long_side")  # options of every detector that looks
MODEL_OPTIONS = ("labels", *OWN)


class Model(NamedTuple):
    """What a model finds, and how its face boxes become canonical ones."""

    labels: tuple[str, ...] = ()  # none: its label map says
    factors: FaceFactors = FaceFactors()


@dataclass(frozen=True)
class Kind:
    """A kind of detector; one without `wants` comes with its models, and takes no others."""

    forms: tuple[str, ...]  # how people write it
    loader: str  # module:function, (Spec, smallest face as a share of the longer side) -> Detector
    models: Mapping[str, Model]  # by name; "": all others
    noun: str = "model"  # what its models are
    options: tuple[str, ...] = OWN
    wants: str = ""  # what to give as its model
    packaged: Packaged | None = None  # its model where none is given
    fits: Callable[[Path], bool] = Path.exists  # whether a file or a folder is one
    addresses: bool = False  # its model may be an address, too
    library: str = ""  # what it loads that must not meet torch
    seeks: str = FACE  # what a photo lacks in which it finds nothing
    version: int = 0  # part of the key; raise it where the code changes what is found

    @property
    def is_given(self) -> bool:
        """Whether a person names its model's file, folder or address."""
        return bool(self.wants)

    @property
    def is_mapped(self) -> bool:
        """Whether a label map, or a list of names, says what its classes are."""
        return "labels" in self.options

    def model(self, name: str) -> Model:
        """What is known of the model of this name."""
        return self.models.get(name, self.models[""])


# Medians against the frontal cascade's boxes on 122 portraits.
FACE_BOXES = {"": Model(factors=FaceFactors(1.03, 0.49, 0.495))}  # they go from brow to chin

KINDS: dict[str, Kind] = {
    "haar": Kind(
        ("haar", "haar:profile", "haar:upperbody"),
        "detectors.haar:load_cascade",
        {
            "": Model((FACE,)),
            "profile": Model(("profile",), FaceFactors(0.88, 0.5, 0.52)),
            "upperbody": Model(("upper body",)),
        },
        noun="cascade",
    ),
    "yunet": Kind(
        ("yunet", "yunet:FILE.onnx"),
        "detectors.yunet:load_yunet",
        {"": Model((FACE, *FACE_POINTS), FaceFactors(1.035, 0.5, 0.485))},
        options=("min_score", "face", "long_side"),
        wants="YuNet's model, a file *.onnx",
        packaged=YUNET,
        fits=lambda path: path.suffix == ".onnx" and not path.is_dir(),
    ),
    "tfod": Kind(
        ("tfod:FILE.pb", "tfod:FOLDER"),
        "detectors.tfod:load_graph",
        FACE_BOXES,
        options=MODEL_OPTIONS,
        wants="a frozen graph *.pb, or a SavedModel",
        fits=lambda path: path.suffix == ".pb" or not path.is_file(),
        library="tensorflow",
    ),
    "hub": Kind(
        ("hub:HANDLE",),
        "detectors.tfod:load_hub",
        FACE_BOXES,
        options=MODEL_OPTIONS,
        wants="a folder, an archive or an address",
        addresses=True,
        library="tensorflow",
    ),
    "crop": Kind(
        ("crop:FOLDER",),
        "detectors.tfod:load_crop",
        FACE_BOXES,
        options=MODEL_OPTIONS,
        wants="the folder that the training exported",
        fits=Path.is_dir,
        library="tensorflow",
        seeks="portrait",
        version=2,  # photos are not padded
    ),
    "none": Kind(("none",), "detectors.whole:load_whole", {"": Model(("photo",))}, options=()),
}
FORMS = ", ".join(form for kind in KINDS.values() for form in kind.forms)
