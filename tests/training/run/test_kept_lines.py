"""Files of one JSON value a line that a run keeps, and its grids, whatever is in them."""

import json
import re

import numpy as np
import pytest

from atelier.files import BrokenLineError
from tests.kit.training_runs import draw, rehearse
from training import cli
from training.metrics import figures
from training.run import charts, grids, journal

GOOD = {
    "stats.jsonl": {"seen": 4, "time": 1.5, "diversity": "nan"},
    "metrics.jsonl": {"seen": 4, "metric": "fid2k", "value": 3},
}
READ = {
    "stats.jsonl": lambda run: journal.read_stats(run / "stats.jsonl"),
    "metrics.jsonl": figures.read_figures,
}


@pytest.mark.parametrize("name", GOOD)
def test_a_line_of_another_form_is_named(name, tmp_path):
    good = GOOD[name]
    others = [[], 5, None, "text", {}]
    others += [{n: v for n, v in good.items() if n != gone} for gone in good]
    others += [good | {gone: {}} for gone in good] + [good | {"seen": 10**400}]
    for other in others:
        (tmp_path / name).write_text(f"{json.dumps(good)}\n{json.dumps(other)}\n")
        with pytest.raises(BrokenLineError, match=rf"{name} line 2 does not say \w+: mend the"):
            READ[name](tmp_path)
    (tmp_path / name).write_text(json.dumps(good) + "\n")
    assert len(READ[name](tmp_path)) == 1


def test_a_number_of_a_tick_that_is_none_is_said(tmp_path):
    for value in ("many", None, []):
        line = GOOD["stats.jsonl"] | {"path": value}
        (tmp_path / "stats.jsonl").write_text(json.dumps(line) + "\n")
        with pytest.raises(BrokenLineError, match="holds what is no number"):
            journal.read_stats(tmp_path / "stats.jsonl")


@pytest.mark.slow
def test_scores_of_another_form_are_named(tmp_path):
    data, run = draw(tmp_path / "data"), tmp_path / "run"
    run.mkdir()
    (run / "real_scores.jsonl").write_text('{"seen": 0, "scores": 5}\n')
    with pytest.raises(BrokenLineError, match="line 1 does not say scores"):
        rehearse(data, run, total_kimg=0)


@pytest.mark.slow
def test_scores_of_other_pictures_stay_and_have_no_curve(tmp_path):
    data, run = draw(tmp_path / "data"), tmp_path / "run"
    rehearse(data, run, total_kimg=0)
    path = run / "real_scores.jsonl"
    own = json.loads(path.read_text())
    scores = [own["scores"][1:], [*own["scores"], 1.0], ["1", *own["scores"][1:]], [10**400], []]
    others = [own | {"seen": -1, "scores": each} for each in scores] + [{"seen": -1, "scores": []}]
    path.write_text("".join(json.dumps(line) + "\n" for line in others))
    chart = (run / "real_scores.svg").read_text()
    rehearse(data, run, total_kimg=0.008)
    lines = [json.loads(text) for text in path.read_text().splitlines()]
    assert lines[: len(others)] == others and [line["seen"] for line in lines[len(others) :]] == [8]
    drawn = (run / "real_scores.svg").read_text()
    assert drawn != chart and drawn.count("<polyline") == chart.count("<polyline")


def test_a_grid_that_cannot_be_read_ends_no_run(tmp_path, capsys):
    (tmp_path / "grids").mkdir()
    paths = [tmp_path / "grids" / f"fakes-{n:010d}.png" for n in range(3)]
    for path in paths:
        grids.write_png(path, np.zeros((32, 32, 3), np.uint8))
    paths[1].write_bytes(paths[1].read_bytes()[:60])
    assert cli.main(["film", "--run", str(tmp_path)]) == 0
    said = capsys.readouterr().out
    assert f"note: left out: {paths[1]} cannot be read" in said and "2 pictures in" in said
    assert (tmp_path / "progress.mp4").exists()
    for path in paths:
        path.write_bytes(b"")
    with pytest.raises(OSError, match=f"{tmp_path / 'grids'}: none of its 3 grids can be read"):
        grids.write_film(tmp_path / "other.mp4", paths)
    assert not [*tmp_path.glob("*other*")]


def test_a_score_that_is_no_number_has_no_point(tmp_path):
    rows = [{"seen": 0, "scores": [1.0, 3.0]}, {"seen": 1000, "scores": [np.nan, 5.0]}]
    rows.append({"seen": 2000, "scores": [np.nan, np.inf]})
    charts.write_scores(tmp_path / "scores.svg", rows)
    drawn = re.findall('points="([^"]*)"', (tmp_path / "scores.svg").read_text())
    assert [len(points.split()) for points in drawn] == [1, 2, 2]  # two images, their median
    assert drawn[1].split()[1] == drawn[2].split()[1]
