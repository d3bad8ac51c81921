"""Commands that are stopped, killed, or two at once: what is finished is kept."""

import os
import signal

import psutil
import pytest

from pipeline.dataset import pack
from pipeline.engine import lock
from pipeline.tasks import Dataset, Detect, Resize
from tests.kit.commands import error, run, started, wait_for
from tests.kit.store import build, counting, photo, results, rows_by_key, save, set_options

SMALL = {"Dataset_size": 256, "FilterQuality_copies": "keep"}
MANY = {**SMALL, "Engine_scheduler": "local", "Engine_workers": 2, "Engine_rows": 1}
PHOTOS = 24
pytestmark = pytest.mark.slow


def test_of_two_commands_the_second_says_who_is_first(folder):
    first = started(folder, "run", Engine_scheduler="local", Engine_workers=1)
    wait_for(folder, "store/lock")
    said = error(run(folder, "run"), code=3)
    assert f"in use by process {first.pid} on " in said
    first.communicate(timeout=300)
    assert first.returncode == 0
    assert run(folder, "run").returncode == 0


@pytest.fixture(scope="module")
def many(tmp_path_factory):
    """Photos enough for several units, and in `undisturbed` what a run makes of them."""
    folder = tmp_path_factory.mktemp("many")
    for number in range(PHOTOS):
        save(folder / "photos" / f"{number}.png", photo(number, size=(400, 300)))
    done = run(folder, "run", store="undisturbed", **SMALL)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.mark.parametrize("heard_by", ["command", "terminal"])
def test_ctrl_c_says_that_it_stopped_and_leaves_no_process(many, heard_by):
    """At a terminal every process of the command gets it."""
    workers = 2 if heard_by == "terminal" else 1
    process = started(many, "run", store=heard_by, **{**MANY, "Engine_workers": workers})
    wait_for(many, f"{heard_by}/detect/*/parts/*.parquet")
    family = psutil.Process(process.pid).children(recursive=True)
    send = {"command": os.kill, "terminal": os.killpg}[heard_by]
    send(process.pid, signal.SIGINT)
    _, said = process.communicate(timeout=300)
    assert family
    assert not psutil.wait_procs(family, timeout=120)[1]
    assert process.returncode == 130
    assert "the same command goes on" in said
    assert "Traceback" not in said
    assert not (many / heard_by / "lock").exists()
    assert run(many, "run", store=heard_by, **SMALL).returncode == 0
    assert results(many / heard_by) == results(many / "undisturbed")


def test_a_worker_killed_in_the_middle_loses_nothing(many):
    process = started(many, "run", store="short-handed", **MANY)
    wait_for(many, "short-handed/resize/*/parts/*.parquet")
    family = psutil.Process(process.pid).children(recursive=True)
    worker = next(one for one in family if "spawn_main" in " ".join(one.cmdline()))
    worker.kill()
    _, said = process.communicate(timeout=300)
    assert process.returncode == 0, said
    assert results(many / "short-handed") == results(many / "undisturbed")


def packing(monkeypatch):
    """Note the id of every row whose picture is packed from now on."""
    seen, read = [], pack.read_picture

    def noted(item, plan):
        seen.append(item.row.id)
        return read(item, plan)

    monkeypatch.setattr(pack, "read_picture", noted)
    return seen


@pytest.mark.parametrize("stage", ["detect", "resize", "records"])
def test_kill_9_in_the_middle_redoes_nothing_that_is_finished(many, stage, monkeypatch):
    store = many / stage
    workers = 2 if stage == "detect" else 1
    process = started(many, "run", store=stage, **{**MANY, "Engine_workers": workers})
    wait_for(store, f"{stage}/*/parts/*.parquet", 3)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    (folder,) = store.glob(f"{stage}/*/parts")
    finished = {row.id for rows in rows_by_key(folder).values() for row in rows}
    assert 3 <= len(finished) < PHOTOS

    # In this process, so that its work can be counted.
    more = {**SMALL, "Detect_detector": "none", "Engine_scheduler": "in-process"}
    set_options(Store_root=store, Ingest_source=many / "photos", **more)
    counted = {"detect": Detect, "resize": Resize}.get(stage)
    redone = counting(monkeypatch, counted) if counted else packing(monkeypatch)
    assert build(Dataset())
    lock.release(store)
    assert finished.isdisjoint(redone)
    assert len(finished) + len(redone) == PHOTOS
    assert results(store) == results(many / "undisturbed")
