"""The rule of a collapse, replayed on made statistics."""

import numpy as np
import pytest

from training.run import collapse


def ticks(count, seed=0, start=0):
    """A quiet run: slow trends, a little noise, now and then a spike of one signal."""
    rng = np.random.default_rng(seed)
    for number in range(start, start + count):
        line = {
            "seen": 1000 * (number + 1),
            "minibatches": 31,
            "diversity": 0.5 + 0.02 * rng.normal(),
            "Loss/scores/real": 0.8 - number / 200 + 0.1 * rng.normal(),
            "Loss/scores/fake": -0.8 + number / 200 + 0.1 * rng.normal(),
            "Loss/G/loss": 1.2 + 0.1 * rng.normal(),
            "Loss/D/loss": 0.9 + 0.1 * rng.normal(),
            "pl_lengths": 0.5 + number / 300 + 0.05 * rng.normal(),
            "grad_norm/G": 1.0 + 0.2 * rng.normal(),
            "grad_norm/D": 0.8 + 0.2 * rng.normal(),
            "skipped/G": 0.0,
        }
        if number % 17 == 16:
            line["pl_lengths"] *= 20
        yield line


def ruined(lines, place, **signals):
    return [line | (signals if line["seen"] >= place else {}) for line in lines]


@pytest.mark.parametrize("seed", range(5))
def test_a_quiet_run_has_none(seed):
    assert collapse.found(list(ticks(150, seed))) is None


@pytest.mark.parametrize(
    ("signals", "reason"),
    [
        ({"Loss/scores/real": 40.0, "Loss/scores/fake": -35.0}, "Loss/scores/real went from"),
        ({"diversity": 0.05}, "the fakes' diversity fell from 0.4"),
        ({"skipped/G": 20.0}, "20 of 31 G steps were not finite"),
        ({"skipped/D_r1": 2.0, "due/D_r1": 2}, "2 of 2 D_r1 steps were not finite"),
        ({"skipped/G_path": 5.0, "due/G_path": 8}, "5 of 8 G_path steps were not finite"),
        ({"Loss/G/loss": float("nan"), "grad_norm/G": float("inf")}, "Loss/G/loss went from"),
        ({"diversity": float("nan")}, "the fakes' diversity fell"),
    ],
)
def test_a_collapse_is_found_at_its_second_tick(signals, reason):
    what = collapse.found(ruined(ticks(80), 60_000, **signals))
    assert (what.good, what.seen) == (59_000, 61_000)
    assert what.reason.startswith(reason)


def test_one_tick_is_no_collapse():
    lines = list(ticks(80))
    lines[50] |= {"Loss/scores/real": 40.0, "Loss/scores/fake": -35.0}
    assert collapse.found(lines) is None


def test_one_tick_in_which_most_signals_jump_is_a_collapse():
    lines = list(ticks(80))
    lines[40] |= dict.fromkeys(collapse.SIGNALS[: collapse.MOST - 1], 40.0)
    assert collapse.found(lines) is None
    lines[40] |= dict.fromkeys(collapse.SIGNALS[: collapse.MOST], 40.0)
    what = collapse.found(lines)
    assert (what.good, what.seen) == (40_000, 41_000)


def test_there_is_none_before_a_history():
    assert collapse.found(ruined(ticks(7), 2000, diversity=0.0)) is None
