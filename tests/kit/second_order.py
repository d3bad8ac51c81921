"""Is the gradient of a gradient right? Against finite differences, in float64."""

import numpy as np
import tensorflow as tf


def check(function, *arrays, seed=0):
    """The derivative of |d sum(sin(function)) / d inputs|^2 along a random direction is right."""
    rng = np.random.default_rng(seed)
    inputs = [tf.constant(array, tf.float64) for array in arrays]
    direction = [tf.constant(rng.standard_normal(tensor.shape)) for tensor in inputs]

    def penalty(*inputs):
        with tf.GradientTape() as tape:
            tape.watch(inputs)
            total = tf.reduce_sum(tf.sin(function(*inputs)))
        return tf.add_n([tf.reduce_sum(g**2) for g in tape.gradient(total, inputs)])

    with tf.GradientTape() as tape:
        tape.watch(inputs)
        value = penalty(*inputs)
    gradients = tape.gradient(value, inputs)
    exact = sum(tf.reduce_sum(g * d) for g, d in zip(gradients, direction, strict=True))
    step = 1e-5
    above = penalty(*(x + step * d for x, d in zip(inputs, direction, strict=True)))
    below = penalty(*(x - step * d for x, d in zip(inputs, direction, strict=True)))
    np.testing.assert_allclose(exact, (above - below) / (2 * step), rtol=1e-5, atol=1e-7)
