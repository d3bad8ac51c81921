"""The frames of a film from seed to seed."""

from collections.abc import Iterator, Sequence
from typing import Literal

from training.explore.asked import Floats, Look
from training.explore.model import Model
from training.explore.paths import between
from training.explore.sheets import Pixels


def interpolated(
    model: Model,
    seeds: Sequence[int],
    look: Look,
    frames: int,
    space: Literal["z", "w"] = "w",
    spherical: bool = False,
    loop: bool = False,
) -> Iterator[Pixels]:
    """Pictures [H, W, C], `frames` from each seed to the next; in w around the mean of w.

    In z the labels of a conditional model go straight from one to the next. Random noise changes
    from frame to frame.
    """
    model.check(look)
    w = way_of(model, seeds, look, frames, space, spherical, loop)
    for number in range(len(w)):
        ws = model.styled(w[number : number + 1], look)
        yield model.pictures(ws, [number])[0]


def way_of(
    model: Model,
    seeds: Sequence[int],
    look: Look,
    frames: int,
    space: str,
    spherical: bool,
    loop: bool,
) -> Floats:
    """The w of every frame, [n, w_dim]."""
    if space == "w":
        mean: Floats = model.generator.w_avg.numpy()
        return mean + between(model.w(seeds, look.label) - mean, frames, spherical, loop)
    z = between(model.latents(seeds), frames, spherical, loop)
    labels = between(model.labels(seeds, look.label), frames, False, loop)
    return model.mapped(z, labels)
