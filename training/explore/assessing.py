"""What D thinks of photos: one score each, whatever else is in the folder."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray
from PIL import Image

from atelier.arrays import CheckpointError
from atelier.errors import words_of
from training.batches import decode
from training.config import ConfigError
from training.exchange.pickles import NetworkFileError
from training.explore.asked import Floats, Look
from training.explore.model import Model, open_model
from training.explore.sheets import Pixels, sheet
from training.networks import layers
from training.networks.architecture import NetworkConfig
from training.sources import DataError, labels, open_store
from training.sources.pictures import MODES, decoded_picture
from training.sources.stores import picture_names

AT_ONCE = 8  # photos scored at a time
Counted = Callable[[Iterable[int], int], Iterable[int]]  # the parts, and how many: a bar
LONE_GROUP = 4  # pictures that go together where a model puts its whole minibatch in one group


def uncounted(parts: Iterable[int], total: int) -> Iterable[int]:
    """No bar."""
    return parts


@dataclass(frozen=True)
class Scored:
    """A photo with its score."""

    file: str
    score: float
    pixels: Pixels  # as D saw it


@dataclass(frozen=True)
class Prepared:
    """Photos as a model sees them."""

    names: Sequence[str]
    pixels: Pixels  # [n, H, W, C]
    labels: Floats  # [n, classes]
    left_out: Sequence[str]  # notes of what cannot be read


@dataclass(frozen=True)
class Followed:
    """The scores of the same photos by the D of several checkpoints."""

    photos: Prepared
    seen: Sequence[int]  # images that each checkpoint had seen
    scores: Sequence[Sequence[float]]  # of each checkpoint, by photo
    digest: str  # of the last one's file
    last: Path  # that file
    left_out: Sequence[str]  # notes of checkpoints that cannot be read

    def scored(self) -> list[Scored]:
        """The photos with the last checkpoint's scores."""
        return [*map(Scored, self.photos.names, self.scores[-1], self.photos.pixels)]

    def table(self) -> tuple[Sequence[str], list[tuple[Any, ...]]]:
        """Head and rows: file, the last score, and where there are several those of each."""
        columns = [self.scores[-1], *(self.scores if len(self.scores) > 1 else [])]
        kimg = [f"{seen / 1000:g} kimg" for seen in self.seen[: len(columns) - 1]]
        rows = [
            (name, *(float(f"{column[at]:.6g}") for column in columns))
            for at, name in enumerate(self.photos.names)
        ]
        return ("file", "score", *kimg), rows


class Judge:
    """D, with the company in which it sees every photo.

    D looks at the spread within a group of a minibatch. Each photo is in a group with the same
    pictures of the generator, of seeds 0, 1, ... with psi 1, so its score depends on it alone.
    """

    def __init__(self, model: Model, label: int | None = None) -> None:
        try:
            network = model.opened.network("D")
        except NetworkFileError:
            raise NetworkFileError(
                f"{model.opened.path} has no D to judge with: name a run, a checkpoint or a pickle"
            ) from None
        self.network, self.config = network, network.config
        group = self.config.mbstd_group or LONE_GROUP
        seeds = range(group - 1)
        drawn = [pixels for _, pixels in model.drawn(seeds, Look(label=label))]
        size = (self.config.height, self.config.width, self.config.channels)
        self.company = np.stack(drawn) if drawn else np.zeros((0, *size), np.uint8)
        self.company_labels = model.labels(seeds, label)
        self.run = tf.function(self.batch, autograph=False)

    def __call__(self, photos: Pixels, labels: Floats, counted: Counted = uncounted) -> Floats:
        """Photos [n, H, W, C], one-hot labels [n, classes] -> scores [n]."""
        found, starts = [], range(0, len(photos), AT_ONCE)
        for at in counted(starts, len(starts)):
            part, known = photos[at : at + AT_ONCE], labels[at : at + AT_ONCE]
            missing = AT_ONCE - len(part)
            full = np.concatenate([part, np.repeat(part[-1:], missing, axis=0)])
            known = np.concatenate([known, np.repeat(known[-1:], missing, axis=0)])
            full = accompanied(full, self.company)
            known = accompanied(known, self.company_labels)
            found.append(self.run(tf.constant(full), tf.constant(known)).numpy()[: len(part)])
        return np.concatenate(found)

    def batch(self, pixels: Any, known: Any) -> Any:
        """uint8 images and labels of AT_ONCE photos with their company -> scores [AT_ONCE].

        Each photo and its company are a batch of their own, also where a batch is one group.
        """
        labels = known if self.config.labels else None
        with layers.without_gradients():
            scores = self.network(decode(pixels), labels, batches=AT_ONCE)
        return scores[:: len(self.company) + 1, 0]


def accompanied(rows: NDArray[Any], company: NDArray[Any]) -> NDArray[Any]:
    """rows [n, ...], company [m, ...] -> [n (1 + m), ...]: behind each row all its company."""
    count = len(rows) * (1 + len(company))
    beside = np.repeat(company[None], len(rows), axis=0)
    return np.concatenate([rows[:, None], beside], axis=1).reshape(count, *rows.shape[1:])


