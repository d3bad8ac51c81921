"""Schedules are what their equations say, at the places where they change."""

from itertools import pairwise

import numpy as np
import pytest

from training import schedule


def test_steps_hold_from_their_kimg_on():
    steps = schedule.steps("0:1e-3, 20000:1e-4, 25000:1e-5")
    seen = [0, 19_999_999, 20_000_000, 24_999_999, 25_000_000, 99_000_000]
    assert [schedule.value_at(steps, s) for s in seen] == [1e-3, 1e-3, 1e-4, 1e-4, 1e-5, 1e-5]
    assert schedule.value_at(schedule.steps("0.002"), 5) == 0.002


@pytest.mark.parametrize("text", ["", "5:1", "0:1, 0:2", "0:1, 9:2, 3:1", "0:x", "0:nan", "0:-1"])
def test_other_lists_are_refused(text):
    with pytest.raises(ValueError):
        schedule.steps(text)


def test_lazy_correction_gives_the_published_rates():
    g, d = schedule.lazy(4), schedule.lazy(16)
    np.testing.assert_allclose([0.002 * g, 0.99**g], [0.0016, 0.99199197], rtol=1e-7)
    np.testing.assert_allclose([0.002 * d, 0.99**d], [0.00188235, 0.99058546], rtol=1e-5)
    assert schedule.lazy(0) == 1


def test_half_of_an_average_fades_in_a_half_life():
    weight = schedule.ema_weight(10**9, 32, 10)
    np.testing.assert_allclose(weight, 0.99778, rtol=1e-5)
    np.testing.assert_allclose(weight ** (10_000 / 32), 0.5)
    assert schedule.ema_weight(0, 32, 10, 0.05) == 0
    assert schedule.ema_weight(20_000, 32, 10, 0.05) == 0.5 ** (32 / 1000)
    assert schedule.ema_weight(10**9, 32, 10, 0.05) == weight


@pytest.mark.parametrize("every", [1, 7, 32, 100])
def test_due_counts_every_multiple_once(every):
    seen = np.arange(0, 4001, 32)
    due = [schedule.due(int(a), int(b), every) for a, b in pairwise(seen)]
    assert sum(due) == len({int(s) // every for s in seen}) - 1


def test_ticks_follow_the_area():
    assert schedule.default_tick_kimg(1024, 1024) == 4
    assert schedule.default_tick_kimg(64, 64) == 16
    assert schedule.default_tick_kimg(128, 64) == 12
