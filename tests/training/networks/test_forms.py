"""D's forms against the same network in float64, written from figure 7 of the StyleGAN2 paper."""

import numpy as np
import pytest
import tensorflow as tf

from training.networks.architecture import DiscriminatorConfig, GeneratorConfig, Pair, saved_pair
from training.networks.discriminator import Discriminator, minibatch_stddev
from training.networks.generator import Generator
from training.networks.layers import interleaved

TAPS = np.outer([1, 3, 3, 1], [1, 3, 3, 1]) / 64
FORMS = [
    {"architecture": "orig"},
    {"architecture": "skip"},
    {"architecture": "resnet"},
    {"architecture": "skip", "conv_clamp": 0.5, "mbstd_group": 0},
    {"architecture": "resnet", "conv_clamp": 0.5},
    {"architecture": "orig", "epilogue_channels": 5, "labels": 2, "mapping_layers": 2},
]


def correlated(x, kernel, pad, step):
    """Sum over windows: x [h, w, i], kernel [k, k, i, o]."""
    size = kernel.shape[0]
    x = np.pad(x, [(pad, pad), (pad, pad), (0, 0)])
    windows = np.lib.stride_tricks.sliding_window_view(x, (size, size), (0, 1))
    return np.einsum("yxikl,klio->yxo", windows[::step, ::step], kernel)


def filtered(x, pad, step=1):
    return correlated(x, TAPS[:, :, None, None] * np.eye(x.shape[2]), pad, step)


class Reference:
    """One network in float64; images are seen one by one but for minibatch stddev."""

    def __init__(self, network):
        self.config = network.config
        self.values = {name: v.numpy().astype(np.float64) for name, v in network.values.items()}

    def conv(self, x, name, down=False, share=1.0):
        """Equalised convolution, bias, leaky ReLU times sqrt(2), clamp; all of it `share` times."""
        kernel = self.values[f"{name}/weight"]
        kernel = kernel / np.sqrt(np.prod(kernel.shape[:3]))
        pad = kernel.shape[0] // 2
        x = correlated(filtered(x, 2), kernel, 0, 2) if down else correlated(x, kernel, pad, 1)
        x = x + self.values[f"{name}/bias"]
        x = np.sqrt(2) * np.where(x < 0, 0.2 * x, x)
        limit = self.config.conv_clamp or np.inf
        return np.clip(x * share, -limit * share, limit * share)

    def dense(self, x, name, lrmul=1.0):
        weight = self.values[f"{name}/weight"] * lrmul / np.sqrt(len(self.values[f"{name}/weight"]))
        return x @ weight + lrmul * self.values[f"{name}/bias"]

    def body(self, image):
        """From the image to the features that enter the last block."""
        kind, x = self.config.architecture, None
        for name in ("b16", "b8"):
            if x is None or kind == "skip":
                seen = self.conv(image, f"{name}/fromrgb")
                x = seen if x is None else x + seen
            if kind == "resnet":
                skip = self.values[f"{name}/skip/weight"]
                aside = correlated(filtered(x, 1, 2), skip / np.sqrt(skip.shape[2]), 0, 1)
                y = self.conv(self.conv(x, f"{name}/conv0"), f"{name}/conv1", True, np.sqrt(0.5))
                x = y + aside * np.sqrt(0.5)
            else:
                x = self.conv(self.conv(x, f"{name}/conv0"), f"{name}/conv1", True)
            image = filtered(image, 1, 2)
        return x + self.conv(image, "b4/fromrgb") if kind == "skip" else x

    def __call__(self, images, labels):
        x = np.stack([self.body(image) for image in images])
        group = self.config.mbstd_group or len(x)
        grouped = x.reshape(group, -1, *x.shape[1:])
        deviation = np.sqrt(grouped.var(axis=0) + 1e-8).mean(axis=(1, 2, 3))
        maps = np.tile(deviation, group)[:, None, None, None] * np.ones_like(x[..., :1])
        x = np.concatenate([x, maps], axis=3)
        x = np.stack([self.conv(one, "b4/conv") for one in x]).reshape(len(x), -1)
        x = self.dense(x, "b4/fc")
        x = self.dense(np.sqrt(2) * np.where(x < 0, 0.2 * x, x), "b4/out")
        if not self.config.labels:
            return x
        known = self.dense(labels, "mapping/embed")
        known = known / np.sqrt((known**2).mean(axis=1, keepdims=True) + 1e-8)
        for number in range(self.config.mapping_layers):
            known = self.dense(known, f"mapping/fc{number}", 0.01)
            known = np.sqrt(2) * np.where(known < 0, 0.2 * known, known)
        return (x * known).sum(axis=1, keepdims=True) / np.sqrt(x.shape[1])


@pytest.mark.slow
@pytest.mark.parametrize("form", FORMS, ids=lambda form: "-".join(map(str, form.values())))
@pytest.mark.parametrize("recompute", [False, True])
def test_scores(form, recompute):
    config = DiscriminatorConfig(16, 16, fmap_base=32, fmap_max=6, recompute=recompute, **form)
    network, rng = Discriminator(config, 0), np.random.default_rng(0)
    for variable in network.values.values():
        variable.assign(variable + 0.3 * rng.standard_normal(variable.shape))
    images, labels = rng.standard_normal((8, 16, 16, 3)), np.eye(2)[[0, 1] * 4]
    ours = network(tf.constant(images, tf.float32), tf.constant(labels, tf.float32))
    np.testing.assert_allclose(ours, Reference(network)(images, labels), rtol=1e-4, atol=1e-5)


