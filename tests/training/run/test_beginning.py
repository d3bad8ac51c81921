"""The folder of a run that does not begin."""

import errno
from contextlib import ExitStack

import pytest

from atelier.files import alone
from training.config import ConfigError
from training.run.beginning import FIRST, made_for

FULL = OSError(errno.ENOSPC, "No space left on device")


def ended(run, error, *written):
    """What is left of a folder in which these files were written before an error ended it."""
    with pytest.raises(type(error)) as raised, made_for(run):
        for name in written:
            (run / name).touch()
        raise error
    assert raised.value is error
    return sorted(path.name for path in run.iterdir()) if run.exists() else None


@pytest.mark.parametrize("error", [ConfigError("it cannot be"), FULL], ids=["refused", "full disk"])
def test_a_run_that_did_not_begin_leaves_what_was_there(tmp_path, error):
    deep = tmp_path / "runs" / "one"
    assert ended(deep, error) is ended(deep, error, *FIRST) is None
    assert not deep.parent.exists()
    assert ended(deep, error, "stats.jsonl") == ["stats.jsonl"]
    assert ended(tmp_path / "runs", error, "config.json") == ["config.json", "one"]
    (tmp_path / "own").mkdir()
    assert ended(tmp_path / "own", error) == ended(tmp_path / "own", error, *FIRST) == []
    assert ended(tmp_path / "own", error, "lock", "stats.jsonl") == ["lock", "stats.jsonl"]


def test_of_two_that_begin_at_once_the_refused_one_leaves_the_others_run(tmp_path):
    run = tmp_path / "runs" / "one"
    with ExitStack() as other:
        with pytest.raises(ConfigError), made_for(run):
            other.enter_context(alone(run / "lock"))
            (run / "config.json").touch()
            raise ConfigError("another process trains it")
        assert sorted(path.name for path in run.iterdir()) == ["config.json", "lock"]
