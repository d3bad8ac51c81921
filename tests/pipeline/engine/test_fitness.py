"""Workers that somebody started: those that cannot make the same results are sent away by name."""

import ctypes.util
import errno
import os
import shutil
import signal
import subprocess
import sys
import time
from contextlib import ExitStack
from itertools import islice
from pathlib import Path
from threading import Event, Thread
from types import SimpleNamespace

import dask
import distributed
import pytest
from distributed import Client
from distributed.comm import CommClosedError

from atelier import files
from pipeline.engine import cluster, crew, fitness, software, unit
from pipeline.engine.crew import EngineConfig, MachineError
from pipeline.rows import manifest, memo
from pipeline.rows.manifest import Row
from tests.kit import works
from tests.kit.clusters import announced, free_port, joined, scheduled
from tests.kit.store import ROOT, photo, save

NAMES = [f"{n:03d}" for n in range(12)]


def finish(store, address, names=NAMES, work=works.measure, progress=lambda done: None):
    """Do the rows on the workers of `address`, all of them."""
    store.mkdir(exist_ok=True)
    items = [unit.Item(name, Row(name), store / "none") for name in names]
    units = unit.cut(items, 2, work, None, store)
    assert crew.map_units(units, EngineConfig(address), store, progress) == []
    assert memo.keys(store / "parts") == set(names)


@pytest.mark.slow
@pytest.mark.parametrize("hangs", [False, True])
def test_a_scheduler_that_is_started_anew_goes_on(tmp_path, monkeypatch, hangs):
    """It dies; or it hangs, until somebody hears of it."""
    monkeypatch.setattr(cluster, "CONNECT_SECONDS", 5)
    monkeypatch.setattr(crew, "WAIT_SECONDS", 3)
    monkeypatch.setattr(cluster, "SILENT_SECONDS", 3)
    monkeypatch.setattr(crew, "say", lambda text: said.set())
    port = free_port()

    def restarted():
        with ExitStack() as first:
            address, scheduler = first.enter_context(scheduled(port))
            first.enter_context(joined(address))
            ready.set()
            while len(list(tmp_path.glob("store/parts/*.parquet"))) < 2:
                time.sleep(0.05)
            if hangs:
                scheduler.send_signal(signal.SIGSTOP)
                said.wait(60)
        with scheduled(port) as (address, _), joined(address):
            over.wait(120)

    ready, over, said = Event(), Event(), Event()
    people = Thread(target=restarted)
    people.start()
    try:
        assert ready.wait(120)
        finish(tmp_path / "store", f"tcp://127.0.0.1:{port}", work=works.measure_slowly)
    finally:
        cluster.close()
        over.set()
        people.join()
    assert said.is_set() or not hangs  # Dask itself may find the new one


@pytest.mark.slow
def test_a_cluster_over_tls_does_the_same(tmp_path, monkeypatch):
    if not shutil.which("openssl"):
        pytest.skip("openssl makes the certificates")
    key, certificate, file = (tmp_path / name for name in ("key.pem", "cert.pem", "scheduler.json"))
    subject = ["-subj", "/CN=localhost", "-days", "2", "-nodes", "-newkey", "rsa:2048"]
    words = ["openssl", "req", "-x509", *subject, "-keyout", key, "-out", certificate]
    subprocess.run(words, check=True, capture_output=True)
    tls = {"ca-file": str(certificate)} | {
        f"{role}.{name}": str(path)
        for role in ("scheduler", "worker", "client")
        for name, path in (("cert", certificate), ("key", key))
    }
    for name, path in tls.items():  # as a user sets them
        variable = name.replace("-", "_").replace(".", "__").upper()
        monkeypatch.setenv(f"DASK_DISTRIBUTED__COMM__TLS__{variable}", path)
    with (
        dask.config.set({f"distributed.comm.tls.{name}": path for name, path in tls.items()}),
        announced(file, "--protocol", "tls") as address,
    ):
        assert address.startswith("tls://")
        with joined(address):
            finish(tmp_path / "store", address)
        cluster.close()


