"""A store and a run that an earlier version made are found complete: nothing is done again."""

import json
import tarfile
from pathlib import Path

import pytest

from pipeline import tasks
from pipeline.train.tasks import TrainStyleGAN
from pipeline.upkeep import verify
from tests.kit.store import build, mean_colours, set_options
from training import cli
from training.config import configure
from training.run import checkpoints, folder
from training.state import network_configs, new_state, restored

# Defaults that have changed since: with the old ones the old results are found.
HOW_IT_WAS = {"Detect_detector": "haar", "Portrait_headroom": 0}
STORES = sorted((Path(__file__).parent / "stores").glob("*.tar.xz"))


@pytest.fixture(params=STORES, ids=lambda path: path.name)
def made(request, tmp_path, monkeypatch):
    """What that version made of four drawn photos and a reference set, where it lies now."""
    with tarfile.open(request.param) as archive:
        archive.extractall(tmp_path, filter="tar")  # keeps the times that Ingest saw
    told = json.loads((tmp_path / "made.json").read_text())
    monkeypatch.setattr(tasks.Embed, "work", staticmethod(mean_colours))
    monkeypatch.setattr(tasks.Embed, "prepare", lambda *_: None)
    set_options(**HOW_IT_WAS)
    set_options(**{k: v.replace("@", str(tmp_path)) for k, v in told["options"].items()})
    set_options(FilterQuality_copies="keep")  # that version looked for no near copies
    return tmp_path / "store", told["results"]


def test_every_stage_is_complete(made):
    store, results = made
    steps = [*tasks.of_reference(), *tasks.in_use()]
    assert {step.title: str(step.path.relative_to(store)) for step in steps} == results
    assert all(step.complete() for step in steps)


@pytest.mark.slow
def test_every_file_is_as_it_was_written(made):
    store, _ = made
    assert verify.verify(store, False, int) == 0
    picture = next(store.glob("resize/*/pictures/*/*"))
    picture.write_bytes(picture.read_bytes()[:-20])  # it has no digest, and cannot be decoded
    assert verify.verify(store, False, int) == 1


@pytest.mark.slow
def test_only_the_report_is_written_anew(made, monkeypatch):
    for kind in (tasks.Stage, tasks.SetStage):
        monkeypatch.setattr(kind, "build", lambda self: pytest.fail(f"{self.title} ran again"))
    assert build(tasks.Dataset())


@pytest.mark.slow
def test_the_run_is_finished_and_its_checkpoint_whole(made):
    store, _ = made
    assert TrainStyleGAN().complete()
    (run,) = (store / "runs").iterdir()
    found, broken = checkpoints.newest(run)
    assert not broken and found.about["counters"]["seen"] == 32


@pytest.mark.slow
def test_the_run_can_go_on_and_draw(made, tmp_path):
    """Its checkpoint fits the networks that its options make today."""
    store, _ = made
    (run,) = (store / "runs").iterdir()
    known, (found, _) = folder.saved_run(run), checkpoints.newest(run)
    config = configure(folder.current(known))
    pair = network_configs(config, known["dataset"]["shape"], 0)
    checkpoints.same_network(pair.saved(), found.about["network"], found.path)
    state = new_state(config, pair)
    restored(state, config, found.arrays, found.about["counters"])
    assert state.seen == 32
    assert folder.changed(known, config) == {}
    words = ["--run", str(run), "--seeds", "0-1", "--out", str(tmp_path / "pictures")]
    assert cli.main(["generate", *words]) == 0
    assert len(list((tmp_path / "pictures").glob("*.png"))) == 2
