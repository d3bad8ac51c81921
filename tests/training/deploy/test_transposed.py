"""A transposed convolution in phases is the same convolution."""

import numpy as np
import pytest
import tensorflow as tf

from training.deploy import transposed
from training.networks.layers import conv_transposed


@pytest.mark.parametrize("size", [(4, 4), (5, 7)])
@pytest.mark.parametrize("count", [2, None])
def test_it_is_the_transposed_convolution(size, count):
    numbers = np.random.default_rng(0)
    x = tf.constant(numbers.standard_normal((2, *size, 3)), tf.float32)
    kernel = numbers.standard_normal((3, 3, 3, 6)).astype(np.float32)
    turned = kernel[::-1, ::-1].transpose(0, 1, 3, 2)
    split = {name: tf.constant(each) for name, each in transposed.in_phases(kernel).items()}
    traced = tf.function(lambda x: transposed.raised(x, split), autograph=False)
    found = traced.get_concrete_function(tf.TensorSpec([count, *size, 3]))(x)
    wanted = conv_transposed(x, tf.constant(turned))
    assert found.shape == wanted.shape == (2, 2 * size[0], 2 * size[1], 6)
    assert abs(found - wanted).numpy().max() < 1e-6 * abs(wanted).numpy().max()


def test_the_kernels_hold_each_tap_once():
    kernel = np.arange(9.0).reshape(3, 3, 1, 1)
    split = transposed.in_phases(kernel)
    assert sorted(np.concatenate([each.ravel() for each in split.values()])) == [*range(9)]
    assert {name: each.size for name, each in split.items()} == {
        "even": 4, "right": 2, "below": 2, "odd": 1
    }  # fmt: skip