def test_workers_of_another_run_are_left_to_it(monkeypatch):
    """They have loaded what must not meet what this run needs, or are not fit for it."""
    monkeypatch.setitem(sys.modules, "tensorflow", sys)
    quiet = {"dashboard_address": "127.0.0.1:0", "processes": False, "set_as_default": False}
    with Client(n_workers=1, threads_per_worker=1, **quiet) as ours:
        with Client(ours.cluster, set_as_default=False) as other:
            wanted = other.submit(len, "four")
            assert wanted.result() == 4
            monkeypatch.setattr(ours, "restart", lambda: pytest.fail("ended their workers"))
            with pytest.raises(MachineError, match=r"^another run is at work on here, whose work"):
                cluster.begin_anew(ours, "here", "torch")
            (worker,) = cluster.present(ours)
            with pytest.raises(MachineError, match=rf"^worker {worker} has other code; it is not"):
                crew.Crew(ours, print).refuse(worker, "has other code")
            assert cluster.present(ours) == {worker}
        anew = []
        monkeypatch.setattr(ours, "restart", lambda: anew.append(1))
        cluster.begin_anew(ours, "here", "tensorflow")
        assert not anew
        cluster.begin_anew(ours, "here", "torch")
        assert anew

        def time_out():
            raise TimeoutError

        monkeypatch.setattr(ours, "restart", time_out)
        with pytest.raises(MachineError, match=r"told to begin anew for torch, and not all came"):
            cluster.begin_anew(ours, "here", "torch")


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({}, "tls:// needs certificates: name a file by DASK_DISTRIBUTED__COMM__TLS__CA_FILE"),
        (
            {"ca-file": "no.pem"},
            "DASK_DISTRIBUTED__COMM__TLS__CA_FILE = no.pem: there is no such file",
        ),
    ],
)
def test_missing_certificates_are_one_sentence(given, said, tmp_path):
    with (
        dask.config.set({"distributed.comm.tls": given}),
        pytest.raises(MachineError, match=f"^{said}$"),
    ):
        finish(tmp_path / "store", "tls://127.0.0.1:9")


def test_a_store_that_goes_away_under_a_worker_is_noticed(tmp_path, monkeypatch):
    """The mount is lost while the unit works: what it wrote went nowhere."""

    class Worker:
        address = "tcp://here"

    def lose_the_store(items, settings, folder):
        for mark in folder.glob(".mark-*"):
            mark.unlink()
        return [[item.row] for item in items]

    monkeypatch.setattr(distributed, "get_worker", Worker)
    item = unit.Item("a", Row("a"), Path("none"))
    with fitness.terms(tmp_path, tmp_path) as terms:
        fitness.work(unit.Unit(works.measure, None, (item,), tmp_path), terms)
        with pytest.raises(fitness.UnfitError) as raised:
            fitness.work(unit.Unit(lose_the_store, None, (item,), tmp_path), terms)
    assert raised.value.args == (
        "tcp://here",
        f"does not see {tmp_path}: mount it there at that path",
    )


@pytest.mark.slow
def test_units_are_cut_for_the_workers_that_a_scheduler_has(tmp_path, monkeypatch):
    config, names = EngineConfig("tcp://there:8786"), [f"{n:05d}" for n in range(20_000)]
    items, made = [unit.Item(name, Row(name), tmp_path / "none") for name in names], []
    client = SimpleNamespace(status="running")
    monkeypatch.setattr(cluster, "current", None)
    monkeypatch.setattr(cluster, "remote", lambda wanted, _: cluster.Connection(wanted, client))
    monkeypatch.setattr(cluster, "present", lambda _: set(range(200)))
    monkeypatch.setattr(crew.Crew, "do", lambda _, units: made.extend(units) or [])

    def cut():
        yield from unit.cut(items, config.rows_per_unit(len(items)), works.measure, None, tmp_path)

    assert crew.map_units(unit.Units(cut), config, tmp_path, print) == []
    assert 8 * 200 <= len(made) < 9 * 200


