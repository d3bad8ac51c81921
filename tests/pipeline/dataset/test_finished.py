"""Where exports lie: older ones go, a link leads to the newest."""

import errno
import os
from pathlib import Path

import pytest

from pipeline.dataset import finished
from pipeline.dataset.finished import ExportError


def named(key: str, digest: str) -> str:
    return f"{key * 20}-{digest * 20}"


def test_older_exports_go_once_the_new_one_is_whole(tmp_path: Path) -> None:
    old, older, newest = (tmp_path / named("a", digest) for digest in "012")
    for age, path in enumerate((old, older, newest)):
        (path / "dataset").mkdir(parents=True)
        (path / "dataset" / "dataset.json").touch()
        os.utime(path, (0, 1000 - 10 * age))
    (tmp_path / f"{named('a', '3')}.partial").mkdir()
    (tmp_path / "my own").mkdir()
    assert finished.prune(tmp_path, 2, newest) == [older]
    assert sorted(os.listdir(tmp_path)) == [old.name, newest.name, "my own"]
    assert finished.prune(tmp_path, 1, newest) == [old]


def test_an_export_that_somebody_renamed_is_his(tmp_path: Path) -> None:
    newest = named("a", "0")
    his = ["client", f"{named('a', '1')}-client", f"{newest.split('-')[0]}-client.partial"]
    for name in (newest, *his):
        (tmp_path / name / "dataset").mkdir(parents=True)
        (tmp_path / name / "dataset" / "dataset.json").touch()
    assert finished.prune(tmp_path, 1, tmp_path / newest) == []
    assert sorted(os.listdir(tmp_path)) == sorted([newest, *his])


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
