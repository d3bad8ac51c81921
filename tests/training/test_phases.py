"""The lazy steps of a minibatch weigh what the papers say: Adam hides it, as it divides by size."""

import math

import numpy as np
import pytest
import tensorflow as tf

from tests.kit.training_runs import small
from training.devices import Replicas
from training.draws import Draws
from training.minibatch import Minibatch
from training.networks.generator import noise_sizes
from training.phases import Part, Phases
from training.state import network_configs, new_state

BATCH = 4
GIVEN = {"r1_gamma": "3", "r1_interval": 16, "pl_weight": 1.7, "pl_interval": 4, "mixing": 0}


@pytest.fixture
def phases(tmp_path):
    """Of networks whose samples do not know of each other, with biases and noise that matter."""
    config = small(tmp_path, tmp_path, batch=BATCH, mbstd_group=1, **GIVEN)
    state, rng = new_state(config, network_configs(config, (8, 8, 3), 0)), np.random.default_rng(0)
    for network in state.networks.values():
        for name, value in network.values.items():
            if name.endswith(("bias", "noise_strength")):
                value.assign_add(0.1 * rng.standard_normal(value.shape).astype(np.float32))
    state.path_mean.assign(0.3)
    return Phases(state, config, np.zeros((1, 0), np.float32), Replicas())


def taken(phases, name, reals):
    """(draws of the step, its gradients, what it tells) of the first minibatch."""
    (step,) = [step for step in phases.steps() if step.name == name]
    zero, weight = tf.constant(0, tf.int64), tf.constant(step.weight(0), tf.float32)
    part = Part(zero, zero, reals, tf.zeros((BATCH, 0)), weight, tf.constant(0.0))
    count = phases.path_batch if name == "G_path" else BATCH
    return phases.draws("g path", part, 1, count), *step.share(part)


def squares(function, x):
    """For each sample alone: the squared gradient of a function of it, by rows."""
    found = []
    for number in range(len(x)):
        one = x[number : number + 1]
        with tf.GradientTape() as tape:
            tape.watch(one)
            value = function(one, number)
        found.append(tape.gradient(value, one)[0] ** 2)
    return tf.stack(found)


def close(found, loss, tape, state, network):
    variables = list(state.adams[network].variables.values())
    expected = tape.gradient(loss, variables, unconnected_gradients="zero")
    assert tf.linalg.global_norm(expected) > 1e-3
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-4 * np.abs(other).max() + 1e-7)


@pytest.mark.slow
@pytest.mark.parametrize(("height", "width", "rows", "columns"), [(64, 64, 1, 1), (256, 128, 4, 2)])
def test_some_pixels_tell_how_alike_fakes_are(phases, height, width, rows, columns):
    images = np.random.default_rng(0).normal(size=(BATCH, height, width, 3)).astype(np.float32)
    told = phases.spread(tf.constant(images))
    assert told["images"].shape == (64, 64, 3)
    some = images[:, ::rows, ::columns]
    np.testing.assert_allclose(told["images"], some.mean(axis=0), atol=1e-6)
    np.testing.assert_allclose(told["squares"], (some**2).mean(axis=0), atol=1e-6)
    found = np.sqrt(told["squares"] - told["images"] ** 2).mean()
    assert abs(found - images.std(axis=0).mean()) < 0.01 * found


@pytest.mark.slow
def test_r1_weighs_half_of_gamma_times_its_interval(phases):
    """gamma / 2 E |grad D(x)|^2 (Mescheder et al. 2018), every 16 minibatches 16 times that."""
    state = phases.state
    reals = tf.random.stateless_normal((BATCH, 8, 8, 3), [0, 1])
    _, found, told = taken(phases, "D_r1", reals)
    with tf.GradientTape() as tape:
        tape.watch(list(state.adams["D"].variables.values()))
        each = squares(lambda x, _: state.networks["D"](x), reals)
        penalty = tf.reduce_sum(each) / BATCH
        loss = 3 / 2 * 16 * penalty
    np.testing.assert_allclose(told["Loss/r1_penalty"], penalty, rtol=1e-4)
    close(found, loss, tape, state, "D")


