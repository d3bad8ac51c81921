"""Pickles in NVIDIA's layouts draw and score as NVIDIA's own code did."""

import numpy as np
import pytest

from atelier.errors import Refusal
from tests.training.exchange.test_opening import mutated
from training.exchange.opening import open_generator

pytestmark = pytest.mark.real_data
PICKLES = {"ada32": "ada32", "tf1_32": "ada32", "ada32c": "ada32c", "tf1_32c": "tf1_32c"}


def close(ours, theirs):
    np.testing.assert_allclose(ours, theirs, rtol=2e-5, atol=2e-5)


@pytest.mark.slow
@pytest.mark.parametrize("name", PICKLES)
def test_images_and_scores_are_theirs(test_data, name):
    folder = test_data / "golden"
    opened = open_generator(folder / f"{name}_nosource.pkl", ("G_ema", "G", "D"))
    reference = dict(np.load(folder / f"{PICKLES[name]}_reference.npz"))
    real = reference["real_nchw"].transpose(0, 2, 3, 1)
    image = reference["image_nchw"].transpose(0, 2, 3, 1)
    labels = reference.get("c")
    generator, discriminator = opened.network(), opened.network("D")
    w = generator.map(reference["z"], labels)
    close(w, reference["w"])
    close(generator.synthesize(w, "const"), image)
    near = generator.synthesize(generator.truncate(w, 0.5), "const")
    close(near, reference["image_psi05_nchw"].transpose(0, 2, 3, 1))
    close(discriminator(real, labels), reference["d_real"])
    close(discriminator(image, labels), reference["d_fake"])


@pytest.mark.slow
def test_mutations_of_a_real_pickle_are_refused_or_open(test_data, tmp_path):
    rng = np.random.default_rng(1)
    path = tmp_path / "network.pkl"
    outcomes = {"opened": 0, "refused": 0}
    for name in ("ada32", "tf1_32c"):
        data = (test_data / "golden" / f"{name}_nosource.pkl").read_bytes()
        for _ in range(150):
            path.write_bytes(mutated(data, rng))
            try:
                open_generator(path, ("G_ema", "G", "D"))
                outcomes["opened"] += 1
            except Refusal as error:
                assert len(str(error)) < 500
                outcomes["refused"] += 1
    assert min(outcomes.values()) > 5
