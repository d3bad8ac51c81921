"""The warp in blocks and in turns is the warp of whole matrices, and its gradient its transpose."""

import numpy as np
import pytest
import tensorflow as tf

from training.augment import banded, filter, warp
from training.networks import cpu

MATRICES = [warp.doubling, warp.halving, filter.bands]


def images(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def maps(count):
    """Turns about other points, with other scales and a shear."""
    angle = np.linspace(0.4, 3, count)
    rows = [[1.3 * np.cos(angle), -np.sin(angle), angle], [np.sin(angle), np.cos(angle), -angle]]
    last = np.tile([0.0, 0.0, 1.0], (count, 1, 1))
    return tf.constant(np.concatenate([np.transpose(rows, [2, 0, 1]), last], 1), tf.float32)


def dense(matrix):
    """The matrix itself, or the first of several."""
    found = np.zeros(matrix.shape)
    values = matrix.values if matrix.values.ndim == 1 else matrix.values[0]
    np.add.at(found, (matrix.rows, matrix.columns), values)
    return found


@pytest.mark.parametrize("side", [4, 20, 64, 100])
@pytest.mark.parametrize("make", MATRICES[:2])
@pytest.mark.parametrize("transposed", [False, True])
def test_blocks_are_the_matrix(make, side, transposed):
    matrix, whole = make(side), dense(make(side))
    if transposed:
        matrix, whole = matrix.transposed, whole.T
    x = images(2, matrix.shape[1], 5)
    np.testing.assert_allclose(banded.apply(matrix, tf.constant(x)), whole @ x, atol=1e-5)


@pytest.mark.parametrize("make", MATRICES)
def test_the_work_grows_with_the_side(make):
    entries = [make(side).blocks[1].size for side in (256, 512)]
    assert entries[1] < 2.1 * entries[0]


@pytest.mark.slow
@pytest.mark.parametrize("use", ["none", "learning"])
def test_the_gradient_is_the_transpose(use):
    with cpu.allowed(use):
        check_gradient()


def check_gradient():
    x, y = tf.constant(images(3, 20, 12, 2)), tf.constant(images(3, 20, 12, 2, seed=1))
    there = tf.reduce_sum(warp.warp(x, maps(3)) * y)
    back = tf.reduce_sum(x * warp.warp_back(y, maps(3)))
    np.testing.assert_allclose(there, back, rtol=1e-5)
    with tf.GradientTape() as tape:
        tape.watch(x)
        warped = warp.warp(x, maps(3))
    gradient = tape.gradient(warped, x, output_gradients=y)
    np.testing.assert_array_equal(gradient, warp.warp_back(y, maps(3)))


@pytest.mark.slow
@pytest.mark.parametrize("shape", [(3, 4, 4, 1), (3, 20, 12, 4), (2, 12, 64, 3)], ids=str)
def test_a_cpu_does_it_by_operations_of_its_own(shape):
    x, told = tf.constant(images(*shape)), maps(shape[0])
    own = {"CropAndResize", "DenseBincount"}
    for step, name in ((warp.warp, "CropAndResize"), (warp.warp_back, "DenseBincount")):
        with cpu.allowed("learning"):
            found, graph = step(x, told), operations(step, x, told)
        np.testing.assert_allclose(found, step(x, told), atol=1e-4)
        assert graph & own == {name} and not operations(step, x, told) & own


@pytest.mark.slow
def test_what_falls_on_one_place_adds_up_the_same_every_time():
    x, near = tf.constant(images(2, 64, 64, 3)), tf.linalg.diag([[0.02, 0.02, 1.0]] * 2)
    plain = warp.warp_back(x, near)
    with cpu.allowed("learning"):
        for _ in range(20):
            np.testing.assert_array_equal(warp.warp_back(x, near), plain)


def operations(function, *given):
    traced = tf.function(function, autograph=False).get_concrete_function(*given)
    return {operation.type for operation in traced.graph.get_operations()}


def test_other_types_of_number_are_gathered():
    x = tf.cast(images(2, 8, 8, 3), tf.bfloat16)
    with cpu.allowed("learning"):
        assert "GatherV2" in operations(warp.warped_part, x, maps(2), warp.CENTRE)


@pytest.mark.slow
@pytest.mark.parametrize("few", [1, 2])
def test_in_turn_is_at_once(monkeypatch, few):
    x = images(3, 12, 12, 3)
    whole = [step(tf.constant(x), maps(3)) for step in (warp.warp, warp.warp_back)]
    monkeypatch.setattr(warp, "AT_ONCE", few * 16 * 12 * 12 * 3)
    for step, expected in zip((warp.warp, warp.warp_back), whole, strict=True):
        found = tf.function(step, autograph=False)(tf.constant(x), maps(3))
        np.testing.assert_allclose(found, expected, atol=1e-5)


@pytest.mark.slow
def test_xla_compiles_it():
    x = tf.constant(images(2, 16, 16, 3))
    for step in (warp.warp, warp.warp_back):
        found = tf.function(step, jit_compile=True)(x, maps(2))
        np.testing.assert_allclose(found, step(x, maps(2)), atol=1e-4)


def test_nvlabs_centre_moves_what_is_turned():
    y, x = np.mgrid[-1:1:64j, -1:1:64j]
    blob = tf.constant(np.float32(np.exp(-20 * (x**2 + y**2)))[None, :, :, None])
    turned = tf.constant([[[-1.0, 0, 0], [0, -1, 0], [0, 0, 1]]])
    places = []
    for centre in warp.CENTRES.values():
        found = warp.warp(blob, turned, centre)[0, :, :, 0]
        places.append(float(tf.reduce_sum(found * x) / tf.reduce_sum(found)) * 31.5)
    assert places[0] == pytest.approx(0, abs=1e-3)
    # A half turn about a point that is off by d moves everything by 2 d; a fine pixel is a half.
    assert abs(places[1]) == pytest.approx(warp.CENTRE + 0.5, rel=0.02)
