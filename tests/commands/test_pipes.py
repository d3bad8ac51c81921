"""A pipe in the place of a file, or nothing: no command waits, nor works, before it says so."""

import os
import signal
import sys

import pytest

from detectors.learning import cli as detectors
from tests.commands.test_ends import ended
from tests.kit import commands
from tests.kit.store import ROOT, photo, save

SECONDS = 30


@pytest.fixture
def pipes(tmp_path):
    """Pipes of all names that a file can have, beside a photo; one who waits for them fails."""
    save(tmp_path / "photos" / "1.png", photo(1))
    (tmp_path / "store").mkdir()
    for name in ("x.csv", "x.json", "x.onnx", "x.pb", "saved_model.pb"):
        os.mkfifo(tmp_path / name)

    def late(*_):
        raise AssertionError("it waits")

    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(SECONDS)
    yield tmp_path
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


@pytest.mark.parametrize(
    ("command", "more"),
    [
        ("run", {"Detect_detector": "yunet:{}/x.onnx"}),
        ("run", {"Detect_detector": "tfod:{}/x.pb"}),
        pytest.param("run", {"Detect_detector": "tfod:{}"}, marks=pytest.mark.slow),
        ("run", {"FilterQuality_scores": "{}/x.csv"}),
        ("run", {"ExportTFRecords_labels": "{}/x.csv"}),
        ("run", {"Embed_weights": "{}/x.pb"}),
        ("review --import {}/x.csv", {}),
        ("review --import {}/x.json", {}),
        ("gc --keep {}/x.csv", {}),
    ],
)
def test_no_pipe_is_waited_for_by_the_pipeline(pipes, command, more):
    words = [word.format(pipes) for word in command.split()]
    options = {key: value.format(pipes) for key, value in more.items()}
    done = commands.run(pipes, *words, **options)
    assert done.returncode == 2, done.stderr
    named = [*words, *options.values()][-1].rpartition(":")[2]
    assert named in done.stderr.splitlines()[-1]


@pytest.mark.parametrize("name", ["x.csv", "x.json"])
def test_no_pipe_is_waited_for_by_a_detectors_training(pipes, name, capsys, monkeypatch):
    monkeypatch.setattr(detectors, "set_up", lambda _: None)  # which a process does once
    words = ["--labels", f"{pipes}/{name}", "--pictures", f"{pipes}/photos", "--weights", "none"]
    assert detectors.main(["train", *words, "--out", f"{pipes}/run"]) == 2
    assert f"{pipes}/{name}: there is no such" in capsys.readouterr().err


@pytest.mark.parametrize("recipe", ["{}/x.csv", "{}", "/dev/zero"])
def test_a_recipe_that_is_no_file_is_one_sentence(pipes, recipe):
    path = recipe.format(pipes)
    done = ended([sys.executable, "-m", "pipeline", "status"], env={"LUIGI_CONFIG_PATH": path})
    assert done.returncode == 2
    assert done.stderr == f"error: LUIGI_CONFIG_PATH = {path}: that is no file\n"


MODEL = str(ROOT / "recipes" / "models" / "faces.npz")


@pytest.mark.parametrize(
    ("command", "more"),
    [
        ("run", {"FilterQuality_scores": "{}"}),
        ("run", {"Embed_weights": "{}"}),
        ("run", {"ExportTFRecords_labels": "{}"}),
        ("run", {"Detect_detector": "yunet:{}.onnx"}),
        ("run TrainStyleGAN", {"TrainStyleGAN_resume_from": "{}"}),
        ("run TrainStyleGAN", {"TrainStyleGAN_inception": "{}"}),
        ("run DistillStyleGAN", {"DistillStyleGAN_teacher": "{}"}),
        ("run DistillStyleGAN", {"DistillStyleGAN_teacher": MODEL, "DistillStyleGAN_vgg": "{}"}),
        (
            "run DistillStyleGAN",
            {"DistillStyleGAN_teacher": MODEL, "DistillStyleGAN_inception": "{}"},
        ),
        ("review --import {}", {}),
        ("review --export {}/x/y.csv", {}),
    ],
)
def test_what_is_not_there_is_said_before_a_photo_is_read(folder, command, more):
    (folder / "file").touch()
    name = folder / "file" if "--export" in command else folder / "nowhere"
    words = [word.format(name) for word in command.split()]
    done = commands.run(folder, *words, **{key: value.format(name) for key, value in more.items()})
    assert done.returncode == 2, done.stderr
    assert str(name) in done.stderr and done.stderr.count("\n") == 1
    assert not list((folder / "store").glob("*/*"))
