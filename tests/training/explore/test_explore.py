"""What the commands stand on: seeds, levels, ways, parts, directions, D's company."""

import gc
import os
import resource
from contextlib import nullcontext

import numpy as np
import pytest
import tensorflow as tf

from atelier.arrays import save_arrays
from atelier.errors import Refusal
from tests.kit.films import read_comment
from tests.kit.small_models import KINDS, small_model
from tests.kit.training_runs import draw, eagerly
from training.config import ConfigError
from training.explore import assessing, directions, parts, sheets, sweeps, writing
from training.explore.asked import Look, parsed_levels, parsed_seeds, rows_of
from training.explore.model import open_model
from training.explore.paths import between, slerp
from training.networks.generator import noise_layers
from training.run import films


@pytest.fixture
def drawing(kind):
    """In graphs for one kind, without them for the others: their numbers are wanted once."""
    with nullcontext() if kind == "rgb" else eagerly():
        yield


def every_kind(test):
    """A law over all kinds of models."""
    kinds = [pytest.param(kind, marks=[pytest.mark.slow] * (kind != "rgb")) for kind in KINDS]
    return pytest.mark.usefixtures("drawing")(pytest.mark.parametrize("kind", kinds)(test))


@pytest.mark.slow
@every_kind
@pytest.mark.parametrize("noise", ["const", "random", "none"])
def test_a_seed_is_one_picture_whatever_is_drawn_with_it(models, kind, noise):
    if (kind, noise) == ("student", "random"):
        with pytest.raises(ConfigError, match=r"^noise: .* is a student, which adds none: leave"):
            open_model(models[kind], noise)
        return
    model, look = open_model(models[kind], noise), Look(psi=0.8)
    alone = next(model.drawn([5], look))[1]
    among = dict(model.drawn([2, 5, 9], look))
    np.testing.assert_array_equal(alone, among[5])
    # The weights of NVIDIA's model are too small for seeds to differ.
    assert (among[2] != among[5]).any() or kind == "NVIDIA's"
    together = model.pictures(model.styles([2, 5, 9], look), [2, 5, 9])
    np.testing.assert_array_equal(together[1], alone)


def graphs():
    """How many graphs there are, each with the weights that it uses."""
    gc.collect()
    kind = type(tf.Graph())
    return sum(isinstance(thing, kind) for thing in gc.get_objects())


def used(file):
    """A model draws and judges; the graphs while it does."""
    model = open_model(file, "const", ("G_ema", "D"))
    next(model.drawn([1], Look()))
    judge = assessing.Judge(model) if "D" in model.opened.arrays else None
    if judge:
        judge(judge.company[:1], judge.company_labels[:1])
    return graphs()


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["rgb", "student"])  # the two architectures, one of them with D
def test_a_model_that_nobody_needs_any_more_is_let_go(models, kind):
    """TensorFlow keeps graphs for good in which an operation has a gradient of its own."""
    used(models[kind])
    before = graphs()
    assert used(models[kind]) > before
    assert graphs() == before


@pytest.mark.slow
def test_the_latent_of_a_seed_is_nvidias(models):
    model = open_model(models["rgb"])
    z = np.random.RandomState(25026).randn(1, model.config.z_dim)
    np.testing.assert_array_equal(model.latents([25026]), z.astype(np.float32))


@pytest.mark.slow
def test_noise_is_the_files_or_none_or_drawn(models):
    drawn = {
        noise: next(open_model(models["rgb"], noise).drawn([1], Look()))[1]
        for noise in ("const", "random", "none")
    }
    assert len({pixels.tobytes() for pixels in drawn.values()}) == 3


@pytest.mark.slow
def test_truncation_reaches_from_the_mean_to_the_seed_up_to_a_level(models):
    model = open_model(models["rgb"])
    w, mean = model.w([3]), model.generator.w_avg.numpy()
    whole, none = model.styled(w, Look(psi=1)), model.styled(w, Look(psi=0))
    np.testing.assert_allclose(whole[0], np.repeat(w, 6, axis=0), atol=1e-6)
    np.testing.assert_array_equal(none[0], np.repeat(mean[None], 6, axis=0))
    low = model.styled(w, Look(psi=0, cutoff=1))[0]
    np.testing.assert_array_equal(low[:3], none[0, :3])
    np.testing.assert_array_equal(low[3:], np.repeat(w, 3, axis=0))
    given = model.sampler.styles(model.latents([3]), model.labels([3], None), 0.5)
    np.testing.assert_allclose(model.styled(w, Look(psi=0.5)), given, atol=1e-6)


