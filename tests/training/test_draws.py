"""Chance: the sample's own, however a minibatch is cut, and of the right kind."""

import numpy as np
import pytest
import tensorflow as tf

from training.draws import Draws

BATCH = 12


def part(number=0, parts=1, seen=100, seed=1, phase="g"):
    place = tf.constant(number, tf.int64)
    return Draws(seed, phase, tf.constant(seen, tf.int64), place, parts, BATCH // parts)


KINDS = {
    "uniform": lambda draws: draws.uniform("u", (3, 5)),
    "normal": lambda draws: draws.normal("n", (3, 5)),
    "noise": lambda draws: draws.noise(2, (draws.count, 3, 5, 1)),
    "choices": lambda draws: draws.choices("c", 1000),
}


@pytest.mark.parametrize("kind", KINDS)
def test_parts_have_the_chance_of_the_whole(kind):
    draw = KINDS[kind]
    whole = draw(part()).numpy()
    for parts in (2, 3, 12):
        for number in range(parts):
            np.testing.assert_array_equal(draw(part(number, parts)), whole[number::parts])


@pytest.mark.parametrize("kind", KINDS)
def test_a_sample_is_known_by_its_number(kind):
    draw = KINDS[kind]
    np.testing.assert_array_equal(draw(part(seen=104))[:8], draw(part(seen=100))[4:])
    others = [part(seen=200), part(seed=2), part(phase="d")]
    assert all((draw(other) != draw(part())).numpy().mean() > 0.9 for other in others)


@pytest.mark.parametrize("kind", KINDS)
def test_xla_draws_the_same(kind):
    draw = KINDS[kind]
    compiled = tf.function(lambda: draw(part()), autograph=False, jit_compile=True)()
    np.testing.assert_allclose(compiled, draw(part()), rtol=1e-5, atol=1e-6)


def test_the_kinds_are_what_they_are_called():
    draws = Draws(0, "x", tf.constant(0, tf.int64), tf.constant(0, tf.int64), 1, 4000)
    uniform = draws.uniform("u", (50,)).numpy()
    assert 0 <= uniform.min() < 1e-4 and 1 - 1e-4 < uniform.max() < 1
    assert np.histogram(uniform, 10)[0] == pytest.approx(20_000, rel=0.03)
    normal = draws.normal("n", (50,)).numpy()
    moments = [(normal**power).mean() for power in (1, 2, 3, 4)]
    assert moments == pytest.approx([0, 1, 0, 3], abs=0.06)
    assert np.abs(np.corrcoef(normal[:, :6].T) - np.eye(6)).max() < 0.06
    counts = np.bincount(draws.choices("c", 7), minlength=7)
    assert len(counts) == 7 and counts == pytest.approx(4000 / 7, rel=0.2)


@pytest.mark.slow
def test_styles_are_mixed_as_often_as_asked():
    numbers = [tf.constant(12 * step, tf.int64) for step in range(500)]
    place = tf.constant(0, tf.int64)
    draw = tf.function(lambda seen: Draws(0, "m", seen, place, 1, 12).cutoff(0.7, 8))
    cutoffs = np.array([draw(seen) for seen in numbers])
    assert (cutoffs == 8).mean() == pytest.approx(0.3, abs=0.06)
    assert sorted(set(cutoffs.tolist())) == [1, 2, 3, 4, 5, 6, 7, 8]


@pytest.mark.slow
def test_no_graph_grows_with_the_batch():
    def nodes(count):
        draws = Draws(0, "x", tf.constant(0, tf.int64), tf.constant(0, tf.int64), 2, count)
        every = [draw for draw in KINDS.values()]
        function = tf.function(lambda: [draw(draws) for draw in every], autograph=False)
        return len(function.get_concrete_function().graph.get_operations())

    assert nodes(8) == nodes(32)
