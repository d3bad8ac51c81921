"""A run begins from whatever opens as a generator: its networks are that one's, without import."""

import json
from dataclasses import replace

import numpy as np
import pytest

from atelier.arrays import save_arrays
from atelier.files import write
from tests.kit import nvidia_pickles as kit
from tests.kit.small_models import KINDS, small_model
from tests.kit.training_runs import draw, rehearse, small, train
from training import cli
from training.config import ConfigError
from training.exchange.described import describe_model
from training.exchange.opening import open_generator
from training.exchange.tuning import frozen_layers, network_options, resolve_begun
from training.networks.architecture import Pair
from training.run import checkpoints, folder
from training.sources import dataset_identity, open_source

ALL = ("G_ema", "G", "D")
STEPS = {"total_kimg": 0.008, "snapshot_kimg": 0.004, "batch": 4, "tick_kimg": 0.004}
STEPS |= {"grid_columns": 2, "grid_rows": 1}
DATA = {"images": 1}


@pytest.fixture
def pickle(tmp_path):
    path = tmp_path / "network.pkl"
    path.write_bytes(kit.torch_pickle(kit.weights()))
    return path


def labelled(folder, count=12, classes=2):
    names = sorted(path.name for path in draw(folder, count).iterdir())
    labels = [[name, number % classes] for number, name in enumerate(names)]
    (folder / "dataset.json").write_text(json.dumps({"labels": labels}))
    return folder


def without(config, *names):
    """All options but some."""
    return {name: value for name, value in config.options().items() if name not in names}


def begun(model, data, out, **options):
    """A run of the preset auto from a model, whose steps learn nothing; with what it said."""
    given = {"data": str(data), "out": str(out), "resume_from": str(model), **STEPS, **options}
    config, said = resolve_begun("auto", 8, 8, given), []
    assert rehearse(data, out, said.append, **without(config, "data", "out")) == "finished"
    return config, said, checkpoints.load_checkpoint(checkpoints.list_checkpoints(out)[0])


@pytest.mark.parametrize("kind", KINDS)
def test_what_a_file_says_is_what_is_opened(tmp_path, kind):
    path = small_model(tmp_path / "model.npz", kind)
    said, opened = describe_model(path), open_generator(path, ALL)
    assert (said.config, said.discriminator) == (opened.config, opened.discriminator)
    assert {*said.parts} == {*opened.arrays} and said.source == opened.source
    assert said.digest == opened.digest


@pytest.mark.slow
def test_a_pickle_is_fine_tuned_without_import(pickle, tmp_path):
    config, said, first = begun(pickle, labelled(tmp_path / "data"), tmp_path / "run")
    for part, known in kit.weights().items():
        for name, value in known.items():
            np.testing.assert_array_equal(first.arrays[f"{part}/{name}"], value)
    assert first.about["counters"]["seen"] == 0
    assert said[0] == f"begins from {pickle} at 0 kimg"
    # What is published for fine-tuning, in the config that is printed and kept.
    kept = json.loads((tmp_path / "run" / "config.json").read_text())["config"]
    assert (kept["augment"]["augment"], kept["augment"]["ada_kimg"]) == ("ada", 100)
    assert (kept["run"]["freeze_d"], kept["loss"]["ema_ramp"]) == (1, 0)
    assert kept["run"]["begun_from"] == describe_model(pickle).digest[:10]
    assert kept["network"]["d_mapping_layers"] == 1 and kept["network"]["conv_clamp"] == 3
    assert kept["data"]["labels"] is True and config.network.mapping_layers == 2


def test_what_is_given_comes_on_top(pickle):
    given = {"data": "x", "resume_from": str(pickle), "freeze_d": "0", "augment": "none"}
    config = resolve_begun("config-f", 8, 8, {**given, "fmap_base": "16", "labels": "true"})
    assert (config.run.freeze_d, config.augment.augment) == (0, "none")
    assert (config.network.fmap_base, config.rate.g_lr, config.data.labels) == (16, "0.002", True)


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"fmap_base": 32}, "fmap_base = 32, but {} has fmap_base = 16: leave it out, or choose"),
        ({"labels": "no"}, "labels = False, but {} has labels = True: leave it out"),
        ({"mapping_layers": "x"}, "mapping_layers = 'x': give a whole number"),
    ],
)
def test_an_option_that_contradicts_the_model_is_refused(pickle, given, sentence):
    with pytest.raises(ConfigError) as error:
        resolve_begun("auto", 8, 8, {"data": "x", "resume_from": str(pickle), **given})
    assert str(error.value).startswith(sentence.format(pickle))


