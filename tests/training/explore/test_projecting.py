"""A picture of the generator's own is found again, by D's features or by pixels."""

import numpy as np
import pytest
import tensorflow as tf

from tests.kit.small_models import small_model
from training.batches import decode
from training.config import ConfigError
from training.explore import projecting
from training.explore.asked import Look
from training.explore.model import open_model


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "space"), [("rgba", "w+"), ("not square", "w")])
def test_the_distance_falls_and_the_picture_comes_near(models, kind, space):
    model = open_model(models[kind], parts=("G_ema", "D"))
    target = next(model.drawn([3], Look(psi=0.7)))[1]
    found = projecting.project(model, target, 60, space, every=20)
    assert found.distances[-1] < 0.7 * found.distances[0]
    seen = [decode(each).numpy() for each in (target, found.frames[0], found.pixels)]
    first, last = (((each - seen[0]) ** 2).mean() for each in seen[1:])
    assert last < first and len(found.frames) == 4
    again = model.pictures(found.ws, maps=[tf.constant(each) for each in found.maps])[0]
    assert abs(again.astype(int) - found.pixels).max() <= 1
    assert all(abs(each.mean()) < 1e-4 and abs(each.std() - 1) < 1e-3 for each in found.maps)
    rows = {row.tobytes() for row in found.ws[0]}
    assert len(rows) == (1 if space == "w" else model.generator.rows)


@pytest.mark.slow
def test_without_d_pixels_are_compared(tmp_path):
    model = open_model(small_model(tmp_path / "m.npz", "grey", discriminator=False))
    target = next(model.drawn([3], Look(psi=0.7)))[1]
    found = projecting.project(model, target, 60)
    assert found.distances[-1] < 0.5 * found.distances[0]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of Keras, as it saves
def test_features_of_vgg19_are_compared_where_its_weights_are_given(tmp_path):
    weights = tmp_path / "vgg.weights.h5"
    tf.keras.utils.set_random_seed(0)
    tf.keras.applications.VGG19(include_top=False, weights=None).save_weights(weights)
    model = open_model(small_model(tmp_path / "m.npz", "rgba"), parts=("G_ema", "D"))
    target = next(model.drawn([3], Look(psi=0.7)))[1]
    found = projecting.project(model, target, 40, vgg=str(weights))
    assert found.distances[-1] < 0.8 * found.distances[0]
    assert projecting.compared(model, str(weights)) == "features of VGG19, and pixels"
    with pytest.raises(ConfigError, match=r"vgg = no\.h5: there is no such file"):
        projecting.project(model, target, 1, vgg="no.h5")


def autocorrelations(noise):
    """Appendix D of the StyleGAN2 paper: sums over products of neighbours, squared, wrapping."""
    height, width = noise.shape
    pairs = [(y, x) for y in range(height) for x in range(width)]
    total = sum(noise[y, x] * noise[y, x - 1] for y, x in pairs) ** 2
    total += sum(noise[y, x] * noise[y - 1, x] for y, x in pairs) ** 2
    total /= (height * width) ** 2
    if min(height, width) < 16:  # halved, it would be smaller than 8
        return total
    corners = [noise[y::2, x::2] for y in (0, 1) for x in (0, 1)]
    return total + autocorrelations(2 * sum(corners) / 4)


@pytest.mark.parametrize("size", [(4, 4), (8, 8), (16, 32), (5, 10), (10, 20), (32, 32)])
def test_the_regulariser_of_noise_is_the_papers(size):
    noise = np.random.default_rng(2).standard_normal(size)
    found = projecting.own_likeness(tf.constant(noise[None, ..., None], tf.float32))
    np.testing.assert_allclose(found, autocorrelations(noise), rtol=1e-4)


def test_the_rate_rises_and_falls_as_in_the_paper():
    """Over the first 50 of 1000 steps in a line, over the last 250 in a cosine (appendix D)."""
    found = [projecting.slope(step / 1000) for step in range(1001)]
    np.testing.assert_allclose(found[1:51], np.arange(1, 51) / 50, rtol=1e-12)
    np.testing.assert_allclose(found[50:751], 1)
    down = (1 + np.cos(np.pi * np.arange(251) / 250)) / 2
    np.testing.assert_allclose(found[750:], down, atol=1e-12)


def test_white_noise_is_less_like_itself_than_a_picture():
    rng = np.random.default_rng(0)
    white = tf.constant(rng.standard_normal((1, 16, 16, 1)), tf.float32)
    smooth = tf.constant(np.ones((1, 16, 16, 1)), tf.float32)
    assert projecting.own_likeness(white) < 0.1
    np.testing.assert_allclose(projecting.own_likeness(smooth), 2 + 2 * 16)  # 1 and 2 everywhere
