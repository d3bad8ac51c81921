"""A folder that any static web server shows: a generator that draws in the browser, by LiteRT.js.

index.html page.css *.js    the page
about.json                  what it has to know of the model: sizes, mean of w, directions
model.tflite                the signatures mapping and synthesis, or a file that `export` wrote
litert/                     LiteRT.js
teacher/                    pictures of another model, by seed
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np

from atelier.errors import stand_in
from atelier.files import digest_file, json_of, replacing, write_json
from atelier.listing import head_of
from training.deploy import standalone
from training.deploy.formats import DeployError, check_libraries, check_place
from training.deploy.litert import put_litert
from training.exchange.described import OWN, TFLITE, graph_kind
from training.explore.asked import Look, Move, check_model, check_named
from training.explore.writing import write_picture

if TYPE_CHECKING:
    from training.explore.model import Model

WEB = Path(__file__).with_name("web")
ABOUT = "about.json"
LARGEST = 256  # pixels of a side: what a browser draws in a fraction of a second
FOUND = 4  # directions, where no file has any
TEACHER_SEEDS = range(24)
PSI = 0.7  # the page begins with it
NOT_OURS = "that is no .tflite that `export` wrote"
WANTED = "name the model that it was exported from"


@dataclass(frozen=True)
class Page:
    """What a person asks for."""

    model: Path
    out: Path
    directions: Path | None = None
    teacher: Path | None = None

    @property
    def title(self) -> str:
        """How the page calls the model: by its file or folder."""
        return title_of(self.model)


def title_of(model: Path) -> str:
    """The name of a model's file or folder."""
    return model.resolve().stem


def check_page(page: Page) -> None:
    """Raise DeployError, before anything heavy is loaded, where no page can be written."""
    check_libraries("tflite")
    check_named(page.directions, "directions")
    check_model(page.teacher, "teacher")
    if page.out.is_dir() and not page.out.is_symlink():
        check_own(page.out)  # it is written anew
    else:
        check_place(page.out)
    check_model(page.model)


def check_own(out: Path) -> None:
    """Raise DeployError where a folder holds what no page has, and would be replaced with it."""
    own = {ABOUT, "model.tflite", "litert", "teacher", *(path.name for path in WEB.iterdir())}
    there = sorted(path.name for path in out.iterdir())
    others = [name for name in there if name not in own]
    if there and not others and not is_page(out / ABOUT):
        others = there
    if others:
        raise DeployError(
            f"out = {out} exists already: choose another name, or remove it: it is no page, as it"
            f" holds {others[0]}"
        )


def is_page(about: Path) -> bool:
    """Whether this is the file that a page has of its model, or an empty one: nobody's."""
    try:
        content = about.read_bytes()
        return not content or "engine" in dict(json_of(content))
    except (OSError, ValueError, TypeError):
        return False


def write_page(page: Page) -> list[str]:
    """Write the folder, or write it anew; gives what a person should know."""
    notes: list[str] = []
    with replacing(page.out, lasting=False) as folder:
        folder.mkdir()
        for part in WEB.iterdir():
            shutil.copyfile(part, folder / part.name)
        put_litert(folder / "litert")
        if is_tflite(page.model):
            about = write_whole(page, folder)
        else:
            about, notes = write_apart(page, folder)
        about["teacher"] = write_teacher(page, about, folder) if page.teacher else None
        write_json(folder / ABOUT, about)
    return notes


def is_tflite(model: Path) -> bool:
    """Whether a model is a file of TFLite, or called one and nothing else that is known."""
    if model.suffix.lower() != ".tflite" or model.is_dir():
        return graph_kind(model) == TFLITE
    head = head_of(model)
    return not head.startswith(OWN) and not stand_in(head)


def write_apart(page: Page, folder: Path) -> tuple[dict[str, Any], list[str]]:
    """The model in its two parts, what the page knows of it, and what a person should."""
    from training.deploy.parts import write_parts
    from training.deploy.program import program
    from training.explore.model import open_model

    model = open_model(page.model)
    check_size(page.model, model.config.height, model.config.width)
    moves, notes = directions_of(model, page.directions)
    # A browser fetches the file: kernels of twice the size would cost more than they save.
    write_parts(program(model.opened, phased=True), folder / "model.tflite")
    return about_model(model, page.title, moves, "browser"), notes


def write_whole(page: Page, folder: Path) -> dict[str, Any]:
    """A file that `export` wrote, as it is, and what the page knows of it."""
    if page.directions:
        raise DeployError(
            f"directions = {page.directions}: a .tflite draws from z alone: leave them out, or name"
            " the model that it was exported from"
        )
    z_dim, (height, width, channels) = shape_of_file(page.model)
    check_size(page.model, height, width)
    check_drawing(page.model, z_dim)
    shutil.copyfile(page.model, folder / "model.tflite")
    return {
        **{"title": page.title, "source": "one file of LiteRT", "digest": digest_file(page.model)},
        **{"engine": "browser", "file": "model.tflite", "whole": True, "noise": False},
        **{"psi": PSI, "labels": 0},
        **{"height": height, "width": width, "channels": channels, "z_dim": z_dim},
        **{"sizes": [], "directions": []},
    }


