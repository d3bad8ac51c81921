"""The command line says what it will do, and what is wrong, in one sentence."""

import errno
import re

import pytest

from atelier.options import shown
from tests.kit import command_lines
from tests.kit.training_runs import command, draw, rehearse, small
from training import cli, loop, presets
from training.config import ConfigError
from training.run import beginning
from training.student.options import configured


def said(capsys, arguments):
    code = cli.main([str(argument) for argument in arguments])
    return code, *capsys.readouterr()


def test_a_dry_run_prints_config_and_estimates(tmp_path, capsys):
    data = draw(tmp_path / "data")
    code, out, _ = said(capsys, [*command(data, tmp_path / "run", preset="auto"), "--dry-run"])
    assert code == 0 and not (tmp_path / "run").exists()
    for words in ('"g_lr": "0.004"', "b4/conv ", "memory, estimated", "disk: ", "epochs of 12"):
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
            "model = /nowhere.npz: there is no such run or checkpoint",
        ),
        (
            ["generate", "--run", "x", "--out", "x", "--seeds", "a"],
            "seeds = 'a': write numbers and ranges, as in 0-15,7083",
        ),
        (
            ["generate", "--run", "x", "--out", "x", "--seeds", "3,0-99999999999"],
            "seeds = '3,0-99999999999': that is 100000000001; give at most 1000000 at once",
        ),
        (
            ["generate", "--run", "x", "--out", "x", "--psi", "nan"],
            "python -m training generate: argument --psi: 'nan': give a number",
        ),
        (
            ["metrics", "--model", "/", "--data", "D", "--checkpoint", "all"],
            "checkpoint = all: it is one of --run: name its file with --model",
        ),
        (["train", "--data", "D", "--total-kimg", "inf"], "total_kimg = 'inf': give a number"),
        (
            ["train", "--data", "D", "--metrics", "fid2k,foo"],
            "metrics = 'fid2k,foo': write fid, kid or pr, thousands of fakes, and _full for all"
            " real images, as in fid2k,kid2k,pr2k or fid50k_full",
        ),
        *(
            (
                ["train", "--data", "D", "--name", name],
                f"name = {name!r}: that leads out of the folder `out`: give a name alone",
            )
            for name in ("../x", "/x", "a/../../x")
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


def test_a_run_in_its_own_dataset_is_refused(tmp_path, capsys):
    data = draw(tmp_path / "data")
    (tmp_path / "link").symlink_to(data)
    for out in (data, data / "deep" / "run", tmp_path / "link" / "run"):
        code, _, error = said(capsys, command(data, out))
        assert code == 2 and error.startswith(f"error: out = {out} lies in data = {data}, and")
    assert not (data / "deep").exists()
    assert said(capsys, [*command(data, tmp_path / "data2"), "--dry-run"])[0] == 0


def test_few_pictures_and_many_epochs_are_said(tmp_path, capsys):
    data = draw(tmp_path / "data")
    _, out, _ = said(capsys, [*command(data, tmp_path / "r", batch=16), "--dry-run"])
    assert "note: 12 pictures for a batch of 16: " in out and " times: " not in out
    _, out, _ = said(capsys, [*command(data, tmp_path / "r", total_kimg=13), "--dry-run"])
    assert "note: total_kimg = 13 shows each of 12 pictures 1083 times" in out
    assert "fewer than" not in out


def raise_refusal(*_):
    raise ConfigError("the weights cannot be had")


@pytest.mark.slow
def test_what_is_refused_leaves_nothing_behind(tmp_path, capsys, monkeypatch):
    data, run = draw(tmp_path / "data", size=(16, 16)), tmp_path / "runs" / "one"
    rehearse(draw(tmp_path / "small"), tmp_path / "old")
    code, _, error = said(capsys, command(data, run, resume_from=tmp_path / "old"))
    assert code == 2 and "data has images of 16 x 16 x 3, and " in error
    assert "draws 8 x 8 x 3: make the dataset so" in error
    assert not run.parent.exists()
    code, _, error = said(capsys, command(data, run, resume_from=tmp_path / "none"))
    assert error == f"error: resume_from = {tmp_path}/none: there is no such run or checkpoint\n"
    assert code == 2 and not run.parent.exists()
    with monkeypatch.context() as refusing:
        refusing.setattr(loop.metrics, "ready", raise_refusal)  # after the run has its files
        assert said(capsys, command(data, run))[0] == 2 and not run.parent.exists()
    run.mkdir(parents=True)  # this is somebody's own
    assert said(capsys, command(data, run, resume_from=tmp_path / "old"))[0] == 2
    assert run.exists()


@pytest.mark.parametrize("out", ["/proc/x", "/dev/null/x"])
def test_where_nothing_can_be_made(tmp_path, capsys, out):
    code, _, error = said(capsys, command(draw(tmp_path / "data"), out))
    assert (code, error) == (
        2,
        f"error: out = {out}: no folder can be made there: choose another\n",
    )


@pytest.mark.slow
def test_a_run_beside_other_files_says_so(tmp_path, capsys):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "letter.txt").write_text("dear")
    code, out, _ = said(capsys, command(draw(tmp_path / "data"), tmp_path / "run", total_kimg=0))
    assert code == 0 and f"note: {tmp_path}/run has other files in it" in out
    assert len(out[: out.index(f"{tmp_path}/run\n")].splitlines()) <= 11


