"""Options say what is wrong with them, in one sentence."""

import pytest

from training import presets
from training.config import NAMES, ConfigError, configure

WRONG = {
    "bach": ("8", "no option is called 'bach'; did you mean batch?"),
    "batch": ("x", "batch = 'x': give a whole number"),
    "mirror": ("perhaps", "mirror = 'perhaps': give true or false"),
    "augment_p": (1.5, "augment_p = 1.5: give a value between 0 and 1"),
    "keep": (0, "keep = 0: give a value of at least 1"),
    "augment": ("much", "augment = 'much': choose one of none, fixed, ada"),
    "g_lr": ("5:1", "g_lr = '5:1': begin at 0 kimg and give later steps in order"),
    "accumulation": (
        5,
        "batch = 32 cannot be cut into accumulation = 5 equal rounds: choose a divisor",
    ),
    "restart_schedule": (True, "restart_schedule = true needs resume_from = MODEL"),
    "mbstd_group": (
        5,
        "mbstd_group = 5 does not divide the 32 images that a device has at once (batch = 32,"
        " accumulation = 1, devices = 1): choose a larger batch, fewer parts, or a divisor as"
        " mbstd_group",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_option_gets_one_sentence(name):
    value, sentence = WRONG[name]
    with pytest.raises(ConfigError) as error:
        configure({name: value})
    assert str(error.value) == sentence


def test_options_are_read_from_text():
    config = configure({"batch": "16", "mirror": "yes", "total_kimg": "1e3", "g_lr": "0:1e-3"})
    assert (config.run.batch, config.data.mirror, config.run.total_kimg) == (16, True, 1000.0)
    assert config.options()["g_lr"] == "0:1e-3"
    assert set(config.options()) == set(NAMES)


def test_every_preset_is_a_config():
    for name in presets.PRESETS:
        assert presets.resolve(name, 64, 64, {"seed": 3}).run.seed == 3
    with pytest.raises(ConfigError, match=r"^no preset is called 'config-g'; did you mean config-"):
        presets.resolve("config-g", 64, 64, {})


@pytest.mark.parametrize(
    ("side", "batch", "gamma"), [(128, 32, 0.1024), (256, 16, 0.8192), (512, 8, 6.5536)]
)
def test_auto_gives_the_published_numbers(side, batch, gamma):
    auto = presets.auto(side, side)
    assert (auto["batch"], float(auto["r1_gamma"])) == (batch, gamma)
    assert presets.resolve("auto", side, side, {}).run.batch == batch


@pytest.mark.parametrize(
    ("side", "gamma"),
    [(32, "0:10.24, 15:2.048"), (48, "0:23.04, 15:4.608"), (64, "0:40.96, 15:8.192")],
)
@pytest.mark.parametrize("devices", [1, 2, 3])
def test_auto_takes_many_steps_and_holds_d_back_at_small_sizes(side, gamma, devices):
    config = presets.resolve("auto", side, side, {"devices": devices})
    assert config.loss.r1_gamma == gamma and config.run.batch == 8 * devices
    assert config.rate.g_lr == config.rate.d_lr == "0.004" and not config.loss.pl_weight
    config.check_parts(devices)


def test_auto_takes_the_area_of_an_oblong():
    assert presets.auto(256, 64)["r1_gamma"] == presets.auto(128, 128)["r1_gamma"]
    presets.resolve("auto", 48, 80, {})
    presets.resolve("auto", 640, 384, {})


def test_fine_tuning_moves_p_as_published():
    given = {"data": "x", "resume_from": "y"}
    assert presets.resolve("auto", 256, 256, given).augment.ada_kimg == 100
    assert presets.resolve("auto", 256, 256, {**given, "ada_kimg": 300}).augment.ada_kimg == 300
    assert presets.resolve("auto", 256, 256, {"data": "x"}).augment.ada_kimg == 500
