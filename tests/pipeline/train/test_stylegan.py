"""TrainStyleGAN: the trainer as a child process, and the Luigi task as its users run it."""

import json
import os
import signal
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import pytest

from atelier import files
from atelier.arrays import save_arrays
from pipeline import options
from pipeline.dataset.export import LAYOUTS
from pipeline.options import SettingsError, current
from pipeline.tasks import ExportTFRecords
from pipeline.train import child as trainer
from pipeline.train import student, stylegan
from pipeline.train.stylegan import TrainStyleGANConfig
from pipeline.train.tasks import DistillStyleGAN, TrainStyleGAN
from tests.kit.commands import command, error, run
from tests.kit.store import ROOT, fresh, set_options
from tests.kit.training_runs import follow_here
from training import presets
from training.config import SECTIONS, ConfigError, configure
from training.run import checkpoints
from training.run import folder as runs

LUIGI = [str(Path(sys.executable).with_name("luigi")), "--module", "pipeline", "TrainStyleGAN"]
STEPS = {"preset": "tiny", "device": "cpu", "grid_columns": 2, "grid_rows": 1}
STEPS |= {"r1_interval": 0, "pl_weight": 0}  # each is a graph more
DATASET = {"images": 3, "shape": [16, 16, 3], "classes": 0, "digest": "d", "labels_digest": "l"}


def test_every_option_is_trainings_own():
    known = {f.name for section in SECTIONS.values() for f in fields(section)}
    declared = set(TrainStyleGANConfig().options())
    assert declared == known - {"data", "out", "begun_from"} | {"preset"}


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"preset": "config-g"}, "no preset is called 'config-g'; did you mean config-f?"),
        ({"g_lr": "fast"}, "g_lr = 'fast': write kimg:value pairs"),
        ({"mixing": "2"}, "mixing = 2.0: give a value between 0 and 1"),
        ({"device": "tpu"}, "device = 'tpu': choose one of auto, cpu, gpu"),
        ({"name": "../x"}, "name = '../x': use letters, digits"),
        ({"name": ""}, "name = '': use letters, digits"),
    ],
)
def test_a_wrong_option_is_one_sentence(given, said):
    with pytest.raises(SettingsError) as refused:
        TrainStyleGANConfig(**given)
    assert f"[TrainStyleGAN] {said}" in str(refused.value)


def test_a_misspelt_option_is_an_error():
    with pytest.raises(SettingsError, match=r"no option g_lrr; did you mean g_lr\?"):
        options.set_option("TrainStyleGAN-g_lrr", "1")


def test_only_what_is_given_goes_to_the_trainer(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "old").mkdir()
    set_options(TrainStyleGAN_preset="tiny", TrainStyleGAN_resume_from="old")
    words = current(TrainStyleGANConfig).words()
    assert words == ["--preset=tiny", "--name=stylegan2", f"--resume_from={tmp_path / 'old'}"]


@pytest.fixture
def one_run(tmp_path):
    """A store with one run of the preset tiny at 2 kimg, on the records one/two/dataset."""
    config = configure({**presets.PRESETS["tiny"], "data": "/one/two/dataset", "name": "stylegan2"})
    run = tmp_path / "runs" / f"stylegan2-{runs.key(config, DATASET)}"
    files.write_json(run / "config.json", runs.begin_run(config, DATASET, {}))
    save_arrays(checkpoints.checkpoint_path(run, 2000), {}, {})
    return tmp_path


@pytest.mark.parametrize(
    ("given", "data", "done"),
    [
        ({"total_kimg": "2"}, "/one/two/dataset", True),
        ({"total_kimg": "2"}, "/moved/two/dataset", True),
        ({"total_kimg": "2", "g_lr": "1e-5"}, "/one/two/dataset", True),
        ({"total_kimg": "2.008"}, "/one/two/dataset", False),
        ({"total_kimg": "2"}, "/one/three/dataset", False),
        ({"total_kimg": "2", "seed": "1"}, "/one/two/dataset", False),
        ({"total_kimg": "2", "fmap_max": "16"}, "/one/two/dataset", False),
        ({"total_kimg": "2", "name": "other"}, "/one/two/dataset", False),
    ],
)
def test_done_is_a_run_of_this_identity_that_is_far_enough(one_run, given, data, done):
    config = TrainStyleGANConfig(preset="tiny", **given)
    assert stylegan.finished(Path(data), one_run, config, 16, 16) == done


