"""What lies where a run is to begin: a person's files are not written over."""

import pytest

from training.config import ConfigError
from training.run.beginning import LATER, check_others_files, made_for


@pytest.mark.parametrize("name", sorted(LATER))
def test_no_file_of_another_is_written_over(tmp_path, name):
    (tmp_path / name).write_text("dear")
    (tmp_path / "letter.txt").touch()
    said = f"out = .*: {name} there is of no run"
    with pytest.raises(ConfigError, match=said), made_for(tmp_path):
        pytest.fail("it began")
    assert (tmp_path / name).read_text() == "dear"


def test_what_a_run_wrote_is_gone_on_with(tmp_path, capsys):
    check_others_files(tmp_path, set())
    check_others_files(tmp_path, {*LATER, "config.json", "checkpoints"})
    assert not capsys.readouterr().out
    check_others_files(tmp_path, {*LATER, "checkpoints"})  # its config.json is gone
    assert "has other files in it" in capsys.readouterr().out