@pytest.mark.slow
def test_path_length_weighs_its_weight_times_its_interval(phases):
    """E (|J^T y| - a)^2 of half a minibatch, a having moved (Karras et al. 2020, eq. 4)."""
    state, generator = phases.state, phases.state.networks["G"]
    draws, found, told = taken(phases, "G_path", tf.zeros((BATCH, 8, 8, 3)))
    count = BATCH // 2
    y = draws.normal("image", (8, 8, 3)) / math.sqrt(8 * 8)
    sizes = noise_sizes(generator.config)
    maps = [draws.noise(layer, (count, *size, 1)) for layer, size in enumerate(sizes)]

    def seen(ws, number):
        own = slice(number, number + 1)
        return tf.reduce_sum(generator.synthesize(ws, [each[own] for each in maps]) * y[own])

    with tf.GradientTape() as tape:
        tape.watch(list(state.adams["G"].variables.values()))
        ws = generator.broadcast(generator.map(draws.normal("z", (4,)), None))
        lengths = tf.sqrt(tf.reduce_mean(tf.reduce_sum(squares(seen, ws), axis=2), axis=1))
        mean = 0.3 + 0.01 * (tf.reduce_mean(lengths) - 0.3)
        penalty = tf.reduce_mean((lengths - mean) ** 2)
        loss = 1.7 * 4 * penalty
    np.testing.assert_allclose(told["Loss/pl_penalty"], penalty, rtol=1e-4)
    np.testing.assert_allclose(told["pl_lengths"], tf.reduce_mean(lengths), rtol=1e-4)
    close(found, loss, tape, state, "G")


def passes(phases, seen, path):
    """The mean w of each pass of G in a minibatch, in their order."""
    generator = phases.state.networks["G"]
    wanted = [("g main", BATCH), *([("g path", BATCH // 2)] if path else []), ("d main", BATCH)]
    for phase, count in wanted:
        place = tf.constant(0, tf.int64)
        draws = Draws(0, phase, tf.constant(seen, tf.int64), place, 1, count)
        yield generator.map(draws.normal("z", (4,)), None).numpy().mean(axis=0)


@pytest.mark.slow
def test_what_follows_a_minibatch_follows_as_the_papers_say(tmp_path):
    """The mean of w over every pass of G, that of path lengths, p by r_t, and the average of G.

    Nothing learns, so that each can be told from the draws and the journal alone.
    """
    given = {"g_lr": "0", "d_lr": "0", "pl_decay": 0.05, "w_avg_decay": 0.9, "pl_interval": 2}
    given |= {"augment": "ada", "augment_p": 0.5, "ada_interval": 3, "ada_target": -0.75}
    given |= {"ada_kimg": 0.2, "augment_pipe": "noise", "r1_interval": 0}
    given |= {"ema_kimg": 0.012, "ema_ramp": 1.5, "batch": BATCH}
    config = small(tmp_path, tmp_path, **given)
    state = new_state(config, network_configs(config, (8, 8, 3), 0))
    labels, reals = np.zeros((1, 0), np.float32), tf.zeros((BATCH, 8, 8, 3))
    minibatch = Minibatch(state, config, labels, 1.0)
    phases = Phases(state, config, labels, Replicas())
    generator = state.networks["G"]
    own, average = (state.networks[name].values["synthesis/b4/const"] for name in ("G", "G_ema"))
    w_avg, path, p, mean, signs = np.zeros(4), 0.0, 0.5, own.numpy() + 1, []
    moved = [p]
    average.assign(mean)
    for number in range(7):
        for w in passes(phases, number * BATCH, path=number % 2 == 0):
            w_avg = 0.9 * w_avg + 0.1 * w
        told = minibatch(reals, tf.zeros((BATCH, 0)))
        if number % 2 == 0:
            path += 0.05 * (told["pl_lengths"] - path)
        signs.append(told["Loss/signs/real"])
        if number % 3 == 2:
            p = np.clip(p + np.sign(np.mean(signs) + 0.75) * 3 * BATCH / 200, 0, 1)
            moved.append(p)
            signs = []
        half_life = min(12, 1.5 * number * BATCH)
        stays = 0.5 ** (BATCH / half_life) if half_life else 0.0
        mean = own.numpy() + stays * (mean - own.numpy())
        np.testing.assert_allclose(generator.w_avg, w_avg, atol=1e-5)
        np.testing.assert_allclose(told["pl_mean"], path, rtol=1e-4)
        np.testing.assert_allclose(told["augment_p"], p, atol=1e-6)
        np.testing.assert_allclose(average, mean, atol=1e-5)
    assert np.abs(w_avg).max() > 0.01 and moved[0] != moved[1] != moved[2]