@pytest.mark.parametrize(
    ("begun", "named", "taken"),
    [
        ("config-f", "", "config-f"),  # 0.1 named none, and took that
        ("config-f", "auto", "auto"),
        ("auto", "", ""),
        ("tiny", "", ""),
    ],
)
@pytest.mark.parametrize("nets", [{}, {"fmap_base": "16384", "mapping_layers": "8"}])
def test_a_run_goes_on_with_the_preset_that_it_began_with(tmp_path, begun, named, taken, nets):
    asked = {**nets, "data": "/one/two/dataset", "name": "stylegan2"}
    config = presets.resolve(begun, 16, 16, asked)
    run = tmp_path / "runs" / f"stylegan2-{runs.key(config, DATASET)}"
    files.write_json(run / "config.json", runs.begin_run(config, DATASET, {}))
    given = TrainStyleGANConfig(preset=named, total_kimg="3", **nets)
    found = stylegan.as_begun(Path("/one/two/dataset"), tmp_path, given, 16, 16)
    assert found.options() == {**given.options(), "preset": taken}


def test_without_a_preset_it_is_auto():
    own, auto = (TrainStyleGANConfig(preset=name).resolved(64, 64) for name in ("", "auto"))
    assert own == auto != TrainStyleGANConfig(preset="config-f").resolved(64, 64)


def test_a_dataset_that_came_again_under_another_name_is_the_runs_own(one_run):
    (path,) = one_run.glob("runs/*/config.json")
    saved = json.loads(path.read_text())
    saved["changes"].append({"kimg": 1, "options": {"data": "/one/three/dataset"}})
    path.write_text(json.dumps(saved))
    config = TrainStyleGANConfig(preset="tiny", total_kimg="2")
    for name in ("two", "three"):
        assert stylegan.finished(Path(f"/one/{name}/dataset"), one_run, config, 16, 16)


def test_a_broken_config_is_no_finished_run(one_run):
    (path,) = one_run.glob("runs/*/config.json")
    path.write_text("{")
    config = TrainStyleGANConfig(preset="tiny", total_kimg="2")
    assert not stylegan.finished(Path("/one/two/dataset"), one_run, config, 16, 16)


def test_status_tells_of_runs(one_run):
    ((name, _),) = [(p.parent.name, p) for p in one_run.glob("runs/*/config.json")]
    assert list(stylegan.tell_runs(one_run)) == [("TrainStyleGAN", f"{name}: 2 of 8 kimg")]


@pytest.mark.parametrize(
    "said",
    [
        *("[]", "5", "{}", '{"config": {"data": 5}}'),
        '{"config": [], "changes": [], "dataset": {}}',
        '{"config": {"data": {"data": 5}}, "changes": [], "dataset": {}}',
    ],
)
def test_a_run_that_does_not_say_what_it_is_is_none_of_these(said, tmp_path):
    run = tmp_path / "runs" / "one"
    files.write(run / "config.json", said)
    wanted = configure({"out": "x"})
    assert not stylegan.runs_on(Path("/one/two/dataset-a"), tmp_path)
    assert not stylegan.is_of(run, wanted)
    assert not list(runs.all_begun([run], "x"))
    with pytest.raises(ConfigError, match="does not say all of a run: restore it"):
        list(stylegan.tell_runs(tmp_path))


@pytest.mark.parametrize("path", sorted(ROOT.glob("recipes/*.cfg")), ids=lambda path: path.stem)
def test_every_recipe_holds_only_options_that_there_are(path):
    with options.recipe(path):
        options.check_recipe()
        assert current(TrainStyleGANConfig).resolved(1024, 1024)


def test_the_recipe_for_portraits_is_the_published_practice():
    with options.recipe(ROOT / "recipes" / "portraits-1024.cfg"):
        config = current(TrainStyleGANConfig).resolved(1024, 1024)
    assert (config.run.batch, config.run.total_kimg, config.data.mirror) == (32, 30445, True)
    assert config.rate.g_lr == config.rate.d_lr == "0:1e-3, 20000:1e-4, 25000:1e-5"
    assert config.loss.r1_gamma == "0:10, 25451:5, 28000:3"
    assert (config.network.fmap_base, config.network.fmap_max) == (16384, 512)


