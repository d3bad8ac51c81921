"""What a command does with odd names, and where memory ends: one sentence, whoever meets it."""

import io
import logging
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from atelier import commands as ground
from atelier.errors import Refusal
from pipeline import luigi_script
from tests.commands.test_laws import sentence
from tests.kit import command_lines
from tests.kit.store import ROOT


@pytest.mark.parametrize(
    ("letters", "printed"),
    [("utf-8", b"a\xff\xe6\x97\xa5"), ("latin-1", b"a\\udcff\\u65e5"), ("ascii", None)],
)
def test_any_name_can_be_printed(letters, printed, monkeypatch):
    out = io.TextIOWrapper(io.BytesIO(), letters)
    monkeypatch.setattr("sys.stdout", out)
    assert ground.answered(lambda: print("a\udcff日", end="") or 0, "stopped") == 0
    assert out.buffer.getvalue() == (printed or b"a\\udcff\\u65e5")


def test_a_current_folder_that_is_gone_is_one_sentence(tmp_path, monkeypatch, capsys):
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    assert ground.answered(lambda: len(str(Path("run").resolve())), "stopped") == 2
    said = capsys.readouterr().err
    assert said == "error: the current folder was removed: go to one that is there\n"


@pytest.mark.slow
def test_a_command_whose_standard_files_are_closed_does_its_work(tmp_path):
    (tmp_path / "grids").mkdir()
    Image.new("RGB", (32, 32)).save(tmp_path / "grids" / "fakes-1.png")
    line = f"exec {sys.executable} -m training film --run {tmp_path} <&- >&- 2>&-"
    assert subprocess.run(["sh", "-c", line], cwd=ROOT, timeout=300).returncode == 0
    assert (tmp_path / "progress.mp4").stat().st_size


def test_too_little_memory_is_one_sentence(capsys):
    def command():
        raise MemoryError("Unable to allocate 364. TiB")

    assert ground.answered(command, "stopped") == 1
    said = capsys.readouterr().err
    assert said.startswith("error: this takes more memory than there is: close") and "364" in said


def test_too_little_memory_of_a_task_is_one_sentence():
    try:
        raise MemoryError("Unable to allocate 364. TiB")
    except MemoryError as error:
        told = (type(error), error, error.__traceback__)
    record = logging.LogRecord("luigi", logging.ERROR, "", 1, "failed", (), told)
    text, code = luigi_script.sentence(record)
    assert code == 1 and text.startswith("this takes more memory than there is: close")


@pytest.mark.parametrize(
    "words",
    [
        ["assess", "--model", "M", "--photos", "P", "--out", "x.csv", "--checkpoints"],
        ["metrics", "--run", "R", "--checkpoint"],
    ],
)
def test_a_path_that_is_read_later_is_one_sentence_too(words, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for name in ("M", "P", "R"):
        (tmp_path / name).mkdir()
    (tmp_path / "R" / "config.json").write_text("{}")
    cli = command_lines.CLIS["training"]
    for value, told in (("s3://x/y", "give a path"), ("x" * 256, "256 bytes")):
        said = sentence(capsys, cli.main([*words, value]))
        assert told in said and value in said


@pytest.mark.parametrize("words", [["distill", "--teacher", "T"], ["train"]])
def test_a_run_has_a_name_that_tensorflow_can_write_to(words):
    parser = command_lines.CLIS["training"].parser()
    given = parser.parse_args([*words, "--data", "D", "--out", "run\udcff"])
    with pytest.raises(Refusal, match="this name is not UTF-8: choose another"):
        given.command(given)
