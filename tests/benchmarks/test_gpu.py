"""`benchmarks/gpu.py` ends on a machine without a card, too."""

import io
import re
import subprocess
import sys
from contextlib import redirect_stdout

import pytest

from benchmarks import gpu
from tests.kit.house import ROOT

SMALL = ["--sizes", "8", "--fmap-base", "16", "--fmap-max", "4", "--batch", "4", "--repeats", "1"]


@pytest.mark.slow
def test_without_time_it_names_the_device_and_what_it_would_measure():
    words = [*SMALL, "--precisions", "bfloat16", "--xla", "false", "--minutes", "0"]
    line = [sys.executable, ROOT / "benchmarks/gpu.py", *words]
    done = subprocess.run(line, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    first, _, _, _, *rows = done.stdout.splitlines()
    assert "the CPU" in first or "GPU" in first
    assert rows == ["| 8 | 4 | bfloat16 | false | no time left |  |  |"]


@pytest.mark.slow
@pytest.mark.usefixtures("plain_graphs")
def test_it_prints_a_line_for_each_way(monkeypatch, capsys):
    """In this process, which is what it asks others for."""

    def here(line, apart=subprocess.run, **more):
        if "--one" not in line:  # what TensorFlow's libraries ask the system
            return apart(line, **more)
        out = io.StringIO()
        monkeypatch.setattr(sys, "argv", line[1:])
        with redirect_stdout(out):
            gpu.main()
        return subprocess.CompletedProcess(line, 0, out.getvalue(), "")

    monkeypatch.setattr(gpu, "device_in_words", lambda: "a card")
    monkeypatch.setattr(gpu.subprocess, "run", here)
    words = ["gpu.py", *SMALL, "--precisions", "bfloat16", "--xla", "false"]
    monkeypatch.setattr(sys, "argv", words)
    gpu.main()
    _, _, _, _, row = capsys.readouterr().out.splitlines()
    assert re.fullmatch(r"\| 8 \| 4 \| bfloat16 \| false \| [\d.]+ \| [\d.]+ \| \d+ \|", row)


def asked(*words):
    return gpu.parser().parse_args([*SMALL, *words])


def test_a_line_that_takes_too_long_says_so(monkeypatch):
    def slow(line, timeout, **_):
        raise subprocess.TimeoutExpired(line, timeout)

    monkeypatch.setattr(gpu.subprocess, "run", slow)
    row = gpu.in_a_process(asked(), 8, "float32", "true", 30)
    assert gpu.ROW.format(**row) == "| 8 | 4 | float32 | true | not within 30 s |  |  |"
    assert gpu.in_a_process(asked(), 8, "float32", "true", 3)["kimg"] == "no time left"


def test_xla_which_may_compile_for_minutes_comes_last(monkeypatch, capsys):
    seen = []
    monkeypatch.setattr(gpu, "device_in_words", lambda: "a card")

    def line(asked, size, precision, xla, left):
        assert left <= 60
        seen.append((xla, size))
        return dict.fromkeys(("precision", "xla", "kimg", "memory", "first"), "?") | {
            "size": size,
            "batch": 4,
        }

    monkeypatch.setattr(gpu, "in_a_process", line)
    monkeypatch.setattr(sys, "argv", ["gpu.py", "--sizes", "8", "16", "--minutes", "1"])
    gpu.main()
    assert seen == [(xla, size) for xla in ("false", "true") for size in (8, 8, 8, 16, 16, 16)]
    assert capsys.readouterr().out.count("| 16 | 4 |") == 6
