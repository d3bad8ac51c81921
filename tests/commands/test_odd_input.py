"""What a command does with odd names, and where memory ends: one sentence, whoever meets it."""

import errno
import io
import logging
import os
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from atelier import commands as ground
from atelier import stop
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

    def command():
        raise Refusal("model = x: there is no such run")

    assert ground.answered(command, "stopped") == 2  # a refusal may have the same cause
    assert capsys.readouterr().err == f"error: model = x: there is no such run ({ground.NOWHERE})\n"


@pytest.mark.parametrize("script", ["/venv/bin/luigi", "/venv/lib/luigi/__main__.py"])
def test_what_a_command_begins_is_no_command(script, monkeypatch):
    """Not even while it loads its work, and does not know yet whose child it is."""
    monkeypatch.setattr("sys.argv", [script, "--module", "pipeline"])
    assert stop.is_command("luigi")
    monkeypatch.setattr("sys.orig_argv", [sys.executable, "-c", "...", "--multiprocessing-fork"])
    assert not stop.is_command("luigi")


@pytest.mark.parametrize(
    ("number", "way_out"),
    [
        (errno.ENOSPC, "make room there, or where temporary files lie"),
        (errno.EDQUOT, "make room there"),
        (errno.EFBIG, "raise the limit of a file's size, ulimit -f"),
        (errno.EACCES, "change its permissions, or name another"),
        (errno.EROFS, "it can only be read there: name another place"),
        (errno.EMFILE, "raise the limit of open files, ulimit -n"),
        (errno.EIO, os.strerror(errno.EIO)),
    ],
)
def test_what_the_system_does_not_do_has_a_way_out_whoever_says_it(number, way_out, capsys):
    error = OSError(number, os.strerror(number), "/photos/sub")

    def command():
        raise error

    assert ground.answered(command, "stopped") == 1
    said = capsys.readouterr().err
    assert way_out in said and "/photos/sub" in said and said.count("\n") == 1
    assert said.startswith(f"error: {os.strerror(number)}: ")
    record = logging.LogRecord("luigi", logging.ERROR, "", 0, "", (), (OSError, error, None))
    assert luigi_script.sentence(record) == (said[len("error: ") : -1], 1)


def test_a_full_disk_is_one_sentence_where_a_library_says_it_in_its_own_words(capsys):
    class ResourceExhaustedError(Exception):
        """As TensorFlow's, which is no OSError."""

    def command(text):
        raise ResourceExhaustedError(text)

    assert ground.answered(lambda: command("/out/v;\nNo space left on device"), "stopped") == 1
    said = capsys.readouterr().err
    assert said == f"error: /out/v; No space left on device: {ground.FULL}\n"
    around = "{{function_node __wrapped__Save}} /out/v; No space left on device [Op:Save] name: "
    assert ground.answered(lambda: command(around), "stopped") == 1
    assert capsys.readouterr().err == said
    assert ground.answered(lambda: command("/out/v; Permission denied"), "stopped") == 1
    assert capsys.readouterr().err == f"error: /out/v; Permission denied: {ground.MAY_NOT}\n"
    assert ground.answered(lambda: command("/v; No such file or directory [Op:X]"), "stopped") == 1
    assert capsys.readouterr().err == "error: /v; No such file or directory\n"
    with pytest.raises(ResourceExhaustedError):
        ground.answered(lambda: command("a fault of ours"), "stopped")


def test_what_is_said_of_a_run_may_find_no_room(monkeypatch, capsys):
    class Full(io.StringIO):
        def write(self, text):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("sys.stdout", Full())
    ground.say("1 of 2 kimg")
    ground.say("2 of 2 kimg")
    said = "note: standard output: No space left on device: the work goes on, unseen\n"
    assert capsys.readouterr().err == said


def test_an_interrupt_within_a_text_that_is_executed_ends_with_the_same_code(tmp_path):
    """As dataclasses are: Python would end by the signal, for which callers see another code."""
    line = "exec('raise KeyboardInterrupt')"
    program = f"import sys; from atelier.commands import answered\ndef command():\n {line}\n"
    (tmp_path / "own.py").write_text(program + "sys.exit(answered(command, 'stopped'))")
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}:{tmp_path}"}
    words = [sys.executable, "-m", "own"]
    done = subprocess.run(words, env=environment, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (stop.STOPPED, "\nstopped\n")


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


def test_too_few_threads_are_one_sentence(capsys):
    def command():
        raise RuntimeError("can't start new thread")

    assert ground.answered(command, "stopped") == 1
    said = capsys.readouterr().err
    assert (
        said.startswith("error: this takes more memory than there is: close") and "thread" in said
    )


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
