"""The command line: train, export, evaluate."""

import argparse
from collections.abc import Sequence
from dataclasses import fields

from atelier import cuda
from atelier.commands import ANEW, Parser, add_options, path, run_command, say
from atelier.cores import cores
from atelier.options import at_home
from atelier.stop import STOPPED
from detectors.learning.options import (
    AGAIN,
    RUN,
    LearningConfig,
    LearningError,
    config_of,
    surest_of,
)

KEPT = "stopped; the same command goes on"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code. What a person did wrong is said in one sentence."""
    return run_command(parser, arguments, KEPT)


def parser() -> Parser:
    """All commands; the options of a training are the config's own fields."""
    top = Parser(prog="python -m detectors", description=__doc__)
    commands = top.add_subparsers(required=True, metavar="COMMAND")
    train = commands.add_parser("train", help="train a detector, or go on with the same command")
    train.set_defaults(command=train_command)
    add_options(train, LearningConfig)
    export = commands.add_parser("export", help="write the detector of a finished run again")
    export.set_defaults(command=export_command)
    export.add_argument("--run", required=True, type=path, help="folder of the run")
    export.add_argument("--out", required=True, type=path, help="folder for the detector")
    export.add_argument("--mirror", action="store_true", help="look at the mirror image, too")
    measure = commands.add_parser("evaluate", help="measure any detector on labelled pictures")
    measure.set_defaults(command=evaluate_command)
    measure.add_argument("--detector", required=True, help="as in luigi.cfg: crop:FOLDER, ...")
    measure.add_argument(
        "--labels",
        required=True,
        type=path,
        help="CSV, COCO JSON, folder of XML files, or TFRecords",
    )
    measure.add_argument("--pictures", default="", type=at_home, help="folder of the pictures")
    measure.add_argument(
        "--against", default="", type=at_home, help="labels whose constant box to compare with"
    )
    measure.add_argument("--out", required=True, type=path, help="folder of curve and sheet")
    for command in (export, measure):
        command.set_defaults(stopped=ANEW)
    return top


def train_command(given: argparse.Namespace) -> int:
    known = {f.name for f in fields(LearningConfig)}
    config = LearningConfig(**{name: value for name, value in vars(given).items() if name in known})
    set_up(config.threads)
    from detectors.learning.train import train

    return {"finished": 0, "stopped": STOPPED}[train(config, say)]


def set_up(threads: int) -> None:
    """One process with this many threads, and the same bits every time."""
    with cuda.importing_tensorflow():
        import tensorflow as tf

    for set_threads in (
        tf.config.threading.set_intra_op_parallelism_threads,
        tf.config.threading.set_inter_op_parallelism_threads,
    ):
        try:
            set_threads(threads or cores())
        except RuntimeError:  # it computes already, as in a notebook
            if threads:
                raise
    tf.config.experimental.enable_op_determinism()


def export_command(given: argparse.Namespace) -> int:
    config, classes = config_of(given.run)
    with cuda.importing_tensorflow():
        from detectors.learning import export, network

    export.check_place(given.out)
    surest = surest_of(given.run)
    model, file = network.build_detector(config, len(classes)), given.run / "model.keras"
    if odd := network.take_over(model, network.open_model(file), config):
        raise LearningError(f"{file} is not of the run that {RUN} tells: {odd[0]} differs; {AGAIN}")
    export.write_detector(given.out, model, classes, given.mirror or config.mirror, surest)
    print(f"{given.out} holds the detector of {given.run}")
    return 0


def evaluate_command(given: argparse.Namespace) -> int:
    with cuda.importing_tensorflow():
        from detectors.learning.evaluate import evaluate

    evaluate(given.detector, given.labels, given.pictures, given.against, given.out, say)
    return 0
