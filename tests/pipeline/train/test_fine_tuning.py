"""`make train SRC=/photos FROM=model`: the dataset and the run follow the model, in one command."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from atelier.arrays import save_arrays
from atelier.files import write
from pipeline.dataset.export import ExportTFRecordsConfig
from pipeline.options import SettingsError, current, keyed
from pipeline.sections import DatasetConfig
from pipeline.train import child, stylegan
from pipeline.train.stylegan import TrainStyleGANConfig
from tests.kit.commands import error, run
from tests.kit.small_models import small_model
from tests.kit.store import set_options
from tests.kit.training_runs import follow_here
from training.config import SECTIONS
from training.exchange.described import describe_model
from training.networks.architecture import Pair
from training.run import checkpoints, folder

STEPS = {"preset": "tiny", "device": "cpu", "grid_columns": 2, "grid_rows": 1}
STEPS |= {"r1_interval": 0, "pl_weight": 0}  # each is a graph more


@pytest.mark.parametrize(("kind", "size"), [("rgb", "16"), ("not square", "20x12")])
def test_the_dataset_is_as_large_as_the_model_draws(tmp_path, kind, size):
    model = small_model(tmp_path / "m.npz", kind)
    set_options(TrainStyleGAN_resume_from=model)
    found = DatasetConfig()
    assert found.size == size and keyed(found) == keyed(DatasetConfig(size=size))
    assert DatasetConfig(size="64").size == "64"


def test_without_a_model_it_is_what_it_was():
    assert keyed(DatasetConfig()) == keyed(DatasetConfig(size="1024"))
    set_options(TrainStyleGAN_resume_from="/gone")
    assert DatasetConfig().size == "1024"


@pytest.mark.parametrize(
    ("kind", "given", "sentence"),
    [
        ("rgb", {"Dataset_size": 64}, "[Dataset] size = 64, but {} draws 16: set size = 16, or"),
        ("not square", {"Dataset_size": "12x20"}, "[Dataset] size = 12x20, but {} draws 20x12:"),
        ("grey", {}, "[Dataset] channels = rgb makes 3, but {} draws 1: set channels, or choose"),
        ("conditional", {}, "[ExportTFRecords] labels = none, but {} has 3 classes: say where"),
        (
            "rgb",
            {"TrainStyleGAN_fmap_base": 64},
            "[TrainStyleGAN] fmap_base = 64, but {} has fmap_base = 32: leave it out, or choose",
        ),
        (
            "rgb",
            {"TrainStyleGAN_labels": "yes"},
            "[TrainStyleGAN] labels = True, but {} has labels = False: leave it out",
        ),
    ],
)
def test_what_is_not_for_the_model_is_refused_before_the_dataset_is_made(
    tmp_path, kind, given, sentence
):
    model = small_model(tmp_path / "m.npz", kind)
    set_options(TrainStyleGAN_resume_from=model, **given)
    configs = [current(c) for c in (TrainStyleGANConfig, DatasetConfig, ExportTFRecordsConfig)]
    with pytest.raises(SettingsError) as refused:
        stylegan.check_begun(*configs, tmp_path)
    assert str(refused.value).startswith(sentence.format(model))


def test_a_model_that_is_not_there_is_said_first(tmp_path):
    set_options(TrainStyleGAN_resume_from="/gone.pkl")
    configs = [current(c) for c in (TrainStyleGANConfig, DatasetConfig, ExportTFRecordsConfig)]
    with pytest.raises(SettingsError, match=r"resume_from = /gone\.pkl: there is no such run or"):
        stylegan.check_begun(*configs, tmp_path)


def test_a_run_goes_on_without_its_model_on_pictures_of_the_same_size(tmp_path):
    model, data, name = small_model(tmp_path / "m.npz", "rgb"), Path("/one/two/dataset"), "run"
    set_options(TrainStyleGAN_resume_from=model, TrainStyleGAN_name=name, Dataset_size=16)
    configs = [current(c) for c in (TrainStyleGANConfig, DatasetConfig, ExportTFRecordsConfig)]
    config = replace(configs[0].resolved(16, 16), data=SECTIONS["data"](data=str(data)))
    known = {"shape": [16, 16, 3], "images": 1, "digest": "d"}
    said = describe_model(model)
    network = Pair(said.config, said.discriminator).saved()
    begun = tmp_path / "runs" / f"{name}-{folder.key(config, known)}"
    write(begun / "config.json", json.dumps(folder.begin_run(config, known, network)))
    model.unlink()
    stylegan.check_begun(*configs, tmp_path)
    wanted = configs[0].resolved_beside([begun], 16, 16)
    assert stylegan.is_of(begun, wanted)
    assert not stylegan.is_of(begun, configs[0].resolved(16, 16))
    set_options(TrainStyleGAN_resume_from=model, TrainStyleGAN_name=name, Dataset_size="auto")
    with pytest.raises(SettingsError, match=r"^\[Dataset\] size = 1024 .* learns 16 x 16 x 3: set"):
        stylegan.check_begun(configs[0], current(DatasetConfig), configs[2], tmp_path)


@pytest.mark.parametrize("gone", [False, True])
def test_each_dataset_has_its_own_run_of_two_models_that_lay_at_one_place(tmp_path, gone):
    model, found = tmp_path / "m.npz", {}
    given = TrainStyleGANConfig(resume_from=str(model), total_kimg="0.008", preset="auto")
    for name, group in (("one", 2), ("two", 4)):
        small_model(model, "rgb", group=group)
        said = describe_model(model)
        data, config = tmp_path / name / "dataset", given.resolved(16, 16)
        config = replace(config, data=SECTIONS["data"](data=str(data)))
        known = {"shape": [16, 16, 3], "images": 1, "digest": name}
        run = tmp_path / "runs" / f"stylegan2-{folder.key(config, known)}"
        network = Pair(said.config, said.discriminator).saved()
        write(run / "config.json", json.dumps(folder.begin_run(config, known, network)))
        save_arrays(checkpoints.checkpoint_path(run, 8), {}, {})
        assert stylegan.finished(data, tmp_path, given, 16, 16)
        found[name] = data
        model.unlink()
    if not gone:
        small_model(model, "rgb", group=2)
    ends = [stylegan.finished(data, tmp_path, given, 16, 16) for data in found.values()]
    assert ends == [True, gone]


@pytest.mark.parametrize("task", ["TrainStyleGAN", "DistillStyleGAN"])
@pytest.mark.parametrize("size", ["4x6", "1x300", "31"])
def test_a_size_that_no_network_draws_is_refused_before_photos_are_looked_at(folder, task, size):
    said = error(run(folder, "run", task, Dataset_size=size, TrainStyleGAN_preset="tiny"), code=2)
    assert said.startswith(f"[Dataset] size = {size}: ") and " no size for StyleGAN2: " in said
    assert not list(folder.glob("store/*/"))


@pytest.mark.slow
def test_photos_and_a_model_to_a_run_in_one_command(folder, monkeypatch):
    """A file without D, the hardest case; what is done is done."""
    monkeypatch.setattr(child, "follow", follow_here)
    model = small_model(folder / "m.npz", "rgb", discriminator=False)
    steps = {f"TrainStyleGAN_{name}": value for name, value in STEPS.items()}
    more = {**steps, "TrainStyleGAN_resume_from": model, "TrainStyleGAN_total_kimg": 0.016}
    words = ("run", "TrainStyleGAN")
    done = run(folder, *words, Dataset_size="auto", **more)
    assert done.returncode == 0, done.stderr
    (config,) = folder.glob("store/runs/*/config.json")
    known = json.loads(config.read_text())
    assert known["dataset"]["shape"] == [16, 16, 3] and known["config"]["network"]["w_dim"] == 5
    assert known["config"]["run"]["begun_from"] == describe_model(model).origin
    seen = [checkpoints.seen_at(p) for p in checkpoints.list_checkpoints(config.parent)]
    assert seen == [0, 16]
    again = run(folder, *words, Dataset_size="auto", **more)
    assert (again.returncode, "kimg" in again.stdout) == (0, False)
    said = error(run(folder, *words, Dataset_size=32, **more), code=2)
    assert said.startswith(f"[Dataset] size = 32, but {model} draws 16: set size = 16, or")
