"""What a minibatch does besides its losses: p, averages, steps that are left out, XLA."""

import numpy as np
import pytest
import tensorflow as tf

from tests.kit.training_runs import eagerly, small
from training import phases
from training.adam import Adam
from training.minibatch import Minibatch, ada_p, follow
from training.networks.architecture import GeneratorConfig
from training.networks.generator import Generator
from training.phases import Step
from training.state import network_configs, new_state

ALL = {"augment": "ada", "augment_pipe": "bgc", "ada_interval": 1, "ada_target": -0.9}


@pytest.mark.slow
def test_p_rises_in_ada_kimg_and_stays_a_probability():
    p, steps = tf.constant(0.0), 0
    while p < 1:
        p, steps = ada_p(p, 0.9, 2000.0, 0.6, 500), steps + 1
    assert steps == pytest.approx(250, abs=1)
    assert ada_p(1.0, 0.9, 128.0, 0.6, 500) == 1
    assert ada_p(0.0, 0.1, 128.0, 0.6, 500) == 0
    assert ada_p(0.5, tf.constant(0.6), 128.0, 0.6, 500) == 0.5


def by_hand(gradients, rate, beta1, beta2, epsilon):
    """Algorithm 1 of the Adam paper, in float64."""
    x, m, v = np.zeros(3), np.zeros(3), np.zeros(3)
    for t, g in enumerate(gradients, 1):
        m, v = beta1 * m + (1 - beta1) * g, beta2 * v + (1 - beta2) * g**2
        x = x - rate * m / (1 - beta1**t) / (np.sqrt(v / (1 - beta2**t)) + epsilon)
    return x


@pytest.mark.parametrize("beta1", [0.0, 0.5])
@pytest.mark.parametrize("interval", [0, 4])
def test_adam_is_the_papers(beta1, interval):
    """With lazy steps its rate and betas are those of appendix B of the StyleGAN2 paper."""
    variable = tf.Variable(tf.zeros([3]))
    adam = Adam({"x": variable}, beta1, 0.99, 1e-8, interval)
    gradients = np.random.default_rng(0).standard_normal((20, 3))
    for gradient in gradients:
        adam.moved([tf.constant(gradient, tf.float32)], tf.constant(0.01))
    c = {0: 1, 4: 4 / 5}[interval]
    wanted = by_hand(gradients, 0.01 * c, beta1**c, 0.99**c, 1e-8)
    np.testing.assert_allclose(variable, wanted, rtol=1e-4)
    assert set(adam.slots()) == {"steps", "v/x"} | ({"m/x"} if beta1 else set())


@pytest.mark.parametrize("beta1", [0.0, 0.5])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_gradient_that_is_not_finite_leaves_every_bit(beta1, value):
    variables = {name: tf.Variable(tf.ones([3])) for name in "xy"}
    adam = Adam(variables, beta1, 0.99, 1e-8, 16)
    good, bad = tf.constant([1.0, 2.0, 3.0]), tf.constant([1.0, value, 3.0])

    def state():
        every = [*variables.values(), *adam.slots().values()]
        return [variable.numpy() for variable in every]

    for before in range(2):  # as the first step, and after one
        kept = state()
        _, finite = adam.moved([good, bad], tf.constant(0.1))
        assert not finite
        for one, other in zip(kept, state(), strict=True):
            np.testing.assert_array_equal(one, other)
        if not before:
            assert adam.moved([good, good], tf.constant(0.1))[1]


@pytest.mark.slow
def test_an_average_follows_what_learns_and_copies_the_rest():
    config = GeneratorConfig(8, 8, fmap_base=16, fmap_max=8, z_dim=4, w_dim=4, mapping_layers=1)
    mean, network = Generator(config, 0), Generator(config, 1)
    network.w_avg.assign(tf.fill([4], 3.0))
    before = {name: variable.numpy() for name, variable in mean.values.items()}
    follow(mean, network, tf.constant(0.9))
    for name, entry in mean.table.items():
        value = network.values[name].numpy()
        expected = 0.9 * before[name] + 0.1 * value if entry.trainable else value
        np.testing.assert_allclose(mean.values[name], expected, rtol=1e-5, atol=1e-6)


@pytest.mark.slow
@pytest.mark.usefixtures("eagerly")
def test_another_list_of_steps_trains_as_well(tmp_path):
    """One network, drawn to a teacher that nothing moves and no checkpoint holds."""
    config = small(tmp_path, tmp_path)
    pair = network_configs(config, (8, 8, 3), 0)
    state, teacher = new_state(config, pair), Generator(pair.generator, 7)

    def share(part):
        ws = tf.random.stateless_normal([4, 4, 4], [1, 2])
        student = state.adams["G"]
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(list(student.variables.values()))
            off = state.networks["G"].synthesize(ws) - teacher.synthesize(ws)
            loss = part.weight * tf.reduce_mean(off**2)
        found = tape.gradient(loss, list(student.variables.values()), None, "zero")
        return found, {"distance": loss}

    step = Step("distil", "G", share, weight=lambda seen: 2.0, interval=2)
    before = state.arrays()
    minibatch = Minibatch(state, config, np.zeros((1, 0), np.float32), 1.0, steps=[step])
    told = [minibatch(tf.zeros((4, 8, 8, 3)), tf.zeros((4, 0))) for _ in range(6)]
    assert ["distance" in one for one in told] == [True, False] * 3
    assert told[4]["distance"] < told[0]["distance"] and told[0]["skipped/distil"] == 0
    assert state.seen == 24 and int(state.adams["G"].steps) == 3
    after = state.arrays()
    moved = {name.split("/")[0] for name in after if not np.array_equal(before[name], after[name])}
    assert moved == {"G", "G_ema", "adam_G"}