def given(**more):
    """For pictures of 8 px and a tiny network."""
    training = {f"TrainStyleGAN_{name}": value for name, value in {**STEPS, **more}.items()}
    return {"Dataset_size": 8, **training}


def trained(folder, **more):
    """The command, in this process and so the trainer."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(trainer, "follow", follow_here)
        done = run(folder, "run", "TrainStyleGAN", **given(**more))
    assert done.returncode == 0, done.stderr
    return done.stdout


def seen(folder):
    """The images seen by each checkpoint of the only run."""
    (run,) = (folder / "store" / "runs").iterdir()
    return [checkpoints.seen_at(path) for path in checkpoints.list_checkpoints(run)]


@pytest.mark.parametrize(
    ("task", "room", "train"),
    [(TrainStyleGAN, stylegan, "train_generator"), (DistillStyleGAN, student, "distil")],
)
def test_what_it_trained_is_done_though_another_dataset_was_built(
    tmp_path, monkeypatch, task, room, train
):
    monkeypatch.setattr(student, "check_teacher", lambda *_: None)
    (tmp_path / "teacher.npz").touch()
    set_options(Store_root=tmp_path, DistillStyleGAN_teacher=tmp_path / "teacher.npz")
    at_end = []
    monkeypatch.setattr(room, train, lambda *_: at_end.append(tmp_path))
    monkeypatch.setattr(room, "runs_at_end", lambda *_: iter(at_end))
    monkeypatch.setattr(task, "asked", lambda _: (tmp_path, tmp_path, None, 8, 8))
    monkeypatch.setattr(ExportTFRecords, "complete", lambda _: not at_end)
    assert not task().complete()
    task().run()
    assert task().complete()
    fresh()  # another command
    assert not task().complete()


@pytest.mark.slow
@pytest.mark.parametrize("layout", LAYOUTS)
def test_photos_to_two_steps(folder, layout):
    recipe = f"[ExportTFRecords]\nlayout = {layout}\nlabels = {folder / 'labels.csv'}\n"
    (folder / "recipe.cfg").write_text(recipe)
    (folder / "labels.csv").write_text("file,label\n0.jpg,a\n1.jpg,b\n2.jpg,a\n")
    with options.recipe(folder / "recipe.cfg"):
        trained(folder, total_kimg=0.016, labels="true")
        assert seen(folder) == [0, 16]
        assert not (folder / "store" / "lock").exists()
        assert "kimg" not in trained(folder, total_kimg=0.016, labels="true")
    assert seen(folder) == [0, 16]
    (config,) = folder.glob("store/runs/*/config.json")
    assert json.loads(config.read_text())["dataset"]["classes"] == 2


@pytest.mark.slow
def test_a_stopped_command_leaves_a_checkpoint_and_goes_on(folder):
    """And so does a finished one whose total was raised."""
    line = [*LUIGI, *command(folder, **given(total_kimg=400, tick_kimg=0.016))[3:]]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL, "text": True}
    with subprocess.Popen(line, cwd=folder, env=environment, **pipes) as luigis:
        next(text for text in luigis.stdout if " of 400 kimg " in text)
        used = run(folder, "run", "Ingest", Dataset_size=8)  # training does not hold the store
        luigis.send_signal(signal.SIGTERM)
        assert "stopped at" in luigis.stdout.read()
    assert used.returncode == 0, used.stderr
    assert luigis.returncode != 0
    stopped = seen(folder)[-1]
    assert stopped > 0
    said = trained(folder, total_kimg=stopped / 1000 + 0.008)
    assert f"goes on from {stopped:010d}.npz" in said
    assert seen(folder)[-1] == stopped + 8


@pytest.mark.slow
def test_what_the_trainer_refuses_is_the_commands_one_sentence(folder):
    words = {f"TrainStyleGAN_{n}": v for n, v in {**STEPS, "freeze_d": 99}.items()}
    said = error(run(folder, "run", "TrainStyleGAN", Dataset_size=8, **words))
    assert said.startswith("freeze_d = 99: D has 7 layers, leave one to learn")
