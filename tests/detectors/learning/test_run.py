"""Whole trainings of seconds: the same bits after a kill, and one sentence for what cannot be."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from atelier import files
from detectors.learning import cli, loop, network, state, train
from detectors.learning.options import LearningError
from detectors.learning.train import train as run
from tests.kit.learning import QUICK, SMALL, config, dataset, small_backbone
from tests.kit.store import ROOT
from tests.kit.training_runs import eagerly

FOUR_STEPS = {"epochs": 4, "check_every": 2, "mirror": True}  # an epoch is one step
pytestmark = [
    pytest.mark.usefixtures("plain_graphs", "quick"),
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:Even though the .tf.config:UserWarning"),  # tf.data's graphs
]


def command(folder, **more):
    given = {
        "labels": folder / "labels.csv",
        "pictures": folder / "pictures",
        "out": folder / "run",
    }
    words = [f"--{name}={value}" for name, value in (given | SMALL | more).items()]
    return [sys.executable, "-c", QUICK, "train", *words]


def environment():
    return {**os.environ, "PYTHONPATH": str(ROOT), "TF_CPP_MIN_LOG_LEVEL": "3"}


def weights(folder):
    with np.load(folder / "checkpoint.npz") as file:
        return {name: file[name] for name in file.files if name != "about"}


@pytest.fixture(scope="module")
def quick():
    """A small network, and no export: what takes seconds has its own tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(network.MAKERS, "mobilenetv2", small_backbone)
        patch.setattr(
            train.export, "write_detector", lambda folder, *_: folder.mkdir(exist_ok=True)
        )
        yield


@pytest.fixture(scope="module")
def whole(tmp_path_factory, quick, plain_graphs):
    """The folder of a run of four steps, measured after two, and what it said.

    Without graphs, as a few steps are done sooner than they are made; a killed run has them.
    """
    folder, said = tmp_path_factory.mktemp("whole"), []
    with eagerly():
        assert run(config(folder, **FOUR_STEPS), said.append) == "finished"
    return folder, said


@pytest.mark.slow
def test_a_run_from_labels_to_a_report(whole):
    folder, said = whole
    options, out = config(folder, **FOUR_STEPS), folder / "run"
    assert json.loads(said[0])["seed"] == 0  # the whole config, before anything else
    metrics = json.loads((out / "metrics.json").read_text())
    assert set(metrics["measured"]) == {"detector", "its last weights", "constant box"}
    history = [json.loads(line) for line in (out / "history.jsonl").read_text().splitlines()]
    assert [row["epoch"] for row in history] == [2, 4]
    assert {path.name for path in out.iterdir()} >= {"curve.svg", "misses.png", "model.keras"}

    before = {path: path.stat().st_mtime_ns for path in out.rglob("*")}
    said = []
    assert run(options, said.append) == "finished"
    assert said[1:] == [f"{out} is finished: there is nothing to do"]
    assert {path: path.stat().st_mtime_ns for path in out.rglob("*")} == before


@pytest.mark.slow
def test_a_stopped_run_goes_on_to_the_same_weights(whole, tmp_path, monkeypatch):
    parted = config(tmp_path, **FOUR_STEPS)
    step = loop.Learner.step

    def interrupted(learner, number, *rest):
        if number == 2:  # between two measurements
            os.kill(os.getpid(), signal.SIGTERM)
        return step(learner, number, *rest)

    monkeypatch.setattr(loop.Learner, "step", interrupted)
    said = []
    with eagerly():
        assert run(parted, lambda _: None) == "stopped"
        monkeypatch.setattr(loop.Learner, "step", step)
        assert run(parted, said.append) == "finished"
    assert "goes on after step 3 of 4" in "\n".join(said)
    one, other = weights(whole[0] / "run"), weights(tmp_path / "run")
    assert one.keys() == other.keys()
    for name in one:
        np.testing.assert_array_equal(one[name], other[name], err_msg=name)


