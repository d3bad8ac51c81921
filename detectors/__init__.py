"""Object detectors: pictures in, boxes out. `load` is the only way in."""

from detectors.base import Box, Detection, Detector, FaceFactors

__all__ = ["NAMES", "Box", "Detection", "Detector", "FaceFactors", "face_factors", "load"]

NAMES = ("haar", "none")


def load(name: str, min_face: float) -> Detector:
    """Build the detector called `name`; its libraries are imported only here.

    `min_face` is the smallest face to look for, as a share of the picture's longer side.
    Raises ValueError for a name that is none of `NAMES`.
    """
    match name:
        case "haar":
            from detectors.haar import HaarDetector

            return HaarDetector(min_face)
        case "none":
            from detectors.whole import WholePicture

            return WholePicture()
    raise ValueError(f"no detector is called {name!r}: choose one of {', '.join(NAMES)}")


def face_factors(name: str) -> FaceFactors:
    """How the face box of detector `name` becomes the canonical one, without loading it."""
    return {"haar": FaceFactors(), "none": FaceFactors()}[name]
