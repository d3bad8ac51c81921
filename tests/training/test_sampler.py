"""One sampler for grids, samples and metrics: what a picture is depends on itself alone."""

import numpy as np
import pytest
import tensorflow as tf

from training.batches import encode
from training.networks.architecture import GeneratorConfig
from training.networks.generator import Generator
from training.sampler import Sampler

SIZES = {"fmap_base": 16, "fmap_max": 8, "z_dim": 4, "w_dim": 4, "mapping_layers": 1}


@pytest.fixture(scope="module")
def generator():
    made = Generator(GeneratorConfig(8, 8, labels=2, **SIZES), 0)
    made.w_avg.assign([1.0, 2.0, 3.0, 4.0])
    for name, variable in made.values.items():
        if name.endswith("noise_strength"):
            variable.assign(0.5)
    return made


@pytest.fixture(scope="module")
def latents():
    rng = np.random.default_rng(0)
    z = rng.standard_normal((5, 4)).astype(np.float32)
    return z, np.eye(2, dtype=np.float32)[[0, 1, 1, 0, 1]]


def near(one, other):
    """Equal pixels, but for what a batch of another size rounds otherwise."""
    assert one.shape == other.shape and one.dtype == other.dtype == np.uint8
    assert np.abs(one.astype(int) - other).max() <= 1


@pytest.mark.slow
@pytest.mark.parametrize("noise", ["const", "none", "random"])
def test_pictures_do_not_depend_on_how_many_are_made_at_once(generator, latents, noise):
    z, labels = latents
    whole = Sampler(generator, 3, noise)(z, labels, psi=0.7, first=10)
    near(Sampler(generator, 2, noise)(z, labels, psi=0.7, first=10), whole)
    near(Sampler(generator, 4, noise)(z[2:], labels[2:], psi=0.7, first=12), whole[2:])


@pytest.mark.slow
def test_styles_and_pictures_are_the_generators_own(generator, latents):
    z, labels = latents
    sampler = Sampler(generator, 3)
    w = generator.map(z, labels)
    np.testing.assert_allclose(
        sampler.styles(z, labels, 0.5, 2), generator.truncate(w, 0.5, 2), rtol=1e-5, atol=1e-6
    )
    ws = sampler.styles(z, labels)
    near(sampler.pictures(ws), encode(generator.synthesize(w).numpy()))
    maps = [tf.zeros_like(each) for each in generator.maps("const", 1)]
    near(sampler.pictures(ws, maps=maps), Sampler(generator, 3, "none").pictures(ws))