@pytest.mark.slow
def test_the_history_lacks_nothing_that_a_checkpoint_says(tmp_path, monkeypatch):
    def killed(course):
        raise SystemExit(1)

    monkeypatch.setattr(loop.Course, "save", killed)
    with eagerly(), pytest.raises(SystemExit):
        run(config(tmp_path, **FOUR_STEPS), lambda _: None)
    assert [row["step"] for row in files.read_lines(tmp_path / "run/history.jsonl")] == [2]


@pytest.mark.slow
def test_a_killed_run_goes_on(tmp_path, monkeypatch):
    """SIGKILL after the first checkpoint; then the same command, here, stopped by SIGTERM."""
    dataset(tmp_path)
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    words = command(tmp_path, epochs=1000)
    with subprocess.Popen(words, env=environment(), cwd=ROOT, **pipes) as first:
        wait_for(tmp_path / "run" / "checkpoint.npz", first)
        first.kill()
    history, said = tmp_path / "run" / "history.jsonl", []
    begun = state.load_state(tmp_path / "run" / "checkpoint.npz")[1]

    def heard(line):
        said.append(line)
        if line.startswith("epoch"):
            os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(cli, "set_up", lambda _: None)
    monkeypatch.setattr(cli, "say", heard)
    assert cli.main(words[words.index("train") :]) == cli.STOPPED
    assert f"goes on after step {begun['step']} of 1000" in said
    kept = [json.loads(line) for line in history.read_text().splitlines()]
    assert kept[: len(begun["history"])] == begun["history"] != []
    assert [row["epoch"] for row in kept] == list(range(1, len(kept) + 1))


def test_sigterm_stops_a_run_before_its_first_step(tmp_path, monkeypatch):
    """It reads pictures, and has no checkpoint to write."""
    monkeypatch.setattr(cli, "set_up", lambda _: os.kill(os.getpid(), signal.SIGTERM))
    before = signal.getsignal(signal.SIGTERM)
    assert cli.main(["train", "--weights", "none", "--out", str(tmp_path)]) == cli.STOPPED
    assert signal.getsignal(signal.SIGTERM) == before


def wait_for(path, process):
    while not path.exists():
        assert process.poll() is None, process.stdout.read()
        time.sleep(0.1)


@pytest.mark.slow
def test_another_run_in_the_folder_is_refused(tmp_path, monkeypatch):
    options = config(tmp_path)
    monkeypatch.setattr(train, "Course", stop_here)
    with pytest.raises(StopHereError):
        run(options, lambda _: None)
    with pytest.raises(LearningError, match=r"with other options: epochs = 3 \(there 2\)"):
        run(config(tmp_path, epochs=3), lambda _: None)
    with pytest.raises(StopHereError):  # threads do not change a result
        run(config(tmp_path, threads=2), lambda _: None)
    with (tmp_path / "labels.csv").open("a") as file:
        file.write("0.png,96,72,red,1,1,40,40\n")
    with pytest.raises(LearningError, match=r"labels.csv is not as it was"):
        run(options, lambda _: None)


class StopHereError(Exception):
    pass


def stop_here(*_):
    raise StopHereError


@pytest.mark.slow
def test_weights_count_by_what_they_hold(tmp_path, monkeypatch):
    monkeypatch.setattr(train, "Course", stop_here)
    monkeypatch.setattr(network, "check_weights", lambda *_: None)
    (tmp_path / "a.keras").write_bytes(b"one")
    options = config(tmp_path, weights=str(tmp_path / "a.keras"))
    with pytest.raises(StopHereError):
        run(options, lambda _: None)
    (tmp_path / "b.keras").write_bytes(b"one")
    with pytest.raises(StopHereError):
        run(config(tmp_path, weights=str(tmp_path / "b.keras")), lambda _: None)
    (tmp_path / "a.keras").write_bytes(b"other")
    with pytest.raises(LearningError, match=r"other options: weights = \S*a.keras \(there what"):
        run(options, lambda _: None)
    (tmp_path / "a.keras").unlink()  # the checkpoint goes on without it
    with pytest.raises(StopHereError):
        run(options, lambda _: None)


