"""The commands that explore a generator, as `python -m training` has them."""

import argparse
from typing import Any

from atelier.commands import path, ranged
from atelier.options import at_home
from training.exchange.naming import add_model
from training.explore import drawing

EXTREME = 2.0  # psi: beyond it w is where no training went
MOST_FRAMES = 100_000


def add_commands(commands: Any) -> None:
    """Declare all of them."""
    add_generate(commands)
    add_mix(commands)
    add_interpolate(commands)
    add_truncation(commands)
    add_parts(commands)
    add_directions(commands)
    add_project(commands)
    add_assess(commands)


def add_look(command: argparse.ArgumentParser, psi: float | None = 0.7) -> None:
    """How seeds become styles."""
    if psi is not None:
        command.add_argument("--psi", type=psi_value, default=psi, help=f"truncation [{psi:g}]")
    command.add_argument(
        "--cutoff",
        type=ranged(int, low=0),
        default=None,
        help="the highest level that is truncated; 0 is the lowest [all]",
    )
    command.add_argument(
        "--label", type=ranged(int), default=None, help="class; default: drawn by seed"
    )


def add_moves(command: argparse.ArgumentParser) -> None:
    """Directions to go along."""
    command.add_argument(
        "--directions", type=path, default=None, help="file that `directions` wrote"
    )
    command.add_argument(
        "--direction",
        action="append",
        default=[],
        metavar="NAME=AMOUNT",
        help="go along a direction of that file, by standard deviations; may be given again",
    )


def add_sheet(command: argparse.ArgumentParser, seeds: str | None = "0-3") -> None:
    """What is on a sheet, and where it goes."""
    if seeds:
        command.add_argument("--seeds", default=seeds, help=f"for example 0-15 or 7,25 [{seeds}]")
    command.add_argument("--out", required=True, type=path, help="the sheet, .png or .jpg")


psi_value = ranged(float, low=-EXTREME, high=EXTREME)


def add_noise(command: argparse.ArgumentParser) -> None:
    """Which noise the layers add."""
    command.add_argument(
        "--noise",
        choices=("const", "random", "none"),
        default="const",
        help="const: the model's own; random: by seed [const]",
    )


def add_generate(commands: Any) -> None:
    """Pictures by seed."""
    generate = commands.add_parser("generate", help="write a picture per seed")
    generate.set_defaults(command=drawing.generate_command)
    add_model(generate)
    generate.add_argument("--seeds", default="0-15", help="for example 7 or 0,7083,25026 [0-15]")
    add_look(generate)
    add_noise(generate)
    add_moves(generate)
    generate.add_argument("--grid", action="store_true", help="one sheet of all")
    generate.add_argument(
        "--columns",
        type=ranged(int, low=1, high=100),
        default=None,
        help=f"of the sheet [{drawing.COLUMNS}]",
    )
    generate.add_argument(
        "--out",
        required=True,
        type=path,
        help="folder for the pictures; with --grid a .png or .jpg",
    )


def add_mix(commands: Any) -> None:
    """Styles of two seeds in one picture."""
    mix = commands.add_parser("mix", help="sheet of pictures with the styles of two seeds each")
    mix.set_defaults(command=drawing.mix_command)
    add_model(mix)
    mix.add_argument("--rows", default="0-3", help="seeds of the rows [0-3]")
    mix.add_argument("--columns", default="4-9", help="seeds of the columns [4-9]")
    mix.add_argument(
        "--levels",
        default="coarse",
        help="which levels have the styles of the column's seed: coarse (4 and 8 pixels of a square"
        " model), middle (16 and 32), fine (the rest), or numbers from 0, as in 0-1,4 [coarse]",
    )
    add_look(mix)
    add_sheet(mix, None)


def add_interpolate(commands: Any) -> None:
    """A film from seed to seed."""
    film = commands.add_parser("interpolate", help="film from seed to seed")
    film.set_defaults(command=drawing.interpolate_command)
    add_model(film)
    film.add_argument("--seeds", default="0-5", help="for example 0-5 or 7,25 [0-5]")
    film.add_argument("--space", choices=("z", "w"), default="w", help="where to go [w]")
    film.add_argument(
        "--way",
        choices=("linear", "spherical"),
        default="linear",
        help="straight, or along an arc; in w the arc is around its mean [linear]",
    )
    film.add_argument("--loop", action="store_true", help="back to the first seed at the end")
    film.add_argument(
        "--frames",
        type=ranged(int, low=1, high=MOST_FRAMES),
        default=30,
        help="from each seed to the next [30]",
    )
    film.add_argument(
        "--fps", type=ranged(int, low=1, high=240), default=30, help="frames a second [30]"
    )
    film.add_argument(
        "--size",
        type=ranged(int, low=0, high=8192),
        default=0,
        help="pixels of the longer side; 0: as the model draws [0]",
    )
    film.add_argument(
        "--resample", choices=("lanczos", "nearest"), default="lanczos", help="how to [lanczos]"
    )
    add_look(film)
    add_noise(film)
    add_moves(film)
    film.add_argument("--out", required=True, type=path, help="the film, .mp4")


