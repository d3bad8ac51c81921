"""The engine on real worker processes; the laws run most of it in-process."""

from pathlib import Path
from threading import Timer

import pytest

from atelier import files
from pipeline.engine import cluster, crew, unit
from pipeline.engine.crew import EngineConfig, MachineError
from pipeline.rows.manifest import Row
from tests.kit import works
from tests.kit.store import rows_by_key

LOCAL = EngineConfig("local", workers=2)
pytestmark = pytest.mark.slow


def items(*names):
    return [unit.Item(name, Row(name), Path("none")) for name in names]


def run(work, names, folder, config=LOCAL, size=2, settings=None):
    """Do the rows; returns the failures, the results and how many rows were counted."""
    counted = []
    units = unit.cut(items(*names), size, work, settings, folder)
    failures = crew.map_units(units, config, folder, counted.append)
    return failures, rows_by_key(folder / "parts"), sum(counted)


def test_all_rows_are_done_once(tmp_path):
    names = [f"{n:03d}" for n in range(25)]
    failures, results, counted = run(works.measure, names, tmp_path, size=4)
    assert failures == []
    assert counted == 25
    assert {key: row.width for key, (row,) in results.items()} == dict.fromkeys(names, 3)


def test_a_reason_of_the_machines_leaves_only_its_row_open(tmp_path):
    names = ["a", "b", "bad", "c", "d"]
    failures, results, counted = run(works.fail_on_bad, names, tmp_path, size=5)
    assert failures == ["No space left on device: 'bad'"]
    assert set(results) == {"a", "b", "c", "d"}
    assert counted == 4


@pytest.mark.parametrize("bad", [range(0, 80, 2), range(40)], ids=["each unit", "one folder"])
def test_however_bad_rows_lie_the_others_are_done(tmp_path, bad):
    names = [f"{'bad' * (n in bad)}{n:02d}" for n in range(80)]
    size = 2 if bad.step == 2 else 50
    failures, results, counted = run(works.fail_on_bad, names, tmp_path, size=size)
    assert len(failures) == counted == len(results) == 40
    assert {failure[:25] for failure in failures} == {"No space left on device: "}


@pytest.mark.parametrize("size", [1, 4, 400])
def test_where_every_row_fails_the_run_ends_soon(tmp_path, size):
    names, tries = [f"{n:04d}" for n in range(4 * size + 400)], tmp_path / "tries"
    with pytest.raises(MachineError, match=r"32 tries in a row failed: .*No space left on device"):
        run(works.fail_always, names, tmp_path, size=size, settings=tries)
    assert 32 < len(tries.read_bytes()) < 100


def test_a_photo_that_kills_its_worker_is_dropped_and_its_neighbours_survive(tmp_path):
    names = ["a", "b", "bad", "c", "d", "e"]
    failures, results, counted = run(works.die_on_bad, names, tmp_path, size=3)
    assert failures == []
    assert {key for key, (row,) in results.items() if row.drop} == {"bad"}
    assert results["bad"][0].drop.startswith("kills its worker:")
    assert set(results) == set(names)
    assert len(list((tmp_path / "parts").glob("killed-*.parquet"))) == 1
    assert counted == 6


def test_a_worker_that_dies_once_loses_nothing(tmp_path):
    names = [f"{n:03d}" for n in range(8)]
    marker = str(tmp_path / "died")
    failures, results, _ = run(works.die_once, names, tmp_path, settings=marker)
    assert failures == []
    assert {row.drop for (row,) in results.values()} == {None}
    assert set(results) == set(names)


def test_if_every_photo_kills_a_worker_it_is_not_the_photos(tmp_path, monkeypatch):
    monkeypatch.setattr(crew, "ALL_DIE", 2)
    with pytest.raises(MachineError, match="2 photos in a row killed their worker"):
        run(works.die_always, ["a", "b", "c"], tmp_path, size=1)


def test_a_worker_that_cannot_do_any_row_ends_the_run_at_once(tmp_path):
    with pytest.raises(MachineError, match="this worker lacks the model"):
        run(works.refuse, [f"{n:03d}" for n in range(8)], tmp_path, size=1)
    assert not list((tmp_path / "parts").glob("*"))


def test_where_nothing_is_finished_for_long_the_photo_is_named_once(tmp_path, monkeypatch):
    monkeypatch.setattr(crew, "WAIT_SECONDS", 0.2)
    monkeypatch.setattr(crew, "STILL_SECONDS", 0.5)
    monkeypatch.setattr(crew.Crew, "tell_silent", lambda _: None)
    photo, said = tmp_path / "a.jpg", []

    def heard(text):
        said.append(text)
        Timer(2, photo.touch).start()

    monkeypatch.setattr(crew, "say", heard)
    units = unit.cut([unit.Item("a", Row("a"), photo)], 1, works.wait_for_photo, None, tmp_path)
    assert crew.map_units(units, LOCAL, tmp_path, print) == []
    assert len(said) == 1 and f"at {photo} or after it: " in said[0]


def test_no_scheduler_at_the_address_is_one_sentence(tmp_path, monkeypatch):
    monkeypatch.setattr(cluster, "CONNECT_SECONDS", 1)
    config = EngineConfig("tcp://127.0.0.1:9")
    with pytest.raises(MachineError, match=r"no Dask scheduler answers at tcp://127\.0\.0\.1:9"):
        run(works.measure, ["a"], tmp_path, config)


@pytest.mark.parametrize("dies", [True, False])
def test_what_a_dead_worker_left_half_written_goes(tmp_path, monkeypatch, dies):
    workers = iter([{"a", "b"}, {"a", "c"} if dies else {"a", "b"}])
    monkeypatch.setattr(cluster, "present", lambda _: next(workers))
    monkeypatch.setattr(crew.Crew, "do", lambda *_: ["open"])
    monkeypatch.setattr(files.os, "getpid", lambda: 2**22 + 1)  # which no process has
    stray = files.partial_of(tmp_path / "resize" / "a.jpg")
    stray.parent.mkdir()
    stray.touch()
    assert crew.on_this_machine(None, [], print, tmp_path) == ["open"]
    assert stray.exists() != dies
