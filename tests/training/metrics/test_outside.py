"""Any generator that opens is measured against a dataset, and no run is needed for it."""

import numpy as np
import pytest

from tests.kit.small_models import KINDS, small_model
from tests.kit.training_runs import draw
from tests.training.exchange.test_tuning import dataset_for
from tests.training.metrics.test_measure import MeanColours
from training import cli
from training.exchange.opening import open_generator
from training.metrics import measure


@pytest.fixture
def model(tmp_path):
    return small_model(tmp_path / "0000002000.npz", "grey")


@pytest.fixture
def quick(monkeypatch):
    """Nine fakes, and features that need no process."""
    monkeypatch.setattr(measure, "open_extractor", lambda *_: MeanColours())
    monkeypatch.setitem(measure.__dict__, "parse_metrics", lambda _: [measure.Metric("fid", 9, 0)])


def refused(capsys, *words):
    assert cli.main(["metrics", *map(str, words)]) == 2
    out, error = capsys.readouterr()
    assert not out and error.count("\n") == 1
    return error.removeprefix("error: ")


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_model_is_measured(quick, kind, tmp_path, capsys):
    model = small_model(tmp_path / "m.npz", kind)
    data = dataset_for(open_generator(model).config, tmp_path / "data")
    assert cli.main(["metrics", f"--model={model}", f"--data={data}", "--device=cpu"]) == 0
    assert "frechet0k(mean-colours)" in capsys.readouterr().out


@pytest.mark.slow
def test_a_model_is_measured_without_a_run(model, quick, tmp_path, capsys):
    data = draw(tmp_path / "data", mode="L")
    before = sorted(tmp_path.rglob("*"))
    words = ["metrics", f"--model={model}", f"--data={data}", "--device=cpu"]
    assert cli.main(words) == 0
    line = capsys.readouterr().out.splitlines()[-1].split()
    assert line[:3] == ["2.0", "kimg", "frechet0k(mean-colours)"] and np.isfinite(float(line[3]))
    assert sorted(tmp_path.rglob("*")) == before


def test_what_cannot_be_measured_is_one_sentence(model, tmp_path, capsys):
    colour = draw(tmp_path / "colour")
    assert refused(capsys).startswith("run is empty: name a run with --run, or a generator with")
    assert refused(capsys, f"--model={model}").startswith("run is empty: name a run with --run")
    said = refused(capsys, f"--model={model}", f"--data={colour}")
    assert said.startswith(f"data = {colour} has images of 8 x 8 x 3, and {model} draws 8 x 8 x 1:")
    said = refused(capsys, "--model=/nowhere", f"--data={colour}")
    assert said == "model = /nowhere: there is no such run or checkpoint\n"
    said = refused(capsys, f"--model={model}", "--run=x")
    assert "not allowed with argument" in said
