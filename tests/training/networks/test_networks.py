"""Networks without golden numbers: counts, shapes, noise, groups, second-order gradients."""

import numpy as np
import pytest
import tensorflow as tf

from tests.kit import second_order
from training.draws import Draws
from training.networks import layers
from training.networks.architecture import DiscriminatorConfig, GeneratorConfig
from training.networks.discriminator import Discriminator, discriminator_table, minibatch_stddev
from training.networks.generator import Generator, generator_table
from training.networks.layers import recompute
from training.networks.parameters import count

TINY = {"fmap_base": 64, "fmap_max": 16, "z_dim": 16, "w_dim": 16, "mapping_layers": 2}


def arrays(*shapes):
    rng = np.random.default_rng(1)
    return [rng.standard_normal(shape) for shape in shapes]


def draws(count, first=0):
    return Draws(5, "test", tf.constant(first, tf.int64), tf.constant(0, tf.int64), 1, count)


def tiny(height=16, width=16, **more):
    own, size = {"mapping_layers", "z_dim", "w_dim"}, {"height": height, "width": width}
    given = {**TINY, **more}
    generator = GeneratorConfig(**size, **given)
    discriminator = DiscriminatorConfig(**size, **{n: v for n, v in given.items() if n not in own})
    return Generator(generator, start=0), Discriminator(discriminator, start=1)


@pytest.mark.parametrize(
    ("widths", "millions"),
    [
        ({}, 59.4),
        ({"fmap_base": 24576}, 64.0),
        ({"fmap_base": 32768}, 69.8),
        ({"fmap_base": 32768, "fmap_max": 1024}, 221.8),
        ({"fmap_base": 8192}, 48.9),
    ],
)
def test_parameters_at_1024(widths, millions):
    generator, discriminator = (
        kind(1024, 1024, **widths) for kind in (GeneratorConfig, DiscriminatorConfig)
    )
    total = count(generator_table(generator)) + count(discriminator_table(discriminator))
    assert round(total / 1e6, 1) == millions


@pytest.mark.slow
@pytest.mark.parametrize(
    "form",
    [
        {"height": 12, "width": 20, "channels": 4, "labels": 3},
        {"height": 24, "width": 24, "channels": 1, "dtype": "bfloat16", "recompute": True},
    ],
)
def test_any_form_has_gradients_everywhere(form):
    generator, discriminator = tiny(**form)
    labels = tf.one_hot([0, 1, 2, 0], 3) if generator.config.labels else None
    noise = draws(4).noise

    z = tf.random.stateless_normal([4, 16], [0, 1])
    every = generator.trainable_variables + discriminator.trainable_variables
    with tf.GradientTape() as tape:
        tape.watch(every)
        images = generator.synthesize(generator.map(z, labels), noise)
        scores = discriminator(images, labels)
        loss = tf.reduce_sum(scores)
    gradients, config = tape.gradient(loss, every), generator.config
    assert images.shape == (4, config.height, config.width, config.channels)
    assert scores.shape == (4, 1) and images.dtype == scores.dtype == tf.float32
    assert all(np.isfinite(gradient).all() for gradient in gradients)
    # The bias of D's last layer is all that knows nothing of the images.
    assert all(np.any(gradient) for gradient in gradients)


@pytest.mark.slow
def test_labels_matter():
    generator, discriminator = tiny(labels=2)
    z = tf.ones([2, 16])
    w = generator.map(z, tf.one_hot([0, 1], 2)).numpy()
    assert np.abs(w[0] - w[1]).max() > 0.01
    images = tf.ones([1, 16, 16, 3])
    scores = [discriminator(images, tf.one_hot([label], 2)).numpy() for label in (0, 1)]
    assert abs(scores[0] - scores[1]) > 1e-4


@pytest.mark.slow
def test_noise_of_a_sample_does_not_depend_on_its_batch():
    generator, _ = tiny()
    for key, variable in generator.values.items():
        if key.endswith("noise_strength"):
            variable.assign(1.0)
    ws = tf.ones([3, generator.rows, 16])
    together = generator.synthesize(ws, draws(3).noise).numpy()
    alone = generator.synthesize(ws[1:2], draws(1, first=1).noise).numpy()
    np.testing.assert_allclose(together[1:2], alone, atol=1e-5)
    assert np.abs(together[0] - together[1]).max() > 0.1
    given = generator.synthesize(ws, lambda layer, shape: tf.zeros(shape))
    np.testing.assert_allclose(given, generator.synthesize(ws, "none"), atol=1e-6)


@pytest.mark.slow
def test_noise_of_another_kind_is_refused():
    generator, _ = tiny()
    with pytest.raises(ValueError, match="noise is const, none, maps or a function, not 'random'"):
        generator.synthesize(tf.ones([1, generator.rows, 16]), "random")


@pytest.mark.slow
def test_truncation_stops_at_the_cutoff():
    generator, _ = tiny()
    generator.w_avg.assign(tf.ones([16]))
    ws = generator.truncate(tf.fill([1, 16], 3.0), 0.5, cutoff=2).numpy()
    assert (ws[:, :2] == 2).all() and (ws[:, 2:] == 3).all()


@pytest.mark.slow
def test_same_seed_same_network():
    first, second = (tiny()[0].values["synthesis/b8/conv0/weight"].numpy() for _ in range(2))
    other = tiny()[1].values["b8/conv0/weight"].numpy()
    assert (first == second).all() and np.abs(other).std() > 0.1


