"""The command line says what it will do, and what is wrong, in one sentence."""

import pytest

from tests.kit.training_runs import command, draw
from training import cli


def said(capsys, arguments):
    code = cli.main([str(argument) for argument in arguments])
    return code, *capsys.readouterr()


def test_a_dry_run_prints_config_and_estimates(tmp_path, capsys):
    data = draw(tmp_path / "data")
    code, out, _ = said(capsys, [*command(data, tmp_path / "run"), "--dry-run"])
    assert code == 0 and not (tmp_path / "run").exists()
    for words in ('"g_lr": "0.002"', "b4/conv ", "memory, estimated", "disk: ", "epochs of 12"):
        assert words in out, words


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["train"], "data is empty: say what to learn from, --data FOLDER"),
        (["train", "--data", "D", "--batch", "x"], "batch = 'x': give a whole number"),
        (
            ["train", "--data", "D", "--preset", "tyny"],
            "no preset is called 'tyny'; did you mean tiny?",
        ),
        (
            ["train", "--data", "/nowhere", "--preset", "tiny"],
            "/nowhere is no dataset: name a folder of TFRecords, a zip or a folder",
        ),
        (
            ["generate", "--run", "/nowhere.npz", "--out", "x"],
            "/nowhere.npz does not exist: name a run, a .npz or a .pkl",
        ),
        (
            ["generate", "--run", "x", "--out", "x", "--seeds", "a"],
            "seeds = 'a': write numbers and ranges, as in 0-15,7083",
        ),
    ],
)
def test_a_wrong_input_gets_one_sentence(capsys, arguments, sentence):
    assert said(capsys, arguments) == (2, "", f"error: {sentence}\n")


def test_sizes_and_labels_that_cannot_be(tmp_path, capsys):
    odd = draw(tmp_path / "odd", size=(7, 9))
    _, _, error = said(capsys, command(odd, tmp_path / "run"))
    assert error.startswith(f"error: {odd}: 7 x 9 is no size for StyleGAN2")
    plain = draw(tmp_path / "plain")
    _, _, error = said(capsys, [*command(plain, tmp_path / "run"), "--labels"])
    assert error == f"error: labels = true, but {plain} has none: leave it out\n"
