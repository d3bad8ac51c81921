"""A run: the same command begins it, goes on after a kill, and does nothing once it is finished."""

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from atelier import files
from detectors.learning import Example, evaluate, export, network, records
from detectors.learning.examples import apart, gather, split
from detectors.learning.learner import Learner, found
from detectors.learning.loop import Course, End
from detectors.learning.measures import measure
from detectors.learning.options import (
    DETECTOR,
    RUN,
    LearningConfig,
    LearningError,
    check_out,
    differing,
    is_finished,
    labels_digest,
    saved_config,
    stored_side,
    weights_digest,
)

Say = Callable[[str], None]


def train(config: LearningConfig, say: Say) -> End:
    """Train, or go on; writes everything below `config.out`.

    After SIGINT or SIGTERM in the loop a checkpoint is written, and the run is `stopped`; before
    and after it the signals do what the caller wants, and nothing is lost. Raises LearningError
    or AnnotationError with one sentence for what cannot be.
    """
    say(json.dumps(asdict(config), indent=2))
    for name in ("labels", "out"):
        if not getattr(config, name):
            raise LearningError(f"{name} is empty: give --{name}")
    out = Path(config.out)
    begun = saved_config(out)
    if begun is not None:
        same_run(config, begun)
    if is_finished(out):
        say(f"{out} is finished: there is nothing to do")
        return "finished"
    check_out(out, out, config.pictures)
    busy = LearningError(f"{out}: another training writes there; wait for it")
    refusal = LearningError(f"--out {out}: no folder can be made there: choose another")
    with files.made_for(out, {"lock"}, refusal), files.alone(out / "lock", busy, say):
        files.sweep(out)
        learnt, held, classes = prepared(config, begun, say)
        say(f"{len(learnt)} pictures to learn from, {len(held)} held out, classes {classes}")
        course = Course(Learner(config, len(classes)), learnt, held, say)
        end = course.learn()
        if end == "finished":
            finish(course, learnt, held, classes, say)
    return end


def same_run(config: LearningConfig, begun: dict[str, Any]) -> None:
    """Raise LearningError where a run in this folder is another one."""
    if different := ", ".join(differing(config, begun)):
        raise LearningError(
            f"{config.out} holds a run with other options: {different};"
            " give the same, or another --out"
        )
    if labels_digest(config) not in ("", begun["labels_digest"]):
        raise LearningError(
            f"{config.labels} is not as it was when the run in {config.out} began: train into"
            " another --out"
        )


def prepared(
    config: LearningConfig, begun: dict[str, Any] | None, say: Say
) -> tuple[list[Example], list[Example], list[str]]:
    """(to learn from, held out, classes): read from the run's own records once they are there."""
    out = Path(config.out)
    paths = [out / "records" / f"{name}.tfrecord" for name in ("train", "validation")]
    if begun is None:
        longest = stored_side(config.size)
        given = Path(config.labels), config.pictures, config.class_names
        examples, classes = gather(*given, longest, say)
        if config.held_labels:
            held, _ = gather(Path(config.held_labels), config.pictures, classes, longest, say)
            parts = apart(examples, held, say)
        else:
            parts = split(examples, config.validation, config.seed)
        check_boxes(config, *parts)
        network.check_weights(config, len(classes))
        for path, some in zip(paths, parts, strict=True):
            records.write_records(path, some, classes)
        records.write_label_map(out / "records" / "label_map.pbtxt", classes)
        begun = {
            "config": asdict(config),
            "classes": classes,
            "labels_digest": labels_digest(config),
            "weights_digest": weights_digest(config),
        }
        files.write_json(out / RUN, begun)
    classes = begun["classes"]
    learnt, held = (records.examples(path, classes)[0] for path in paths)
    return learnt, held, classes


def check_boxes(config: LearningConfig, learnt: Sequence[Example], held: Sequence[Example]) -> None:
    """Raise LearningError where one side has only pictures without boxes."""
    for side, what in ((learnt, "left to learn from"), (held, "held out to measure with")):
        if not any(len(each.boxes) for each in side):
            raise LearningError(
                f"{config.labels}: no box is {what} ({len(side)} pictures without one); draw more,"
                " change seed or validation, or give held_labels"
            )


def finish(
    course: Course, learnt: list[Example], held: list[Example], classes: list[str], say: Say
) -> None:
    """Take the best weights, measure them, write the model, the detector and the report."""
    learner, out = course.learner, Path(course.config.out)
    last = measure(found(learner.find, held), held, learner.kinds)
    course.take_best()
    finds = found(learner.find, held)
    best = measure(finds, held, learner.kinds)
    files.write(out / "model.keras", network.keras_bytes(learner.average))
    export.write_detector(
        out / DETECTOR, learner.average, classes, course.config.mirror, best.surest
    )
    measured = {
        "detector": best,
        "its last weights": last,
        "constant box": evaluate.constant(learnt, held, learner.kinds),
    }
    say(
        f"held out: {len(held)} pictures; the detector is of epoch {course.best['epoch']:g}, the"
        " best on these same pictures"
    )
    evaluate.write_report(out, measured, finds, held, classes, say)
    say(f"[Detect] detector = crop:{out / DETECTOR}")
