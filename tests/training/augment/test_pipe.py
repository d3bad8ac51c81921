"""Augmentations against a float64 reference in numpy, written from the definition."""

from functools import reduce
from statistics import NormalDist

import numpy as np
import pytest
import tensorflow as tf

from tests.kit import second_order
from training.augment import PIPES, check_pipe, colour, filter, geometry, pipe
from training.augment.warp import CENTRE, SYM6, warp
from training.networks import cpu

MIDDLE = dict.fromkeys(pipe.DRAWS, 0.5)


def images(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def apply(pictures, preset, p=1.0, **drawn):
    """Augment with every draw at 0.5 (no change, mostly) but those given; only those are made."""
    off = {name: 1.0 for name in pipe.DRAWS if name.endswith("?")}
    names = {name.replace("_", " "): value for name, value in drawn.items()}
    on = {f"{name.split()[0]}?": 0.0 for name in names}
    uniform = np.float32([list((MIDDLE | off | on | names).values())] * len(pictures))
    return pipe.changed(tf.constant(pictures), p, tf.constant(uniform), None, preset).numpy()


def reference_warp(image, inverse, margin):
    """Reflect, double by zero insertion and sym6, sample bilinearly, halve, crop; float64."""
    height, width, _ = image.shape
    fine = np.pad(image.astype(np.float64), [(margin, margin)] * 2 + [(0, 0)], mode="reflect")
    for axis in (0, 1):
        fine = np.apply_along_axis(doubled, axis, fine)
    steps_y, steps_x = np.arange(2 * height + 10) - 5, np.arange(2 * width + 10) - 5
    sampled = np.zeros((len(steps_y), len(steps_x), image.shape[2]))
    for row, down in enumerate((steps_y + 0.5 - CENTRE - height) / 2):
        for column, across in enumerate((steps_x + 0.5 - CENTRE - width) / 2):
            x, y, _ = inverse @ [across, down, 1]
            x, y = (2 * (v + margin) - 0.5 + CENTRE + n for v, n in ((x, width), (y, height)))
            left, top = int(np.floor(x)), int(np.floor(y))
            a, b = x - left, y - top
            sampled[row, column] = (1 - b) * (
                (1 - a) * fine[top, left] + a * fine[top, left + 1]
            ) + b * ((1 - a) * fine[top + 1, left] + a * fine[top + 1, left + 1])
    for axis in (0, 1):
        sampled = np.apply_along_axis(halved, axis, sampled)
    return sampled


def doubled(line):
    zeros = np.zeros(2 * len(line))
    zeros[::2] = line
    return np.convolve(zeros, SYM6 * np.sqrt(2))[5 : 5 + len(zeros)]


def halved(line):
    return np.convolve(line, SYM6[::-1] / np.sqrt(2), mode="valid")[::2]


def test_sym6_is_orthonormal_and_smooth():
    overlaps = [SYM6[: 12 - shift] @ SYM6[shift:] for shift in range(0, 12, 2)]
    np.testing.assert_allclose(overlaps, [1, 0, 0, 0, 0, 0], atol=1e-11)
    signs = (-1.0) ** np.arange(12)
    moments = [(signs * SYM6 * np.arange(12.0) ** power).sum() for power in range(6)]
    np.testing.assert_allclose(moments, 0, atol=1e-8)


@pytest.mark.slow
@pytest.mark.parametrize("use", ["none", "learning"])
@pytest.mark.parametrize("size", [(16, 16), (12, 20)])
def test_warp_against_the_reference(size, use):
    pictures = images(3, *size, 2)
    angle, cases = 0.7, []
    for scale, x, y in ((1.0, 0.0, 0.0), (1.5, 3.3, -2.2), (0.6, -6.0, 9.1)):
        cosine, sine = scale * np.cos(angle), scale * np.sin(angle)
        cases.append([[cosine, -sine, x], [0.9 * sine, 0.9 * cosine, y], [0, 0, 1]])
    inverse = np.float32(cases)
    with cpu.allowed(use):
        ours = warp(tf.constant(pictures), tf.constant(inverse))
    for picture, matrix, found in zip(pictures, inverse, ours, strict=True):
        reference = reference_warp(picture, matrix.astype(np.float64), 60)
        np.testing.assert_allclose(found, reference, atol=2e-4)


@pytest.mark.parametrize("use", ["none", "learning"])
def test_warp_by_nothing_changes_nothing(use):
    pictures = images(2, 12, 20, 3)
    with cpu.allowed(use):
        found = warp(tf.constant(pictures), tf.eye(3, batch_shape=[2]))
    np.testing.assert_allclose(found, pictures, atol=1e-5)


@pytest.mark.slow
def test_flips_turns_and_whole_shifts_move_pixels():
    pictures = images(2, 16, 16, 3)
    np.testing.assert_allclose(apply(pictures, "bgc", flip=0.7), pictures[:, :, ::-1], atol=1e-5)
    turned = apply(pictures, "bgc", turn=0.3)
    np.testing.assert_allclose(turned, np.rot90(pictures, 1, (1, 2)), atol=1e-5)
    moved = apply(pictures, "blit", whole_x=1.0, whole_y=0.5)
    np.testing.assert_allclose(moved[:, :, 2:], pictures[:, :, :-2], atol=1e-5)
    np.testing.assert_allclose(moved[:, :, :2], pictures[:, :, 2:0:-1], atol=1e-5)


def test_geometry_scales_about_the_centre():
    y, x = np.mgrid[-1:1:64j, -1:1:64j]
    blob = np.float32(np.exp(-8 * (x**2 + y**2)))[None, :, :, None]
    larger = apply(blob, "geom", scale=0.999)
    factor = 2 ** (0.2 * 3.0902)
    expected = np.exp(-8 * (x**2 + y**2) / factor**2)
    np.testing.assert_allclose(larger[0, :, :, 0], expected, atol=2e-3)
    wide = apply(blob, "geom", stretch=0.999)
    expected = np.exp(-8 * (x**2 / factor**2 + y**2 * factor**2))
    inside = slice(20, -20)  # above and below the reflection comes into sight
    np.testing.assert_allclose(wide[0, inside, :, 0], expected[inside], atol=2e-3)


def made(own, name, p, value, neutral):
    """`value` where the change is made, of one sample's draws."""
    return value if own[f"{name}?"] < p else neutral


def quantile(uniform):
    return NormalDist().inv_cdf(min(max(uniform, 1e-7), 1 - 1e-7))


def reference_geometry(own, p, height, width):
    """Where a pixel goes: each change after the one before (appendix B of the ADA paper)."""

    def turned(angle):
        cosine, sine = np.cos(angle), np.sin(angle)
        return np.array([[cosine, -sine, 0], [sine, cosine, 0], [0, 0, 1]])

    def shifted(x, y):
        return np.array([[1, 0, x], [0, 1, y], [0, 0, 1]])

    def angle(name):
        return made(own, name, 1 - np.sqrt(1 - p), np.pi * (2 * own[name] - 1), 0)

    scale = made(own, "scale", p, 2 ** (0.2 * quantile(own["scale"])), 1)
    stretch = made(own, "stretch", p, 2 ** (0.2 * quantile(own["stretch"])), 1)
    shares = [own[f"whole {axis}"] / 4 - 1 / 8 for axis in "xy"]
    whole = made(own, "whole", p, np.rint(np.multiply(shares, (width, height))), (0, 0))
    shares = [quantile(own[f"part {axis}"]) / 8 for axis in "xy"]
    part = made(own, "part", p, np.multiply(shares, (width, height)), (0, 0))
    steps = [
        np.diag([1 - 2 * made(own, "flip", p, int(2 * own["flip"]), 0), 1, 1]),
        turned(-np.pi / 2 * made(own, "turn", p, int(4 * own["turn"]), 0)),
        shifted(*whole),
        np.diag([scale, scale, 1]),
        turned(-angle("before")),
        np.diag([stretch, 1 / stretch, 1]),
        turned(-angle("after")),
        shifted(*part),
    ]
    return reduce(lambda done, step: step @ done, steps)


def reference_gains(own, p):
    """Of the four bands: each change is normalised by itself (appendix B of the ADA paper)."""
    gains, power = np.ones(4), np.array([10, 1, 1, 1]) / 13
    for band in range(4):
        step = np.ones(4)
        step[band] = made(own, f"band{band}", p, 2 ** quantile(own[f"band{band}"]), 1)
        gains *= step / np.sqrt(power @ step**2)
    return gains


@pytest.mark.slow
def test_what_is_drawn_is_made_in_the_papers_order():
    uniform = np.random.default_rng(5).random((60, len(pipe.DRAWS))).astype(np.float32)
    drawn, p = dict(zip(pipe.DRAWS, tf.constant(uniform.T), strict=True)), tf.constant(0.6)
    inverse = geometry.blit(drawn, p, (24, 40)) @ geometry.geometry(drawn, p, (24, 40))
    gains, strength = filter.band_gains(drawn, p), filter.noise_strength(drawn, p)
    for number, line in enumerate(uniform.astype(np.float64)):
        own = dict(zip(pipe.DRAWS, line, strict=True))
        expected = np.linalg.inv(reference_geometry(own, 0.6, 24, 40))
        np.testing.assert_allclose(inverse[number], expected, atol=2e-4)
        np.testing.assert_allclose(gains[number], reference_gains(own, 0.6), rtol=1e-4)
        sigma = made(own, "noise", 0.6, 0.1 * abs(quantile(own["noise"])), 0)
        np.testing.assert_allclose(strength[number], sigma, rtol=1e-3, atol=1e-6)


def reference_colour(drawn):
    """The 3 x 4 colour map, as a product of homogeneous matrices."""
    v = np.array([1, 1, 1]) / np.sqrt(3)
    cross = np.array([[0, -v[2], v[1]], [v[2], 0, -v[0]], [-v[1], v[0], 0]])
    grey = np.outer(v, v)
    hue = (
        np.cos(drawn["hue"]) * np.eye(3)
        + np.sin(drawn["hue"]) * cross
        + (1 - np.cos(drawn["hue"])) * grey
    )
    steps = np.eye(3) * drawn["contrast"]
    steps = (np.eye(3) - 2 * grey * drawn["luma"]) @ steps
    steps = (grey + (np.eye(3) - grey) * drawn["saturation"]) @ hue @ steps
    return np.column_stack([steps, steps @ np.full(3, drawn["brightness"])])


def test_colour_against_the_reference():
    z = 1.2815515655446004  # the 0.9 quantile of N(0, 1)
    drawn = {"brightness": 0.2 * z, "contrast": 2 ** (0.5 * z), "luma": 1.0}
    drawn |= {"hue": 0.8 * np.pi, "saturation": 2**z}
    matrix = reference_colour(drawn)
    pictures = images(2, 8, 8, 4)
    chosen = dict.fromkeys(["brightness", "contrast", "luma", "hue", "saturation"], 0.9)
    found = apply(pictures, "color", **chosen)
    expected = pictures[..., :3].astype(np.float64) @ matrix[:, :3].T + matrix[:, 3]
    np.testing.assert_allclose(found[..., :3], expected, atol=2e-5)
    np.testing.assert_array_equal(found[..., 3], pictures[..., 3])
    grey = apply(pictures[..., :1], "color", **chosen)
    mean = matrix.mean(axis=0)
    expected = pictures[..., :1] * mean[:3].sum() + mean[3]
    np.testing.assert_allclose(grey, expected, atol=2e-5)


def test_bands_sum_to_one_and_split_the_spectrum():
    bands = [np.abs(np.fft.rfft(taps, 256)) for taps in filter.band_taps()]
    assert [np.argmax(band[:128]) // 16 for band in bands[1:]] == [1, 2, 7]
    assert bands[0][0] == pytest.approx(1) and bands[0][64] < 0.05
    pictures = images(2, 16, 12, 3)
    same = filter.filtered(tf.constant(pictures), tf.ones([2, 4]))
    np.testing.assert_allclose(same, pictures, atol=1e-5)


def test_filter_against_the_reference():
    picture, gains = images(1, 24, 30, 1), np.float32([[0.5, 2.0, 1.5, 0.3]])
    taps = sum(
        gain * np.pad(band, (43 - len(band)) // 2)
        for gain, band in zip(gains[0], filter.band_taps(), strict=True)
    )
    expected = np.pad(picture[0, :, :, 0].astype(np.float64), 21, mode="reflect")
    for axis in (0, 1):
        expected = np.apply_along_axis(np.convolve, axis, expected, taps, "valid")
    found = filter.filtered(tf.constant(picture), tf.constant(gains))
    np.testing.assert_allclose(found[0, :, :, 0], expected, atol=2e-5)


def test_band_gains_keep_the_expected_power():
    drawn = {name: tf.constant([0.8]) for name in pipe.DRAWS}
    drawn |= {f"band{band}?": tf.constant([1.0 if band else 0.0]) for band in range(4)}
    gains = filter.band_gains(drawn, tf.constant(0.5))
    assert tf.reduce_sum(filter.POWER * gains**2).numpy() == pytest.approx(1)
    assert gains[0, 0] > gains[0, 1] == gains[0, 3]


def test_cutout_is_half_the_size_about_its_centre():
    hole = apply(np.ones((1, 16, 32, 3), np.float32), "cutout", cutout_x=0.5, cutout_y=0.0)
    assert (hole[0, :4, 8:24] == 0).all()
    assert hole.sum() == 3 * (16 * 32 - 4 * 16)


@pytest.mark.slow
@pytest.mark.parametrize("preset", PIPES)
def test_no_chance_changes_nothing_and_draws_are_a_sample_s_own(preset):
    pictures, noise = tf.constant(images(4, 8, 8, 3)), tf.constant(images(4, 8, 8, 3, seed=1))
    uniform = tf.constant(np.random.default_rng(7).random((4, len(pipe.DRAWS)), np.float32))
    run = pipe.changed
    if preset == "bgcfnc":  # all in one graph
        run = tf.function(run, autograph=False)
    same = run(pictures, tf.constant(0.0), uniform, noise, preset)
    np.testing.assert_array_equal(same, pictures)
    together = run(pictures, tf.constant(0.9), uniform, noise, preset).numpy()
    alone = pipe.changed(pictures[2:3], 0.9, uniform[2:3], noise[2:3], preset).numpy()
    np.testing.assert_allclose(together[2:3], alone, atol=1e-4)
    assert np.abs(together - pictures).max() > 0.1


@pytest.mark.slow
def test_p_is_the_share_of_samples_changed():
    pictures = tf.constant(images(1, 8, 8, 3).repeat(400, 0))
    uniform = np.random.default_rng(3).random((400, len(pipe.DRAWS)), np.float32)
    noise = tf.constant(images(400, 8, 8, 3))
    found = pipe.changed(pictures, 0.3, tf.constant(uniform), noise, "noise").numpy()
    changed = (found != pictures.numpy()).any(axis=(1, 2, 3))
    assert changed.mean() == pytest.approx(0.3, abs=0.07)


def test_unknown_preset():
    with pytest.raises(ValueError, match="choose one of blit, geom, color"):
        check_pipe("bcg")


@pytest.mark.slow
def test_warp_colour_and_filter_are_exact_to_second_order():
    angle = tf.constant([0.4, 2.0])
    inverse = geometry.rotation(angle) @ geometry.shift(angle, -angle)
    maps = tf.cast(tf.random.stateless_normal([2, 4, 4], [1, 2]), tf.float64)
    x = images(2, 8, 6, 3)
    second_order.check(lambda x: warp(tf.sin(x), inverse), x)
    second_order.check(lambda x: colour.colour(tf.sin(x), maps), x)