@pytest.mark.slow
def test_order_and_names_of_variables():
    _, discriminator = tiny()
    names = [variable.name for variable in discriminator.trainable_variables]
    assert names[:3] == ["b16/fromrgb/weight:0", "b16/fromrgb/bias:0", "b16/conv0/weight:0"]
    assert names[-1] == "b4/out/bias:0"


def test_minibatch_stddev_groups_are_strided():
    (x,) = arrays((6, 2, 2, 3))
    maps = minibatch_stddev(tf.constant(x, tf.float32), 3).numpy()[..., 3]
    for sample in range(6):
        group = x[sample % 2 :: 2]
        expected = np.sqrt(group.var(axis=0) + 1e-8).mean()
        np.testing.assert_allclose(maps[sample], expected, rtol=1e-5)
    with pytest.raises(ValueError, match="a batch of 6 does not divide"):
        minibatch_stddev(tf.constant(x, tf.float32), 4)


def test_fir_by_definition():
    (x,) = arrays((1, 6, 6, 1))
    kernel = np.outer([1, 3, 3, 1], [1, 3, 3, 1]) / 64
    padded = np.pad(x[0, :, :, 0], 1)
    windows = np.lib.stride_tricks.sliding_window_view(padded, (4, 4))
    expected = (windows * kernel).sum(axis=(2, 3))
    np.testing.assert_allclose(layers.blur(tf.constant(x), 1)[0, :, :, 0], expected)
    np.testing.assert_allclose(layers.down2(tf.constant(x))[0, :, :, 0], expected[::2, ::2])
    zeros = np.zeros((12, 12))
    zeros[::2, ::2] = x[0, :, :, 0]
    windows = np.lib.stride_tricks.sliding_window_view(np.pad(zeros, (2, 1)), (4, 4))
    expected = 4 * (windows * kernel).sum(axis=(2, 3))
    np.testing.assert_allclose(layers.up2(tf.constant(x))[0, :, :, 0], expected)


def test_up_convolution_by_definition():
    x, weight = arrays((1, 3, 3, 2), (3, 3, 2, 4))
    zeros = np.zeros((1, 7 + 4, 7 + 4, 2))
    zeros[:, 3:8:2, 3:8:2] = x  # 3 pixels with zeros between, margins for a full convolution
    full = tf.nn.conv2d(tf.constant(zeros), weight, 1, "VALID")[:, 1:-1, 1:-1]
    expected = layers.taps_over(full, (1, 1), 1)
    np.testing.assert_allclose(layers.conv_up(tf.constant(x), tf.constant(weight)), expected)


LAYER = {"affine/weight": (5, 3), "affine/bias": (3,), "bias": (4,), "noise_strength": ()}


@pytest.mark.slow
@pytest.mark.parametrize("up", [False, True])
def test_styled_convolution_is_exact_to_second_order(up):
    keys, side = ["weight", *LAYER], 8 if up else 4

    def run(x, row, noise, *values):
        return layers.styled_conv(x, row, noise, dict(zip(keys, values, strict=True)), up)

    shapes = [(2, 4, 4, 3), (2, 5), (2, side, side, 1), (3, 3, 3, 4), *LAYER.values()]
    second_order.check(run, *arrays(*shapes))


@pytest.mark.parametrize(
    ("function", "shapes"),
    [
        (lambda x: layers.blur(x, 1), [(1, 6, 4, 2)]),
        (lambda x: layers.blur(x, 2), [(1, 6, 4, 2)]),
        (layers.down2, [(1, 6, 4, 2)]),
        (layers.up2, [(1, 3, 4, 2)]),
        (lambda x, w: layers.conv(x, w, down=True), [(1, 6, 4, 2), (3, 3, 2, 3)]),
        (lambda x, w: layers.conv(x, w, down=True), [(1, 6, 4, 2), (1, 1, 2, 3)]),
        (lambda x: minibatch_stddev(x, 2), [(4, 3, 3, 2)]),
        (lambda x, y: recompute(lambda x, y: tf.sin(x * y) + y**2, [x, y]), [(3, 2), (3, 2)]),
    ],
)
def test_operations_are_exact_to_second_order(function, shapes):
    second_order.check(function, *arrays(*shapes))


def test_the_gradient_of_an_activation_is_tensorflows_and_keeps_its_result_alone():
    """The same bits, once and twice."""
    rng = np.random.default_rng(0)
    x = tf.constant([*rng.standard_normal(50), 0.0, -0.0, 1e-45, -1e-45], tf.float32)
    weight = tf.constant(rng.standard_normal(54), tf.float32)

    def gradients(leaky, x):
        with tf.GradientTape() as outer:
            outer.watch(x)
            with tf.GradientTape() as inner:
                inner.watch(x)
                y = tf.reduce_sum(weight * leaky(x) ** 3)
            first = inner.gradient(y, x)
            told = tf.reduce_sum(weight * first**2)
        return first, outer.gradient(told, x)

    for ours, theirs in zip(
        gradients(layers.leaky, x),
        gradients(lambda x: tf.nn.leaky_relu(x, layers.SLOPE), x),
        strict=True,
    ):
        np.testing.assert_array_equal(ours, theirs)

    @tf.function(autograph=False)
    def once(x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = layers.leaky(x + 1)
        return tape.gradient(y, x)

    operations = once.get_concrete_function(x).graph.get_operations()
    assert [op.inputs[1].op.type for op in operations if "ReluGrad" in op.type] == ["LeakyRelu"]
