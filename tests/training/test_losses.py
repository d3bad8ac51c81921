"""Losses against closed forms; against NVlabs' numbers: test_networks_golden.py."""

import numpy as np
import tensorflow as tf

from training import losses


def test_logistic_losses():
    real, fake = tf.constant([[0.0], [30.0]]), tf.constant([[0.0], [-30.0]])
    np.testing.assert_allclose(losses.d_loss(real, fake), [2 * np.log(2), 0], atol=1e-6)
    np.testing.assert_allclose(losses.g_loss(fake), [np.log(2), 30], atol=1e-6)


def square(images, labels=None):
    return tf.reduce_sum(images**2, axis=[1, 2, 3])[:, None]


def test_r1_is_the_squared_gradient_at_the_reals():
    reals = tf.constant(np.random.default_rng(0).standard_normal((3, 4, 4, 1)))
    energy = (reals.numpy() ** 2).sum(axis=(1, 2, 3))
    np.testing.assert_allclose(losses.r1_penalty(square, reals), 4 * energy)
    halved = losses.r1_penalty(square, reals, augment=lambda images: images / 2)
    np.testing.assert_allclose(halved, energy / 4)


class Linear:
    """A generator whose image is the sum of its rows, each times a number."""

    def synthesize(self, ws, noise):
        scaled = ws * tf.constant([1.0, 2.0])[None, :, None]
        return tf.reshape(tf.reduce_sum(scaled, axis=1), [-1, 2, 2, 1])


def test_path_length_of_a_linear_generator():
    noise = tf.constant(np.random.default_rng(0).standard_normal((3, 2, 2, 1)), tf.float32)
    lengths = losses.path_lengths(Linear(), tf.zeros([3, 2, 4]), noise)
    size = np.linalg.norm(noise.numpy().reshape(3, 4), axis=1) / 2
    np.testing.assert_allclose(lengths, size * np.sqrt((1 + 4) / 2), rtol=1e-6)


def test_gradient_flows_through_the_mean_of_path_lengths():
    lengths = tf.constant([1.0, 3.0])
    with tf.GradientTape() as tape:
        tape.watch(lengths)
        penalty, mean = losses.path_length_penalty(
            lengths, tf.constant(1.0), tf.reduce_mean(lengths), decay=0.5
        )
        total = tf.reduce_sum(penalty)
    assert mean == 1.5
    np.testing.assert_allclose(penalty, [0.25, 2.25])
    # d/dl_i sum_j (l_j - a)^2 = 2 (l_i - a) - 2 * sum_j (l_j - a) * 0.5 / 2
    np.testing.assert_allclose(tape.gradient(total, lengths), [-1.5, 2.5])


def test_styles_mix_at_the_cutoff():
    mixed = losses.mix_styles(tf.zeros([2, 4, 3]), tf.ones([2, 4, 3]), tf.constant(1)).numpy()
    assert (mixed[:, :1] == 0).all() and (mixed[:, 1:] == 1).all()
