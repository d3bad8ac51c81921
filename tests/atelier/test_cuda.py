"""TensorFlow opens its own CUDA libraries and none of torch's, and the first line says what it is.

The driver, its card and the CUDA libraries are made with the C compiler; TensorFlow is real.
"""

import os
import shutil
import subprocess
import sys
import sysconfig
from collections import defaultdict
from importlib.metadata import distributions
from pathlib import Path

import pytest

from atelier import cuda
from tests.kit.training_runs import command, draw
from training import cli, loop

ROOT = Path(__file__).resolve().parents[2]
SITE = Path(sysconfig.get_path("purelib"))
SCRIPT = """
import sys
from pathlib import Path
from atelier import cuda
cuda.FOLDER = Path(sys.argv[1])
cuda.prepare()
from training import devices
from training.config import configure
config = configure({"device": sys.argv[2]})
print(devices.devices_in_words(devices.choose(config), config))
print(*{line.split()[-1] for line in open("/proc/self/maps") if ".so" in line}, sep="\\n")
"""


@pytest.fixture(scope="module")
def machine(tmp_path_factory):
    """A folder with the driver of a made card, and CUDA libraries for TensorFlow in `own`."""
    if not shutil.which("cc"):
        pytest.skip("there is no C compiler")
    folder = tmp_path_factory.mktemp("machine")
    places = ["driver/libcuda.so.1", "driver/libnvidia-ml.so.1"]
    for place in [*places, *(f"own/nvidia/{place}" for place in cuda.LIBRARIES)]:
        made = folder / place
        made.parent.mkdir(parents=True, exist_ok=True)
        line = ["cc", "-shared", "-fPIC", "-w", f"-Wl,-soname,{made.name}", "-o", str(made)]
        subprocess.run([*line, "tests/kit/made_driver.c"], cwd=ROOT, check=True)
    asked = folder / "bin" / "nvidia-smi"
    asked.parent.mkdir()
    asked.write_text("#!/bin/sh\necho 'GPU 0: Made card'\n")
    asked.chmod(0o755)
    return folder


def told(machine, own, device="auto", **more):
    """What is said of the devices, and which shared libraries the process holds."""
    environment = {
        **{name: value for name, value in os.environ.items() if name != cuda.CARDS},
        "PATH": f"{machine / 'bin'}:{os.environ['PATH']}",
        "LD_LIBRARY_PATH": str(machine / "driver"),
        "PYTHONPATH": str(ROOT),
        "TF_CPP_MIN_LOG_LEVEL": "3",
        **more,
    }
    line = [sys.executable, "-c", SCRIPT, str(own), device]
    done = subprocess.run(line, env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    said, *libraries = done.stdout.splitlines()
    return said, libraries


def of_torch(libraries):
    return [name for name in libraries if "/site-packages/nvidia/" in name or "/torch/" in name]


@pytest.mark.parametrize(("given", "kept"), [(None, "true"), ("false", "false")])
def test_a_process_takes_the_memory_it_needs(monkeypatch, given, kept):
    monkeypatch.setattr(cuda, "card", lambda: True)
    monkeypatch.setattr(cuda, "LIBRARIES", ())
    monkeypatch.setattr(cuda, "FOLDER", ROOT / "nothing")
    monkeypatch.setenv(cuda.GROWTH, given or "")
    if given is None:
        monkeypatch.delenv(cuda.GROWTH)
    cuda.prepare()
    assert os.environ[cuda.GROWTH] == kept


@pytest.mark.slow
def test_the_command_line_is_read_before_tensorflow_is_imported():
    asked = "import training.cli, sys; print('tensorflow' in sys.modules)"
    line = [sys.executable, "-c", asked]
    done = subprocess.run(line, cwd=ROOT, capture_output=True, text=True)
    assert done.stdout == "False\n", done.stderr


@pytest.mark.slow
def test_a_card_is_used_with_tensorflows_own_libraries_and_none_of_torchs(machine):
    said, libraries = told(machine, machine / "own")
    assert said == "GPU:0 (Made card)"
    assert {str(machine / "own/nvidia" / place) for place in cuda.LIBRARIES} <= set(libraries)
    assert of_torch(libraries) == []


@pytest.mark.slow
def test_without_its_libraries_a_card_is_left_alone_and_the_way_out_is_said(machine):
    said, libraries = told(machine, machine / "nowhere")
    assert said.partition(": ")[2] == (
        "the NVIDIA card needs TensorFlow's CUDA libraries (libcudart.so.12 is missing):"
        " GPU=1 make setup installs them"
    )
    assert of_torch(libraries) == []


@pytest.mark.parametrize(
    ("device", "variable", "said"),
    [
        ("cpu", "0", "the NVIDIA card is left alone, as device = cpu says"),
        ("auto", "-1", "CUDA_VISIBLE_DEVICES = '-1' hides the NVIDIA card: unset it"),
        ("auto", "0", "TensorFlow does not take the NVIDIA card: TF_CPP_MIN_LOG_LEVEL=0 shows why"),
    ],
)
def test_why_a_card_is_not_used(monkeypatch, device, variable, said):
    monkeypatch.setattr(cuda, "card", lambda: True)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", variable)
    assert cuda.why_none(device) == said


def test_without_a_card_there_is_nothing_to_explain(monkeypatch):
    monkeypatch.setattr(cuda, "card", lambda: False)
    assert cuda.why_none("auto") == ""


def test_torch_sees_the_cards_that_are_hidden_from_tensorflow(monkeypatch):
    monkeypatch.setattr(cuda, "missing", "libcudart.so.12")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "-1")
    for given in (None, "1"):
        monkeypatch.setattr(cuda, "given", given)
        assert cuda.environment().get("CUDA_VISIBLE_DEVICES") == given


def test_the_first_line_says_where_it_trains(tmp_path, capsys, monkeypatch):
    data = draw(tmp_path / "data")
    monkeypatch.setattr(loop, "train", lambda *_: "finished")
    assert cli.main([str(word) for word in command(data, tmp_path / "run")]) == 0
    assert capsys.readouterr().out.splitlines()[0].startswith("training on the CPU, ")


@pytest.mark.slow
def test_no_two_distributions_own_one_path():
    owners = defaultdict(set)
    for place in (SITE, cuda.FOLDER):
        for one in distributions(path=[str(place)]):
            name = one.name
            for file in one.files or ():
                owners[os.path.normpath(place / file)].add(name)
    assert {path: names for path, names in owners.items() if len(names) > 1} == {}


def test_what_began_while_tensorflow_was_loaded_keeps_nobody_waiting(monkeypatch):
    monkeypatch.delitem(sys.modules, "tensorflow", raising=False)
    monkeypatch.delenv("TF_CPP_MAX_VLOG_LEVEL", raising=False)
    monkeypatch.setattr(cuda, "LAST_WORDS", 0.1)
    with cuda.importing_tensorflow():
        child = subprocess.Popen(["sleep", "600"])
    assert child.poll() is None
    child.kill()
    child.wait()
