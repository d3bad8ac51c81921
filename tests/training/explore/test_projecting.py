"""A picture of the generator's own is found again, by D's features or by pixels."""

import numpy as np
import pytest
import tensorflow as tf

from tests.kit.small_models import small_model
from training.config import ConfigError
from training.explore import projecting
from training.explore.asked import Look
from training.explore.model import open_model


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "space"), [("rgb", "w"), ("rgba", "w+"), ("not square", "w")])
def test_the_distance_falls_and_the_picture_comes_near(models, kind, space):
    model = open_model(models[kind], parts=("G_ema", "D"))
    target = next(model.drawn([3], Look(psi=0.7)))[1]
    found = projecting.project(model, target, 60, space, every=20)
    assert found.distances[-1] < 0.7 * found.distances[0]
    first, last = (
        abs(each.astype(int) - target).mean() for each in (found.frames[0], found.pixels)
    )
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


def test_white_noise_is_less_like_itself_than_a_picture():
    rng = np.random.default_rng(0)
    white = tf.constant(rng.standard_normal((1, 16, 16, 1)), tf.float32)
    smooth = tf.constant(np.ones((1, 16, 16, 1)), tf.float32)
    assert projecting.own_likeness(white) < 0.1
    np.testing.assert_allclose(projecting.own_likeness(smooth), 2 + 2 * 16)  # 1 and 2 everywhere
