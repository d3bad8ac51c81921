"""`benchmarks/gpu.py` ends on a machine without a card, too."""

import re
import subprocess
import sys

import pytest

from benchmarks import gpu
from tests.kit.house import ROOT

SMALL = ["--sizes", "8", "--fmap-base", "16", "--fmap-max", "4", "--batch", "4", "--repeats", "1"]


@pytest.mark.slow
def test_it_prints_a_line_for_each_way():
    words = [*SMALL, "--precisions", "bfloat16", "--xla", "false"]
    done = subprocess.run(
        [sys.executable, ROOT / "benchmarks/gpu.py", *words], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    first, _, _, _, *rows = done.stdout.splitlines()
    assert "the CPU" in first or "GPU" in first
    assert [row.split("|")[3].strip() for row in rows] == ["bfloat16"]
    line = r"\| 8 \| 4 \| \w+ \| false \| [\d.]+ \| [\d.]+ \| \d+ \|"
    for row in rows:
        assert re.fullmatch(line, row), row


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