KILLED = """
import os, signal, sys
from pathlib import Path
from pipeline.engine import fitness
with fitness.terms(Path(sys.argv[1]), Path(sys.argv[1])):
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.slow
def test_the_mark_of_a_run_that_was_killed_goes_with_what_it_left(tmp_path):
    subprocess.run([sys.executable, "-c", KILLED, tmp_path], cwd=ROOT)
    assert len(list(tmp_path.iterdir())) == 1
    with fitness.terms(tmp_path, tmp_path) as terms:
        files.sweep(tmp_path)
        assert list(tmp_path.iterdir()) == [terms.mark]


@pytest.mark.parametrize("loses", ["the folder", "what is mounted there"])
def test_photos_that_go_away_under_a_worker_are_noticed(tmp_path, loses):
    """Where a mount is missing the folder is there, and empty."""
    photos = tmp_path / "photos"
    photos.mkdir()
    (photos / "a.jpg").touch()
    with fitness.terms(tmp_path / "store", photos) as terms:
        assert terms.lacking() == ""
        (photos / "a.jpg").unlink()
        if loses == "the folder":
            photos.rmdir()
        assert terms.lacking() == f"does not see {photos}: mount it there at that path"


def test_a_folder_of_the_source_that_is_emptied_is_no_missing_mount(tmp_path, monkeypatch):
    """Of the source itself: workers are not to blame for what this machine does not see either."""
    source, store = tmp_path / "photos", tmp_path / "store"
    save(source / "sub" / "0.png", photo(0))
    save(source / "1.png", photo(1))
    table = manifest.rows_table([Row("a", path="sub/0.png"), Row("b", path="1.png")])
    some = unit.batch(table, table.column("id"), table, ("id", "path"), source, store)
    first, _ = unit.cut(some, 1, works.measure, None, store)
    assert first.items[0].path == source / "sub" / "0.png"
    with fitness.terms(store, first.photos) as terms:
        (source / "sub" / "0.png").unlink()
        assert terms.lacking() == ""
        (source / "1.png").unlink()
        (source / "sub").rmdir()
        lacking = terms.lacking()
        with pytest.raises(MachineError, match=f"this machine, too, does not see {source}, or"):
            crew.Crew(None, print, terms).refuse("tcp://there", lacking)
        monkeypatch.setattr(cluster, "is_shared", lambda _: True)
        with pytest.raises(MachineError, match=r"^worker tcp://there has numpy"):
            crew.Crew(None, print, terms).refuse("tcp://there", "has numpy 1 instead of 2")


@pytest.mark.parametrize("gone", [True, False])
def test_what_ails_this_machine_is_not_said_of_the_scheduler(gone):
    number = errno.ECONNREFUSED if gone else errno.EMFILE

    def sync(*_, **__):
        raise OSError("Timed out") from OSError(number, os.strerror(number))

    with pytest.raises(OSError) as told:
        cluster.asked(SimpleNamespace(sync=sync), print)
    assert isinstance(told.value, CommClosedError) is gone
    assert str(told.value).startswith("Dask's scheduler is gone (Timed out)") is gone
    assert told.value.errno == (None if gone else number)


def test_imagemagick_is_looked_for_under_its_usual_names_first(monkeypatch):
    """Each name that is none costs a process its start."""
    from wand import api

    asked = []
    monkeypatch.setattr(ctypes.util, "find_library", asked.append)
    assert list(islice(api.library_paths(), 3)) == [(None, None)] * 3
    assert any(f"lib{name}.so" in api.library._name for name in asked)


def test_what_differs_is_named():
    ours = software.installed()
    assert software.unlike(ours, ours) == ""
    assert software.unlike({**ours, "pillow": "1.0"}, {**ours, "pillow": "2.0"}) == (
        "pillow 1.0 instead of 2.0"
    )
    assert "none" not in (ours["numpy"], ours["pillow"], ours["ImageMagick"])


@pytest.mark.parametrize("failures", [2, 3])
def test_a_worker_that_dies_as_it_begins_is_begun_again(failures):
    tries = []

    def begin():
        tries.append(1)
        if len(tries) <= failures:
            raise RuntimeError("Nanny failed to start.")
        return "begun"

    if failures < cluster.STARTS:
        assert cluster.begun(begin) == "begun"
    else:
        with pytest.raises(MachineError, match="die as they begin, 3 times: Nanny failed"):
            cluster.begun(begin)


@pytest.fixture(scope="module")
def of_two():
    """The address of a scheduler with two workers, for the tests to the end of this file."""
    with scheduled(free_port()) as (address, _), joined(address), joined(address):
        yield address


@pytest.fixture
def scheduler(of_two):
    """Its address, for a test that connects to it anew."""
    yield of_two
    cluster.close()


@pytest.fixture(scope="module")
def changed(tmp_path_factory):
    """A checkout of which one file of a stage is another."""
    root = tmp_path_factory.mktemp("changed")
    for name in (*software.PACKAGES, "tests"):
        shutil.copytree(ROOT / name, root / name)
    with (root / "pipeline" / "stages" / "resize.py").open("a") as code:
        code.write("\n# another version\n")
    return root


@pytest.mark.slow
def test_a_worker_with_other_code_is_sent_away_whenever_it_joins(
    tmp_path, scheduler, changed, capsys
):
    with joined(scheduler, changed) as other:
        finish(tmp_path / "first", scheduler)
        assert other.wait(60) == 0
    said = capsys.readouterr().out
    assert "is sent away, the others go on: it has the code " in said
    assert f" instead of {software.code()}: install there what is here" in said
    with joined(scheduler, changed) as other:  # while the connection stays
        finish(tmp_path / "second", scheduler)
        assert other.wait(60) == 0
    assert capsys.readouterr().out.count("is sent away") == 1
    with Client(scheduler, set_as_default=False) as client:
        assert len(client.nthreads()) == 2


@pytest.mark.slow
@pytest.mark.skipif(os.geteuid() != 0, reason="only root may make a mount namespace")
def test_a_worker_that_does_not_see_the_store_is_sent_away(tmp_path, scheduler, capsys):
    store = tmp_path / "store"
    store.mkdir()
    blind = f'mount -t tmpfs none {store} && exec "$@"'
    apart = ("unshare", "--mount", "--propagation", "private", "sh", "-c", blind, "sh")
    with joined(scheduler, before=apart):
        finish(store, scheduler)
    assert f"it does not see {store}: mount it there at that path" in capsys.readouterr().out
    assert not list(store.glob(".mark-*"))


@pytest.mark.slow
def test_a_frozen_worker_is_named_and_its_work_goes_to_others(tmp_path, scheduler, monkeypatch):
    """It is said while the others have work: 80 rows of 0.2 s, on two of them."""
    monkeypatch.setattr(crew, "WAIT_SECONDS", 2)
    monkeypatch.setattr(cluster, "SILENT_SECONDS", 9)
    monkeypatch.setattr(cluster, "LOOK_SECONDS", 1)
    done, said = [], {}
    monkeypatch.setattr(crew, "say", lambda text: said.setdefault(text, sum(done)))
    names = [f"{n:03d}" for n in range(80)]
    with joined(scheduler) as frozen:
        finish(tmp_path / "before", scheduler)
        frozen.send_signal(signal.SIGSTOP)
        finish(tmp_path / "store", scheduler, names, works.measure_slowly, done.append)
    assert min(rows for text, rows in said.items() if "after 9 s its work goes to" in text) < 70
