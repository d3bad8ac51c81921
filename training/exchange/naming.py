"""How a command line names the generator that a command opens."""

import argparse

from atelier.commands import path


def add_model(command: argparse.ArgumentParser) -> None:
    """Which generator a command opens."""
    command.add_argument(
        "--model",
        "--run",
        dest="model",
        required=True,
        type=path,
        help="a run, a checkpoint, a .npz of export, or NVIDIA's .pkl",
    )
