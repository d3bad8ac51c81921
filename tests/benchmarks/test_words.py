"""Every benchmark that is a command says what it takes, and does nothing for other words."""

import os
import subprocess
import sys

import pytest

from tests.kit.store import ROOT

SCRIPTS = [path for path in (ROOT / "benchmarks").glob("*.py") if "__main__" in path.read_text()]


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_a_benchmark_reads_its_words(script):
    """By the text alone: some of them load TensorFlow before they can answer."""
    assert "Parser(" in script.read_text() and ".parse_" in script.read_text()


@pytest.mark.slow
@pytest.mark.parametrize(("word", "code"), [("--help", 0), ("--misspelt", 2), ("more", 2)])
def test_a_benchmark_without_options_runs_for_no_other_word(word, code):
    words = [sys.executable, str(ROOT / "benchmarks" / "embed.py"), word]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(words, env=environment, capture_output=True, text=True, timeout=60)
    assert done.returncode == code
    assert (done.stderr or done.stdout).startswith("usage: embed.py")
