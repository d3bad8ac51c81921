"""Everything that changes as training goes on, as pure functions of the images seen."""

import math
from itertools import pairwise

from atelier.options import number_in

Steps = tuple[tuple[float, float], ...]  # (kimg, value from there on)

# kimg between two lines of statistics, by resolution (NVlabs' table for its growing networks).
TICK_KIMG = {8: 28, 16: 24, 32: 20, 64: 16, 128: 12, 256: 8, 512: 6, 1024: 4}


def steps(text: str) -> Steps:
    """Read `0:1e-3, 20000:1e-4` (kimg:value); one number alone holds from the start.

    Raises ValueError for what is no such list.
    """
    parts = [part.strip() for part in str(text).split(",")]
    pairs = [part.split(":") if ":" in part else ["0", part] for part in parts]
    try:
        found = tuple((number_in(kimg), number_in(value)) for kimg, value in pairs)
    except ValueError:
        raise ValueError("write kimg:value pairs, for example 0:1e-3, 20000:1e-4") from None
    kimgs = [kimg for kimg, _ in found]
    if kimgs[0] != 0 or any(a >= b for a, b in pairwise(kimgs)):
        raise ValueError("begin at 0 kimg and give later steps in order")
    if not all(math.isfinite(value) and value >= 0 for _, value in found):
        raise ValueError("give values of at least 0")
    return found


def value_at(steps: Steps, seen: int) -> float:
    """The value that holds once `seen` images were seen."""
    return [value for kimg, value in steps if kimg * 1000 <= seen][-1]


def lazy(interval: int) -> float:
    """c = k / (k + 1): with a regularisation step every k, rates become lr * c and beta ** c.

    Section B of the StyleGAN2 paper; an interval of 0 means no such step.
    """
    return interval / (interval + 1) if interval else 1.0


def ema_weight(seen: int, batch: int, half_life_kimg: float, ramp: float = 0.0) -> float:
    """How much of the old average stays, so that half of it fades every `half_life_kimg`.

    beta = 0.5 ** (batch / half-life); with a ramp the half-life is at most `ramp` times the images
    seen (section D.1 of the ADA paper).
    """
    half_life = half_life_kimg * 1000
    if ramp:
        half_life = min(half_life, seen * ramp)
    return 0.5 ** (batch / half_life) if half_life > 0 else 0.0


def due(before: int, seen: int, every: int) -> bool:
    """Whether a multiple of `every` images lies in (before, seen]."""
    return seen // every > before // every


def default_tick_kimg(height: int, width: int) -> float:
    """NVlabs' kimg per tick, for the square of the same area."""
    resolution = math.sqrt(height * width)
    return next((kimg for side, kimg in TICK_KIMG.items() if resolution <= side), 4)
