"""The commands that bring a generator to where it is used: export, convert, bench, page, serve."""

import argparse
from contextlib import suppress
from shlex import quote
from typing import Any

from atelier.commands import path, ranged, say
from training import startup
from training.deploy.formats import (
    FORMATS,
    QUANTIZED,
    SUFFIXES,
    check_libraries,
    check_place,
    check_words,
)
from training.deploy.page import (
    Page,
    about_model,
    check_page,
    directions_of,
    title_of,
    write_page,
)
from training.deploy.serve import Server
from training.exchange.naming import add_model
from training.explore.asked import check_model
from training.networks.architecture import StudentConfig


def add_deploy(commands: Any) -> None:
    """Every command of this room."""
    export = commands.add_parser("export", help="write the averaged generator alone")
    export.set_defaults(command=export_command)
    add_model(export)
    told = "; ".join(f"{name}: {each.told}" for name, each in FORMATS.items())
    export.add_argument(
        "--to",
        choices=tuple(SUFFIXES),
        default="npz",
        help="npz: for Atelier, float16, half the size; ada-pytorch: an .npz, float32, of all its"
        f" tensors under that trainer's names; {told} [npz]",
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
        "--psi",
        type=ranged(float, low=-2.0, high=2.0),
        default=None,
        help="truncation that the file has itself; default: it is an input; npz has none",
    )
    export.add_argument(
        "--quantize",
        choices=QUANTIZED,
        default="",
        help="tflite: weights in float16, or int8 [float32]",
    )

    convert = commands.add_parser("convert", help="make a graph that a GPU trained fit for a CPU")
    convert.set_defaults(command=convert_command)
    convert.add_argument(
        "file", type=path, help="a SavedModel, a Keras file, or a frozen graph .pb"
    )
    convert.add_argument("--out", required=True, type=path, help="folder of the new SavedModel")

    measure = commands.add_parser("bench", help="time every format of export, and their memory")
    measure.set_defaults(command=bench_command)
    add_model(measure)
    measure.add_argument(
        "--batch", type=ranged(int, low=1), default=1, help="pictures at a time; tflite takes 1 [1]"
    )
    measure.add_argument(
        "--seconds", type=ranged(float, low=0), default=3.0, help="of drawing, for each row [3]"
    )

    add_page(commands)


def add_page(commands: Any) -> None:
    """The commands that show a generator in a browser."""
    page = commands.add_parser("page", help="write a folder in which a browser draws")
    page.set_defaults(command=page_command)
    add_model(page, "NVIDIA's .pkl, or a .tflite of export")
    page.add_argument(
        "--out", required=True, type=path, help="the folder; a page there is replaced"
    )
    page.add_argument(
        "--teacher", type=path, default=None, help="show the pictures of this model, too, by seed"
    )

    serve = commands.add_parser("serve", help="show a model of any size in this machine's browser")
    serve.set_defaults(command=serve_command)
    add_model(serve)
    serve.add_argument(
        "--port",
        type=ranged(int, low=0, high=65535),
        default=8000,
        help="of the loopback address; 0: any that is free [8000]",
    )
    for command in (page, serve):
        command.add_argument(
            "--directions",
            type=path,
            default=None,
            help="file that `directions` wrote, for the sliders [the first few of pca]",
        )


def export_command(given: argparse.Namespace) -> int:
    check_words(given.to, given.out, given.start, given.quantize, given.psi)
    quiet_tensorflow()
    from training.deploy.export import export_program, size_mb
    from training.exchange.conversion import ALL
    from training.exchange.npz import save_for_torch, save_generator
    from training.exchange.opening import open_generator

    opened, difference = open_generator(given.model), None
    if given.to == "ada-pytorch":
        save_for_torch(given.out, open_generator(given.model, ALL))
    elif given.to in FORMATS:
        ways = (given.start, given.quantize, given.psi)
        difference = export_program(opened, given.to, given.out, *ways)
    else:
        save_generator(given.out, opened)
    say(f"{given.out}, {size_mb(given.out):.1f} MB, from {opened.path}")
    if difference:
        say(f"as the generator itself: {difference}")
    return 0


def convert_command(given: argparse.Namespace) -> int:
    check_place(given.out)
    quiet_tensorflow()
    from training.deploy.convert import convert

    for line in convert(given.file, given.out):
        say(line)
    say(f"{given.out}, a SavedModel")
    return 0


def bench_command(given: argparse.Namespace) -> int:
    quiet_tensorflow()
    from training.deploy.bench import HEAD, bench
    from training.deploy.phone import on_a_phone
    from training.exchange.opening import open_generator

    opened = open_generator(given.model)
    say(f"{opened.path}: {given.batch} at a time, on the CPU, each row in a process of its own")
    say(HEAD)
    for figure in bench(opened, given.batch, given.seconds, say):
        say(str(figure))
    if isinstance(opened.config, StudentConfig):
        check_libraries("tflite")
        for line in on_a_phone(opened):
            say(line)
    return 0


def page_command(given: argparse.Namespace) -> int:
    asked = Page(given.model, given.out, given.directions, given.teacher)
    check_page(asked)
    quiet_tensorflow()
    from training.deploy.export import size_mb

    for note in write_page(asked):
        say(note)
    say(f"{given.out}, {size_mb(given.out):.1f} MB, from {given.model}; any web server shows it:")
    say(f"python3 -m http.server --bind 127.0.0.1 --directory {quote(str(given.out))}")
    return 0


def serve_command(given: argparse.Namespace) -> int:
    check_model(given.model)
    quiet_tensorflow()
    from training.explore.model import open_model

    model = open_model(given.model)
    moves, notes = directions_of(model, given.directions)
    about = about_model(model, title_of(given.model), moves, "server")
    with Server(model, about, given.port) as server:
        for note in notes:
            say(note)
        say(f"{model.opened.path} is shown at {server.address} until Ctrl-C")
        with suppress(KeyboardInterrupt):
            server.serve_forever()
    return 0


def quiet_tensorflow() -> None:
    """Load TensorFlow, whose converters then print errors alone."""
    startup.load_tensorflow()
    import tensorflow as tf

    tf.get_logger().setLevel("ERROR")
