"""Our networks and losses against NVlabs' numbers for the same weights."""

import numpy as np
import pytest
import tensorflow as tf

from tests.kit import ada_pytorch
from training import losses
from training.networks.architecture import NetworkConfig
from training.networks.discriminator import Discriminator
from training.networks.generator import Generator

pytestmark = pytest.mark.real_data
SMALL = NetworkConfig(
    32, 32, fmap_base=256, fmap_max=64, z_dim=64, w_dim=64, mapping_layers=3, mbstd_group=4
)


@pytest.fixture(scope="module")
def golden(test_data):
    """(weights, reference) of the golden networks; images NHWC."""
    folder = test_data / "golden"
    reference = dict(np.load(folder / "ada32_reference.npz"))
    for name in [name for name in reference if name.endswith("_nchw")]:
        reference[name.removesuffix("_nchw")] = reference[name].transpose(0, 2, 3, 1)
    return np.load(folder / "ada32_weights.npz"), reference


@pytest.fixture(scope="module", params=[False, True], ids=["kept", "recomputed"])
def networks(golden, request):
    """(G, D) with the golden weights."""
    config = NetworkConfig(**{**vars(SMALL), "recompute": request.param})
    generator, discriminator = Generator(config, 0), Discriminator(config, 0)
    ada_pytorch.load(generator, golden[0], "G.")
    ada_pytorch.load(discriminator, golden[0], "D.")
    return generator, discriminator


def close(ours, theirs, tolerance=2e-5):
    np.testing.assert_allclose(ours, theirs, rtol=tolerance, atol=tolerance)


def close_norms(function, network, names, norms):
    """The gradient of function() has these norms, parameter for parameter; returns the loss."""

    @tf.function
    def step():
        with tf.GradientTape() as tape:
            tape.watch(network.trainable_variables)
            loss = function()
        found = tape.gradient(loss, network.trainable_variables, unconnected_gradients="zero")
        return loss, [tf.norm(gradient) for gradient in found]

    loss, found = step()
    order = ada_pytorch.norms(names, network)
    scale = 1e-6 * norms.max()
    np.testing.assert_allclose(np.array(found)[order], norms, rtol=1e-3, atol=scale)
    return loss


def test_images_and_scores(golden, networks):
    reference, (generator, discriminator) = golden[1], networks
    w = generator.map(reference["z"])
    close(w, reference["w"])
    close(generator.synthesize(w, "const"), reference["image"])
    close(generator.synthesize(w, "none"), reference["image_nonoise"])
    near = generator.truncate(w, 0.5)
    close(near, reference["w_psi05"])
    close(generator.synthesize(near, "const"), reference["image_psi05"])
    close(discriminator(reference["real"]), reference["d_real"])
    close(discriminator(reference["image"]), reference["d_fake"])


@pytest.mark.slow
def test_logistic_losses(golden, networks):
    reference, (generator, discriminator) = golden[1], networks

    def fake():
        return generator.synthesize(generator.map(reference["z"]), "const")

    def loss_g():
        return tf.reduce_mean(losses.g_loss(discriminator(fake())))

    def loss_d():
        scores = discriminator(reference["real"]), discriminator(fake())
        return tf.reduce_mean(losses.d_loss(*scores))

    names, norms = reference["loss_g_grad_names"], reference["loss_g_grad_norms"]
    close(close_norms(loss_g, generator, names, norms), reference["loss_g"])
    names, norms = reference["loss_d_grad_names"], reference["loss_d_grad_norms"]
    close(close_norms(loss_d, discriminator, names, norms), reference["loss_d"])


@pytest.mark.slow
def test_r1(golden, networks):
    reference, (_, discriminator) = golden[1], networks

    def penalty():
        return losses.r1_penalty(discriminator, tf.constant(reference["real"]))

    np.testing.assert_allclose(penalty(), reference["r1_penalty"], rtol=1e-3)
    names, norms = reference["loss_d_grad_names"], reference["loss_r1_grad_norms"]
    loss = close_norms(lambda: 5 * tf.reduce_mean(penalty()), discriminator, names, norms)
    np.testing.assert_allclose(loss, reference["loss_r1_gamma10"], rtol=1e-3)


@pytest.mark.slow
def test_path_length(golden, networks):
    reference, (generator, _) = golden[1], networks

    def lengths():
        ws = generator.broadcast(generator.map(reference["z"]))
        return losses.path_lengths(generator, ws, tf.constant(reference["pl_noise"]))

    def loss():
        found = lengths()
        penalty, _ = losses.path_length_penalty(found, tf.constant(0.0), tf.reduce_mean(found))
        return 2 * tf.reduce_mean(penalty)

    np.testing.assert_allclose(lengths(), reference["pl_lengths"], rtol=1e-3)
    names, norms = reference["loss_g_grad_names"], reference["loss_pl_grad_norms"]
    found = close_norms(loss, generator, names, norms)
    np.testing.assert_allclose(found, reference["loss_pl"], rtol=1e-3)
