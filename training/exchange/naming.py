"""How a command line names the generator that a command opens."""

import argparse

from atelier.commands import path


def add_model(command: argparse.ArgumentParser, more: str = "or NVIDIA's .pkl") -> None:
    """Which generator a command opens; `more` ends the list of what it may be."""
    command.add_argument(
        "--model",
        "--run",
        dest="model",
        required=True,
        type=path,
        help=f"a run, a checkpoint, a .npz of export, {more}",
    )
