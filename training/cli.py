"""The command line: train, generate, film, metrics, score."""

import argparse
import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import fields
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

from training import presets
from training.config import SECTIONS, ConfigError
from training.run import checkpoints, folder

STOPPED = 130  # the exit code after Ctrl-C and SIGTERM: not finished, but nothing is lost
COLLAPSED = 3


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; a wrong input ends it with one sentence and exit code 2."""
    given = parser().parse_args(arguments)
    try:
        return int(given.command(given))
    except (ValueError, OSError) as error:
        if not (isinstance(error, OSError) or type(error).__module__.startswith("training.")):
            raise  # a fault of ours, not a wrong input
        print(f"error: {error}", file=sys.stderr)
        return 2


def parser() -> argparse.ArgumentParser:
    """All commands and options; those of a run come from the config's own fields."""
    top = argparse.ArgumentParser(prog="python -m training", description=__doc__)
    commands = top.add_subparsers(required=True)

    train = commands.add_parser("train", help="train, or go on with the same command")
    train.set_defaults(command=train_command)
    train.add_argument(
        "--preset", default="config-f", help=f"a set of options: {', '.join(presets.PRESETS)}"
    )
    train.add_argument(
        "--dry-run", action="store_true", help="print the config and estimates, stop"
    )
    for title, section in SECTIONS.items():
        add_options(train.add_argument_group(title, section.__doc__), section)

    generate = commands.add_parser("generate", help="write a picture per seed")
    generate.set_defaults(command=generate_command)
    generate.add_argument(
        "--run", required=True, type=Path, help="folder of a run, or a checkpoint"
    )
    generate.add_argument("--seeds", default="0-15", help="for example 0-15 or 0,7083,25026")
    generate.add_argument("--psi", type=float, default=0.7, help="truncation; 1: none")
    generate.add_argument("--label", type=int, default=None, help="class; default: drawn by seed")
    generate.add_argument("--out", required=True, type=Path, help="folder for the pictures")

    film = commands.add_parser("film", help="make progress.mp4 from a run's grids")
    film.set_defaults(command=film_command)
    film.add_argument("--run", required=True, type=Path, help="folder of a run")

    measure = commands.add_parser("metrics", help="measure checkpoints of a run")
    measure.set_defaults(command=metrics_command)
    measure.add_argument("--run", required=True, type=Path, help="folder of a run")
    measure.add_argument("--checkpoint", default="newest", help="all, newest, or a FILE [newest]")
    measure.add_argument(
        "--metrics",
        default="fid2k",
        help="fid, kid or pr, thousands of fakes, _full for all real images:"
        " fid50k_full,kid2k,pr2k [fid2k]; with a stand-in fid is called frechet",
    )
    measure.add_argument("--data", default="", help="the run's dataset, where it was moved")
    add_net(measure)

    score = commands.add_parser("score", help="compare two sets of pictures of any sizes")
    score.set_defaults(command=score_command)
    score.add_argument("reals", type=Path, help="folder, zip or TFRecords")
    score.add_argument("fakes", type=Path, help="folder, zip or TFRecords")
    add_net(score)
    return top


def add_net(command: argparse.ArgumentParser) -> None:
    """Which features a figure is made of, and where they are computed."""
    from training.features.client import STANDINS

    either = command.add_mutually_exclusive_group()
    either.add_argument(
        "--inception", default="", help="file of pytorch-fid's weights; default: its download"
    )
    either.add_argument(
        "--standin", choices=STANDINS, help="another network: its figures are no FID"
    )
    command.add_argument("--device", choices=("auto", "cpu", "gpu"), default="auto")
    command.add_argument("--threads", type=int, default=0, help="of a CPU; 0: all cores")


def add_options(group: Any, section: type[Any]) -> None:
    """One command line option per field; `--g-lr` and `--g_lr` are the same."""
    hints = get_type_hints(section)
    for f in fields(section):
        names = dict.fromkeys([f"--{f.name.replace('_', '-')}", f"--{f.name}"])
        kind, help = hints[f.name], f"{f.metadata['help']} [{f.default}]".replace("%", "%%")
        shown = "|".join(get_args(kind)) if get_origin(kind) is Literal else kind.__name__.upper()
        more = {"nargs": "?", "const": "true"} if kind is bool else {}
        group.add_argument(
            *names, dest=f.name, default=argparse.SUPPRESS, help=help, metavar=shown, **more
        )


def train_command(given: argparse.Namespace) -> int:
    from training import devices, estimates, loop, sources
    from training.state import network_config

    known = {name for section in SECTIONS.values() for name in (f.name for f in fields(section))}
    options = {name: value for name, value in vars(given).items() if name in known}
    if not options.get("data"):
        raise ConfigError("data is empty: say what to learn from, --data FOLDER")
    presets.resolve(given.preset, 64, 64, options)  # a misspelt option before a long look at data
    source = sources.open_source(options["data"])
    config = presets.resolve(given.preset, *source.shape[:2], options)
    if config.data.labels and not source.labels.shape[1]:
        raise ConfigError(f"labels = true, but {config.data.data} has none: leave it out")
    try:
        network = network_config(config, source.shape, source.labels.shape[1])
    except ValueError as error:
        raise ConfigError(f"{config.data.data}: {error}") from None
    dataset = sources.identity(source)
    if given.dry_run:
        print(loop.printed(config, dataset))
        print(estimates.report(config, network, len(source)))
        return 0
    replicas = devices.choose(config)
    print(f"training on {devices.described(replicas, config)}")
    print(loop.printed(config, dataset))
    print(folder.folder(config, dataset), flush=True)
    end = loop.train(config, source, say, replicas)
    return {"finished": 0, "stopped": STOPPED, "collapsed": COLLAPSED}[end]


