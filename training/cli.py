"""Train StyleGAN2, measure it, draw with it, export it, teach a student."""

import argparse
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from shlex import quote
from typing import Any

from atelier.arrays import CheckpointError
from atelier.commands import (
    ANEW,
    Parser,
    add_options,
    number_of,
    path,
    path_of,
    ranged,
    run_command,
    say,
)
from atelier.options import MOST_THREADS, at_home
from atelier.stop import STOPPED
from training import presets, sources, startup
from training.config import SECTIONS, Config, ConfigError, configure
from training.deploy.cli import add_deploy
from training.exchange import tuning
from training.explore.asked import check_folder, check_inception, check_model
from training.explore.commands import add_commands
from training.features.client import STANDINS, Net
from training.networks.architecture import Pair, saved_pair
from training.run import checkpoints, folder
from training.run.beginning import (
    check_apart,
    few_pictures,
    in_ten_lines,
    is_kept_finished,
    made_for,
)
from training.student.cli import add_distill, asked_early, opened_for

COLLAPSED = 3  # an exit code
NEWEST = "newest"  # checkpoint of a run
ENDS = {"finished": 0, "stopped": STOPPED, "collapsed": COLLAPSED}
KEPT = "stopped; the same command goes on from the newest checkpoint"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code. What a person did wrong is said in one sentence."""
    return run_command(parser, arguments, KEPT)


def parser() -> Parser:
    """All commands and options; those of a run come from the config's own fields."""
    top = Parser(prog="python -m training", description=__doc__)
    commands = top.add_subparsers(required=True, metavar="COMMAND")

    add_train(commands)

    add_commands(commands)
    add_exchange(commands)
    add_deploy(commands)
    add_distill(commands, distill_command)
    film = commands.add_parser("film", help="make progress.mp4 from a run's grids")
    film.set_defaults(command=film_command)
    film.add_argument("--run", required=True, type=path, help="folder of a run")

    measure = commands.add_parser("metrics", help="measure checkpoints of a run, or any generator")
    measure.set_defaults(command=metrics_command)
    which = measure.add_mutually_exclusive_group()
    which.add_argument("--run", type=path, help="folder of a run; its figures are kept in it")
    which.add_argument(
        "--model", type=path, help="a checkpoint, a .npz of export, or NVIDIA's .pkl; with --data"
    )
    measure.add_argument(
        "--checkpoint", default=None, help="of --run: all, newest, or a FILE [newest]"
    )
    measure.add_argument(
        "--metrics",
        default="fid2k",
        help="fid, kid or pr, thousands of fakes, _full for all real images:"
        " fid50k_full,kid2k,pr2k [fid2k]; with a stand-in fid is called frechet",
    )
    measure.add_argument(
        "--data",
        default="",
        type=at_home,
        help="the dataset: that of a run where it was moved, that of --model always",
    )
    add_net(measure)

    score = commands.add_parser("score", help="compare two sets of pictures of any sizes")
    score.set_defaults(command=score_command)
    score.add_argument("reals", type=path, help="folder, zip or TFRecords")
    score.add_argument("fakes", type=path, help="folder, zip or TFRecords")
    add_net(score)
    for name, command in commands.choices.items():
        if name not in ("train", "distill"):
            command.set_defaults(stopped=ANEW)
    return top


def add_exchange(commands: Any) -> None:
    """The command that brings networks in."""
    bring = commands.add_parser("import", help="make a run of a network of NVIDIA's")
    bring.set_defaults(command=import_command)
    bring.add_argument("file", type=path, help="a network pickle; nothing of it is executed")
    bring.add_argument("--out", required=True, type=path, help="folder of the new run")