def off(value, other, least=1e-30):
    """How far apart arrays are, as a share of the largest number, which counts as `least`."""
    value, other = np.asarray(value), np.asarray(other)
    return abs(value - other).max() / max(abs(value).max(), least)


def computed(config, images, **more):
    """What a minibatch with all steps tells; the second moments after it; how far weights moved."""
    height, width = images.shape[1:3]
    state = new_state(config, network_configs(config, (height, width, 3), 0))
    minibatch = Minibatch(state, config, np.zeros((1, 0), np.float32), 1.0, **more)
    before = {name: np.array(value) for name, value in state.arrays().items()}
    told = minibatch(images, tf.zeros((len(images), 0)))
    after = state.arrays()
    second = {name: value for name, value in after.items() if "/v/" in name}
    moved = {n: v - before[n] for n, v in after.items() if n.startswith(("G/", "D/"))}
    return told, second, moved


def reals(count=4, side=8):
    return tf.random.stateless_uniform((count, side, side, 3), [1, 2], -1, 1)


@pytest.mark.slow
def test_xla_gives_the_same(tmp_path):
    """The steps of `xla = true` against TensorFlow's operations; warps have a test of their own."""
    more = {**ALL, "augment_pipe": "color"}
    with eagerly():
        plain = computed(small(tmp_path, tmp_path, xla="false", **more), reals())
    compiled = computed(small(tmp_path, tmp_path, xla="true", **more), reals())
    (told, moved, steps), (other, again, others) = plain, compiled
    assert {name: off(value, other[name]) for name, value in told.items()} == {
        name: pytest.approx(0, abs=1e-5) for name in told
    }
    assert len(moved) > 20
    for network in ("adam_G/", "adam_D/"):
        names = [name for name in moved if name.startswith(network)]
        largest = max(moved[name].max() for name in names)
        for name in names:
            assert off(moved[name], again[name], 0.01 * largest) < 2e-4, name
    for name, step in steps.items():  # with the sign of the gradients
        assert np.linalg.norm(step - others[name]) <= 0.01 * np.linalg.norm(step), name


@pytest.mark.slow
def test_xla_has_convolutions_of_its_own(tmp_path):
    config = small(tmp_path, tmp_path, xla="true")
    state = new_state(config, network_configs(config, (8, 8, 3), 0))
    assert Minibatch(state, config, np.zeros((1, 0), np.float32), 1.0).use == "none"


@pytest.mark.slow
@pytest.mark.usefixtures("eagerly")
def test_images_in_turn_give_what_images_at_once_give(tmp_path, monkeypatch):
    """D's step on large images, with labels, ADA and two rounds."""
    config = small(tmp_path, tmp_path, labels=True, accumulation=2, **ALL)
    state = new_state(config, network_configs(config, (8, 8, 3), 2))
    labels = np.eye(2, dtype=np.float32)
    one, first = tf.constant(1.0), tf.constant(0, tf.int64)
    given = reals()[::2], tf.constant(labels), one, one

    def share():
        return Minibatch(state, config, labels, 1.0).shares["D"](first, first, *given)

    plain, told = share()
    monkeypatch.setattr(phases, "LARGE", 64)
    monkeypatch.setattr(phases.Phases, "seen_at_once", None)
    turned, other = share()
    for name, value in told.items():
        np.testing.assert_allclose(other[name], value, rtol=1e-5, atol=1e-6, err_msg=name)
    for value, gradient in zip(plain, turned, strict=True):
        np.testing.assert_allclose(gradient, value, atol=1e-5 * abs(value).numpy().max())


@pytest.mark.slow
def test_real_images_wait_for_the_gradients_of_fakes(tmp_path, monkeypatch):
    monkeypatch.setattr(phases, "LARGE", 64)
    config = small(tmp_path, tmp_path)
    state = new_state(config, network_configs(config, (8, 8, 3), 0))
    minibatch = Minibatch(state, config, np.zeros((1, 0), np.float32), 1.0)
    one, first = tf.constant(1.0), tf.constant(0, tf.int64)
    share = tf.function(minibatch.shared(minibatch.steps[2]), autograph=False)
    graph = share.get_concrete_function(first, first, reals(), tf.zeros((4, 0)), one, one).graph
    waits = [each for each in graph.get_operations() if each.type == "Identity"]
    waits = [each for each in waits if each.inputs[0].op.type == "Placeholder"]
    assert [len(each.control_inputs) for each in waits if each.inputs[0].shape == (4, 8, 8, 3)] == [
        len(state.adams["D"].variables)
    ]


@pytest.mark.slow
@pytest.mark.usefixtures("eagerly")
def test_half_the_products_give_the_same(tmp_path):
    """All steps, path length's and R1's too, of networks in which some convolutions are halved."""
    found = []
    for use in ("none", "learning"):
        config = small(tmp_path, tmp_path, batch=8, fmap_base=512, fmap_max=64)
        found.append(computed(config, reals(8, 16), use=use))
    (plain, moved, _), (halved, others, _) = found
    for name, value in plain.items():
        np.testing.assert_allclose(halved[name], value, rtol=1e-4, atol=1e-6, err_msg=name)
    second = [name for name in moved if name.endswith("weight")]
    assert len(second) > 20
    for name in second:
        largest = moved[name].max()
        np.testing.assert_allclose(others[name], moved[name], atol=1e-4 * largest, err_msg=name)
    assert any(not np.array_equal(others[name], moved[name]) for name in second)