def say(text: str) -> None:
    """Print, whether or not anybody still listens: training goes on, or saves and stops."""
    with suppress(BrokenPipeError):
        print(text, flush=True)


def generate_command(given: argparse.Namespace) -> int:
    from training.networks.architecture import NetworkConfig
    from training.networks.generator import Generator
    from training.run import grids

    seeds = numbers(given.seeds)
    found = checkpoints.newest(given.run)[0] if given.run.is_dir() else checkpoints.load(given.run)
    if found is None:
        raise ConfigError(f"run = {given.run}: there is no whole checkpoint in it")
    config = NetworkConfig(**found.about["network"])
    if given.label is not None and not 0 <= given.label < config.labels:
        raise ConfigError(f"label = {given.label}: this run has {config.labels} classes")
    generator = Generator(config, 0)
    for name, variable in generator.values.items():
        variable.assign(found.arrays[f"G_ema/{name}"])
    painter = grids.Painter(generator, min(grids.AT_ONCE, len(seeds)))
    latents = grids.seeded_latents(seeds, config.z_dim)
    labels = grids.seeded_labels(seeds, config.labels, given.label)
    for start in range(0, len(seeds), painter.at_once):
        part = slice(start, start + painter.at_once)
        pictures = painter(latents[part], labels[part], given.psi)
        for seed, pixels in zip(seeds[part], pictures, strict=True):
            grids.write_png(given.out / f"seed{seed:04d}.png", pixels)
    print(f"{len(seeds)} pictures in {given.out}, from {found.path}")
    return 0


def film_command(given: argparse.Namespace) -> int:
    from training.run import grids

    frames = sorted((given.run / "grids").glob("fakes-*.png"))
    if not frames:
        raise ConfigError(f"run = {given.run}: there are no grids in it")
    grids.write_film(given.run / "progress.mp4", frames)
    print(f"{len(frames)} pictures in {given.run / 'progress.mp4'}")
    return 0


def metrics_command(given: argparse.Namespace) -> int:
    from training import devices, sources
    from training.config import configure
    from training.metrics import figures, measure
    from training.metrics.fakes import Fakes
    from training.networks.architecture import NetworkConfig
    from training.networks.generator import Generator

    if not (wanted := measure.parse(given.metrics)):
        raise ConfigError("metrics is empty: name some, as in fid2k,kid2k,pr2k")
    known = folder.saved(given.run)
    if known is None:
        raise ConfigError(f"run = {given.run}: there is no config.json in it")
    found = chosen_checkpoints(given.run, given.checkpoint)
    source = sources.open_source(given.data or known["dataset"]["path"])
    own = {name: value for name, value in known["dataset"].items() if name != "path"}
    if own != (there := dict(sources.identity(source))):
        raise ConfigError(
            f"{given.run} was trained on {folder.described(own)}, and here are"
            f" {folder.described(there)}: name its own dataset with --data"
        )
    os.environ.pop("TF_CONFIG", None)  # one process measures
    devices.choose(configure({"device": given.device, "devices": 1, "threads": given.threads}))
    precision = folder.current(known)["precision"]
    generator = Generator(NetworkConfig(**known["network"], dtype=precision), 0)
    fakes = Fakes(generator, source.labels)
    with measure.opened(given.run, source, chosen_net(given)) as extractor:
        for path in found:
            arrays = checkpoints.load(path).arrays
            for name, variable in generator.values.items():
                variable.assign(arrays[f"G_ema/{name}"])
            seen = checkpoints.seen_at(path)
            rows = measure.measure(given.run, seen, fakes, source, wanted, extractor)
            print(figures.table(rows), flush=True)
    return 0


def chosen_checkpoints(run: Path, wanted: str) -> list[Path]:
    """The files of `all`, `newest`, or one that is named."""
    listed = checkpoints.listed(run)
    if wanted not in ("all", "newest"):
        named = Path(wanted).resolve()
        if named not in [path.resolve() for path in listed]:
            raise ConfigError(f"checkpoint = {wanted}: that is none of the {len(listed)} of {run}")
        return [named]
    if not listed:
        raise ConfigError(f"run = {run}: there is no whole checkpoint in it")
    return listed if wanted == "all" else listed[-1:]


def chosen_net(given: argparse.Namespace) -> Any:
    """The feature network of a command."""
    from training.features.client import Net

    if given.inception and not Path(given.inception).is_file():
        raise ConfigError(f"inception = {given.inception}: there is no such file")
    return Net(given.standin or "inception", given.inception, given.device, given.threads)


def score_command(given: argparse.Namespace) -> int:
    from training.metrics.compare import compare

    for name, value in compare(given.reals, given.fakes, chosen_net(given)).items():
        print(f"{name:<40} {value:>12.5g}")
    return 0


def numbers(text: str) -> list[int]:
    """0-3,7 -> 0, 1, 2, 3, 7."""
    found: list[int] = []
    try:
        for part in text.split(","):
            first, _, last = part.strip().partition("-")
            found += range(int(first), int(last or first) + 1)
    except ValueError:
        raise ConfigError(f"seeds = {text!r}: write numbers and ranges, as in 0-15,7083") from None
    if not found:
        raise ConfigError(f"seeds = {text!r}: that is none; write for example 0-15")
    return found
