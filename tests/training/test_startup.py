"""Buffers of images stay with the process that uses them, and TensorFlow says what matters."""

import os
import platform
import subprocess
import sys

import pytest

from training import startup

FAULTS = """
import resource
from training import startup
if {keeps}:
    assert startup.keep_memory()
def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt
def images():
    return [b"x" * (3 << 20) for _ in range(4)]
for _ in range(4):
    images()
before = faults()
for _ in range(20):
    images()
print(faults() - before)
"""


@pytest.mark.slow
@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another C library")
def test_a_buffer_of_an_image_is_not_faulted_in_again(monkeypatch):
    for name in startup.GIVEN:
        monkeypatch.delenv(name, raising=False)
    found = []
    for keeps in (True, False):
        command = [sys.executable, "-c", FAULTS.format(keeps=keeps)]
        found.append(int(subprocess.run(command, capture_output=True, check=True).stdout))
    assert found[0] < 0.01 * found[1]


@pytest.mark.parametrize("name", startup.GIVEN)
def test_the_environment_comes_first(monkeypatch, name):
    monkeypatch.setenv(name, "131072")
    assert not startup.keep_memory()


def loading(folder, source, before="", after=""):
    """What a process prints that loads a TensorFlow made of this source, between these lines."""
    (folder / "tensorflow").mkdir()
    (folder / "tensorflow" / "__init__.py").write_text(source)
    load = "from training import startup; startup.load_tensorflow()"
    code = f"{before}{load}{after}; print('loaded')"
    path = os.pathsep.join([str(folder), os.environ.get("PYTHONPATH", os.getcwd())])
    command, env = [sys.executable, "-c", code], os.environ | {"PYTHONPATH": path}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=env)
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize(
    ("machine", "given", "taken"),
    [("x86_64", None, "1"), ("AMD64", None, "1"), ("x86_64", "0", "0"), ("aarch64", None, None)],
)
def test_convolutions_are_onednns_on_x86(tmp_path, monkeypatch, machine, given, taken):
    monkeypatch.delenv(startup.ONEDNN, raising=False)
    if given:
        monkeypatch.setenv(startup.ONEDNN, given)
    told = f"import os; print(os.environ.get({startup.ONEDNN!r}))"
    before = f"import platform; platform.machine = lambda: {machine!r}\n"
    assert loading(tmp_path, told, before)[1] == f"{taken}\nloaded\n"


def test_while_it_loads_no_garbage_is_collected_and_what_it_made_is_looked_through_no_more(
    tmp_path,
):
    told, after = "import gc; print(gc.isenabled())", "; import gc; print(gc.isenabled())"
    frozen = "; print(gc.get_freeze_count() > 1000)"
    assert loading(tmp_path, told, after=after + frozen)[1] == "False\nTrue\nTrue\nloaded\n"


def test_who_collects_no_garbage_goes_on_without(tmp_path):
    before, after = "import gc; gc.disable()\n", "; print(gc.isenabled())"
    assert loading(tmp_path, "", before, after)[1] == "False\nloaded\n"


INTEL, AMD = "fpu avx2 avx512f amx_bf16", "fpu avx2 fma"


@pytest.mark.parametrize(
    ("told", "emulated"),
    [
        (f"processor\t: 0\nflags\t\t: {INTEL}\n", False),
        (f"processor\t: 0\nflags\t\t: {AMD}\n", True),
        ("flags\t\t: fpu avx2 avx_ne_convert\n", False),
        ("processor\t: 0\nFeatures\t: fp asimd\n", False),  # of ARM nothing is known
        (None, False),
    ],
)
def test_who_computes_bfloat16_in_float32_is_known_by_its_flags(
    tmp_path, monkeypatch, told, emulated
):
    monkeypatch.setattr(startup, "PROCESSOR", tmp_path / "cpuinfo")
    if told:
        startup.PROCESSOR.write_text(told)
    assert startup.emulates_bfloat16() == emulated


KERAS = """
from training import startup
startup.load_tensorflow()
import sys
import tensorflow as tf
assert "keras" not in sys.modules
tf.keras.layers.Dense(1).build([None, 2])
assert tf.keras.optimizers.Adam(1e-3).learning_rate.dtype == tf.float32
"""


@pytest.mark.slow
def test_keras_is_loaded_once_it_is_asked_for():
    done = subprocess.run([sys.executable, "-c", KERAS], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


NOISE = (
    r"I0000 00:00:1795642662.2 21233 port.cc:153] oneDNN custom operations are on.\n"
    r"I0000 00:00:1795642662.3 21233 cpu_feature_guard.cc:227] This TensorFlow binary is optimized "
    r"to use available CPU instructions in performance-critical operations.\n"
    r"To enable the following instructions: AVX2 FMA, in other operations, rebuild TensorFlow.\n"
)
SAYS = f"import os; os.write(2, b'{NOISE}'); os.write(2, b'E0000 a driver is broken\\n')\n"


def test_tensorflow_is_loaded_without_its_noise(tmp_path):
    assert loading(tmp_path, SAYS) == (0, "loaded\n", "E0000 a driver is broken\n")


@pytest.mark.parametrize(("end", "code"), [("os.abort()", -6), ("raise ImportError('no')", 1)])
def test_what_ends_the_loading_is_seen(tmp_path, end, code):
    returned, _, error = loading(tmp_path, SAYS + end)
    assert returned == code and error.startswith("E0000 a driver is broken\n")
    assert "oneDNN" not in error
    assert ("ImportError: no" in error) == (code == 1)


@pytest.mark.parametrize(("left", "given"), [(0, None), (3, "3")])
def test_tensorflow_has_no_more_threads_than_a_container_leaves(tmp_path, monkeypatch, left, given):
    monkeypatch.delenv(startup.THREADS, raising=False)
    limited = f"from training import startup; startup.share = startup.cores = lambda: {left}; "
    asks = f"import os\nprint(os.environ.get({startup.THREADS!r}))"
    assert loading(tmp_path, asks, limited)[:2] == (0, f"{given}\nloaded\n")