@pytest.mark.slow
def test_a_side_without_boxes_is_refused_before_the_run_begins(tmp_path):
    labels, _ = dataset(tmp_path, 8)
    header, first, *lines = labels.read_text().splitlines()
    empty = [",".join([*line.split(",")[:3], *[""] * 5]) for line in lines]
    labels.write_text("\n".join([header, first, *empty]))
    said = set()
    for seed in range(12):  # the one box is here on this side, there on the other
        with pytest.raises(LearningError, match="change seed or validation, or give") as refused:
            run(config(tmp_path, seed=seed), lambda _: None)
        said.add(str(refused.value).split("box is ")[1].split(" (")[0])
    assert said == {"left to learn from", "held out to measure with"}
    assert not (tmp_path / "run" / "config.json").exists()


@pytest.mark.slow
@pytest.mark.parametrize("name", ["gone.h5", "text.h5", "text.keras", "text.txt"])
def test_weights_that_cannot_be_taken_leave_no_run_behind(tmp_path, name):
    (tmp_path / f"text{Path(name).suffix}").write_text("no weights")
    with pytest.raises(LearningError, match=f"{name}.*(no such|give|no whole file)"):
        run(config(tmp_path, weights=str(tmp_path / name)), lambda _: None)
    assert not (tmp_path / "run" / "config.json").exists()


def test_two_trainings_do_not_share_a_folder(tmp_path):
    options = config(tmp_path)
    with (
        files.alone(Path(options.out) / "lock"),
        pytest.raises(LearningError, match="another training writes"),
    ):
        run(options, lambda _: None)


@pytest.mark.slow
def test_labels_to_hold_out_can_be_given(tmp_path, monkeypatch):
    monkeypatch.setattr(train, "Course", stop_here)
    labels, _ = dataset(tmp_path, 8)
    header, *lines = labels.read_text().splitlines()
    (tmp_path / "held.csv").write_text("\n".join([header, *lines[:3]]))
    said = []
    with pytest.raises(StopHereError):
        run(config(tmp_path, held_labels=str(tmp_path / "held.csv")), said.append)
    assert said[1] == "warning: 3 pictures held out, too; not learnt from"
    assert said[2] == "5 pictures to learn from, 3 held out, classes ['red']"


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (
            ["--labels", "gone.csv", "--pictures", "."],
            "gone.csv: there is no such CSV or JSON file",
        ),
        (["--labels", "", "--pictures", "."], "labels is empty: give --labels"),
        (["--size", "70"], "size = 70: give a multiple of 32"),
    ],
)
def test_a_wrong_command_is_one_sentence(tmp_path, monkeypatch, capsys, given, said):
    monkeypatch.setattr(cli, "set_up", lambda _: None)
    code = cli.main(["train", "--weights", "none", "--out", str(tmp_path / "run"), *given])
    error = capsys.readouterr().err
    assert code == LearningError.code
    assert error.startswith(f"error: {said}")
    assert error.count("\n") == 1


def test_a_broken_checkpoint_is_one_sentence(tmp_path):
    (tmp_path / "checkpoint.npz").write_bytes(b"half")
    with pytest.raises(LearningError, match=r"checkpoint.npz is broken .* delete it to begin anew"):
        loop.state.load_state(tmp_path / "checkpoint.npz")


def test_patience_counts_measurements_without_a_better_one(tmp_path):
    course = object.__new__(loop.Course)
    course.config = config(tmp_path, patience=2)
    course.history = [{"step": 1}, {"step": 2}, {"step": 3}]
    for best, stale in ((1, True), (2, False), (3, False)):
        course.best = {"step": best}
        assert course.stale is stale
    course.config = config(tmp_path, patience=0)
    course.best = {"step": 1}
    assert not course.stale