def add_truncation(commands: Any) -> None:
    """The same seeds, more and less truncated."""
    sweep = commands.add_parser("truncation", help="sheet of psi from one value to another")
    sweep.set_defaults(command=drawing.truncation_command)
    add_model(sweep)
    sweep.add_argument("--from", dest="first", type=psi_value, default=-1.0, help="psi [-1]")
    sweep.add_argument("--to", dest="last", type=psi_value, default=1.4, help="psi [1.4]")
    sweep.add_argument(
        "--steps", type=ranged(int, low=2, high=100), default=9, help="how many psi [9]"
    )
    add_look(sweep, None)
    add_sheet(sweep)


def add_parts(commands: Any) -> None:
    """Sheets of what parts of the generator do."""
    noise = commands.add_parser("noise", help="sheet of what the noise of each level does")
    noise.set_defaults(command=drawing.noise_command)
    noise.add_argument(
        "--draws",
        type=ranged(int, low=2, high=1000),
        default=16,
        help="of noise, for the standard deviation [16]",
    )
    layers = commands.add_parser("layers", help="sheet of what each level adds to the picture")
    layers.set_defaults(command=drawing.layers_command)
    for command in (noise, layers):
        add_model(command)
        add_look(command)
        add_sheet(command)


def add_directions(commands: Any) -> None:
    """Directions of w, looked for and kept."""
    find = commands.add_parser("directions", help="find directions of w, show and keep them")
    find.set_defaults(command=drawing.directions_command)
    add_model(find)
    find.add_argument(
        "--method",
        choices=("sefa", "pca"),
        default="sefa",
        help="sefa: of the weights of the styles; pca: of w itself [sefa]",
    )
    find.add_argument(
        "--levels", default="", help="coarse, middle, fine, or numbers from 0, as in 0-1,4 [all]"
    )
    find.add_argument("--count", type=ranged(int, low=1, high=512), default=4, help="how many [4]")
    find.add_argument(
        "--names", default="", help="of these directions, as in age,smile [sefa1,sefa2,...]"
    )
    find.add_argument(
        "--reach",
        type=ranged(float, low=0.1, high=20),
        default=3.0,
        help="standard deviations shown to both sides [3]",
    )
    find.add_argument(
        "--save", type=path, default=None, help="file for the directions, .npz; others in it stay"
    )
    add_look(find)
    add_sheet(find, "0-1")


def add_project(commands: Any) -> None:
    """A picture, found again."""
    project = commands.add_parser(
        "project", help="find a picture again in the generator; does not resume"
    )
    project.set_defaults(command=drawing.project_command)
    add_model(project)
    project.add_argument("--photo", required=True, type=path, help="the file of a picture")
    add_projection(project)


def add_projection(project: argparse.ArgumentParser) -> None:
    """How a picture is looked for, and what is written of it."""
    project.add_argument(
        "--space", choices=("w", "w+"), default="w", help="w+: a row for every layer [w]"
    )
    project.add_argument(
        "--steps", type=ranged(int, low=1, high=100_000), default=1000, help="of Adam [1000]"
    )
    project.add_argument(
        "--label", type=ranged(int), default=None, help="class; default: the mean over classes"
    )
    project.add_argument(
        "--vgg",
        default="",
        type=at_home,
        help="weights of VGG19 to compare by, a file of Keras's, or keras: its download; without,"
        " features of D",
    )
    project.add_argument(
        "--out", required=True, type=path, help="given and found beside each other, .png or .jpg"
    )
    project.add_argument("--film", type=path, default=None, help="how it was found, .mp4")
    project.add_argument("--save", type=path, default=None, help="styles and noise, .npz")


def add_assess(commands: Any) -> None:
    """What D thinks of photos."""
    assess = commands.add_parser("assess", help="D's score of each photo of a folder")
    assess.set_defaults(command=drawing.assess_command)
    add_model(assess)
    assess.add_argument("--photos", required=True, type=path, help="folder or zip")
    assess.add_argument(
        "--label", type=ranged(int), default=None, help="class; default: that of dataset.json"
    )
    assess.add_argument("--out", required=True, type=path, help="the scores, .csv: file,score")
    assess.add_argument(
        "--sheet", type=path, default=None, help="the best and the worst photos, .png or .jpg"
    )
    assess.add_argument(
        "--checkpoints",
        default="",
        help="judges, one after the other: all of the run, or files with commas between [--model]",
    )
    assess.add_argument(
        "--chart", type=path, default=None, help="the scores over all those checkpoints, .svg"
    )
