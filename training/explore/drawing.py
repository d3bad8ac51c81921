"""What the commands do: open a model, draw, write down what was drawn and of what."""

import argparse
import logging
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from atelier import tables
from atelier.arrays import CheckpointError, load_arrays, save_arrays
from atelier.commands import number_of, path_of
from training import startup
from training.config import ConfigError
from training.explore import asked, writing
from training.explore.asked import Look
from training.explore.sheets import Pixels, enlargement, sheet
from training.run import charts, checkpoints
from training.run.progress import Steps, with_bar

if TYPE_CHECKING:
    from training.explore.model import Model

FILM = (".mp4",)
TABLE = (".csv",)
ARRAYS = (".npz",)
CHART = (".svg",)
ALL = "all"  # checkpoints of a run
MOST_SHOWN = 300  # frames of a projection's film
MOST_FRAMES = 1_000_000  # of a film
MOST = 2000  # pictures on a sheet
SHOWN = 7  # pictures along a direction
COLUMNS = 8  # of a sheet of seeds
FARTHEST = 1000  # standard deviations along a direction


def generate_command(given: argparse.Namespace) -> int:
    """Pictures by seed, or one sheet of them."""
    seeds, wanted = asked.parsed_seeds(given.seeds), amounts(given)
    if given.columns and not given.grid:
        raise ConfigError(f"columns = {given.columns}: they are those of a sheet: add --grid")
    asked.check_model(given.model)
    (asked.check_file if given.grid else asked.check_folder)(given.out)
    model = opened(given, given.noise)
    look = with_moves(model, look_of(given), given, wanted)
    if given.grid:
        from training.explore import sweeps

        columns = min(given.columns or COLUMNS, len(seeds))
        check_sheet(given, model, -(-len(seeds) // columns), columns)
        page = sweeps.seed_grid(model, seeds, look, columns)
        return write_sheet(given, model, look, page, {"seeds": given.seeds})
    seeds = list(dict.fromkeys(seeds))  # one file each
    for seed, pixels in with_bar(model.drawn(seeds, look), len(seeds), "pictures"):
        about = model.said(look) | {"seed": str(seed)} | own_label(model, seed, look)
        writing.write_picture(given.out / f"seed{seed:04d}.png", pixels, about)
    print(f"{number_of(len(seeds), 'picture')} in {given.out}, from {model.opened.path}")
    return 0


def mix_command(given: argparse.Namespace) -> int:
    """A sheet of styles mixed."""
    rows = asked.parsed_seeds(given.rows, "rows")
    columns = asked.parsed_seeds(given.columns, "columns")
    model = opened_for_file(given)
    from training.explore import sweeps

    check_sheet(given, model, len(rows) + 1, len(columns) + 1)
    page = sweeps.mix(model, rows, columns, model.levels(given.levels), look_of(given))
    more = {"rows": given.rows, "columns": given.columns, "levels": given.levels}
    return write_sheet(given, model, look_of(given), page, more)


def interpolate_command(given: argparse.Namespace) -> int:
    """A film from seed to seed."""
    seeds, wanted = asked.parsed_seeds(given.seeds, least=2), amounts(given)
    many = given.frames * len(seeds) if given.loop else given.frames * (len(seeds) - 1) + 1
    if many > MOST_FRAMES:
        raise ConfigError(f"frames: that makes {many}, a film has at most {MOST_FRAMES}")
    model = opened_for_file(given, FILM, given.noise)
    from training.explore.interpolation import interpolated

    look = with_moves(model, look_of(given), given, wanted)
    spherical = given.way == "spherical"
    frames = interpolated(model, seeds, look, given.frames, given.space, spherical, given.loop)
    about = model.said(look) | {"seeds": given.seeds, "space": given.space, "way": given.way}
    frames = with_bar(frames, many, "frames")
    writing.write_frames(given.out, frames, given.fps, about, given.size, given.resample)
    print(f"{given.out}, from {model.opened.path}")
    return 0


def truncation_command(given: argparse.Namespace) -> int:
    """A sheet of psi from one value to another."""
    seeds = asked.parsed_seeds(given.seeds)
    model = opened_for_file(given)
    from training.explore import sweeps

    psis = spaced(given.first, given.last, given.steps)
    look = Look(cutoff=given.cutoff, label=given.label)
    check_sheet(given, model, len(seeds), len(psis))
    page = sweeps.truncation(model, seeds, psis, look)
    more = {"seeds": given.seeds, "psi": f"{given.first:g} to {given.last:g}"}
    return write_sheet(given, model, look, page, more)


def noise_command(given: argparse.Namespace) -> int:
    """A sheet of what noise does."""
    seeds = asked.parsed_seeds(given.seeds)
    model = opened_for_file(given)
    from training.explore import parts

    check_sheet(given, model, 2 * len(seeds), model.top + 4)
    page = parts.noise(model, seeds, look_of(given), given.draws)
    return write_sheet(given, model, look_of(given), page, {"seeds": given.seeds})


def layers_command(given: argparse.Namespace) -> int:
    """A sheet of what each level adds."""
    seeds = asked.parsed_seeds(given.seeds)
    model = opened_for_file(given)
    from training.explore import parts

    check_sheet(given, model, 2 * len(seeds), model.top + 1)
    page = parts.contributions(model, seeds, look_of(given))
    return write_sheet(given, model, look_of(given), page, {"seeds": given.seeds})


def directions_command(given: argparse.Namespace) -> int:
    """Directions, found, shown and kept."""
    seeds = asked.parsed_seeds(given.seeds)
    names = [name.strip() for name in given.names.split(",") if name.strip()]
    if len(names) > given.count or len(set(names)) < len(names):
        raise ConfigError(f"names = {given.names}: give at most {given.count}, each once")
    asked.check_model(given.model)
    if given.save:
        asked.check_names(names)
        asked.check_file(given.save, ARRAYS, "save", [given.model])
    model = opened_for_file(given)
    from training.explore import directions, sweeps

    model.check(look_of(given))
    levels = model.levels(given.levels) if given.levels else list(range(model.top + 1))
    check_sheet(given, model, min(given.count, model.config.w_dim) * len(seeds), SHOWN)
    found = directions.find(model, given.method, levels, given.count)
    found = [*map(lambda d, n: replace(d, name=n), found, names), *found[len(names) :]]
    if given.save:
        directions.save_directions(given.save, found, model.opened.digest)
    moves = [each.move(1.0) for each in found]
    amounts = spaced(-given.reach, given.reach, SHOWN)
    page = sweeps.along(model, seeds, moves, amounts, look_of(given))
    for each in found:
        print(f"{each.name:16} {each.share:6.1%} of the eigenvalues")
    more = {"seeds": given.seeds, "directions": ",".join(each.name for each in found)}
    return write_sheet(given, model, look_of(given), page, more)


def project_command(given: argparse.Namespace) -> int:
    """A picture, found again."""
    if not given.photo.is_file():
        raise ConfigError(f"photo = {given.photo}: there is no such file")
    asked.check_model(given.model)
    check_projection(given)
    model = opened_for_file(given, parts=("G_ema", "D"))
    from training.explore import projecting
    from training.explore.assessing import photo_of

    look = Look(label=given.label)
    model.check(look)
    photo = photo_of(given.photo.read_bytes(), str(given.photo), model.config)
    print(f"comparing {projecting.compared(model, given.vgg)}", flush=True)
    every = max(1, given.steps // MOST_SHOWN)
    with Steps(given.steps) as steps:
        found = projecting.project(
            model, photo, given.steps, given.space, given.label, every, given.vgg, steps.tell
        )
    about = {"model": model.opened.digest, "space": given.space, "steps": str(given.steps)}
    about |= {
        "distance": f"{found.distances[-1]:.4g}",
        "compared": projecting.compared(model, given.vgg),
    }
    if given.film:
        writing.write_frames(given.film, found.frames, 30, about)
    if given.save:
        maps = {f"noise{number}": value for number, value in enumerate(found.maps)}
        save_arrays(given.save, {"ws": found.ws, **maps}, about)
    writing.write_picture(given.out, sheet([[photo, found.pixels]], ["given", "found"], []), about)
    print(f"PSNR {psnr(photo, found.pixels):.1f} dB, distance {found.distances[-1]:.4g}")
    print(f"{given.out}, from {model.opened.path}")
    return 0


def check_projection(given: argparse.Namespace) -> None:
    """Raise ConfigError where a file that a projection reads or writes cannot be."""
    asked.check_vgg(given.vgg)
    asked.check_file(given.out, read=[given.photo])
    for name, kinds, read in (("film", FILM, []), ("save", ARRAYS, [given.model])):
        if getattr(given, name):
            asked.check_file(getattr(given, name), kinds, name, read)
    if given.save and given.save.exists():
        try:
            is_found = "distance" in load_arrays(given.save, "ws")[1]
        except CheckpointError:
            is_found = False
        if not is_found:
            raise ConfigError(f"save = {given.save} holds no projection: choose another name")


def psnr(one: Pixels, other: Pixels) -> float:
    """dB between two pictures of uint8; infinite where they are equal."""
    square = float(np.mean(np.subtract(one, other, dtype=np.float64) ** 2))
    return 10 * math.log10(255**2 / square) if square else math.inf


def assess_command(given: argparse.Namespace) -> int:
    """The scores of photos in a table, the extremes on a sheet, all over training in a chart."""
    for name, kinds in (("sheet", asked.PICTURES), ("chart", CHART)):
        if getattr(given, name):
            asked.check_file(getattr(given, name), kinds, name, [given.photos])
    asked.check_model(given.model)
    asked.check_file(given.out, TABLE, read=[given.photos])
    files = checkpoints_of(given)
    startup.load_tensorflow()
    logging.getLogger("tensorflow").setLevel("ERROR")  # each checkpoint is traced anew: as meant
    from training.explore.assessing import extremes, over_training

    of_a_run = wanted_checkpoints(given) == ALL
    found = over_training(files, given.photos, given.label, in_parts, of_a_run)
    for note in (*found.left_out, *found.photos.left_out):
        print(note)
    tables.write_table(given.out, *found.table())
    if given.sheet:
        page = extremes(found.scored(), 8)
        writing.write_picture(given.sheet, page, {"model": found.digest})
    if given.chart:
        pairs = zip(found.seen, found.scores, strict=True)
        charts.write_scores(given.chart, [{"seen": n, "scores": some} for n, some in pairs])
    print(f"{number_of(len(found.photos.names), 'score')} in {given.out}, by the D of {found.last}")
    return 0


def in_parts(parts: Iterable[int], total: int) -> Iterator[int]:
    """A bar over the parts in which photos are scored."""
    return with_bar(parts, total, "parts of 8 photos")


def wanted_checkpoints(given: argparse.Namespace) -> str:
    """Those that are named, or ALL; "" is the model alone."""
    return str(given.checkpoints or (ALL if given.chart else ""))


def checkpoints_of(given: argparse.Namespace) -> list[Path]:
    """The files whose D judges, the oldest first; raises ConfigError."""
    words = wanted_checkpoints(given)
    if not words:
        return [given.model]
    if words != ALL:
        files = [path_of("checkpoints", word.strip()) for word in words.split(",")]
        for file in files:
            asked.check_model(file, "checkpoints")
        return files
    if not (files := checkpoints.list_checkpoints(given.model)):
        raise ConfigError(
            f"model = {given.model}: there are no checkpoints in it to follow: name a run, or some"
            " with --checkpoints"
        )
    return files


def opened(given: argparse.Namespace, noise: Any = "const", **more: Any) -> "Model":
    """The model of a command."""
    startup.load_tensorflow()
    from training.explore.model import open_model

    return open_model(given.model, noise, **more)


def opened_for_file(
    given: argparse.Namespace,
    suffixes: tuple[str, ...] = asked.PICTURES,
    noise: str = "const",
    **more: Any,
) -> "Model":
    """The model of a command that writes one file, which is looked at first."""
    asked.check_model(given.model)
    asked.check_file(given.out, suffixes)
    return opened(given, noise, **more)


def look_of(given: argparse.Namespace) -> Look:
    """What the options say of the look."""
    return Look(given.psi, given.cutoff, given.label)


def amounts(given: argparse.Namespace) -> Mapping[str, float]:
    """NAME=AMOUNT, as often as given; raises ConfigError."""
    found = {}
    for text in given.direction:
        name, _, amount = text.partition("=")
        if name in found:
            raise ConfigError(f"direction = {text!r}: {name} was given already: give each once")
        try:
            found[name] = float(amount)
        except ValueError:
            found[name] = math.nan
        if not math.isfinite(found[name]):
            raise ConfigError(f"direction = {text!r}: write a name and a number, as in sefa1=2.5")
        if abs(found[name]) > FARTHEST:
            raise ConfigError(f"direction = {text!r}: give at most {FARTHEST} standard deviations")
    if found and not given.directions:
        raise ConfigError("directions is missing: name the file that `directions` wrote")
    if given.directions and not found:
        raise ConfigError(
            f"directions = {given.directions}: none of it is taken: say how far, as in --direction"
            " sefa1=2.5, or leave it out"
        )
    asked.check_named(given.directions, "directions")
    return found


def with_moves(
    model: "Model", look: Look, given: argparse.Namespace, wanted: Mapping[str, float]
) -> Look:
    """The look with its directions, once model and file are open."""
    if not wanted:
        model.check(look)
        return look
    from training.explore.directions import moves

    steps, notes = moves(model, given.directions, wanted)
    look = replace(look, moves=steps)
    model.check(look)
    for note in notes:
        print(note)
    return look


def own_label(model: "Model", seed: int, look: Look) -> dict[str, str]:
    """The class of a seed, for a model that has classes."""
    if not model.config.labels:
        return {}
    return {"label": str(int(model.labels([seed], look.label)[0].argmax()))}


def spaced(first: float, last: float, steps: int) -> list[float]:
    """Numbers from first to last, both among them."""
    return [first + (last - first) * number / (steps - 1) for number in range(steps)]


def check_sheet(given: argparse.Namespace, model: "Model", down: int, across: int) -> None:
    """Raise ConfigError, before anything is drawn, for more pictures than a sheet shows, or a sheet
    that is too large for its file.
    """
    many = down * across
    if many > MOST:
        raise ConfigError(f"seeds: that makes {many} pictures, a sheet shows at most {MOST}")
    form, times = model.config, enlargement(model.config.height, model.config.width)
    writing.check_side(given.out, times * max(down * form.height, across * form.width))


def write_sheet(
    given: argparse.Namespace, model: "Model", look: Look, page: Pixels, more: Mapping[str, str]
) -> int:
    """The end of a command that draws a sheet."""
    writing.write_picture(given.out, page, model.said(look) | dict(more))
    print(f"{given.out}, {page.shape[1]} x {page.shape[0]}, from {model.opened.path}")
    return 0
