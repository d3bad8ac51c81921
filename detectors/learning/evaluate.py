"""Measures detectors on labelled pictures: a table, a curve, a sheet of the worst misses.

Any detector, as luigi.cfg names it, or the one that a training made, beside the constant box.
"""

import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np

import detectors
from atelier import files
from atelier.pictures import Pixels
from detectors import UNUSABLE, Detection, Detector
from detectors.learning import Example, charts
from detectors.learning.examples import decoded, gather, shrink
from detectors.learning.measures import Finds, Measured, constant_box, measure
from detectors.learning.options import METRICS, RUN, LearningError, check_out
from detectors.tfod import SCALE

LONGEST = 1024  # pixels: how large labelled pictures are kept
Say = Callable[[str], None]
FAINT = 0.01  # the score from which on finds are measured, where the detector has no option


def evaluate(named: str, labels: Path, pictures: str, against: str, out: Path, say: Say) -> None:
    """Print a table and write curve.svg, misses.png and metrics.json to `out`.

    `against` names the labels that a constant box is made of; without it there is none.
    Raises LearningError or AnnotationError with one sentence.
    """
    check_out(out, out, pictures)
    if (out / RUN).exists() or (out / SCALE).exists():
        raise LearningError(f"--out {out} holds a run or a detector: name another folder")
    detector = open_detector(named)
    examples, classes = gather(labels, pictures, (), LONGEST, say)
    finds = list(finds_of(detector, examples, classes, say))
    measured = {named.partition("?")[0]: measure(finds, examples, len(classes))}
    if against:
        learnt, _ = gather(Path(against), pictures, classes, LONGEST, say)
        measured["constant box"] = constant(learnt, examples, len(classes))
    write_report(out, measured, finds, examples, classes, say)


def open_detector(named: str) -> Detector:
    """A detector that tells faint finds, too."""
    try:
        spec = detectors.parse(detectors.usual() if named.strip() == detectors.AUTO else named)
        if spec.min_score is None and "min_score" in detectors.KINDS[spec.kind].options:
            spec = replace(spec, min_score=FAINT)
        return detectors.load(spec, 0)
    except ValueError as error:
        raise LearningError(f"--detector {error}") from None


def finds_of(
    detector: Detector, examples: Sequence[Example], classes: Sequence[str], say: Say
) -> Iterator[Finds]:
    """What it finds of these classes; other labels are left out, which is said if all are."""
    kept, labels = 0, Counter[str]()
    for example in examples:
        image = fit_picture(decoded(example), detector)
        (finds,) = detector([image])
        known = [one for one in finds if one.label in classes]
        kept, labels = kept + len(known), labels + Counter(one.label for one in finds)
        yield as_finds(known, image, classes)
    del labels[UNUSABLE]
    if labels and not kept:
        label, many = labels.most_common(1)[0]
        say(
            f"warning: none of its finds counts: {many} are {label!r}, and the labels know"
            f" {', '.join(classes)}; rename them with ?names=, or a label map"
        )


def fit_picture(pixels: Pixels, detector: Detector) -> Pixels:
    """As large as the detector wants it, and grey if it does."""
    pixels = shrink(pixels, detector.long_side or 64)
    return pixels if detector.channels == 3 else cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)


def as_finds(finds: Sequence[Detection], image: Pixels, classes: Sequence[str]) -> Finds:
    height, width = image.shape[:2]
    boxes = np.array([one.box for one in finds], np.float32).reshape(-1, 4)
    return Finds(
        (boxes / np.array([width, height] * 2)).astype(np.float32),
        np.array([classes.index(one.label) for one in finds], np.int32),
        np.array([one.score for one in finds], np.float32),
    )


def constant(learnt: Sequence[Example], held: Sequence[Example], kinds: int) -> Measured:
    """How good the median of the training boxes is."""
    return measure([constant_box(learnt, kinds)] * len(held), held, kinds)


def write_report(
    out: Path,
    measured: Mapping[str, Measured],
    finds: Sequence[Finds],
    held: Sequence[Example],
    classes: Sequence[str],
    say: Say,
) -> None:
    """Print the table; write curve.svg, misses.png and metrics.json."""
    out.mkdir(parents=True, exist_ok=True)
    say(table_of(measured, classes))
    charts.write_curve(out / "curve.svg", measured, classes)
    worst = charts.write_misses(out / "misses.png", finds, held)
    known = {
        "pictures": len(held),
        "measured": {name: figures(each, classes) for name, each in measured.items()},
        "worst": worst,
    }
    files.write_json(out / METRICS, known)


def table_of(measured: Mapping[str, Measured], classes: Sequence[str]) -> str:
    """One line per detector; with several classes one more for each."""
    wide = max(24, *map(len, measured))
    lines = [f"{'':<{wide}} {'mAP@0.5':>8} {'@0.5:0.95':>10} {'mean IoU':>9} {'surest':>7}"]
    for name, each in measured.items():
        lines.append(
            f"{name:<{wide}} {each.map50:>8.3f} {each.map5095:>10.3f} {each.mean_iou:>9.3f}"
            f" {each.surest:>7.2f}"
        )
        if len(classes) > 1:
            both = zip(classes, each.ap(0.5), each.ap(), strict=True)
            lines += [f"  {label:<{wide - 2}} {at:>8.3f} {over:>10.3f}" for label, at, over in both]
    return "\n".join(lines)


def figures(measured: Measured, classes: Sequence[str]) -> dict[str, Any]:
    """For JSON; null for what could not be measured."""
    by_class = {
        label: {"ap50": finite_or_none(at), "ap5095": finite_or_none(over)}
        for label, at, over in zip(classes, measured.ap(0.5), measured.ap(), strict=True)
    }
    return {
        "map50": finite_or_none(measured.map50),
        "map5095": finite_or_none(measured.map5095),
        "mean_iou": finite_or_none(measured.mean_iou),
        "surest": finite_or_none(measured.surest),
        "classes": by_class,
    }


def finite_or_none(value: float) -> float | None:
    return round(float(value), 6) if math.isfinite(value) else None
