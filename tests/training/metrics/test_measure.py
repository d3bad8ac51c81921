"""Metrics of a run: named after what made them, and written down once."""

import io
import json
import shutil
import sys
from xml.dom import minidom

import numpy as np
import pytest
from PIL import Image

from atelier import files
from tests.kit.training_runs import draw, rehearse
from training import cli, sources
from training.config import ConfigError
from training.exchange.opening import open_generator
from training.features.client import Answer, FeaturesError, Net
from training.metrics import compare, fakes, figures
from training.metrics import measure as metrics
from training.metrics.compare import Gallery


class MeanColours:
    """Features without a process: the mean of each quarter of a picture."""

    label, dims, fingerprint = "mean-colours", 4, "mean colours"

    def __init__(self):
        self.seen = 0

    def stream(self, batches):
        for batch in batches:
            self.seen += len(batch)
            quarters = [
                [
                    half.mean()
                    for part in np.array_split(p, 2)
                    for half in np.array_split(part, 2, 1)
                ]
                for p in batch
            ]
            yield Answer(np.float32(quarters), ())

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass


class Screen(io.StringIO):
    """A terminal."""

    def isatty(self):
        return True


def test_who_waits_sees_how_many_pictures_are_done(tmp_path, monkeypatch):
    monkeypatch.setattr("sys.stderr", Screen())
    batches = [[np.zeros((4, 4, 3), np.uint8)] * number for number in (2, 3)]
    metrics.gathered(tmp_path / "f.npy", MeanColours(), batches, 5)
    assert "5/5" in sys.stderr.getvalue()


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A tiny run with two classes, and its source."""
    folder = tmp_path_factory.mktemp("run")
    data = draw(folder / "data", 40)
    names = sorted(path.name for path in data.iterdir())
    labels = {"labels": [[name, number % 2] for number, name in enumerate(names)]}
    (data / "dataset.json").write_text(json.dumps(labels))
    rehearse(data, folder / "run", labels=True)
    return folder / "run", sources.open_source(data)


# Names.


def test_only_the_real_inception_gives_a_fid():
    assert metrics.metric_name("fid50k_full", "") == "fid50k_full"
    assert metrics.metric_name("fid2k", "random-inception") == "frechet2k(random-inception)"
    assert metrics.metric_name("kid2k", "classifier") == "kid2k(classifier)"
    assert metrics.metric_name("fid2k", "inception-0123abcd") == "frechet2k(inception-0123abcd)"


def test_names_of_metrics():
    wanted = metrics.parse_metrics("fid50k_full, kid2k,pr2k,frechet10k,fid10k")
    assert [(m.what, m.fakes, m.full) for m in wanted] == [
        ("fid", 50000, True),
        ("kid", 2000, False),
        ("pr", 2000, False),
        ("fid", 10000, False),
    ]
    with pytest.raises(ConfigError, match="metrics = 'fid': write fid, kid or pr, thousands of"):
        metrics.parse_metrics("fid")


@pytest.mark.parametrize(
    ("labels", "said"),
    [
        (np.zeros((4, 0)), "the dataset has no class labels: take --standin random-inception"),
        (np.ones((4, 2)), "the dataset has other labels than one class a picture: take"),
        (np.eye(2), "classifier learns from 3 images at least, and the dataset has 2: take"),
    ],
)
def test_a_classifier_is_refused_what_it_cannot_learn(labels, said):
    with pytest.raises(ConfigError, match=said):
        metrics.lessons(labelled(labels))


def labelled(labels):
    """A source with these labels, as far as it is asked for."""

    class Labelled:
        shape = (8, 8, 3)

        def __len__(self):
            return len(labels)

        def read(self, number):
            return np.zeros(self.shape, np.uint8)

    made = Labelled()
    made.labels = labels
    return made


# Measuring a run.


@pytest.fixture(scope="module")
def made(trained):
    """The fakes of the run, whose painter is compiled once."""
    run, source = trained
    return fakes.Fakes(generator_of(run), source.labels)


@pytest.fixture
def measure(trained, made):
    """Measures the run with features that need no process."""
    run, source = trained

    def measure(seen=64, network=None, count=40, **more):
        wanted = [metrics.Metric(what, count, full=False) for what in ("fid", "kid", "pr")]
        with network or MeanColours() as chosen:
            return metrics.measure(run, seen, made, source, wanted, chosen, lambda _: None, **more)

    return measure


def generator_of(run):
    return open_generator(run).network()


@pytest.mark.slow
def test_fakes_do_not_depend_on_how_many_are_made(made):
    many = [picture for pictures, _ in made.batches(40) for picture in pictures]
    few = [picture for pictures, _ in made.batches(5) for picture in pictures]
    np.testing.assert_array_equal(many[:5], few)
    assert many[0].shape == (8, 8, 3) and many[0].dtype == np.uint8
    classes = [label for _, labels in made.batches(40) for label in labels]
    assert set(classes) == {0, 1}


@pytest.mark.slow
def test_rows_charts_and_events(trained, measure):
    run, _ = trained
    rows = measure()
    names = [row["metric"] for row in rows]
    assert names[0] == "frechet0k(mean-colours)" and len(names) == 4
    assert all(np.isfinite(row["value"]) and row["seen"] == 64 for row in rows)
    assert {row["fakes"] for row in rows} == {row["reals"] for row in rows} == {40}
    better = {row["metric"]: row["better"] for row in rows}
    assert better["pr0k_recall(mean-colours)"] == "higher"

    # Measured again: the same figures, each once; the real images are not read again.
    network = MeanColours()
    again = measure(network=network)
    assert [row["value"] for row in again] == [row["value"] for row in rows]
    assert len(figures.read_figures(run)) == 4 and network.seen == 40

    measure(seen=32)
    assert len(figures.read_figures(run)) == 8
    assert len(minidom.parse(str(run / "metrics.svg")).getElementsByTagName("polyline")) == 4
    assert len(list((run / "tensorboard/metrics").glob("events.*"))) == 3

    figures.forget_after(run, 40)
    assert {row["seen"] for row in figures.read_figures(run)} == {32}
    assert len(list((run / "tensorboard/metrics").glob("events.*"))) == 1


@pytest.mark.slow
def test_what_a_killed_process_left_of_fakes_goes(trained, measure, monkeypatch):
    run, _ = trained
    before = {path.name for path in (run / "metrics").glob("*")}
    monkeypatch.setattr(files, "remove", lambda path: None)  # as a kill does not come to it
    with monkeypatch.context() as patch:
        patch.setattr("os.getpid", lambda: 2**22 + 1)  # of no process
        measure(count=39, stopped=lambda: True)
    monkeypatch.undo()
    left = {path.name for path in (run / "metrics").glob("*")} - before
    assert any("fakes" in name for name in left)
    measure(count=39, stopped=lambda: True)
    assert not left & {path.name for path in (run / "metrics").glob("*")}


def test_a_stop_leaves_nothing_half_done(trained, measure):
    run, _ = trained
    before = figures.read_figures(run)
    assert measure(count=39, stopped=lambda: True) == []
    assert figures.read_figures(run) == before
    assert not list((run / "metrics").glob("*fakes*"))


def test_a_broken_cache_is_made_again(trained, measure):
    run, _ = trained
    first = measure()
    for path in (run / "metrics").glob("reals-*.npy"):
        path.write_bytes(path.read_bytes()[:200])
    assert [r["value"] for r in measure()] == [r["value"] for r in first]


def test_what_fails_while_training_is_said(trained, monkeypatch):
    run, source = trained
    said = []

    def look(wanted):
        return metrics.look(run, 64, None, source, wanted, Net("inception"), said.append)

    def fails(*_):
        raise FeaturesError("no weights")

    monkeypatch.setattr(metrics, "open_extractor", fails)
    assert look("fid2k") == [] and said == ["no metrics at 0.064 kimg: no weights"]
    assert look("") == [] and len(said) == 1
    metrics.ready(run, source, "", Net("inception"))
    with pytest.raises(FeaturesError, match="no weights"):
        metrics.ready(run, source, "fid2k", Net("inception"))


@pytest.mark.slow
def test_the_command_measures_with_a_classifier(trained, capsys):
    run, _ = trained
    command = ["metrics", "--run", str(run), "--metrics", "fid1k", "--standin", "classifier"]
    assert cli.main([*command, "--device", "cpu"]) == 0
    said = capsys.readouterr().out
    assert "held-out images" in said and "frechet1k(classifier)" in said and "fid" not in said
    names = {row["metric"] for row in figures.read_figures(run)}
    assert {"frechet1k(classifier)", "label_accuracy(classifier)"} <= names
    assert len(list((run / "metrics").glob("classifier-*.pt"))) == 1


# Two sets of pictures.


def scored(monkeypatch, one, two):
    monkeypatch.setattr(compare, "Extractor", lambda *_: MeanColours())
    return compare.compare(Gallery(one), Gallery(two), Net("inception"))


def test_equal_folders_have_no_distance(tmp_path, monkeypatch):
    draw(tmp_path / "some", 24)
    found = scored(monkeypatch, tmp_path / "some", tmp_path / "some")
    assert found["frechet(mean-colours)"] < 1e-6
    assert found["pr_precision(mean-colours)"] == found["pr_recall(mean-colours)"] == 1


def test_a_score_says_of_how_many_pictures_it_is(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(compare, "Extractor", lambda *_: MeanColours())
    draw(tmp_path / "a", 5)
    draw(tmp_path / "b", 7)
    assert cli.main(["score", str(tmp_path / "a"), str(tmp_path / "b")]) == 0
    first, *figures = capsys.readouterr().out.splitlines()
    assert first == f"7 pictures in {tmp_path / 'b'} against 5 in {tmp_path / 'a'}"
    assert len(figures) == 4


def test_pictures_of_any_mode_are_read(tmp_path):
    for mode in ("L", "RGB", "RGBA", "P", "CMYK", "1", "LA"):
        Image.new(mode, (3, 2)).save(tmp_path / f"{mode}.{'tif' if mode == 'CMYK' else 'png'}")
    shapes = [picture.shape for picture in Gallery(tmp_path)]
    assert {shape[:2] for shape in shapes} == {(2, 3)} and {s[2] for s in shapes} == {1, 3, 4}


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ("score /nowhere /nowhere", "/nowhere is no set of pictures: name a folder, a zip or"),
        ("score {0}/one {0}/one", "{0}/one holds 1 picture: a score needs at least two"),
        ("score {0}/two {0}/two --inception /x", "inception = /x: there is no such file"),
        ("score {0}/two {0}/two --standin classifier", "standin = classifier, but the dataset has"),
        ("metrics --run {0}", "run = {0}: there is no config.json in it"),
        ("metrics --run {0} --metrics fod", "metrics = 'fod': write fid, kid or pr"),
        (
            "metrics --run {0} --metrics frechet1k(random-inception)",
            "metrics = 'frechet1k(random-inception)': frechet1k(random-inception) is what its"
            " figure is called: ask for fid1k, with standin = random-inception",
        ),
        ("metrics --run {0} --metrics ,", "metrics is empty: name some"),
        ("metrics --run RUN --checkpoint x.npz", "checkpoint = x.npz: that is none of the "),
        ("metrics --run RUN --data {0}/two", "RUN was trained on 40 images of 8 x 8 x 3"),
    ],
)
def test_a_wrong_input_gets_one_sentence(tmp_path, capsys, trained, arguments, sentence):
    draw(tmp_path / "one", 1)
    draw(tmp_path / "two", 2)
    words, expected = (
        text.format(tmp_path).replace("RUN", str(trained[0])) for text in (arguments, sentence)
    )
    assert cli.main(words.split()) == 2
    out, error = capsys.readouterr()
    assert out == "" and error.startswith(f"error: {expected}") and error.count("\n") == 1


def test_a_dataset_that_moved_is_asked_for(tmp_path, capsys, trained):
    run = shutil.copytree(trained[0], tmp_path / "run")
    known = json.loads((run / "config.json").read_text())
    known["dataset"]["path"] = "/nowhere"
    (run / "config.json").write_text(json.dumps(known))
    assert cli.main(["metrics", "--run", str(run)]) == 2
    said = f"error: {run}: its dataset is not in /nowhere: say where, with --data\n"
    assert capsys.readouterr().err == said