@pytest.mark.slow
def test_the_clamp_of_g_bounds_images_and_features():
    sizes = {"fmap_base": 32, "fmap_max": 8, "z_dim": 8, "w_dim": 8, "mapping_layers": 1}
    bounded, free = (Generator(GeneratorConfig(8, 8, conv_clamp=c, **sizes), 0) for c in (0.5, 0))
    ws = tf.random.stateless_normal([2, 4, 8], [1, 2])
    highest = [
        [np.abs(level.features).max() for level in generator.levels(ws)]
        for generator in (bounded, free)
    ]
    assert max(highest[0]) == 0.5 < min(highest[1])
    first, last = bounded.levels(ws)
    assert np.abs(first.image).max() <= 0.5 and np.abs(last.image).max() <= 1.0


def test_a_group_of_0_is_the_whole_batch():
    x = tf.random.stateless_normal([6, 2, 2, 3], [1, 2])
    np.testing.assert_array_equal(minibatch_stddev(x, 0), minibatch_stddev(x, 6))
    free = tf.function(lambda x: minibatch_stddev(x, 0), autograph=False)
    found = free.get_concrete_function(tf.TensorSpec([None, 2, 2, 3]))(x)
    np.testing.assert_allclose(found, minibatch_stddev(x, 6), rtol=1e-6)


@pytest.mark.slow
def test_two_batches_at_once_are_two_batches():
    network = Discriminator(DiscriminatorConfig(8, 8, fmap_base=16, fmap_max=8), 0)
    images = tf.random.stateless_normal([2, 8, 8, 8, 3], [1, 2])
    apart = tf.concat([network(images[0]), network(images[1])], axis=0)
    together = network(tf.reshape(images, [16, 8, 8, 3]), batches=2)
    np.testing.assert_allclose(together, apart, rtol=1e-5, atol=1e-6)
    assert np.abs(network(tf.reshape(images, [16, 8, 8, 3])) - apart).max() > 1e-4


@pytest.mark.slow
def test_zeros_are_set_between_pixels():
    x = tf.random.stateless_normal([2, 3, 5, 4], [1, 2])
    spread = np.zeros((2, 6, 10, 4), np.float32)
    spread[:, ::2, ::2] = x
    kernel = np.tile(4 * TAPS[:, :, None, None], [1, 1, 4, 1]).astype(np.float32)
    padded = np.pad(spread, [(0, 0), (2, 1), (2, 1), (0, 0)])
    expected = tf.nn.depthwise_conv2d(padded, kernel, [1, 1, 1, 1], "VALID")
    np.testing.assert_allclose(interleaved(x), expected, rtol=1e-6, atol=1e-6)
    graph = tf.function(interleaved).get_concrete_function(tf.TensorSpec(x.shape)).graph
    outputs = [tensor for op in graph.get_operations() for tensor in op.outputs]
    assert max(tensor.shape.rank for tensor in outputs) <= 5  # TFLite stacks, and pads no rank 6


@pytest.mark.slow
def test_maps_may_be_given_and_levels_asked_for():
    config = GeneratorConfig(16, 16, fmap_base=32, fmap_max=8, z_dim=8, w_dim=8, mapping_layers=1)
    generator = Generator(config, 0)
    for name, variable in generator.values.items():
        if name.endswith("noise_strength"):
            variable.assign(0.5)
    ws = tf.random.stateless_normal([2, 6, 8], [1, 2])
    own = generator.maps("const", 2)
    np.testing.assert_array_equal(generator.synthesize(ws, own), generator.synthesize(ws))
    other = [*own[:-1], own[-1] + 1]
    levels, changed = generator.levels(ws), generator.levels(ws, other)
    assert [level.features.shape for level in levels] == [(2, s, s, 8) for s in (4, 8)] + [
        (2, 16, 16, 4)
    ]
    np.testing.assert_array_equal(levels[1].image, changed[1].image)
    assert np.abs(levels[2].image - changed[2].image).max() > 0.01


def test_bfloat16_is_for_the_highest_levels():
    config = GeneratorConfig(64, 64, dtype="bfloat16", half_levels=2)
    assert [config.dtype_of(level) for level in range(5)] == ["float32"] * 3 + ["bfloat16"] * 2
    every = GeneratorConfig(64, 64, dtype="bfloat16", half_levels=9)
    assert every.dtype_of(0) == "float32" and every.dtype_of(1) == "bfloat16"


def test_what_runs_saved_before_is_read_with_the_defaults():
    flat = {"height": 16, "width": 8, "channels": 1, "labels": 2, "fmap_base": 64, "fmap_max": 16}
    flat |= {"z_dim": 5, "w_dim": 6, "mapping_layers": 3, "mbstd_group": 2}
    pair = saved_pair(flat)
    assert (pair.generator.mapping_layers, pair.discriminator.mapping_layers) == (3, 0)
    assert (pair.discriminator.architecture, pair.discriminator.mbstd_group) == ("resnet", 2)
    assert isinstance(pair, Pair) and saved_pair(pair.saved()) == pair
    with pytest.raises(ValueError, match="architecture is orig, skip or resnet, not 'unet'"):
        DiscriminatorConfig(16, 16, architecture="unet")
    with pytest.raises(ValueError, match="conv_clamp is at least 0, not -1"):
        GeneratorConfig(16, 16, conv_clamp=-1)
