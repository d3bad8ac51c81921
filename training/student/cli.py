"""What the command `distill` takes, and whether a teacher and a dataset fit each other."""

import argparse
from collections.abc import Callable, Container, Mapping
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from atelier.commands import add_options, say
from atelier.errors import Refusal
from training import sources
from training.config import ArchitectureConfig, ConfigError
from training.exchange.described import ModelFile
from training.explore.asked import check_vgg
from training.networks.architecture import DiscriminatorConfig, Pair, StudentConfig
from training.run.beginning import check_apart, few_pictures
from training.student import options

if TYPE_CHECKING:
    from training.exchange.opening import OpenedGenerator


class TeacherError(Refusal):
    """A teacher that cannot teach this; the message says why and the way out."""


def add_distill(commands: Any, command: Callable[[argparse.Namespace], int]) -> None:
    """The command, with every option of a distillation."""
    distill = commands.add_parser(
        "distill",
        help="train a small student of a generator, or go on with the same command",
        usage="%(prog)s --teacher MODEL --data DIR --out RUN [--dry-run] [options]",
    )
    distill.set_defaults(command=command)
    distill.add_argument(
        "--dry-run", action="store_true", help="print the config and the student's size, stop"
    )
    for title, (section, _) in options.GIVEN.items():
        group = distill.add_argument_group(title, section.__doc__)
        add_options(group, section, options.left_out(title), options.DEFAULTS)


def asked_early(given: argparse.Namespace) -> options.DistillationConfig:
    """What was given, checked before a long look at data; raises ConfigError."""
    asked = asked_of(given)
    for name, what in (("teacher", "whom to learn from"), ("data", "real images, too")):
        if not asked.get(name):
            raise ConfigError(f"{name} is empty: say {what}, --{name} ...")
    early = options.configured(asked, {})
    check_apart(early)
    check_vgg(early.distill.vgg)
    return early


def asked_of(given: argparse.Namespace) -> dict[str, Any]:
    """The options of a distillation that were given."""
    known = options.option_names()
    return {name: value for name, value in vars(given).items() if name in known}


def opened_for(
    given: argparse.Namespace, early: options.DistillationConfig
) -> tuple["OpenedGenerator", sources.Source, options.DistillationConfig]:
    """The teacher, the real images, and the config for both; raises what says that they do not fit.

    What a person should know of them is said.
    """
    from training.exchange.opening import open_generator

    opened = open_generator(Path(early.distill.teacher), ("G_ema", "D"))
    source = sources.open_source(early.data.data)
    check_fits(opened, source, early.distill.vgg)
    config = options.configured(asked_of(given), taken(opened), source.shape[:2])
    for note in (*source.notes, *teacher_notes(opened, config), *few_pictures(config, len(source))):
        say(f"note: {note}")
    return opened, source, config


def taken(opened: "OpenedGenerator") -> Mapping[str, Any]:
    """The options that follow from a teacher, by name."""
    return options_of_networks(opened) | {"teacher_sha256": opened.digest}


def options_of_networks(teacher: ModelFile) -> dict[str, Any]:
    """Those that follow from its networks; its D is as usual where it has none."""
    g = teacher.config
    shape = {name: getattr(g, name) for name in ("height", "width", "channels", "labels")}
    named = Pair(g, teacher.discriminator or DiscriminatorConfig(**shape)).named()
    own = {f.name: named[f.name] for f in fields(ArchitectureConfig) if f.name in named}
    return own | {"labels": bool(g.labels)}


def check_teaches(model: ModelFile, parts: Container[str], vgg: str) -> None:
    """Raise TeacherError for a model with these networks that teaches nobody, whatever the images.

    `vgg` is the perceptual network that was named.
    """
    if isinstance(model.config, StudentConfig):
        raise TeacherError(f"teacher = {model.path} is a student itself: name its own teacher")
    if "D" not in parts and not vgg:
        raise TeacherError(
            f"teacher = {model.path} has no D, whose features stand in for VGG19's: give --vgg"
            " FILE, or its run, a checkpoint or a pickle as the teacher"
        )


def check_fits(opened: "OpenedGenerator", source: sources.Source, vgg: str) -> None:
    """Raise TeacherError where a teacher cannot teach with these images."""
    check_teaches(opened, opened.arrays, vgg)
    g, path = opened.config, opened.path
    own, there = (g.height, g.width, g.channels), source.shape
    if own != there:
        said = [f"{w} x {h} x {c}" for h, w, c in (own, there)]
        raise TeacherError(
            f"teacher = {path} draws {said[0]}, and the images of {source.path} are {said[1]}: give"
            " a dataset of the teacher's size and channels"
        )
    classes = source.labels.shape[1]
    if g.labels and g.labels != classes:
        raise TeacherError(
            f"teacher = {path} has {g.labels} classes, and {source.path} has"
            f" {classes or 'no labels'}: give the dataset that it learnt from"
        )


def teacher_notes(opened: "OpenedGenerator", config: options.DistillationConfig) -> list[str]:
    """What a person should know of a teacher."""
    found = list(opened.notes)
    if "D" not in opened.arrays:
        found.append(f"{opened.path} has no D: the student's begins anew")
    if not config.distill.vgg:
        found.append(
            "images are compared by features of the teacher's D, which stand in for VGG19's"
            " (--vgg FILE)"
        )
    return found
