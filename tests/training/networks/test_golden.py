"""Our networks and losses against NVlabs' numbers for the same weights."""

import numpy as np
import pytest
import tensorflow as tf

from tests.kit import ada_pytorch
from training import losses
from training.exchange.opening import OpenedGenerator, open_generator
from training.networks.architecture import saved_pair
from training.networks.discriminator import Discriminator
from training.networks.generator import Generator

pytestmark = pytest.mark.real_data
PAIRS = {
    "none": ("ada32", {}),
    "eight mapping layers and a clamp": (
        "ada32c",
        {"labels": 3, "conv_clamp": 1.0, "d_mapping_layers": 8},
    ),
    "labels in TensorFlow 1": ("tf1_32c", {"labels": 3}),
}
SMALL = {
    "height": 32,
    "width": 32,
    "fmap_base": 256,
    "fmap_max": 64,
    "z_dim": 64,
    "w_dim": 64,
    "mapping_layers": 3,
    "mbstd_group": 4,
}


def opened(folder, name):
    """(weights under ada-pytorch's names or opened, reference) of golden networks; images NHWC."""
    reference = dict(np.load(folder / f"{name}_reference.npz"))
    for key in [key for key in reference if key.endswith("_nchw")]:
        reference[key.removesuffix("_nchw")] = reference[key].transpose(0, 2, 3, 1)
    if name.startswith("tf1"):
        return open_generator(folder / f"{name}_nosource.pkl", ("G_ema", "D")), reference
    return np.load(folder / f"{name}_weights.npz"), reference


def made(weights, recompute=False, d_mapping_layers=0, **more):
    """(G, D) with these weights."""
    if isinstance(weights, OpenedGenerator):
        return [weights.network(part, recompute=recompute) for part in ("G_ema", "D")]
    saved = {"G": SMALL | more, "D": SMALL | more | {"mapping_layers": d_mapping_layers}}
    saved["G"] = {name: value for name, value in saved["G"].items() if name != "mbstd_group"}
    for name in ("z_dim", "w_dim"):
        del saved["D"][name]
    pair = saved_pair(saved, recompute=recompute)
    generator, discriminator = Generator(pair.generator, 0), Discriminator(pair.discriminator, 0)
    ada_pytorch.load(generator, weights, "G.")
    ada_pytorch.load(discriminator, weights, "D.")
    return generator, discriminator


@pytest.fixture(scope="module")
def golden(test_data):
    """(weights, reference) of the golden networks without labels."""
    return opened(test_data / "golden", "ada32")


@pytest.fixture(scope="module", params=[False, True], ids=["kept", "recomputed"])
def networks(golden, request):
    """(G, D) with the golden weights."""
    return made(golden[0], request.param)


def close(ours, theirs, tolerance=2e-5):
    np.testing.assert_allclose(ours, theirs, rtol=tolerance, atol=tolerance)


def close_norms(function, network, names, norms, in_a_graph=False):
    """The gradient of function() has these norms, parameter for parameter; returns the loss."""

    def measured():
        with tf.GradientTape() as tape:
            tape.watch(network.trainable_variables)
            loss = function()
        gradients = tape.gradient(loss, network.trainable_variables, unconnected_gradients="zero")
        return loss, [tf.norm(gradient) for gradient in gradients]

    loss, found = tf.function(measured, autograph=False)() if in_a_graph else measured()
    order = ada_pytorch.norms(names, network)
    scale = 1e-6 * norms.max()
    np.testing.assert_allclose(np.array(found)[order], norms, rtol=1e-3, atol=scale)
    return loss


@pytest.mark.slow
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
    found = close_norms(loss, generator, names, norms, in_a_graph=True)  # as in training
    np.testing.assert_allclose(found, reference["loss_pl"], rtol=1e-3)


@pytest.mark.slow
@pytest.mark.parametrize("pair", PAIRS)
def test_labels_clamp_and_mapping_layers(test_data, pair):
    name, config = PAIRS[pair]
    weights, reference = opened(test_data / "golden", name)
    generator, discriminator = made(weights, **config)
    labels = reference.get("c")
    w = generator.map(reference["z"], labels)
    close(w, reference["w"])
    close(generator.synthesize(w, "const"), reference["image"])
    close(generator.synthesize(w, "none"), reference["image_nonoise"])
    close(generator.synthesize(generator.truncate(w, 0.5)), reference["image_psi05"])
    close(discriminator(reference["real"], labels), reference["d_real"])
    close(discriminator(reference["image"], labels), reference["d_fake"])


@pytest.mark.slow
@pytest.mark.parametrize("pair", list(PAIRS)[1:])
def test_gradients_with_labels(test_data, pair):
    name, config = PAIRS[pair]
    weights, reference = opened(test_data / "golden", name)
    generator, discriminator = made(weights, **config)
    labels, reals = reference["c"], tf.constant(reference["real"])

    def fake():
        return generator.synthesize(generator.map(reference["z"], labels), "const")

    def loss_g():
        return tf.reduce_mean(losses.g_loss(discriminator(fake(), labels)))

    def loss_d():
        scores = discriminator(reals, labels), discriminator(fake(), labels)
        return tf.reduce_mean(losses.d_loss(*scores))

    def loss_r1_gamma10():
        return 5 * tf.reduce_mean(losses.r1_penalty(discriminator, reals, labels))

    for loss in (loss_g, loss_d, loss_r1_gamma10):
        word = loss.__name__
        network = generator if word == "loss_g" else discriminator
        kind = word.removesuffix("_gamma10")
        names, norms = reference[f"{kind}_grad_names"], reference[f"{kind}_grad_norms"]
        found = close_norms(loss, network, names, norms)
        np.testing.assert_allclose(found, reference[word], rtol=1e-3)
