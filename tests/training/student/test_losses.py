"""The losses of a distillation, in closed form and against Keras's own VGG19."""

import numpy as np
import pytest
import tensorflow as tf

from training.config import ConfigError
from training.explore import perceptual
from training.networks.architecture import DiscriminatorConfig
from training.networks.discriminator import Discriminator, unit
from training.student import losses


def itself(images):
    return [images]


def test_the_distance_of_images_is_the_root_of_their_mean_square():
    one, other = (tf.random.stateless_normal([3, 4, 6, 2], [1, n]) for n in (1, 2))
    wanted = np.sqrt(np.mean((one - other).numpy() ** 2, axis=(1, 2, 3)))
    np.testing.assert_allclose(losses.perceptual(itself, [one], [other]), wanted, rtol=1e-5)
    twice = losses.perceptual(lambda x: [x, 3 * x], [one, one], [other, other])
    np.testing.assert_allclose(twice, 2 * (wanted + 3 * wanted) / 2, rtol=1e-5)


def test_colours_and_alpha_of_a_picture_count_for_that_picture():
    one, other = (tf.random.stateless_normal([3, 4, 4, 4], [1, n]) for n in (1, 2))

    def apart(images):  # as VGG19 sees RGBA
        return [tf.concat([images[..., :3], tf.repeat(images[..., 3:], 3, axis=3)], axis=0)]

    difference = (one - other).numpy() ** 2
    colours, alpha = difference[..., :3].mean((1, 2, 3)), difference[..., 3].mean((1, 2))
    found = losses.perceptual(apart, [one], [other])
    np.testing.assert_allclose(found, np.sqrt((colours + alpha) / 2), rtol=1e-5)


def test_what_the_teacher_drew_has_no_gradient():
    one, other = (tf.random.stateless_normal([2, 4, 4, 1], [1, n]) for n in (1, 2))
    with tf.GradientTape() as tape:
        tape.watch([one, other])
        total = tf.reduce_sum(losses.perceptual(itself, [one], [other]))
    own, wanted = tape.gradient(total, [one, other])
    assert np.abs(own).max() > 0 and wanted is None


def test_equal_images_have_a_finite_gradient():
    image = tf.ones([1, 4, 4, 1])
    with tf.GradientTape() as tape:
        tape.watch(image)
        total = tf.reduce_sum(losses.perceptual(itself, [image], [tf.ones_like(image)]))
    assert np.isfinite(tape.gradient(total, image)).all()


def test_a_teachers_image_is_taken_as_means_over_areas():
    image = tf.random.stateless_normal([2, 8, 12, 3], [1, 2])
    small, same = losses.pyramid_of(image, [(4, 6), (8, 12)])
    wanted = image.numpy().reshape(2, 4, 2, 6, 2, 3).mean((2, 4))
    np.testing.assert_allclose(small, wanted, atol=1e-6)
    assert np.array_equal(same, image)


@pytest.mark.slow
def test_features_of_d_are_of_length_1_and_take_smaller_images():
    judge = Discriminator(DiscriminatorConfig(height=16, width=16, fmap_base=64, fmap_max=8), 1)
    seen = perceptual.of_discriminator(judge)
    for side in (8, 16):
        images = tf.random.stateless_normal([2, side, side, 3], [1, 2])
        own, *maps = seen(images)
        assert np.array_equal(own, images) and [x.shape[1] for x in maps] == [8, 4]
        for each in maps:
            np.testing.assert_allclose(tf.reduce_sum(each**2, axis=3), 1, atol=1e-3)


@pytest.fixture(scope="module")
def vgg():
    """Keras's VGG19 with random weights."""
    tf.keras.utils.set_random_seed(1)
    return tf.keras.applications.VGG19(include_top=False, weights=None)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:__array__:DeprecationWarning")  # of Keras
@pytest.mark.parametrize("channels", [1, 3])
def test_vgg19_sees_what_keras_sees(vgg, channels, tmp_path):
    vgg.save_weights(tmp_path / "own.weights.h5")
    seen = perceptual.vgg19(perceptual.read_vgg(str(tmp_path / "own.weights.h5")))
    images = tf.random.stateless_uniform([2, 32, 32, channels], [1, 2], -1, 1)
    colours = np.repeat(images, 3 // channels, axis=3)
    given = tf.keras.applications.vgg19.preprocess_input((colours + 1) * 127.5)
    names = [f"block{number}_conv1" for number in range(1, 6)]
    outputs = [vgg.get_layer(name).output for name in names]
    wanted = tf.keras.Model(vgg.input, outputs)(given)
    found = seen(images)
    assert len(found) == 1 + 5 and np.array_equal(found[0], images)
    for one, other in zip(found[1:], wanted, strict=True):
        np.testing.assert_allclose(one, unit(other), rtol=1e-3, atol=1e-4)
    assert len(seen(images[:, :8, :8])) == 1 + 4  # 8, 4, 2, 1 pixels


@pytest.mark.slow
def test_what_are_no_weights_of_vgg19_is_refused_in_one_sentence(tmp_path):
    with pytest.raises(ConfigError, match=r"^vgg = .*missing.h5: there is no such file; leave it"):
        perceptual.read_vgg(str(tmp_path / "missing.h5"))
    (tmp_path / "other.weights.h5").write_text("no weights")
    with pytest.raises(
        ConfigError, match=r"^vgg = .*: that gives no weights of VGG19 \(.*stand in"
    ):
        perceptual.read_vgg(str(tmp_path / "other.weights.h5"))
