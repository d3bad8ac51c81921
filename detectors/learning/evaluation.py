"""Tables, curve and sheet of a measurement, beside those of the constant box."""

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from atelier import files
from detectors.learning import charts
from detectors.learning.examples import Example
from detectors.learning.measures import Finds, Measured, constant_box, measure
from detectors.learning.options import METRICS


def constant(learnt: Sequence[Example], held: Sequence[Example], kinds: int) -> Measured:
    """How good the median of the training boxes is."""
    return measure([constant_box(learnt, kinds)] * len(held), held, kinds)


def write(
    out: Path,
    measured: Mapping[str, Measured],
    finds: Sequence[Finds],
    held: Sequence[Example],
    classes: Sequence[str],
    say: Callable[[str], None],
) -> None:
    """Print the table; write curve.svg, misses.png and metrics.json."""
    out.mkdir(parents=True, exist_ok=True)
    say(table(measured, classes))
    charts.write_curve(out / "curve.svg", measured, classes)
    worst = charts.write_misses(out / "misses.png", finds, held)
    known = {
        "pictures": len(held),
        "measured": {name: figures(each, classes) for name, each in measured.items()},
        "worst": worst,
    }
    files.write_json(out / METRICS, known)


def table(measured: Mapping[str, Measured], classes: Sequence[str]) -> str:
    """One line per detector; with several classes one more for each."""
    lines = [f"{'':<24} {'mAP@0.5':>8} {'@0.5:0.95':>10} {'mean IoU':>9} {'surest':>7}"]
    for name, each in measured.items():
        lines.append(
            f"{name:<24} {each.map50:>8.3f} {each.map5095:>10.3f} {each.mean_iou:>9.3f}"
            f" {each.surest:>7.2f}"
        )
        if len(classes) > 1:
            both = zip(classes, each.ap(0.5), each.ap(), strict=True)
            lines += [f"  {label:<22} {at:>8.3f} {over:>10.3f}" for label, at, over in both]
    return "\n".join(lines)


def figures(measured: Measured, classes: Sequence[str]) -> dict[str, Any]:
    """For JSON; null for what could not be measured."""
    by_class = {
        label: {"ap50": known(at), "ap5095": known(over)}
        for label, at, over in zip(classes, measured.ap(0.5), measured.ap(), strict=True)
    }
    return {
        "map50": known(measured.map50),
        "map5095": known(measured.map5095),
        "mean_iou": known(measured.mean_iou),
        "surest": known(measured.surest),
        "classes": by_class,
    }


def known(value: float) -> float | None:
    return round(float(value), 6) if math.isfinite(value) else None
