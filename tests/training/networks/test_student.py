"""The student's network: the paper's figures of size, its forms, its layers."""

import numpy as np
import pytest
import tensorflow as tf

from tests.kit.students import opened_student
from training.deploy.counting import size_of
from training.deploy.program import program
from training.networks import layers
from training.networks.architecture import GeneratorConfig, StudentConfig, saved_generator
from training.networks.generator import Generator
from training.networks.parameters import count
from training.networks.student import Student, new_generator

TABLE_1 = {1024: (2.07, 4.70), 512: (2.05, 1.57), 256: (2.01, 1.28)}  # millions, thousand millions
SHAPES = {  # height, width, channels -> sizes of the pyramid
    (64, 64, 3): [(8, 8), (16, 16), (32, 32), (64, 64)],
    (128, 64, 3): [(16, 8), (32, 16), (64, 32), (128, 64)],
    (12, 20, 4): [(6, 10), (12, 20)],
    (8, 8, 1): [(8, 8)],
}


@pytest.mark.slow
@pytest.mark.parametrize(("side", "said"), TABLE_1.items())
def test_the_exported_graph_has_the_size_of_the_papers_table_1(tmp_path, side, said):
    found = size_of(program(opened_student(tmp_path, height=side, width=side), "w"))
    counted = np.array([found.parameters / 1e6, found.multiply_adds / 1e9])
    assert np.abs(counted / said - 1).max() <= 0.02


@pytest.mark.slow
@pytest.mark.parametrize(("shape", "sizes"), SHAPES.items())
def test_the_heads_are_a_pyramid_up_to_the_image(shape, sizes):
    height, width, channels = shape
    student = small_student(height=height, width=width, channels=channels)
    ws = tf.random.stateless_normal([2, student.rows, 6], [1, 2])
    images = [level.image for level in student.levels(ws)]
    assert [tuple(image.shape) for image in images] == [(2, *size, channels) for size in sizes]
    assert np.array_equal(student.synthesize(ws), images[-1])


def small_student(**more):
    return Student(StudentConfig(**{"fmap_max": 8, "z_dim": 5, "w_dim": 6, **more}), start=1)


def test_a_student_is_no_wider_than_its_teacher():
    shape = {"height": 256, "width": 256}
    assert StudentConfig(**shape).fmaps(0) == 144
    narrow = {**shape, "fmap_base": 1024, "fmap_max": 100}
    wide = [GeneratorConfig(**narrow).fmaps(level) for level in range(6)]
    assert [StudentConfig(**narrow).fmaps(level) for level in range(6)] == [
        100, 100, 100, 64, 32, 16
    ]  # fmt: skip
    assert wide == [100, 100, 100, 64, 32, 16]


@pytest.mark.slow
def test_a_student_of_a_large_teacher_has_fewer_parameters_and_no_mapping_that_learns():
    student, teacher = (
        kind(config(height=64, width=64, fmap_max=32), 1)
        for kind, config in ((Student, StudentConfig), (Generator, GeneratorConfig))
    )
    assert count(student.table) < count(teacher.table) / 2
    assert not [
        name for name in student.table if name.startswith("mapping") and trains(student, name)
    ]


def trains(network, name):
    return network.table[name].trainable


@pytest.mark.slow
def test_what_is_saved_of_a_student_is_one_again():
    config = StudentConfig(height=16, width=16, fmap_max=8)
    assert saved_generator(config.saved()) == config
    assert isinstance(new_generator(config, 0), Student)
    plain = GeneratorConfig(height=16, width=16, fmap_max=8)
    assert saved_generator(plain.saved()) == plain
    assert not isinstance(new_generator(plain, 0), Student)


def test_styles_scale_the_input_and_nothing_is_demodulated():
    student = small_student(height=8, width=8)
    for name in student.values:
        if name.endswith(("bias", "affine/weight")) and "mapping" not in name:
            student.values[name].assign(0 * student.values[name])
    for name in ("conv1", "torgb"):
        bias = student.values[f"synthesis/b4/{name}/affine/bias"]
        bias.assign(0 * bias + 3)
    ws = tf.zeros([1, student.rows, 6])
    once = student.synthesize(ws).numpy()
    bias.assign(0 * bias + 6)
    np.testing.assert_allclose(student.synthesize(ws), 2 * once, rtol=1e-5)


def test_bilinear2_is_exact_to_the_second_order():
    """As the FIR filter 1 3 3 1 on an image with its edge repeated."""

    def filtered(x):
        wide = tf.pad(x, [[0, 0], [1, 1], [1, 1], [0, 0]], "SYMMETRIC")
        return layers.up2(wide)[:, 2:-2, 2:-2]

    x = tf.random.stateless_normal([2, 4, 6, 3], [1, 2])
    found = [orders(way, x) for way in (layers.bilinear2, filtered)]
    for one, other in zip(*found, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-4)
        assert np.abs(one).max() > 0.1


def orders(function, x):
    """The function, a gradient, and the gradient of that gradient's length."""
    with tf.GradientTape() as outer:
        outer.watch(x)
        with tf.GradientTape() as inner:
            inner.watch(x)
            large = function(x)
            total = tf.reduce_sum(tf.sin(large))
        gradient = inner.gradient(total, x)
        length = tf.reduce_sum(gradient**2)
    return large, gradient, outer.gradient(length, x)


def test_bilinear2_keeps_bfloat16():
    x = tf.cast(tf.random.stateless_normal([1, 4, 4, 2], [1, 2]), tf.bfloat16)
    assert layers.bilinear2(x).dtype == tf.bfloat16
    with tf.GradientTape() as tape:
        tape.watch(x)
        total = tf.reduce_sum(layers.bilinear2(x))
    np.testing.assert_allclose(tf.cast(tape.gradient(total, x), tf.float32), 4, rtol=1e-2)


@pytest.mark.slow
def test_recomputing_and_bfloat16_change_a_student_by_rounding_alone():
    plain = small_student(height=16, width=16)
    ws = tf.random.stateless_normal([2, plain.rows, 6], [1, 2])
    for more, near in (({"recompute": True}, 0), ({"dtype": "bfloat16"}, 0.1)):
        other = small_student(height=16, width=16, **more)
        np.testing.assert_allclose(other.synthesize(ws), plain.synthesize(ws), atol=near)
