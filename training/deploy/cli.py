"""The commands that bring a generator to where it is used: export."""

import argparse
import os
from typing import Any

from atelier.commands import path, say
from training import startup
from training.deploy.formats import FORMATS, QUANTIZED, SUFFIXES, check_words


def add_deploy(commands: Any) -> None:
    """Every command of this room."""
    export = commands.add_parser("export", help="write the averaged generator alone")
    export.set_defaults(command=export_command)
    export.add_argument(
        "--model",
        "--run",
        required=True,
        type=path,
        help="a run, a checkpoint, a small .npz, or NVIDIA's .pkl",
    )
    told = "; ".join(f"{name}: {each.told}" for name, each in FORMATS.items())
    export.add_argument(
        "--to",
        choices=tuple(SUFFIXES),
        default="npz",
        help=f"npz: for Atelier, float16, half the size; {told} [npz]",
    )
    export.add_argument("--out", required=True, type=path, help="the file or folder to write")
    export.add_argument(
        "--from",
        dest="start",
        choices=("z", "w"),
        default="z",
        help="what it draws from: latents, or styles w [z]",
    )
    export.add_argument(
        "--quantize",
        choices=QUANTIZED,
        default="",
        help="tflite: weights in float16, or int8 [float32]",
    )


def export_command(given: argparse.Namespace) -> int:
    check_words(given.to, given.out, given.start, given.quantize)
    quiet_tensorflow()
    from training.deploy.export import export_program
    from training.exchange.npz import save_generator
    from training.exchange.opening import open_generator

    opened, difference = open_generator(given.model), None
    if given.to in FORMATS:
        difference = export_program(opened, given.to, given.out, given.start, given.quantize)
    else:
        save_generator(given.out, opened)
    files = [given.out, *given.out.rglob("*")] if given.out.is_dir() else [given.out]
    size = sum(file.stat().st_size for file in files if file.is_file()) / 1e6
    say(f"{given.out}, {size:.1f} MB, from {opened.path}")
    if difference:
        say(f"as the generator itself: {difference}")
    return 0


def quiet_tensorflow() -> None:
    """Load TensorFlow, whose converters then print errors alone."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    startup.load_tensorflow()
    import tensorflow as tf

    tf.get_logger().setLevel("ERROR")
