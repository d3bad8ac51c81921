"""`benchmarks/gpu.py` ends on a machine without a card, too."""

import re
import subprocess
import sys

import pytest

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
    for row in rows:
        assert re.fullmatch(r"\| 8 \| 4 \| \w+ \| false \| [\d.]+ \| [\d.]+ \|", row), row
