"""The steps of a distillation weigh what the paper's equations say: Adam hides it."""

import math

import numpy as np
import pytest
import tensorflow as tf

from tests.kit.students import asked, teacher_of
from training.devices import Replicas
from training.networks.discriminator import discriminator_features
from training.phases import Part
from training.student import distill

BATCH, SIDE = 4, 16
GIVEN = {"lambda_perceptual": "1.3", "lambda_adversarial": "0.7", "lambda_d": "0.4", "mixing": 1}
GIVEN |= {"r1_gamma": "5", "r1_interval": 4, "penalty": "r2", "batch": BATCH}


@pytest.fixture(scope="module")
def taught(tmp_path_factory):
    """(the opened teacher, the distillation) before the first step; D is not the teacher's."""
    folder = tmp_path_factory.mktemp("weights")
    opened, config = asked(teacher_of(folder), folder, folder / "run", **GIVEN)
    teaching, rng = distill.teaching(opened, config, Replicas()), np.random.default_rng(0)
    state = distill.plan(opened, config, teaching.teacher).begin()
    for value in state.networks["D"].values.values():
        value.assign_add(0.05 * rng.standard_normal(value.shape).astype(np.float32))
    labels = np.zeros((1, 0), np.float32)
    return opened, distill.Distillation(state, config, labels, Replicas(), teaching)


def taken(distillation, name, phase, reals):
    """(ws of the student, gradients, what it tells) of a step of the first minibatch."""
    (step,) = [step for step in distillation.steps() if step.name == name]
    zero, weight = tf.constant(0, tf.int64), tf.constant(step.weight(0), tf.float32)
    part = Part(zero, zero, reals, tf.zeros((BATCH, 0)), weight, tf.constant(0.0))
    student, draws = distillation.state.networks["G"], distillation.draws(phase, part, 1, BATCH)
    w, other = (
        student.map(draws.normal(name, (student.config.z_dim,)), None) for name in ("z", "z2")
    )
    cutoff = draws.cutoff(1, student.rows)
    rows = [w if row < cutoff else other for row in range(student.rows)]
    return tf.stack(rows, axis=1), *step.share(part)


def close(found, loss, tape, variables):
    expected = tape.gradient(loss, variables, unconnected_gradients="zero")
    most = max(float(tf.reduce_max(abs(each))) for each in expected)
    assert most > 1e-3
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-4 * most)


def watched(distillation, network):
    return list(distillation.state.adams[network].variables.values())


def softplus(x):
    return tf.math.log(1 + tf.exp(x))


def seen(judge, image):
    """Eq. 1's features, D's in the place of VGG19's: of length 1, of an image of D's size."""
    while (side := image.shape[1]) < SIDE:
        image = tf.image.resize(image, (2 * side, 2 * side), "bilinear")
    maps = discriminator_features(judge, image)
    return [each / tf.sqrt(tf.reduce_sum(each**2, 3, keepdims=True) + 1e-8) for each in maps]


@pytest.mark.slow
def test_g_hears_the_teacher_and_d(taught):
    """lambda_1 L_p + lambda_2 softplus(-D): eq. 1, 2 and 4, with docs/student.md's norms."""
    opened, distillation = taught
    student, judge = distillation.state.networks["G"], opened.network("D")
    ws, found, told = taken(distillation, "G", "g main", tf.zeros(()))
    wanted = opened.network().synthesize(tf.concat([ws, ws[:, -1:], ws[:, -1:]], axis=1))
    variables = watched(distillation, "G")
    with tf.GradientTape() as tape:
        tape.watch(variables)
        near = 0.0
        for image in (level.image for level in student.levels(ws)):
            side = image.shape[1]
            blocks = tf.reshape(wanted, (BATCH, side, SIDE // side, side, SIDE // side, 3))
            for own, other in zip(image, tf.reduce_mean(blocks, (2, 4)), strict=True):
                pair = [[each[None], *seen(judge, each[None])] for each in (own, other)]
                parts = [tf.norm(a - b) / math.sqrt(tf.size(a)) for a, b in zip(*pair, strict=True)]
                near += tf.add_n(parts) / len(parts) / BATCH
        scores = distillation.state.networks["D"](student.synthesize(ws))
        against = tf.reduce_mean(softplus(-scores))
        loss = 1.3 * near + 0.7 * against
    np.testing.assert_allclose(told["Loss/perceptual"], near, rtol=1e-4)
    np.testing.assert_allclose(told["Loss/G/loss"], against, rtol=1e-4)
    close(found, loss, tape, variables)


@pytest.mark.slow
def test_d_and_its_penalty_weigh_lambda_3(taught):
    """Eq. 3: both softplus, and gamma / 2 of the squared gradient at the student's images."""
    _, distillation = taught
    student, judge = (distillation.state.networks[name] for name in "GD")
    reals = tf.random.stateless_uniform((BATCH, SIDE, SIDE, 3), [0, 1], -1, 1)
    variables = watched(distillation, "D")
    ws, found, told = taken(distillation, "D", "d main", reals)
    with tf.GradientTape() as tape:
        tape.watch(variables)
        loss = tf.reduce_mean(softplus(judge(student.synthesize(ws))) + softplus(-judge(reals)))
        weighed = 0.4 * loss
    np.testing.assert_allclose(told["Loss/D/loss"], loss, rtol=1e-4)
    close(found, weighed, tape, variables)

    ws, found, _ = taken(distillation, "D_r1", "d r2", reals)
    fakes = tf.stop_gradient(student.synthesize(ws))
    with tf.GradientTape() as tape:
        tape.watch(variables)
        with tf.GradientTape() as inner:
            inner.watch(fakes)
            total = tf.reduce_sum(judge(fakes))
        penalty = tf.reduce_sum(inner.gradient(total, fakes) ** 2) / BATCH
        weighed = 0.4 * 5 / 2 * 4 * penalty
    close(found, weighed, tape, variables)
