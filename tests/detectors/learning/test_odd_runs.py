"""Runs whose files say something else, places that cannot be, finds that do not count."""

import json
from dataclasses import asdict

import pytest

from detectors.learning import cli, evaluate, records
from detectors.learning.examples import gather
from detectors.learning.options import (
    METRICS,
    RUN,
    LearningConfig,
    LearningError,
    check_out,
    config_of,
    labels_digest,
    saved_config,
    surest_of,
)
from tests.kit.learning import SMALL, dataset

WHOLE = {"config": asdict(LearningConfig(**SMALL)), "classes": ["red"], "labels_digest": ""}
MEASURED = {"measured": {"detector": {"surest": 0.4}}}
ODD = ["", "[]", "null", "3", '"x"', "{}", "[" * 99_999, "{\xff", '{"config": [], "classes": 3}']


@pytest.fixture
def finished(tmp_path):
    """The folder of a run as far as its JSON goes."""
    (tmp_path / RUN).write_text(json.dumps(WHOLE))
    (tmp_path / METRICS).write_text(json.dumps(MEASURED))
    return tmp_path


@pytest.mark.parametrize("text", ODD)
@pytest.mark.parametrize(("name", "read"), [(RUN, saved_config), (METRICS, surest_of)])
def test_json_that_is_none_of_a_run_is_one_sentence(finished, name, read, text):
    assert read(finished)
    (finished / name).write_text(text, encoding="latin-1")
    with pytest.raises(LearningError, match=f"{name} (is no JSON|does not say)"):
        read(finished)
    assert cli.main(["export", "--run", str(finished), "--out", str(finished / "new")]) == 2
    assert not (finished / "new").exists()


@pytest.mark.parametrize("surest", ["null", '"x"', "[1]"])
def test_a_figure_that_is_no_number_is_one_sentence(finished, surest):
    (finished / METRICS).write_text(json.dumps(MEASURED).replace("0.4", surest))
    with pytest.raises(LearningError, match="does not say what was measured: delete it"):
        surest_of(finished)


def test_an_option_of_another_version_is_named(finished):
    text = json.dumps(WHOLE | {"config": WHOLE["config"] | {"later": 1}})
    (finished / RUN).write_text(text)
    with pytest.raises(LearningError, match="there is no option later"):
        config_of(finished)


@pytest.mark.parametrize("place", ["file", "file/below", "/dev/null/below", "/proc/below"])
@pytest.mark.parametrize("command", ["train", "export", "evaluate"])
def test_where_nothing_can_be_written_is_said_before_the_work(
    finished, monkeypatch, capsys, command, place
):
    monkeypatch.setattr(cli, "set_up", lambda _: None)
    (finished / "file").write_text("mine")
    labels = ["--labels", "gone.csv"]
    more = {
        "train": [*labels, "--weights", "none"],
        "export": ["--run", str(finished)],
        "evaluate": [*labels, "--detector", "none"],
    }[command]
    assert cli.main([command, *more, "--out", str(finished / place)]) == 2
    told = capsys.readouterr().err
    assert told.startswith("error: --out ") and told.count("\n") == 1
    assert (finished / "file").read_text() == "mine"


def test_a_training_that_is_refused_leaves_no_folder(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(cli, "set_up", lambda _: None)
    labels, pictures = dataset(tmp_path, 2)
    given = ["--labels", str(labels), "--pictures", str(pictures), "--weights", "none"]
    for there in (False, True):
        out = tmp_path / "runs" / "one"
        assert cli.main(["train", *given, "--classes", "other", "--out", str(out)]) == 2
        assert capsys.readouterr().err.startswith("error: ")
        assert out.exists() is out.parent.exists() is there
        out.mkdir(parents=True, exist_ok=True)


def test_a_name_that_tensorflow_cannot_write_to_is_refused(tmp_path):
    for folder in (tmp_path / "\udce4", tmp_path / "\udce4" / "below"):
        with pytest.raises(LearningError, match="this name is not UTF-8: choose another"):
            check_out(folder, folder)


def test_names_that_are_not_utf_8_are_learnt_from(tmp_path):
    labels, pictures = dataset(tmp_path, 3, csv=False)
    for path in [*labels.iterdir(), *pictures.iterdir()]:
        path.rename(path.with_stem(f"{path.stem}\udce4"))
    found, classes = gather(labels, str(pictures), (), 48, lambda _: None)
    records.write_records(tmp_path / "train.tfrecord", found, classes)
    again, _ = records.examples(tmp_path / "train.tfrecord", classes)
    assert all(each.name.endswith("\\xe4.png") for each in again) and len(again) == 3
    assert labels_digest(LearningConfig(**SMALL | {"labels": str(labels)}))


@pytest.mark.parametrize("command", ["train", "evaluate"])
def test_nothing_is_written_among_the_pictures(tmp_path, monkeypatch, capsys, command):
    monkeypatch.setattr(cli, "set_up", lambda _: None)
    labels, pictures = dataset(tmp_path, 2)
    more = {"train": ["--weights", "none"], "evaluate": ["--detector", "none"]}[command]
    given = ["--labels", str(labels), "--pictures", str(pictures), "--out", f"{pictures}/."]
    assert cli.main([command, *more, *given]) == 2
    assert "is the folder of the pictures" in capsys.readouterr().err
    assert len(list(pictures.iterdir())) == 2


def test_no_labels_are_not_those_of_this_folder(tmp_path, capsys):
    words = ["evaluate", "--detector", "none", "--labels", "", "--out", str(tmp_path)]
    assert cli.main(words) == 2
    assert "argument --labels: it is empty" in capsys.readouterr().err


def test_classes_are_named_once_in_one_unicode_form():
    assert LearningConfig(classes="Zoe\u0308, b").class_names == ["Zo\u00eb", "b"]
    with pytest.raises(LearningError, match="classes = a, b,a: a is named twice"):
        assert LearningConfig(classes="a, b,a").class_names


def test_finds_that_no_label_knows_are_said(tmp_path):
    labels, pictures = dataset(tmp_path, 2)
    said = []
    for named in ("none", "auto"):  # which may find no face here
        evaluate.evaluate(named, labels, str(pictures), "", tmp_path / "out", said.append)
    (warning,) = [text for text in said if "'photo'" in text]
    assert warning.startswith("warning: none of its finds counts: 2 are 'photo', and the labels")
