"""What changes while a run goes on, as functions of the step."""

import math

WARM_UP = 0.03  # share of the steps in which the learning rate rises
LAST_SHARE = 0.01  # of the learning rate, at the end


def share_of_rate(step: int, steps: int) -> float:
    """Up in a straight line, then down along half a cosine (arXiv 1608.03983)."""
    warm = max(WARM_UP * steps, 1.0)
    if step < warm:
        return (step + 1) / (warm + 1)
    along = (step - warm) / max(steps - warm, 1)
    return LAST_SHARE + (1 - LAST_SHARE) * 0.5 * (1 + math.cos(math.pi * along))


def ema_weight(step: int, ema: float) -> float:
    """How much of the average stays after this step; little at first, when all is new."""
    return min(ema, (1 + step) / (10 + step))
