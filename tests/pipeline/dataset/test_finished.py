"""Where exports lie: older ones go, a link leads to the newest."""

import errno
import os
from pathlib import Path

import pytest

from pipeline.dataset import finished
from pipeline.dataset.finished import ExportError


def test_older_exports_go_once_the_new_one_is_whole(tmp_path: Path) -> None:
    for age, name in enumerate(("old", "older", "newest")):
        (tmp_path / name / "dataset").mkdir(parents=True)
        (tmp_path / name / "dataset" / "dataset.json").touch()
        os.utime(tmp_path / name, (0, 1000 - 10 * age))
    (tmp_path / "newest-stale.partial").mkdir()
    (tmp_path / "my own").mkdir()
    newest = tmp_path / "newest"
    assert finished.prune(tmp_path, 2, newest) == [tmp_path / "older"]
    assert sorted(os.listdir(tmp_path)) == ["my own", "newest", "old"]
    assert finished.prune(tmp_path, 1, newest) == [tmp_path / "old"]


def test_the_link_leads_to_the_newest_export(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / "exports" / name).mkdir(parents=True)
        finished.link(tmp_path / "dataset", tmp_path / "exports" / name)
        assert os.readlink(tmp_path / "dataset") == f"exports/{name}"
    assert sorted(os.listdir(tmp_path)) == ["dataset", "exports"]
    (tmp_path / "mine").mkdir()
    with pytest.raises(ExportError, match="in the way"):
        finished.link(tmp_path / "mine", tmp_path / "exports" / "one")


@pytest.mark.parametrize("number", [errno.EPERM, errno.EOPNOTSUPP])
def test_a_store_without_symbolic_links_is_named_before_the_work(number, tmp_path, monkeypatch):
    def none(*_, **__):
        raise OSError(number, os.strerror(number))

    finished.check_links(tmp_path)
    assert os.listdir(tmp_path) == []
    monkeypatch.setattr(os, "symlink", none)
    with pytest.raises(ExportError, match=r"has none: set \[Store\] root to a"):
        finished.check_links(tmp_path)


def test_what_lies_in_the_way_of_the_link_is_named_before_the_work(tmp_path):
    (tmp_path / "dataset").mkdir()
    with pytest.raises(ExportError, match="in the way"):
        finished.check_links(tmp_path)
