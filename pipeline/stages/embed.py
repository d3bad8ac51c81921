"""Measure what each portrait looks like: Inception features. Slow, so it only measures."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from atelier import pictures
from atelier.boxes import Box
from atelier.commands import say
from atelier.errors import words_of
from atelier.options import option
from atelier.pictures import Pixels
from pipeline.engine import cluster, processes
from pipeline.options import Settings, SettingsError
from pipeline.photos.folder import read_photos
from pipeline.rows.manifest import Item, Row, dropped
from training import startup

if TYPE_CHECKING:
    from training.features.inception import Inception

DIMS = (64, 192, 768, 2048)
SAME = 8  # levels of 255: how much a border's pixels may differ, as JPEG makes them


@dataclass(frozen=True)
class EmbedConfig(Settings):
    """The network that measures portraits."""

    weights: str = option(
        "",
        "file with the weights of pytorch-fid's Inception; empty: pytorch-fid's own, downloaded",
        keyed="content",
        path=True,
    )
    dims: int = option(2048, "numbers per portrait: 64, 192, 768 or 2048, from coarse to fine")
    dtype: Literal["float32", "bfloat16"] = option(
        "float32",
        "bfloat16 moves a score by less than 1 %; twice as fast where the processor has it",
    )
    device: Literal["auto", "cpu", "gpu"] = option(
        "auto", "where it runs; auto: a GPU if there is one", keyed="never"
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.dims not in DIMS:
            self.refuse("dims", f"choose one of {', '.join(map(str, DIMS))}")
        if self.weights and not Path(self.weights).is_file():
            self.refuse("weights", "there is no such file; empty downloads pytorch-fid's own")


def embed(items: Sequence[Item], config: EmbedConfig, folder: Path) -> Iterator[list[Row]]:
    """Decode each portrait at full size and write down its features, batch by batch."""
    inception = load_inception(config.weights, config.dims, config.dtype, config.device)
    photos = read_photos(items)
    for _ in range(0, len(items), inception.batch):
        yield from embedded(islice(photos, inception.batch), inception)


def check_weights(config: EmbedConfig) -> None:
    """Raise SettingsError if there are no weights; what has to be downloaded then lies ready.

    Looks in a process of its own: torch must not be imported where Luigi runs.
    """
    try:
        device = processes.run_apart(find_weights, config)
    except (ValueError, OSError) as error:
        raise SettingsError(words_of(error)) from None
    if device == "cpu" and config.dtype == "bfloat16" and startup.emulates_bfloat16():
        say(f"[Embed] dtype = bfloat16: {startup.WITHOUT_BFLOAT16}; give float32")


def find_weights(config: EmbedConfig) -> str:
    """The kind of device that the network runs on."""
    inception = load_inception(config.weights, config.dims, config.dtype, config.device)
    return str(inception.device.type)


@cache
def load_inception(weights: str, dims: int, dtype: Any, device: str) -> "Inception":
    """The network, once per process."""
    cluster.refuse_company("torch")
    import torch

    from training.features.inception import Inception

    gpu = torch.cuda.is_available() if device == "auto" else device == "gpu"
    if gpu and not torch.cuda.is_available():
        raise ValueError("[Embed] device = gpu: torch sees no GPU here; give cpu or auto")
    return Inception(Path(weights) if weights else None, dims, dtype, "cuda" if gpu else "cpu")


def embedded(photos: Iterable[tuple[Item, bytes]], inception: "Inception") -> Iterator[list[Row]]:
    batch: list[Item] = []
    unreadable: dict[str, Row] = {}
    vectors = iter(inception(portraits(photos, batch, unreadable)))
    for item in batch:
        if item.key in unreadable:
            yield [unreadable[item.key]]
        else:
            yield [replace(item.row, embedding=item.key, features=next(vectors).tobytes())]


def portraits(
    photos: Iterable[tuple[Item, bytes]], batch: list[Item], unreadable: dict[str, Row]
) -> Iterator[Pixels]:
    """The pixels of each portrait, one at a time; what cannot be read lands in `unreadable`."""
    for item, data in photos:
        batch.append(item)
        try:
            yield pictures.decode(data, item.row.rectangle)
        except pictures.UnreadableError as reason:
            unreadable[item.key] = dropped(item.row, str(reason))


def trim(items: Sequence[Item], config: object, folder: Path) -> Iterator[list[Row]]:
    """Take each photo whole, as the portrait that it is, but for a border of one colour."""
    for item, data in read_photos(items):
        try:
            rectangle = within_border(pictures.decode(data))
        except pictures.UnreadableError as reason:
            yield [dropped(item.row, str(reason))]
            continue
        if rectangle is None:
            yield [dropped(item.row, "blank: all of one colour")]
        else:
            yield [replace(item.row, rectangle=rectangle)]


def within_border(pixels: Pixels) -> Box | None:
    """What lies within the border of one colour, each side its own; None if nothing does."""
    height, width, _ = pixels.shape
    top, bottom = border(pixels), border(pixels[::-1])
    if top + bottom >= height:
        return None
    columns = pixels[top : height - bottom].transpose(1, 0, 2)
    left, right = border(columns), border(columns[::-1])
    if left + right >= width:
        return None
    return Box(left, top, width - right, height - bottom)


def border(lines: Pixels) -> int:
    """How many lines from the first on have its first pixel's colour throughout."""
    colour = lines[0, 0].astype(np.int16)
    for count, line in enumerate(lines):
        if np.abs(line - colour).max() > SAME:
            return count
    return len(lines)