def add_train(commands: Any) -> None:
    """The command that trains, with every option of a run."""
    train = commands.add_parser(
        "train",
        help="train, or go on with the same command",
        usage="%(prog)s --data DIR --out RUN [--preset NAME] [--dry-run] [options]",
        epilog=f"presets:\n{presets.told()}\n",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    train.set_defaults(command=train_command)
    train.add_argument(
        "--preset",
        default=presets.DEFAULT,
        help=f"a set of options, told below: {', '.join(presets.PRESETS)} [{presets.DEFAULT}]",
    )
    train.add_argument(
        "--dry-run", action="store_true", help="print the config and estimates, stop"
    )
    defaults = {name: f"{presets.DEFAULT}: {value}" for name, value in presets.defaults().items()}
    for title, section in SECTIONS.items():
        group = train.add_argument_group(title, section.__doc__)
        add_options(group, section, defaults=defaults)


def add_net(command: argparse.ArgumentParser) -> None:
    """Which features a figure is made of, and where they are computed."""
    either = command.add_mutually_exclusive_group()
    either.add_argument(
        "--inception",
        default="",
        type=at_home,
        help="file of pytorch-fid's weights; default: its download",
    )
    either.add_argument(
        "--standin", choices=STANDINS, help="another network: its figures are no FID"
    )
    command.add_argument(
        "--device",
        choices=("auto", "cpu", "gpu"),
        default="auto",
        help="where to compute; auto: a GPU if there is one [auto]",
    )
    command.add_argument(
        "--threads",
        type=ranged(int, low=0, high=MOST_THREADS),
        default=0,
        help="of a CPU; 0: all cores [0]",
    )


def train_command(given: argparse.Namespace) -> int:
    known = {name for section in SECTIONS.values() for name in (f.name for f in fields(section))}
    options = {name: value for name, value in vars(given).items() if name in known}
    if not options.get("data"):
        raise ConfigError("data is empty: say what to learn from, --data FOLDER")
    runs = folder.runs_in(Path(options.get("out") or ""))
    asked = tuning.resolve_begun(given.preset, 64, 64, options, runs)  # before a long look at data
    check_apart(asked)
    startup.load_tensorflow()
    from training import devices, loop
    from training.state import network_configs

    source = sources.open_source(options["data"])
    dataset = sources.dataset_identity(source)
    own = folder.on_dataset(runs, dataset)
    config = tuning.resolve_begun(given.preset, *source.shape[:2], options, own)
    if model := tuning.begun_from(options):
        tuning.check_images(model.config, model.path, config.data.data, source, tuning.WAYS_OUT)
    for note in (*source.notes, *few_pictures(config, len(source))):
        say(f"note: {note}")
    check_labels(config, source)
    try:
        pair = network_configs(config, source.shape, source.labels.shape[1])
    except ValueError as error:
        raise ConfigError(f"{config.data.data}: {error}") from None
    if given.dry_run:
        return tell_plan(config, source, pair)
    replicas = devices.choose(config)
    say(f"training on {devices.devices_in_words(replicas, config)}")
    run = told_run(f"preset {given.preset}", config, dataset)
    if config.run.resume_from and not (run / "config.json").exists():
        check_model(Path(config.run.resume_from), "resume_from")
    if replicas.chief and is_kept_finished(run, config, dataset):
        return 0
    with made_for(run):
        end = loop.train(config, source, say, replicas)
    return ENDS[end]


def check_labels(config: Config, source: sources.Source) -> None:
    """Raise ConfigError where labels are to be learnt, and there are none."""
    if config.data.labels and not source.labels.shape[1]:
        raise ConfigError(f"labels = true, but {source.path} has none: leave it out")


def distill_command(given: argparse.Namespace) -> int:
    early = asked_early(given)
    check_model(Path(early.distill.teacher), "teacher")
    startup.load_tensorflow()
    from training import devices, loop
    from training.student import distill

    opened, source, config = opened_for(given, early)
    if given.dry_run:
        return tell_plan(config, source, distill.pair_for(opened, config))
    replicas = devices.choose(config)
    say(f"distilling on {devices.devices_in_words(replicas, config)}")
    dataset = sources.dataset_identity(source)
    run = told_run(f"teacher {opened.path}", config, dataset)
    if replicas.chief and is_kept_finished(run, config, dataset):
        return 0
    with made_for(run):
        teaching = distill.teaching(opened, config, replicas)
        plan = distill.plan(opened, config, teaching.teacher)
        end = loop.train(config, source, say, replicas, teaching, plan)
    return ENDS[end]


def tell_plan(config: Config, source: sources.Source, pair: Pair) -> int:
    """Print what a run would be, and what it takes."""
    from training import estimates, loop

    print(loop.printed(config, sources.dataset_identity(source)))
    print(estimates.report(config, pair, len(source)))
    return 0


def told_run(head: str, config: Config, dataset: Mapping[str, Any]) -> Path:
    """The folder of a run, after saying what the run is."""
    say(in_ten_lines(head, config, dataset))
    run = folder.folder(config, dataset)
    say(str(run))
    return run


def import_command(given: argparse.Namespace) -> int:
    startup.load_tensorflow()
    from training.exchange.conversion import ALL, import_run, train_words
    from training.exchange.opening import open_generator

    check_folder(given.out)
    opened = open_generator(given.file, ALL)
    written = import_run(opened, given.out)
    print(f"{opened.source}, {opened.config.width} x {opened.config.height}, now in {written}")
    for note in opened.notes:
        print(note)
    print(f"train --resume-from {quote(str(given.out))} {train_words(opened)}")
    return 0


def film_command(given: argparse.Namespace) -> int:
    startup.load_tensorflow()
    from training.run import grids

    frames = sorted((given.run / "grids").glob("fakes-*.png"))
    if not frames:
        raise ConfigError(f"run = {given.run}: there are no grids in it")
    shown = grids.write_film(given.run / "progress.mp4", frames)
    for grid in sorted({*frames} - {*shown}):
        print(f"note: left out: {grid} cannot be read")
    print(f"{number_of(len(shown), 'picture')} in {given.run / 'progress.mp4'}")
    return 0


def metrics_command(given: argparse.Namespace) -> int:
    if not given.run and not (given.model and given.data):
        raise ConfigError(
            "run is empty: name a run with --run, or a generator with --model and its dataset with"
            " --data"
        )
    if given.model:
        check_model(given.model)
        if given.checkpoint is not None:
            raise ConfigError(
                f"checkpoint = {given.checkpoint}: it is one of --run: name its file with --model"
            )
    startup.load_tensorflow()
    from training import devices
    from training.exchange.opening import open_generator
    from training.metrics import figures, measure, outside

    if not (wanted := measure.parse_metrics(given.metrics)):
        raise ConfigError("metrics is empty: name some, as in fid2k,kid2k,pr2k")
    os.environ.pop("TF_CONFIG", None)  # one process measures
    one = configure({"device": given.device, "devices": 1, "threads": given.threads})
    if given.run:
        return measure_run(given, wanted, lambda: devices.choose(one))
    opened = open_generator(given.model)
    source = sources.open_source(given.data)
    data = f"data = {source.path}"
    tuning.check_images(opened.config, opened.path, data, source, outside.WAYS_OUT)
    devices.choose(one)
    seen = int(opened.about.get("seen", 0))
    rows = outside.measure_model(opened.network(), seen, source, wanted, chosen_net(given))
    print(figures.figures_table(rows), flush=True)
    return 0


def measure_run(
    given: argparse.Namespace, wanted: Sequence[Any], choose: Callable[[], object]
) -> int:
    """The figures of a run's checkpoints, which are kept in it."""
    from training.metrics import figures, measure
    from training.metrics.fakes import Fakes
    from training.networks.student import new_generator
    from training.state import arithmetic, take_average

    if not (given.run / "config.json").exists():
        raise ConfigError(f"run = {given.run}: there is no config.json in it")
    wanted_ones = NEWEST if given.checkpoint is None else given.checkpoint
    chosen_checkpoints(given.run, wanted_ones)
    known = folder.whole_run(given.run) or {}
    own_data = known["dataset"]["path"]
    if not given.data and not Path(own_data).expanduser().exists():
        raise ConfigError(f"{given.run}: its dataset is not in {own_data}: say where, with --data")
    source = sources.open_source(given.data or own_data)
    if both := folder.datasets_apart(known, sources.dataset_identity(source)):
        raise ConfigError(
            f"{given.run} was trained on {both[0]}, and here are {both[1]}: name its own dataset"
            " with --data"
        )
    choose()
    pair = saved_pair(known["network"], **arithmetic(folder.current(known)))
    generator = new_generator(pair.generator, 0)
    fakes = Fakes(generator, source.labels)
    with measure.open_extractor(given.run, source, chosen_net(given)) as extractor:
        for average in averages_of(given.run, wanted_ones):
            take_average(generator, average.arrays)
            seen = checkpoints.seen_at(average.path)
            rows = measure.measure(given.run, seen, fakes, source, wanted, extractor)
            print(figures.figures_table(rows), flush=True)
    return 0


def averages_of(run: Path, wanted: str) -> Iterator[checkpoints.Checkpoint]:
    """G_ema of the chosen checkpoints; those that training takes away meanwhile are left out."""
    for file in chosen_checkpoints(run, wanted):
        try:
            yield checkpoints.load_checkpoint(file, "G_ema")
        except (CheckpointError, FileNotFoundError):
            if wanted not in ("all", NEWEST) or not checkpoints.is_gone(file):
                raise
            if wanted == NEWEST:
                yield from averages_of(run, wanted)
            else:
                say(f"note: left out: {file} is gone: the run is in training, which keeps the last")


def chosen_checkpoints(run: Path, wanted: str) -> list[Path]:
    """The files of `all`, `newest`, or one that is named."""
    listed = checkpoints.list_checkpoints(run)
    if wanted not in ("all", NEWEST):
        named = path_of("checkpoint", wanted).resolve()
        if named not in [path.resolve() for path in listed]:
            raise ConfigError(f"checkpoint = {wanted}: that is none of the {len(listed)} of {run}")
        return [named]
    if not listed:
        raise ConfigError(f"run = {run}: there is no whole checkpoint in it")
    return listed if wanted == "all" else listed[-1:]


def chosen_net(given: argparse.Namespace) -> Any:
    """The feature network of a command."""
    check_inception(given.inception)
    return Net(given.standin or "inception", given.inception, given.device, given.threads)


def score_command(given: argparse.Namespace) -> int:
    startup.load_tensorflow()
    from training.metrics.compare import Gallery, compare

    reals, fakes = Gallery(given.reals), Gallery(given.fakes)
    figures = compare(reals, fakes, chosen_net(given))
    print(f"{len(fakes)} pictures in {fakes.path} against {len(reals)} in {reals.path}")
    for name, value in figures.items():
        print(f"{name:<40} {value:>12.5g}")
    return 0
