"""`benchmarks/gradients.py` tells equal gradients from others."""

import sys

import numpy as np
import pytest

from benchmarks import gradients
from tests.kit.training_runs import eagerly


@pytest.mark.slow
def test_it_prints_a_line_for_each_step(monkeypatch, capsys):
    """In this process, which is what it asks others for."""

    def found(asked, case, device, moved):
        with eagerly():
            return gradients.gradients(case, "cpu", moved, asked.size, asked.batch)

    monkeypatch.setattr(gradients, "in_a_process", found)
    words = ["gradients.py", "--size", "8", "--batch", "4", "--cases", "labels"]
    monkeypatch.setattr(sys, "argv", words)
    gradients.main()
    _, _, *rows = capsys.readouterr().out.splitlines()
    cells = [[cell.strip() for cell in row.strip("|").split("|")] for row in rows]
    assert [cell[:2] for cell in cells] == [["labels", s] for s in ("G", "G_path", "D", "D_r1")]
    for _, _, itself, moved in cells:
        assert float(itself) == 0 and 1e-8 < float(moved) < 0.1


def test_a_difference_is_that_of_the_worst_variable_but_of_none_that_is_all_rounding():
    own = {"D/0": np.array([10.0, 1.0]), "D/1": np.array([1e-6]), "G/0": np.array([1.0])}
    other = {"D/0": np.array([10.0, 1.5]), "D/1": np.array([2e-6]), "G/0": np.array([3.0])}
    assert gradients.difference(own, other, "D") == pytest.approx(0.05)
    other["D/1"] = np.array([0.5 + 1e-6])
    assert gradients.difference(own, other, "D") == pytest.approx(0.5)
    other["D/1"] = np.array([np.nan])
    assert np.isnan(gradients.difference(own, other, "D"))