def assess(model: Model, photos: Path, label: int | None = None) -> tuple[list[Scored], list[str]]:
    """(the photos of a folder or zip with their scores, by name; what was left out and why).

    A photo of another form than the model's is cut around its middle and resized (Lanczos). Raises
    NetworkFileError where the file has no D, ConfigError or DataError where there is nothing to
    score.
    """
    judge, given = Judge(model, label), prepared_photos(model, photos, label)
    scores = judge(given.pixels, given.labels).tolist()
    return [*map(Scored, given.names, scores, given.pixels)], [*given.left_out]


def over_training(
    files: Sequence[Path],
    photos: Path,
    label: int | None = None,
    counted: Counted = uncounted,
    of_a_run: bool = False,
) -> Followed:
    """The same photos, judged by each of several checkpoints, in their order.

    Of a run, which may be in training, those that are broken or gone are left out, as long as one
    is whole. Raises what `assess` raises, and ConfigError for checkpoints of different networks.
    """
    given, first, seen, scores = None, None, [], []
    left_out: list[str] = []
    for file in files:
        try:
            model = open_model(file, parts=("G_ema", "D"))
            last, digest = file, model.opened.digest
        except (CheckpointError, NetworkFileError, FileNotFoundError) as error:
            if not of_a_run or (first is None and file == files[-1]):
                raise
            left_out.append(f"note: left out: {words_of(error)}")
            continue
        judge = Judge(model, label)
        first = first or model
        if given is None:
            given = prepared_photos(model, photos, label)
        if model.config != first.config:
            raise ConfigError(
                f"checkpoints: {file} is of another network than {first.opened.path}: name those of"
                " one run"
            )
        seen.append(int(model.opened.about.get("seen", 0)))
        scores.append(judge(given.pixels, given.labels, counted).tolist())
    assert given is not None
    return Followed(given, seen, scores, digest, last, left_out)


def prepared_photos(model: Model, photos: Path, label: int | None) -> Prepared:
    """The photos of a folder or zip as the model sees them, with their labels."""
    store = open_store(photos) if photos.exists() else None
    names = picture_names(store) if store else []
    if not store or not names:
        raise ConfigError(f"photos = {photos}: there are no pictures: name a folder or a zip")
    known = own_labels(model, store, names, label)
    kept, pixels, left_out = [], [], []
    for number, name in enumerate(names):
        try:
            photo = photo_of(store.open(name), f"{photos}/{name}", model.config)
        except (DataError, OSError) as error:
            left_out.append(f"note: left out: {words_of(error)}")
            continue
        kept.append(number)
        pixels.append(photo)
    if not kept:
        raise ConfigError(f"photos = {photos}: none of {len(names)} pictures can be read")
    return Prepared([names[at] for at in kept], np.stack(pixels), known[kept], left_out)


def own_labels(model: Model, store: Any, names: Sequence[str], label: int | None) -> Floats:
    """The labels of photos: the class that is given, or those of their dataset.json."""
    classes = model.config.labels
    if label is not None or not classes:
        return model.labels(range(len(names)), label)
    rows, _ = labels.read_labels(store, list(names))
    if rows.shape[1] != classes:
        raise ConfigError(
            f"label: this model has {classes} classes, and {store.path} does not say those of its"
            f" pictures: give --label 0 to {classes - 1}"
        )
    return np.asarray(rows, np.float32)


def photo_of(content: bytes, where: str, form: NetworkConfig) -> Pixels:
    """A picture's bytes -> what a model of this form sees, [H, W, C]; raises DataError."""
    photo = decoded_picture(content, where, form.channels)
    return prepared_photo(photo, form.height, form.width)


def prepared_photo(photo: Pixels, height: int, width: int) -> Pixels:
    """A photo [h, w, C] -> [height, width, C]: cut around its middle to that ratio, resized."""
    if photo.shape[:2] == (height, width):
        return photo
    scale = min(photo.shape[0] / height, photo.shape[1] / width)
    sides = width * scale, height * scale
    left, top = (photo.shape[1] - sides[0]) / 2, (photo.shape[0] - sides[1]) / 2
    mode = next(mode for mode, channels in MODES.items() if channels == photo.shape[2])
    image = Image.fromarray(photo[..., 0] if mode == "L" else photo)
    box = (left, top, left + sides[0], top + sides[1])
    small = image.resize((width, height), Image.Resampling.LANCZOS, box)
    return np.asarray(small).reshape(height, width, -1)


def extremes(scored: Sequence[Scored], columns: int, rows: int = 2) -> Pixels:
    """A sheet: the best photos above, the worst below, each with its score."""
    ordered = sorted(scored, key=lambda each: (-each.score, each.file))
    count = min(columns * rows, -(-len(ordered) // 2))  # of a few photos the middle one is both
    parts = ordered[:count], ordered[::-1][:count]
    cells, names, notes = [], [], []
    for title, part in zip(("best", "worst"), parts, strict=True):
        for row in in_rows(part, columns):
            cells.append([each.pixels for each in row])
            notes.append([f"{each.score:z.2f}" for each in row])
            names.append(title)
    return sheet(cells, [], names, notes)


def in_rows(scored: Sequence[Scored], columns: int) -> Iterator[Sequence[Scored]]:
    for at in range(0, len(scored), columns):
        yield scored[at : at + columns]