def test_what_is_no_checkpoint_is_said_in_our_words(tmp_path, capsys):
    place = tmp_path / "run" / "checkpoints" / "0000000004.npz"
    place.parent.mkdir(parents=True)
    place.write_text("xx")
    _, _, error = said(capsys, command(draw(tmp_path / "data"), tmp_path / "run"))
    assert "is broken or no checkpoint: it holds no arrays" in error and "pickle" not in error


def test_help_tells_the_presets(capsys):
    _, out, _ = said(capsys, ["train", "--help"])
    words = " ".join(out.split())
    assert out.splitlines()[0].count("[") == 3
    for name, table in presets.PRESETS.items():
        assert f"\n  {name:9} " in out
        assert all(f"{option} {shown(value)}" in words for option, value in table.items())
    for option, value in presets.defaults().items():
        assert f"{option} {value}" in words


LEARNING = {
    "train": lambda side: presets.resolve("auto", side, side, {}),
    "distill": lambda side: configured({}, {}, (side, side)),
}


@pytest.mark.parametrize("learning", LEARNING)
def test_help_tells_what_holds_of_an_option_that_is_not_given(learning):
    configs = [LEARNING[learning](side) for side in (64, 256, 1024)]
    commands = {(one.package, *one.words): one for one in command_lines.commands()}
    for action in commands["training", learning].actions:
        held = [vars(part)[action.dest] for part in all_parts(configs) if action.dest in vars(part)]
        if held:
            told = re.search(r" \[(?:auto: )?(.*)\]$", action.help)[1]
            by_size = len(set(held)) > 1
            assert told == "by size" if by_size else same(told, held[0]), action.dest


def all_parts(configs):
    return [part for config in configs for part in vars(config).values()]


def same(told, value):
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return float(told) == value if number else told == shown(value)


@pytest.mark.slow
def test_a_finished_run_that_can_only_be_read_is_finished(tmp_path, monkeypatch, capsys):
    data, run = draw(tmp_path / "data"), tmp_path / "run"
    assert rehearse(data, run, total_kimg=0.016) == "finished"
    why = [OSError(errno.EROFS, "Read-only file system")]
    monkeypatch.setattr(beginning.files, "why_not_writable", lambda _: why[0])
    words = [str(word) for word in command(data, run, total_kimg=0.016)]
    code, out, _ = said(capsys, words)
    assert code == 0 and f"{run} is finished, and can only be read there" in out
    code, _, err = said(capsys, [*words, "--total-kimg", "0.032"])
    assert code == 2 and f"out = {run}: it can only be read there: make it writable" in err
    code, _, err = said(capsys, [*words, "--seed", "7"])
    assert code == 2 and f"seed = 7, but {run} has seed = " in err
    why[0] = OSError(errno.EDQUOT, "Disk quota exceeded")  # which the work itself says
    assert said(capsys, [*words, "--total-kimg", "0.032", "--dry-run"])[0] == 0
    config = small(data, run, total_kimg=0.032)
    assert not beginning.is_kept_finished(run, config, {})
