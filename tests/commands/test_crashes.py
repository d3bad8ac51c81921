"""Commands that are stopped, killed, or two at once: what is finished is kept."""

import os
import signal

import psutil
import pytest

from pipeline.dataset import pack
from pipeline.rows import memo
from pipeline.tasks import Dataset, Detect, Resize
from tests.kit.commands import error, run, started, wait_for
from tests.kit.store import build, counting, photo, results, save, set_options

MANY = {"Dataset_size": 512, "Engine_scheduler": "local", "Engine_workers": 2, "Engine_rows": 1}
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
def forty(tmp_path_factory):
    """Forty photos, and in `undisturbed` what a run makes of them."""
    folder = tmp_path_factory.mktemp("forty")
    for number in range(40):
        save(folder / "photos" / f"{number}.png", photo(number, size=(800, 600)))
    done = run(folder, "run", store="undisturbed", Dataset_size=512)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.mark.parametrize("heard_by", ["command", "terminal"])
def test_ctrl_c_says_that_it_stopped_and_leaves_no_process(forty, heard_by):
    """At a terminal every process of the command gets it."""
    process = started(forty, "run", store=heard_by, **MANY)
    wait_for(forty, f"{heard_by}/detect/*/parts/*.parquet")
    family = psutil.Process(process.pid).children(recursive=True)
    send = {"command": os.kill, "terminal": os.killpg}[heard_by]
    send(process.pid, signal.SIGINT)
    _, said = process.communicate(timeout=300)
    assert family
    assert not psutil.wait_procs(family, timeout=120)[1]
    assert process.returncode == 130
    assert "the same command goes on" in said
    assert "Traceback" not in said
    assert not (forty / heard_by / "lock").exists()
    assert run(forty, "run", store=heard_by, Dataset_size=512).returncode == 0
    assert results(forty / heard_by) == results(forty / "undisturbed")


def test_a_worker_killed_in_the_middle_loses_nothing(forty):
    process = started(forty, "run", store="short-handed", **MANY)
    wait_for(forty, "short-handed/resize/*/parts/*.parquet")
    family = psutil.Process(process.pid).children(recursive=True)
    worker = next(one for one in family if "spawn_main" in " ".join(one.cmdline()))
    worker.kill()
    _, said = process.communicate(timeout=300)
    assert process.returncode == 0, said
    assert results(forty / "short-handed") == results(forty / "undisturbed")


def packing(monkeypatch):
    """Note the id of every row whose picture is packed from now on."""
    seen, read = [], pack.read_picture

    def noted(item, plan):
        seen.append(item.row.id)
        return read(item, plan)

    monkeypatch.setattr(pack, "read_picture", noted)
    return seen


@pytest.mark.parametrize("stage", ["detect", "resize", "records"])
def test_kill_9_in_the_middle_redoes_nothing_that_is_finished(forty, stage, monkeypatch):
    store = forty / stage
    process = started(forty, "run", store=stage, **MANY)
    wait_for(store, f"{stage}/*/parts/*.parquet", 3)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    (folder,) = store.glob(f"{stage}/*/parts")
    finished = {
        row.id for rows in memo.read_parts(folder, memo.keys(folder)).values() for row in rows
    }
    assert 3 <= len(finished) < 40

    # In this process, so that its work can be counted.
    more = {"Detect_detector": "none", "Dataset_size": 512, "Engine_scheduler": "in-process"}
    set_options(Store_root=store, Ingest_source=forty / "photos", **more)
    counted = {"detect": Detect, "resize": Resize}.get(stage)
    redone = counting(monkeypatch, counted) if counted else packing(monkeypatch)
    assert build(Dataset())
    assert finished.isdisjoint(redone)
    assert len(finished) + len(redone) == 40
    assert results(store) == results(forty / "undisturbed")
