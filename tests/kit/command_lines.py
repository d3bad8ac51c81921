"""All that a person can type: every command and option of the three packages, from their parsers.

A command that comes later is in these tables by itself, and under the laws of tests/commands.
"""

import argparse
from dataclasses import fields
from typing import Any, Literal, NamedTuple, get_args, get_origin, get_type_hints

from detectors.learning import cli as detectors_cli
from detectors.learning.options import LearningConfig
from pipeline import cli as pipeline_cli
from pipeline import options, tasks
from pipeline.train import tasks as trainers
from pipeline.train.student import DistillStyleGANConfig
from pipeline.train.stylegan import TrainStyleGANConfig
from training import cli as training_cli
from training.config import SECTIONS
from training.student.options import DistillConfig

CLIS = {"pipeline": pipeline_cli, "training": training_cli, "detectors": detectors_cli}
TASKS = [*tasks.TASKS, *trainers.TASKS]
CHILDREN = (TrainStyleGANConfig, DistillStyleGANConfig)  # whose options are those of training
DISTILL = ("distill", "--data", "D", "--teacher", "T")
WRONG = {int: "many", float: "wide", bool: "perhaps"}


class Command(NamedTuple):
    """One command of a package, with its words and its parser."""

    package: str
    words: tuple[str, ...]
    parser: argparse.ArgumentParser

    def run(self, *more: str) -> int:
        return CLIS[self.package].main([*self.words, *more])

    @property
    def actions(self) -> list[argparse.Action]:
        """Its own options and words, without --help."""
        others = (argparse._HelpAction, argparse._SubParsersAction)
        return [one for one in self.parser._actions if not isinstance(one, others)]

    @property
    def flags(self) -> list[str]:
        return [one.option_strings[0] for one in self.actions if one.option_strings]

    def filled(self, but: argparse.Action | None = None) -> list[str]:
        """Words for all that it requires."""
        needed = [one for one in self.actions if one.required and one is not but]
        return [word for one in needed for word in (*one.option_strings[:1], "x")]


def commands() -> list[Command]:
    """Every command of every package, and each package without one."""
    found = []
    for package, cli in CLIS.items():
        top = cli.parser()
        found.append(Command(package, (), top))
        for action in top._actions:
            if isinstance(action, argparse._SubParsersAction):
                found += [Command(package, (name,), one) for name, one in action.choices.items()]
    return found


class Option(NamedTuple):
    """An option of a section, as one command has it."""

    package: str
    words: tuple[str, ...]  # of a command that reads it and then does little
    section: type
    name: str
    kind: Any
    known: Any  # what `option` was told

    def __str__(self) -> str:
        return f"{self.package} {self.flag}"

    @property
    def flag(self) -> str:
        head = f"{options.section(self.section)}-" if self.package == "pipeline" else ""
        return f"--{head}{self.name.replace('_', '-')}"

    def run(self, value: str) -> int:
        return CLIS[self.package].main([*self.words, f"{self.flag}={value}"])

    @property
    def wrong(self) -> list[str]:
        """Values that cannot be: of another kind, too low, too high."""
        if get_origin(self.kind) is Literal:
            return ["".join(get_args(self.kind))]
        found = [WRONG[self.kind]] if self.kind in WRONG else []
        found += ["../::"] if self.known["check"] and not self.known["path"] else []
        found += ["x" * 256] if self.known["path"] else []
        found += ["s3://x/y"] if self.known["path"] and not self.known["remote"] else []
        found += [str(self.known["low"] - 1)] if self.known["low"] is not None else []
        return found + ([str(self.known["high"] + 1)] if self.known["high"] is not None else [])


def section_options() -> list[Option]:
    """Every option of every section, wherever it can be given."""
    parts = [*SECTIONS.values(), DistillConfig]
    learnt = {f.name: (section, f) for section in parts for f in fields(section)}
    words = {
        "training": ("train", "--data", "D"),
        "detectors": ("train",),
        "pipeline": ("options",),
    }
    places = [("pipeline", section) for section in options.SECTIONS]
    places += [("training", section) for section in parts]
    places += [("detectors", LearningConfig)]
    found = []
    for package, section in places:
        hints = get_type_hints(section)
        for f in fields(section):
            kind, known = hints[f.name], f.metadata
            if section in CHILDREN and f.name in learnt:
                told, own = learnt[f.name]
                kind, known = get_type_hints(told)[f.name], own.metadata
            if not (package == "training" and f.name in ("data", "teacher")):
                own = DISTILL if section is DistillConfig else words[package]
                found.append(Option(package, own, section, f.name, kind, known))
    return found
