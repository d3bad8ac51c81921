"""What a run says while it trains."""

import pytest

from tests.kit.training_runs import draw, rehearse
from training.run import journal


@pytest.mark.parametrize(
    ("pace", "tick", "said"),
    [
        (449.0, 4000, ""),
        (450.0, 4000, "first line of figures comes in 30 min 00 s, and 25 kimg take 3 h 07 min: "),
        (45000.0, 4000, "comes in 2 d 02 h, and 25 kimg take 13 d 00 h: smaller pictures, "),
    ],
)
def test_a_first_line_that_is_far_off_is_told(pace, tick, said):
    told = journal.outlook(pace, tick, 25000)
    assert said in told and bool(told) == bool(said)


@pytest.mark.slow
def test_it_is_told_once(tmp_path, monkeypatch):
    monkeypatch.setattr(journal, "LONG", 0)
    said = []
    rehearse(draw(tmp_path / "data"), tmp_path / "run", said.append, total_kimg=0.032)
    told = [line for line in said if line.startswith("note: at ")]
    assert len(told) == 1 and said.index(told[0]) == 0
