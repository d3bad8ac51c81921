"""Whatever ends a command early: one sentence at most, 130, no lock, no process that stays."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from tests.kit import commands
from tests.kit.learning import dataset
from tests.kit.store import ROOT, photo, save
from tests.kit.training_runs import draw

pytestmark = pytest.mark.slow
SIGNALS = {"ctrl-c": signal.SIGINT, "kill": signal.SIGTERM, "hang-up": signal.SIGHUP}
LUIGI = [str(Path(sys.executable).with_name("luigi")), "--module", "pipeline"]
LOCAL = {"Engine_scheduler": "local", "Engine_workers": 1, "Engine_rows": 1}


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """Photos for the pipeline, pictures and labels for the trainers."""
    folder = tmp_path_factory.mktemp("signals")
    for number in range(12):
        save(folder / "photos" / f"{number}.png", photo(number, size=(400, 300)))
    draw(folder / "data", size=(8, 8))
    dataset(folder / "labelled", 8)
    return folder


def line(folder, name):
    """The command of this name, which writes to a store, or a run, of its own."""
    training = {"preset": "tiny", "device": "cpu", "threads": 1, "total_kimg": 400}
    training |= {"r1_interval": 0, "pl_weight": 0}
    if name in ("training", "detectors"):
        data = {"data": folder / "data", **training}
        labelled = {"labels": folder / "labelled" / "labels.csv", "weights": "none", "threads": 1}
        labelled["pictures"] = folder / "labelled" / "pictures"
        given = {"training": data, "detectors": labelled}[name] | {"out": folder / name}
        words = [f"--{key}={value}" for key, value in given.items()]
        return [sys.executable, "-m", name, "train", *words]
    if name == "generator":
        more = {f"TrainStyleGAN_{key}": value for key, value in training.items()}
        more |= {"Engine_scheduler": "local", "Engine_workers": 1, "Dataset_size": 8}
        return commands.command(folder, "run", "TrainStyleGAN", store=name, **more)
    words = commands.command(folder, store=name, **LOCAL)[3:]
    return {
        "pipeline": [sys.executable, "-m", "pipeline", "run", *words],
        "luigi": [*LUIGI, "Dataset", *words],
        "luigi-workers": [*LUIGI, "Dataset", "--workers", "2", *words],
    }[name]


def start(words, stdout=subprocess.DEVNULL):
    """The command, with its processes in a group of their own, whatever the shell ignores."""
    pipes = {"stdout": stdout, "stderr": subprocess.PIPE, "text": True}
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    group = {"start_new_session": True, "preexec_fn": commands.heard_by_default}
    return subprocess.Popen(words, cwd=ROOT, env=environment, **pipes, **group)


def hears(process):
    """Wait until our code answers signals: before it is loaded Python itself does."""
    status = Path(f"/proc/{process.pid}/status")
    for _ in range(6000):
        caught = next(one for one in status.read_text().splitlines() if one.startswith("SigCgt"))
        if int(caught.split()[1], 16) >> (signal.SIGTERM - 1) & 1:
            return
        time.sleep(0.002)
    raise TimeoutError


def ended(process, send, number, times=1):
    """Send a signal so often; what the command says when it has ended well, and all with it."""
    family = psutil.Process(process.pid).children(recursive=True)
    for _ in range(times):
        send(process.pid, number)
        time.sleep(0.05)
    told, said = process.communicate(timeout=240)
    said = (told or "") + said
    assert not psutil.wait_procs(family, timeout=30)[1]
    assert process.returncode == 130, said
    assert "Traceback" not in said and "Exception" not in said and "leaked" not in said, said
    return said


REACHED = {  # a file by which a command is in the middle of its work
    "pipeline": "ingest/*/parts/*.parquet",
    "generator": "runs/*/checkpoints/*.npz",
    "luigi": "ingest/*/parts/*.parquet",
    "luigi-workers": "ingest/*/parts/*.parquet",
    "training": "lock",
    "detectors": "lock",
}


@pytest.mark.parametrize("number", SIGNALS.values(), ids=SIGNALS)
@pytest.mark.parametrize("name", ["pipeline", "luigi", "training", "detectors"])
def test_a_signal_while_a_command_is_loaded_ends_it_in_silence(place, name, number):
    process = start(line(place, name))
    hears(process)
    time.sleep(0.05)
    said = ended(process, os.killpg, number, times=3)
    assert said == "" or said.endswith("goes on\n")  # the latter where this process had to wait
    assert not (place / name / "lock").exists()


@pytest.mark.parametrize(
    ("name", "number"),
    [
        ("pipeline", signal.SIGHUP),
        ("luigi", signal.SIGTERM),
        ("luigi-workers", signal.SIGINT),
        ("generator", signal.SIGINT),
        ("training", signal.SIGINT),
        ("detectors", signal.SIGTERM),
    ],
)
def test_a_signal_in_the_middle_is_one_sentence_and_leaves_nothing(place, name, number):
    """It reaches every process, as at a terminal; three Ctrl-C are as good as one."""
    store = place / name
    process = start(line(place, name), subprocess.PIPE)  # where a trainer says it
    commands.wait_for(store, REACHED[name])
    if name == "generator":  # the dataset was made by processes that are gone by then
        family = psutil.Process(process.pid).children(recursive=True)
        assert not [one for one in family if "spawn_main" in " ".join(one.cmdline())]
    said = ended(process, os.killpg, number, times=3 if number == signal.SIGINT else 1)
    assert "goes on" in said
    assert ("the trainer writes a checkpoint first" in said) == (name == "generator")
    if name not in ("training", "detectors"):  # whose lock is let go with the process
        assert not (store / "lock").exists()


def test_sigterm_to_luigi_alone_ends_its_workers(place):
    process = start(line(place, "luigi-workers"))
    commands.wait_for(place / "luigi-workers", "lock")
    assert "goes on" in ended(process, os.kill, signal.SIGTERM)
    assert not (place / "luigi-workers" / "lock").exists()