def shape_of_file(path: Path) -> tuple[int, tuple[int, int, int]]:
    """(z_dim, (height, width, channels)) of a file that `export` wrote; raises DeployError."""
    from ai_edge_litert.interpreter import Interpreter

    try:
        runner = Interpreter(str(path)).get_signature_runner("serving_default")
        inputs, outputs = runner.get_input_details(), runner.get_output_details()
        images, _ = (outputs[name] for name in standalone.OUTPUTS)
    except (ValueError, KeyError, RuntimeError):
        raise DeployError(f"model = {path}: {NOT_OURS}: {WANTED}") from None
    if reason := unfit(set(inputs)):
        raise DeployError(f"model = {path}: {reason}: {WANTED}")
    forms = [(*each["shape"], each["dtype"]) for each in (inputs["psi"], inputs["z"], images)]
    match forms:
        case [(np.float32,), (1, z_dim, np.float32), (1, height, width, 1 | 3 | 4 as c, np.uint8)]:
            return int(z_dim), (int(height), int(width), int(c))
    raise DeployError(f"model = {path}: {NOT_OURS}: {WANTED}")


def check_drawing(path: Path, z_dim: int) -> None:
    """Raise DeployError for a file that draws nothing, in a process that may die of it."""
    from training.deploy.export import said_by

    with TemporaryDirectory() as name:
        places = [path.absolute(), Path(name, "inputs.npz"), Path(name, "outputs.npz")]
        np.savez(places[1], z=np.zeros((1, z_dim), np.float32), psi=np.float32(PSI))
        words = ["-I", standalone.__file__, "tflite", *map(str, places)]
        said_by(words, None, lambda last: f"model = {path}: it draws nothing ({last}): {WANTED}")


def unfit(inputs: set[str]) -> str:
    """Why a page cannot draw with a file of these inputs; empty where it can."""
    match sorted(inputs):
        case ["psi", "z"]:
            return ""
        case ["z"]:
            return "its psi is fixed, and a page sets psi"
        case names if "label" in names:
            return "it has classes"
        case names if "w" in names:
            return "it draws from w, not from z"
        case names:
            return f"it takes {', '.join(names)}, not z and psi"


def check_size(model: Path, height: int, width: int) -> None:
    """Raise DeployError for pictures that a browser is too slow for."""
    if max(height, width) > LARGEST:
        raise DeployError(
            f"model = {model}: {width} x {height} pixels are too many for a browser, which draws up"
            f" to {LARGEST}: `python -m training serve` shows it on the same page"
        )


def directions_of(model: Model, path: Path | None) -> tuple[Sequence[Move], list[str]]:
    """Those that were saved, or the first few of pca; and what a person should know."""
    from training.explore import directions

    if path is None:
        found = directions.find(model, "pca", range(model.top + 1), FOUND)
        return [each.move(1.0) for each in found], []
    names = directions.load_directions(path)[0]
    moves, notes = directions.moves(model, path, dict.fromkeys(names, 1.0))
    model.check(Look(moves=moves))
    return moves, notes


def about_model(model: Model, title: str, moves: Sequence[Move], engine: str) -> dict[str, Any]:
    """All that the page knows of a model: `engine` is browser or server."""
    config = model.config
    count = sum(array.size for array in model.opened.arrays["G_ema"].values())
    return {
        **{"title": title, "source": weights_in_words(count), "digest": model.opened.digest},
        **{"engine": engine, "file": "model.tflite", "whole": False, "psi": PSI},
        **{"height": config.height, "width": config.width, "channels": config.channels},
        **{"labels": config.labels, "z_dim": config.z_dim, "w_dim": config.w_dim},
        "noise": bool(model.generator.maps("const", 1)),
        "rows": config.rows,
        "sizes": [config.shape.size(level) for level in range(model.top + 1)],
        "w_avg": model.generator.w_avg.numpy().tolist(),
        "directions": [
            {"name": move.name, "step": move.step.tolist(), "levels": move.levels} for move in moves
        ],
    }


def weights_in_words(count: int) -> str:
    """How large a model is."""
    return f"{count / 1e6:.{1 if count >= 1e6 else 2}f} million weights"


def write_teacher(page: Page, about: dict[str, Any], folder: Path) -> dict[str, Any]:
    """The teacher's pictures of the first seeds, as the page begins, and what to say of them."""
    from training.explore.model import open_model

    assert page.teacher is not None
    teacher = open_model(page.teacher)
    if (teacher.config.z_dim, teacher.config.labels) != (about["z_dim"], about["labels"]):
        raise DeployError(
            f"teacher = {page.teacher}: it draws from {teacher.config.z_dim} numbers and"
            f" {teacher.config.labels} classes, the model from {about['z_dim']} and"
            f" {about['labels']}: name the model's own"
        )
    look = Look(psi=PSI)
    for seed, pixels in teacher.drawn(TEACHER_SEEDS, look):
        said = teacher.said(look) | {"seed": str(seed)}
        write_picture(folder / "teacher" / f"{seed}.png", pixels, said)
    return {"title": title_of(page.teacher), "seeds": [*TEACHER_SEEDS]}