@pytest.mark.slow
def test_of_a_file_without_d_it_is_said_that_d_begins_anew(tmp_path):
    path = small_model(tmp_path / "model.npz", "grey", discriminator=False)
    small_npz = tmp_path / "small.npz"
    assert cli.main(["export", f"--model={path}", f"--out={small_npz}"]) == 0
    data = draw(tmp_path / "data", mode="L")
    config, said, first = begun(small_npz, data, tmp_path / "run")
    assert config.run.freeze_d == 0  # what is new has to learn
    assert said[:2] == [
        f"{small_npz} has no G: it begins as G_ema",
        f"{small_npz} has no D: it begins anew, and while it learns, G forgets some of what it"
        " knew; a checkpoint or a pickle has one",
    ]
    given = open_generator(small_npz).arrays["G_ema"]
    for part in ("G", "G_ema"):
        for name, value in given.items():
            np.testing.assert_array_equal(first.arrays[f"{part}/{name}"], value)
    assert first.arrays["D/b8/conv0/weight"].std() > 0.5


def dataset_for(config, place):
    """Pictures of the form that a model draws, with as many classes."""
    mode = {1: "L", 3: "RGB", 4: "RGBA"}[config.channels]
    data = draw(place, 12, (config.width, config.height), mode)
    if config.labels:
        names = sorted(path.name for path in data.iterdir())
        labels = [[name, number % config.labels] for number, name in enumerate(names)]
        (data / "dataset.json").write_text(json.dumps({"labels": labels}))
    return data


def test_a_student_goes_on_by_distilling(tmp_path):
    path = small_model(tmp_path / "model.npz", "student")
    form = open_generator(path, ALL).config
    with pytest.raises(
        ConfigError, match="is a student: `distill` goes on with its run, and train"
    ):
        begun(path, dataset_for(form, tmp_path / "data"), tmp_path / "r")


@pytest.mark.slow
@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "student"])
def test_a_run_begins_from_every_kind_of_model(tmp_path, kind):
    path = small_model(tmp_path / "model.npz", kind)
    opened = open_generator(path, ALL)
    config, said, first = begun(path, dataset_for(opened.config, tmp_path / "data"), tmp_path / "r")
    assert config.data.labels == bool(opened.config.labels)
    for part, arrays in opened.arrays.items():
        for name, value in arrays.items():
            np.testing.assert_array_equal(first.arrays[f"{part}/{name}"], value)
    assert open_generator(tmp_path / "r").config == opened.config
    assert (said[0] == f"{path} has no G: it begins as G_ema") == ("G" not in opened.arrays)


@pytest.mark.slow
def test_a_run_of_ones_own_goes_on_as_before(tmp_path):
    data, old = draw(tmp_path / "data"), tmp_path / "old"
    rehearse(data, old, **STEPS, w_dim=6)
    given = {"data": "x", "resume_from": str(old)}
    config = resolve_begun("auto", 8, 8, given)
    assert config.network.w_dim == 6 and config.network.fmap_base == 16
    assert (config.run.freeze_d, config.run.begun_from) == (0, "")
    assert config.augment.ada_kimg == 100


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "student"])
def test_a_run_goes_on_without_the_model_it_was_begun_from(tmp_path, kind):
    """Of several the one that the options are for; one that says odd things is none."""
    path, runs = small_model(tmp_path / "model.npz", kind), tmp_path / "runs"
    said = describe_model(path)
    size = said.config.height, said.config.width
    dataset = {**DATA, "digest": "d", "shape": [*size, 3]}
    network = Pair(said.config, said.discriminator).saved()
    given = {"data": "x", "resume_from": str(path), "name": "a"}
    asked = [given | {"seed": "5", "freeze_d": "2"}, given | {"batch": "8"}]
    before = [resolve_begun("auto", *size, each) for each in asked]
    for number, config in enumerate([*before, small("x", "")]):
        place = runs / f"a-{number}" / "config.json"
        write(place, json.dumps(folder.begin_run(config, dataset, network)))
    odd = json.loads((runs / "a-0" / "config.json").read_text())
    odd["config"]["network"]["fmap_base"] = None
    write(runs / "a" / "config.json", json.dumps(odd))
    path.unlink()
    again = [resolve_begun("auto", *size, each, folder.runs_in(runs)) for each in asked]
    assert again == before
    assert resolve_begun("auto", *size, asked[1], folder.runs_in(runs / "a-1")) == before[1]
    assert resolve_begun("auto", *size, given).network.w_dim == 512 != before[0].network.w_dim


