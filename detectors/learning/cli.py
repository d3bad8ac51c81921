"""The command line: train, export, evaluate."""

import argparse
import os
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import fields
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

from detectors.annotations import AnnotationError
from detectors.learning.options import METRICS, LearningConfig, LearningError, config_of, saved

WRONG_INPUT = 2
STOPPED = 130  # after Ctrl-C and SIGTERM: not finished, but nothing is lost


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; a wrong input ends it with one sentence and exit code 2."""
    given = parser().parse_args(arguments)
    try:
        return int(given.command(given))
    except (LearningError, AnnotationError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return WRONG_INPUT
    except KeyboardInterrupt:
        return STOPPED


def parser() -> argparse.ArgumentParser:
    """All commands; the options of a training are the config's own fields."""
    top = argparse.ArgumentParser(prog="python -m detectors", description=__doc__)
    commands = top.add_subparsers(required=True)
    train = commands.add_parser(
        "train", help="train a detector, or go on with the same command", allow_abbrev=False
    )
    train.set_defaults(command=train_command)
    add_options(train)
    export = commands.add_parser("export", help="write the detector of a finished run again")
    export.set_defaults(command=export_command)
    export.add_argument("--run", required=True, type=Path, help="folder of the run")
    export.add_argument("--out", required=True, type=Path, help="folder for the detector")
    export.add_argument("--mirror", action="store_true", help="look at the mirror image, too")
    measure = commands.add_parser("evaluate", help="measure any detector on labelled pictures")
    measure.set_defaults(command=evaluate_command)
    measure.add_argument("--detector", required=True, help="as in luigi.cfg: crop:FOLDER, ...")
    measure.add_argument("--labels", required=True, help="CSV, folder of XML files, or TFRecords")
    measure.add_argument("--pictures", default="", help="folder of the pictures")
    measure.add_argument("--against", default="", help="labels whose constant box to compare with")
    measure.add_argument("--out", required=True, type=Path, help="folder of curve and sheet")
    return top


def add_options(command: argparse.ArgumentParser) -> None:
    """One option per field; `--check-every` and `--check_every` are the same."""
    hints = get_type_hints(LearningConfig)
    for f in fields(LearningConfig):
        names = dict.fromkeys([f"--{f.name.replace('_', '-')}", f"--{f.name}"])
        kind, help = hints[f.name], f"{f.metadata['help']} [{f.default}]".replace("%", "%%")
        shown = "|".join(get_args(kind)) if get_origin(kind) is Literal else kind.__name__.upper()
        more: dict[str, Any] = {"nargs": "?", "const": "true"} if kind is bool else {}
        command.add_argument(
            *names, dest=f.name, default=argparse.SUPPRESS, help=help, metavar=shown, **more
        )


def train_command(given: argparse.Namespace) -> int:
    known = {f.name for f in fields(LearningConfig)}
    config = LearningConfig(**{name: value for name, value in vars(given).items() if name in known})
    with interrupted_by_sigterm():
        set_up(config.threads)
        from detectors.learning.train import train

        return {"finished": 0, "stopped": STOPPED}[train(config, say)]


@contextmanager
def interrupted_by_sigterm() -> Iterator[None]:
    """SIGTERM is Ctrl-C: what is read or exported just now, the same command does again."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    except KeyboardInterrupt:
        say("stopped: the same command goes on")
        raise
    finally:
        signal.signal(signal.SIGTERM, before)


def set_up(threads: int) -> None:
    """One process with this many threads, and the same bits every time."""
    import tensorflow as tf

    for set_threads in (
        tf.config.threading.set_intra_op_parallelism_threads,
        tf.config.threading.set_inter_op_parallelism_threads,
    ):
        set_threads(threads or os.cpu_count() or 1)
    tf.config.experimental.enable_op_determinism()


def say(text: str) -> None:
    """Print, whether or not anybody still listens."""
    with suppress(BrokenPipeError):
        print(text, flush=True)


def export_command(given: argparse.Namespace) -> int:
    import json

    config, known = config_of(given.run), saved(given.run) or {}
    from detectors.learning import export, network

    export.check_place(given.out)
    try:
        metrics = json.loads((given.run / METRICS).read_text())
    except FileNotFoundError:
        raise LearningError(f"{given.run} is not finished: run its training again first") from None
    model = network.build(config, len(known["classes"]))
    network.take_over(model, network.opened(given.run / "model.keras"), config)
    surest = metrics["measured"]["detector"]["surest"]
    export.write(given.out, model, known["classes"], given.mirror or config.mirror, surest)
    print(f"{given.out} holds the detector of {given.run}")
    return 0


def evaluate_command(given: argparse.Namespace) -> int:
    from detectors.learning.evaluate import evaluate

    evaluate(given.detector, given.labels, given.pictures, given.against, given.out, say)
    return 0