def test_every_row_belongs_to_the_level_that_convolves_with_it(models):
    config = open_model(models["rgb"]).config
    top = config.shape.levels
    found = [row for level in range(top + 1) for row in rows_of([level], top)]
    assert found == list(range(config.rows))
    for row in range(len(noise_layers(config))):  # as many convolutions as noise layers
        name = noise_layers(config)[row]
        assert f"/{config.block((row + 1) // 2)}/" in name
        assert row in rows_of([(row + 1) // 2], top)


@pytest.mark.parametrize(
    ("text", "found"),
    [("coarse", [0, 1]), ("middle", [2, 3]), ("fine", [4]), ("0,2-3", [0, 2, 3]), ("4", [4])],
)
def test_levels_in_words_and_numbers(text, found):
    assert parsed_levels(text, 4) == found


@pytest.mark.parametrize("text", ["-1", "-1-0", "0--1", "0-", "-", "1_0", "+1", ""])
def test_levels_and_seeds_are_figures(text):
    with pytest.raises(ConfigError, match="write coarse, middle, fine, or numbers"):
        parsed_levels(text, 20)
    with pytest.raises(ConfigError, match="write numbers and ranges"):
        parsed_seeds(text)


@pytest.mark.slow
def test_mixing_nothing_and_everything(models):
    model, look = open_model(models["rgb"]), Look(psi=0.7)
    own, other = (next(model.drawn([seed], look))[1] for seed in (1, 2))
    cells = {}
    for levels, expected in ([], own), ([0, 1, 2], other):
        page = sweeps.mix(model, [1], [2], levels, look)
        cells[len(levels)] = page[-50:-2, -50:-2]
        shown = sheets.enlarged(expected, (48, 48), "nearest")
        found = [
            (page[y : y + 48, x : x + 48] == shown).all()
            for y in range(page.shape[0] - 47)
            for x in range(page.shape[1] // 2, page.shape[1] - 47)
        ]
        assert any(found)
    assert (cells[0] != cells[3]).any()


@pytest.mark.slow
@every_kind
def test_what_the_levels_add_is_the_picture(models, kind):
    model = open_model(models[kind])
    ws = model.styles([4], Look(psi=0.9))
    added = parts.level_images(model, ws[0])
    assert len(added) == model.top + 1
    image = model.generator.synthesize(tf.constant(ws)).numpy()[0]
    np.testing.assert_allclose(added.sum(axis=0), image, atol=2e-5 * np.abs(added).max())
    assert all(np.abs(each).max() > 1e-3 for each in added)


@pytest.mark.slow
def test_noise_of_all_levels_is_the_models_and_of_none_is_none(models):
    model, silent = open_model(models["rgb"]), open_model(models["rgb"], "none")
    ws, maps = model.styles([1], Look()), model.generator.maps("const", 1)
    alone = [model.pictures(ws, maps=parts.only(maps, levels)) for levels in ([], [0], [0, 1, 2])]
    np.testing.assert_array_equal(alone[0], silent.pictures(ws))
    np.testing.assert_array_equal(alone[2], model.pictures(ws))
    assert (alone[0] != alone[1]).any() and (alone[1] != alone[2]).any()
    spread = parts.noise_spread(model, ws[0], 4)
    assert spread.shape == (16, 16) and spread.max() > 0.5


def test_the_spread_of_noise_does_not_shrink_with_the_draws(monkeypatch):
    """Pictures that are noise alone, of 10 levels: their variance is 100, however few there are."""
    monkeypatch.setattr(parts, "noise_sizes", lambda _: [(64, 64)])

    class Dice:
        config = None

        def pictures(self, ws, maps):
            return np.clip(np.rint(128 + 10 * maps[0].numpy()), 0, 255).astype(np.uint8)

    for draws in (2, 5):
        variance = (parts.noise_spread(Dice(), np.zeros((1, 1)), draws) ** 2).mean()
        assert variance == pytest.approx(100, rel=0.1)


def test_ways_pass_their_points_and_loops_close():
    points = np.random.default_rng(0).standard_normal((3, 7)).astype(np.float32)
    for spherical in (False, True):
        open_way = between(points, 4, spherical, loop=False)
        closed = between(points, 4, spherical, loop=True)
        assert (len(open_way), len(closed)) == (9, 12)
        np.testing.assert_allclose(open_way[::4], points, atol=1e-6)
        np.testing.assert_allclose(closed[::4], points, atol=1e-6)
        steps = np.linalg.norm(np.diff([*closed, closed[0]], axis=0), axis=1)
        assert steps.max() < 3 * steps.min()


def test_an_arc_keeps_the_length_and_its_pace():
    one, other = np.float32([3, 0, 0]), np.float32([0, 3, 0])
    way = [slerp(one, other, share) for share in (0, 1 / 3, 2 / 3, 1)]
    np.testing.assert_allclose(np.linalg.norm(way, axis=1), 3, rtol=1e-5)
    np.testing.assert_allclose(
        np.arctan2(*np.array(way).T[1::-1]), np.radians([0, 30, 60, 90]), atol=1e-5
    )
    np.testing.assert_allclose(slerp(one, 2 * one, 0.5), 1.5 * one)


@pytest.mark.slow
def test_sefa_finds_what_changes_the_styles_most(models):
    model = open_model(models["rgb"])
    found = directions.find(model, "sefa", [0, 1], 5)
    unit = [each.step / np.linalg.norm(each.step) for each in found]
    np.testing.assert_allclose(np.array(unit) @ np.array(unit).T, np.eye(5), atol=1e-4)

    def change(step):
        """How far the styles of levels 0 and 1 move, by the network's own layer."""
        names = ["synthesis/b4/conv1", "synthesis/b8/conv0", "synthesis/b8/conv1"]
        values = [model.generator.values[f"{name}/affine/weight"].numpy() for name in names]
        return sum(np.sum((step @ value) ** 2) for value in values) / model.config.w_dim

    changes = [change(step) for step in unit]
    assert changes == sorted(changes, reverse=True)
    np.testing.assert_allclose(
        [each.share for each in found], np.array(changes) / sum(changes), rtol=1e-4
    )
    rng = np.random.default_rng(0).standard_normal((50, 5))
    assert max(change(step / np.linalg.norm(step)) for step in rng) <= changes[0]


@pytest.mark.slow
def test_a_step_is_one_standard_deviation_of_w(models):
    model = open_model(models["rgb"])
    samples = model.w(range(directions.SAMPLES))
    for method in ("sefa", "pca"):
        for each in directions.find(model, method, [0], 3):
            length = np.linalg.norm(each.step)
            assert np.isclose((samples @ (each.step / length)).std(), length, rtol=1e-3)
    first, *others = directions.find(model, "pca", [0], 5)
    assert all(np.linalg.norm(first.step) >= np.linalg.norm(each.step) for each in others)
    assert np.isclose(first.share + sum(each.share for each in others), 1)


@pytest.mark.slow
def test_a_direction_moves_its_levels_alone(models):
    model = open_model(models["rgb"])
    move = directions.find(model, "sefa", [1], 1)[0].move(2.0)
    change = model.styles([0], Look(moves=(move,)))[0] - model.styles([0], Look())[0]
    np.testing.assert_allclose(change[1:3], np.repeat(2 * move.step[None], 2, axis=0), atol=1e-5)
    assert not change[[0, 3, 4, 5]].any()


@pytest.mark.slow
@every_kind
def test_a_score_depends_on_the_photo_alone(models, kind):
    model = open_model(models[kind], parts=("G_ema", "D"))
    judge, config = assessing.Judge(model, 0 if model.config.labels else None), model.config
    shape = (11, config.height, config.width, config.channels)
    photos = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    labels = model.labels(range(11), 0)
    whole = judge(photos, labels)
    np.testing.assert_allclose(judge(photos[6:7], labels[:1]), whole[6:7], atol=1e-6)
    np.testing.assert_allclose(judge(photos[::-1], labels), whole[::-1], atol=1e-6)
    assert whole.std() > 1e-4


@pytest.mark.slow
@pytest.mark.parametrize(("group", "friends"), [(2, 1), (0, 3)])  # 0: a minibatch is one group
def test_a_photos_company_is_the_generators_alone(tmp_path, group, friends):
    path = small_model(tmp_path / "m.npz", "rgb", group=group)
    model = open_model(path, parts=("G_ema", "D"))
    photos = np.random.default_rng(1).integers(0, 256, (3, 16, 16, 3), np.uint8)
    company = [pixels for _, pixels in model.drawn(range(friends), Look())]
    groups = [tf.constant(np.stack([p, *company]), tf.float32) / 127.5 - 1 for p in photos]
    expected = [model.opened.network("D")(each).numpy()[0, 0] for each in groups]
    assert np.std(expected) > 1e-2
    found = assessing.Judge(model)(photos, model.labels(range(3), None))
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_a_photo_is_cut_around_its_middle():
    wide = np.zeros((10, 40, 3), np.uint8)
    wide[:, 15:25] = 200
    assert (assessing.prepared_photo(wide, 10, 10) == 200).all()
    double = np.repeat(np.repeat(wide, 2, axis=0), 2, axis=1)
    small = assessing.prepared_photo(double, 10, 10)[:, 1:-1].astype(int)
    assert abs(small - 200).max() <= 4  # Lanczos reaches a little beyond the cut
    assert assessing.prepared_photo(wide[..., :1], 4, 6).shape == (4, 6, 1)


def test_a_films_comment_leaves_the_rest_of_it(tmp_path):
    path = tmp_path / "film.mp4"
    film = films.Film(path, (16, 16), 5)
    for level in (0, 200):
        film.write(np.full((16, 16, 3), level, np.uint8))
    film.close()
    before = path.read_bytes()
    after = films.commented(before, "Größe 3")
    assert read_comment(before) == "" and read_comment(after) == "Größe 3"
    assert b"vp09" in after and b"mp4v" not in after  # of the two a browser plays the first
    whole = films.boxes(after, 0, len(after))
    assert whole[-1][2] == len(after) and [b[0] for b in whole][-2:] == [b"mdat", b"moov"]
    assert films.commented(b"no film", "x") == b"no film"


def test_psi_and_levels_that_a_model_has_not(models):
    model = open_model(models["rgb"])
    for look in (Look(label=0), Look(cutoff=3), Look(cutoff=-1)):
        with pytest.raises(ConfigError, match="this model has"):
            next(model.drawn([0], look))


def test_of_few_photos_only_the_middle_one_is_among_the_best_and_the_worst(monkeypatch):
    """None is shown twice in a row of its own."""
    told = []
    monkeypatch.setattr(assessing, "sheet", lambda *given: told.append(given[2:]))
    photos = [
        assessing.Scored(f"{n}.png", float(n), np.zeros((8, 8, 3), np.uint8)) for n in (2, 0, 1)
    ]
    assessing.extremes(photos, 8)
    assert told == [(["best", "worst"], [["2.00", "1.00"], ["0.00", "1.00"]])]


def noise(count, side=64):
    return np.random.default_rng(0).integers(0, 256, (count, side, side, 3), np.uint8)


@pytest.mark.parametrize("name", ["a.mp4", "日本.mp4", "\udcff.mp4", "x" * 251 + ".mp4"])
def test_a_film_of_any_name_has_all_its_frames(tmp_path, name):
    writing.write_frames(tmp_path / name, noise(3), 10, {"seeds": "0"})
    assert os.listdir(tmp_path) == [name]
    assert films.frames_in((tmp_path / name).read_bytes()) == 3


def failing(frame):
    """A frame, and then a fault."""
    yield frame
    1 / 0  # noqa: B018


@pytest.mark.slow
def test_a_film_that_was_not_written_whole_is_none(tmp_path):
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, limits[1]))
    try:
        with pytest.raises(OSError, match=r"0 of 20 frames of a film could be written: make room"):
            writing.write_frames(tmp_path / "a.mp4", noise(20), 10, {})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    with pytest.raises(ZeroDivisionError):
        writing.write_frames(tmp_path / "a.mp4", failing(noise(1)[0]), 10, {})
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("apart", [1e-4, 1e-2, 1.0, np.pi - 1e-2, np.pi - 1e-3])
def test_an_arc_keeps_its_angle_also_near_its_ends(apart):
    """Half-way between two directions, whichever the angle between them: no digits are lost."""
    one = np.array([3, 0, 0], np.float32)
    other = np.array([3 * np.cos(apart), 3 * np.sin(apart), 0], np.float32)
    found = slerp(one, other, 0.5)
    angle = np.arctan2(*other[1::-1].astype(float)) / 2
    wanted = 3 * np.array([np.cos(angle), np.sin(angle), 0])
    np.testing.assert_allclose(found, wanted, atol=2e-4)


@pytest.mark.slow
def test_a_checkpoint_of_a_run_that_is_broken_is_no_judge(tmp_path):
    """Training removes old ones meanwhile, too. Those that were named must all be whole."""
    photos = draw(tmp_path / "photos", count=1)
    files = [small_model(tmp_path / f"{seen:010d}.npz", "grey", seed=seen) for seen in range(3)]
    whole = assessing.over_training(files, photos, of_a_run=True)
    files[2].write_bytes(files[2].read_bytes()[:500])
    files[0].unlink()
    left = assessing.over_training(files, photos, of_a_run=True)
    assert (whole.last, left.last) == (files[2], files[1])
    assert left.scores == [whole.scores[1]] and left.seen == [1]
    for file, note in zip(files[::2], left.left_out, strict=True):
        assert str(file) in note
    for named, of_a_run in ((files, False), (files[2:], True)):
        with pytest.raises(Refusal, match=r"does not exist|is broken or no checkpoint"):
            assessing.over_training(named, photos, of_a_run=of_a_run)


def test_a_share_that_no_float_holds_is_no_directions(tmp_path):
    said = {"a": {"levels": [0], "share": 10**400}}
    save_arrays(tmp_path / "d.npz", {"a": np.ones(5)}, {"directions": said, "model": "0"})
    with pytest.raises(ConfigError, match="holds no directions: write it with"):
        directions.load_directions(tmp_path / "d.npz")