def test_of_runs_whose_model_is_gone_that_of_the_dataset_goes_on(tmp_path, capsys):
    path = small_model(tmp_path / "model.npz", "rgb")
    form, given = describe_model(path), {"resume_from": str(path), "name": "a"}
    frozen, network = {"one": 1, "two": 2}, Pair(form.config, form.discriminator).saved()
    for name, layers in frozen.items():
        data = dataset_for(form.config, tmp_path / name)
        (data / f"00{layers}.png").unlink()
        size = form.config.height, form.config.width
        config = resolve_begun("auto", *size, given | {"data": str(data), "freeze_d": str(layers)})
        known = dataset_identity(open_source(str(data)))
        run = tmp_path / "runs" / f"a-{folder.key(config, known)}"
        write(run / "config.json", json.dumps(folder.begin_run(config, known, network)))
    path.unlink()
    for name, layers in frozen.items():
        words = given | {"preset": "auto", "data": tmp_path / name, "out": tmp_path / "runs"}
        line = [f"--{option.replace('_', '-')}={value}" for option, value in words.items()]
        assert cli.main(["train", *line, "--dry-run"]) == 0
        assert f'"freeze_d": {layers},' in capsys.readouterr().out


@pytest.mark.slow
def test_a_scratch_run_and_fine_tuned_ones_have_keys_of_their_own(pickle, tmp_path):
    other = tmp_path / "other.pkl"
    other.write_bytes(kit.torch_pickle(kit.weights(1)))
    given = {"data": "x", "name": "a"}
    tuned = [resolve_begun("auto", 8, 8, {**given, "resume_from": str(p)}) for p in (pickle, other)]
    scratch = small("x", "", name="a", **network_options(describe_model(pickle)), labels=True)
    assert len({folder.key(config, DATA) for config in (*tuned, scratch)}) == 3


@pytest.mark.parametrize(
    ("side", "architecture", "layers"),
    [(8, "resnet", 1), (32, "resnet", 4), (64, "resnet", 7), (256, "resnet", 10), (256, "orig", 7)],
)
def test_freeze_d_leaves_whole_levels(pickle, side, architecture, layers):
    said = describe_model(pickle)
    config = replace(said.config, height=side, width=side)
    judge = replace(said.discriminator, height=side, width=side, architecture=architecture)
    assert frozen_layers(replace(said, config=config, discriminator=judge)) == layers


@pytest.mark.slow
def test_a_dataset_of_another_kind_is_refused_with_both(pickle, tmp_path, capsys):
    def error(data, *more):
        words = ["train", f"--data={data}", f"--out={tmp_path / 'run'}", f"--resume-from={pickle}"]
        assert cli.main([*words, *more]) == 2
        out, said = capsys.readouterr()
        assert not out and said.count("\n") == 1 and not (tmp_path / "run").exists()
        return said.removeprefix("error: ")

    grey = draw(tmp_path / "grey", mode="L")
    assert error(grey).startswith(
        f"{grey} has images of 8 x 8 x 1, and {pickle} draws 8 x 8 x 3: make the dataset so"
    )
    three = labelled(tmp_path / "three", classes=3)
    assert error(three).startswith(f"{three} has 3 classes, and {pickle} draws 2: give the")
    plain = draw(tmp_path / "plain")
    assert error(plain).startswith(f"{plain} has 0 classes, and {pickle} draws 2: give the")
    broken = tmp_path / "network.pkl"
    broken.write_bytes(pickle.read_bytes()[:2000])
    assert error(plain).startswith(f"{broken} ")


@pytest.mark.slow
def test_a_run_from_a_pickle_is_the_one_from_an_npz(pickle, tmp_path):
    """The same network in two files: the same options, the same start, and so the same curve."""
    own = tmp_path / "own.npz"
    arrays = {f"{part}/{n}": v for part, known in kit.weights().items() for n, v in known.items()}
    save_arrays(own, arrays, {"network": Pair(kit.G, kit.D).saved(), "key": "0"})
    data = labelled(tmp_path / "data")
    (config, _, first), (other, _, again) = (
        begun(path, data, tmp_path / path.stem) for path in (pickle, own)
    )
    apart = ("out", "resume_from", "begun_from")
    assert without(config, *apart) == without(other, *apart)
    assert first.about["counters"] == again.about["counters"]
    assert first.arrays.keys() == again.arrays.keys()
    for name, value in first.arrays.items():
        np.testing.assert_array_equal(value, again.arrays[name], err_msg=name)


@pytest.mark.slow
@pytest.mark.usefixtures("eagerly")
def test_what_begins_from_a_pickle_learns_with_all_four_steps(pickle, tmp_path):
    data, out = labelled(tmp_path / "data"), tmp_path / "run"
    more = {"pl_weight": 2, "pl_interval": 2, "r1_interval": 4}
    given = {"data": str(data), "out": str(out), "resume_from": str(pickle), **STEPS, **more}
    config = resolve_begun("auto", 8, 8, given)
    assert train(data, out, **without(config, "data", "out")) == "finished"
    lines = [*map(json.loads, (out / "stats.jsonl").read_text().splitlines())]
    names = ("Loss/G/loss", "Loss/D/loss", "Loss/r1_penalty", "Loss/pl_penalty")
    assert np.isfinite([lines[0][name] for name in names]).all()
    assert lines[0]["Loss/G/loss"] != lines[-1]["Loss/G/loss"]
