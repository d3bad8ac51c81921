"""What the Makefile makes of SRC and ARGS; the Python that it starts here only notes its words."""

import os
import subprocess

import pytest

from tests.kit.store import ROOT

PYTHON = """#!/bin/bash
case "$*" in
"-m pipeline source"*) cat source 2>/dev/null; exit "$(cat code 2>/dev/null || echo 0)" ;;
"-c import tensorboard") exit 0 ;;
esac
{ echo "recipe=$LUIGI_CONFIG_PATH"; printf '%s\\n' "$@"; } >>words
"""


@pytest.fixture
def make(tmp_path):
    """Runs make in a copy of the checkout's Makefile; gives what was said, and Python's words."""
    (tmp_path / "Makefile").write_text((ROOT / "Makefile").read_text())
    python = tmp_path / "python"
    python.write_text(PYTHON)
    python.chmod(0o755)
    own = {"SRC", "ARGS", "RUNS", "LUIGI_CONFIG_PATH", "MAKEFLAGS", "MAKELEVEL"}
    plain = {name: value for name, value in os.environ.items() if name not in own}

    def run(*words, **environment):
        line = ["make", "-o", ".venv/ready", "PY=./python", *words]
        done = subprocess.run(
            line, cwd=tmp_path, env=plain | environment, capture_output=True, text=True
        )
        noted = tmp_path / "words"
        said = noted.read_text().splitlines() if noted.exists() else []
        noted.unlink(missing_ok=True)
        return done, said

    run.folder = tmp_path
    return run


SOURCES = ["/photos", "/p/a$b", "/p/$(HOME)/$$x", "/my photos/it's #1", 'a"b', "~/x;y"]
TASKS = {
    "dataset": ["-m", "pipeline", "run"],
    "train": ["-m", "pipeline", "run", "TrainStyleGAN"],
    "review": ["-m", "pipeline", "review"],
    "status": ["-m", "pipeline", "status"],
}


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("target", TASKS)
def test_the_source_arrives_as_it_was_given(make, target, source):
    wanted = ["recipe=", *TASKS[target], "--Ingest-source", source]
    done, words = make(target, f"SRC={source}", "ARGS=--Dataset-size 512 --x '$b'")
    assert words == [*wanted, "--Dataset-size", "512", "--x", "$b"], done.stderr
    assert make(target, SRC=source)[1] == wanted


@pytest.mark.parametrize("model", SOURCES)
def test_train_begins_from_the_model_that_is_named(make, model):
    begun = ["--TrainStyleGAN-resume-from", model]
    done, words = make("train", "SRC=/photos", f"FROM={model}", "ARGS=--x")
    assert words == ["recipe=", *TASKS["train"], "--Ingest-source", "/photos", *begun, "--x"]
    assert make("train", f"FROM={model}")[1][-2:] == begun  # on the sample
    assert make("train", "SRC=/photos", FROM="me@example.org")[1][-1] == "/photos"
    done, words = make("train", "SRC=/photos", "FROM=")
    assert done.stderr.splitlines()[0] == "FROM is empty: name the model to begin from"
    assert done.returncode == 2 and words == []


@pytest.mark.parametrize("target", TASKS)
def test_an_empty_source_is_one_sentence(make, target):
    done, words = make(target, "SRC=")
    assert done.stderr.splitlines()[0] == "SRC is empty: name the folder of photos"
    assert done.returncode == 2 and words == []


@pytest.mark.parametrize("target", ["dataset", "review"])
def test_without_a_source_the_sample_is_drawn_and_used(make, target):
    _, words = make(target)
    assert words[:5] == ["recipe=", "-m", "pipeline", "sample", "data/sample/raw"]
    assert words[5:] == ["recipe=recipes/sample.cfg", *TASKS[target]]
    (make.folder / "data/sample/raw").mkdir(parents=True)
    assert make(target)[1] == words[5:]


def test_status_is_that_of_the_sample_where_no_other_photos_are(make):
    own, sample = ["recipe=", *TASKS["status"]], make.folder / "data/sample"
    assert make("status")[1] == own
    (sample / "raw").mkdir(parents=True)
    assert make("status", "ARGS=--x")[1] == ["recipe=recipes/sample.cfg", *TASKS["status"], "--x"]
    (sample / "runs").mkdir()
    assert make("status")[1][0] == "recipe=recipes/sample-training.cfg"
    assert make("status", LUIGI_CONFIG_PATH="mine.cfg")[1][0] == "recipe=mine.cfg"
    (make.folder / "source").write_text("/photos\n")
    assert make("status")[1] == own


def test_train_takes_the_source_of_args_or_of_the_recipe(make):
    (make.folder / "source").write_text("/photos\n")
    done, words = make("train", "ARGS=--Ingest-source /photos")
    assert words == ["recipe=", *TASKS["train"], "--Ingest-source", "/photos"], done.stderr
    (make.folder / "source").unlink()
    _, words = make("train", LUIGI_CONFIG_PATH="mine.cfg")  # says by itself that it names none
    assert words == ["recipe=mine.cfg", *TASKS["train"]]


def test_train_without_any_source_says_so_and_trains_on_the_sample(make):
    done, words = make("train", "ARGS=--TrainStyleGAN-seed 1")
    assert "this trains on the sample, for some minutes" in done.stdout
    assert words[:5] == ["recipe=", "-m", "pipeline", "sample", "data/sample/raw"]
    assert words[5:] == [
        "recipe=recipes/sample-training.cfg",
        *TASKS["train"],
        "--TrainStyleGAN-seed",
        "1",
    ]


def test_train_stops_where_the_options_are_wrong(make):
    (make.folder / "code").write_text("2")
    done, words = make("train", "ARGS=--Dataset-siz 64")
    assert done.returncode == 2 and words == []


def test_the_page_is_of_the_faces_or_of_the_model_that_is_named(make):
    line = ["recipe=", "-m", "training", "page"]
    assert make("page")[1] == [*line, "--model=recipes/models/faces.npz", "--out", "data/page"]
    for model in [*SOURCES, "-mine.npz"]:
        done, words = make("page", f"MODEL={model}", "ARGS=--teacher t.npz")
        assert words[4:] == [f"--model={model}", "--out", "data/page", "--teacher", "t.npz"], done


@pytest.mark.slow
def test_board_shows_the_runs_that_there_are(make):
    done, words = make("board")
    assert done.stderr.splitlines()[0] == "no run is in data/runs yet: make train begins one"
    assert words == []
    (make.folder / "data/sample/runs").mkdir(parents=True)
    assert make("board")[1][-1] == "--logdir=data/sample/runs"
    (make.folder / "data/runs").mkdir(parents=True)
    assert make("board")[1][-1] == "--logdir=data/runs"
    for name in ("my runs", "a$b", "it's", 'a"b', "$(HOME)"):
        done, words = make("board", f"RUNS={name}")
        assert done.stderr.splitlines()[0] == f"RUNS = {name}: there is no such folder of runs"
        (make.folder / name).mkdir()
        assert words == [] and make("board", f"RUNS={name}")[1][-1] == f"--logdir={name}"
        assert make("board", RUNS=name)[1][-1] == f"--logdir={name}"


def test_help_lists_every_command(make):
    done, _ = make("help")
    listed = {line.split()[0] for line in done.stdout.splitlines()}
    assert {"dataset", "train", "board", "status", "review", "test", "setup"} <= listed
