"""Measures any detector, as luigi.cfg names it, on labelled pictures."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np

import detectors
from atelier.pictures import Pixels as Image
from detectors import Detection, Detector
from detectors.learning import evaluation
from detectors.learning.examples import Example, decoded, gather, shrunk
from detectors.learning.measures import Finds, measure
from detectors.learning.options import RUN, LearningError
from detectors.tfod import SCALE

LONGEST = 1024  # pixels: how large labelled pictures are kept
FAINT = 0.01  # the score from which on finds are measured, where the detector has no option


def evaluate(
    named: str, labels: str, pictures: str, against: str, out: Path, say: Callable[[str], None]
) -> None:
    """Print a table and write curve.svg, misses.png and metrics.json to `out`.

    `against` names the labels that a constant box is made of; without it there is none.
    Raises LearningError or AnnotationError with one sentence.
    """
    if (out / RUN).exists() or (out / SCALE).exists():
        raise LearningError(f"--out {out} holds a run or a detector: name another folder")
    detector = opened(named)
    examples, classes = gather(Path(labels), pictures, (), LONGEST, say)
    finds = list(found(detector, examples, classes))
    measured = {named.partition("?")[0]: measure(finds, examples, len(classes))}
    if against:
        learnt, _ = gather(Path(against), pictures, classes, LONGEST, say)
        measured["constant box"] = evaluation.constant(learnt, examples, len(classes))
    evaluation.write(out, measured, finds, examples, classes, say)


def opened(named: str) -> Detector:
    """A detector that tells faint finds, too."""
    try:
        spec = detectors.parse(named)
        if spec.min_score is None and "min_score" in detectors.KINDS[spec.kind].options:
            spec = replace(spec, min_score=FAINT)
        return detectors.load(spec, 0)
    except ValueError as error:
        raise LearningError(f"--detector {error}") from None


def found(
    detector: Detector, examples: Sequence[Example], classes: Sequence[str]
) -> Iterator[Finds]:
    """What it finds of these classes; other labels are left out."""
    for example in examples:
        image = fitted(decoded(example), detector)
        (finds,) = detector([image])
        yield as_finds([one for one in finds if one.label in classes], image, classes)


def fitted(pixels: Image, detector: Detector) -> Image:
    """As large as the detector wants it, and grey if it does."""
    pixels = shrunk(pixels, detector.long_side or 64)
    return pixels if detector.channels == 3 else cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)


def as_finds(finds: Sequence[Detection], image: Image, classes: Sequence[str]) -> Finds:
    height, width = image.shape[:2]
    boxes = np.array([one.box for one in finds], np.float32).reshape(-1, 4)
    return Finds(
        (boxes / np.array([width, height] * 2)).astype(np.float32),
        np.array([classes.index(one.label) for one in finds], np.int32),
        np.array([one.score for one in finds], np.float32),
    )
