"""Schedulers that somebody started, and what is none: one sentence, and no wait for ever."""

import asyncio
import shutil
import socket
import subprocess
from concurrent.futures import CancelledError
from contextlib import suppress
from threading import Thread
from types import SimpleNamespace

import distributed
import pytest
from distributed.comm import CommClosedError

from atelier.commands import UsageError
from pipeline.engine import cluster, fitness, towards
from pipeline.engine.crew import EngineConfig, MachineError
from pipeline.options import SettingsError


@pytest.mark.parametrize(
    "text",
    [
        "",
        ":1",
        "h",
        "h:",
        "h:x",
        "h:0",
        "h:-1",
        "h:65536",
        "h:1/x",
        "a b:1",
        "u:p@h:1",
        "h:1\n",
        "[1:2]:1",
        "a..b:1",
        f"{'a' * 64}:1",
        "h:\u0661",
    ],
)
def test_an_address_that_cannot_be_is_one_sentence(text):
    assert EngineConfig("tcp://h:1").scheduler and EngineConfig("tls://[::1]:65535").scheduler
    for scheme in ("tcp", "tls"):
        with pytest.raises(SettingsError, match=r"scheduler = .*: give local, in-process, tcp://"):
            EngineConfig(f"{scheme}://{text}")
        with pytest.raises(
            UsageError, match=r"(?s)^SCHEDULER = .*: give tcp://host:8786 or tls://"
        ):
            towards.own_address(f"{scheme}://{text}")


def test_a_worker_listens_where_its_scheduler_is_reached_from(monkeypatch):
    def nobody_knows(*given, **more):
        raise socket.gaierror(-2, "Name or service not known")

    assert towards.own_address("tcp://127.0.0.1:8786") == "127.0.0.1"
    monkeypatch.setattr(socket, "getaddrinfo", nobody_knows)
    with pytest.raises(UsageError, match=r"h:1: this machine knows no way there \(Name or"):
        towards.own_address("tcp://h:1")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("greeting", "patience", "said"),
    [
        (None, 0.3, "it said nothing within 0.3 s"),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", 5, "it speaks another protocol"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", 5, "it speaks another protocol"),
        (b"", 0.9, "it closes the connection"),
    ],
)
def test_who_listens_and_is_no_scheduler_is_named(greeting, patience, said):
    def greet():
        while server.fileno() >= 0:
            with suppress(OSError), server.accept()[0] as guest:
                if greeting is not None:
                    guest.sendall(greeting)
                    guest.shutdown(socket.SHUT_WR)
                while guest.recv(1 << 16):
                    pass

    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"tcp://127.0.0.1:{server.getsockname()[1]}"
        Thread(target=greet, daemon=True).start()
        with pytest.raises(MachineError, match=rf"^what listens at {address} does .* \({said}"):
            cluster.check_scheduler(address, patience)


@pytest.mark.parametrize("error", [TimeoutError, CommClosedError, OSError])
def test_a_scheduler_that_is_gone_says_how_to_go_on(error):
    """Dask's own words of one that does not listen any more are those of any connection."""

    def sync(*given, **more):
        raise error("Timed out trying to connect to tcp://h:1 after 10 s")

    client = SimpleNamespace(sync=sync, scheduler=SimpleNamespace(ncores=None))
    with pytest.raises(CommClosedError, match=r"the same command goes on$"):
        cluster.present(client)


@pytest.mark.parametrize("error", [TimeoutError, CancelledError, OSError])
def test_a_result_that_does_not_come_is_a_scheduler_that_is_gone(error):
    """Neither is a fault of the unit: the run connects anew, and does its rows again."""

    def result(seconds):
        raise error

    with pytest.raises(CommClosedError, match=error.__name__):
        cluster.result_of(SimpleNamespace(result=result))


def test_a_frozen_worker_keeps_nobody_from_hearing_what_others_have_loaded(monkeypatch):
    async def run(function, names, workers, on_error):
        if workers == ["frozen"]:
            await asyncio.sleep(60)
        return {worker: worker == "other" for worker in workers}

    monkeypatch.setattr(cluster, "SILENT_SECONDS", 0.05)
    client = SimpleNamespace(_run=run, sync=lambda ask: asyncio.run(ask()))
    for there, expected in ((["frozen", "other"], True), (["frozen", "third"], False)):
        monkeypatch.setattr(cluster, "present", lambda _, there=there: set(there))
        assert cluster.any_loaded(client, ["tensorflow"]) == expected


@pytest.mark.parametrize("error", [CommClosedError, MachineError])
def test_who_cannot_begin_leaves_the_scheduler(monkeypatch, error):
    """Also one that hangs, which closing does not make another error of."""
    left = []

    class Hanging:
        def __init__(self, *given, **more):
            pass

        def close(self):
            left.append(self)
            raise TimeoutError

    def fail(*given):
        raise error("why")

    monkeypatch.setattr(distributed, "Client", Hanging)
    monkeypatch.setattr(cluster, "check_scheduler", lambda *_: None)
    monkeypatch.setattr(cluster, "shorten_patience", fail)
    with pytest.raises(error, match="why"):
        cluster.remote(("tcp://h:1", 0, False, ""), 1)
    assert len(left) == 1


def test_a_worker_that_cannot_be_asked_is_a_scheduler_that_is_gone():
    def result(seconds):
        raise TimeoutError

    future = SimpleNamespace(exception=lambda: None, result=result)
    with pytest.raises(CommClosedError):
        fitness.answer(future)


def test_files_that_are_no_certificates_are_one_sentence(tmp_path):
    for name in ("a.pem", "b.pem", "c.pem"):
        (tmp_path / name).write_text("none")
    with pytest.raises(MachineError, match=rf"^{tmp_path}/a\.pem: not what TLS needs \("):
        cluster.check_pem(*(str(tmp_path / f"{letter}.pem") for letter in "abc"))


@pytest.mark.skipif(not shutil.which("openssl"), reason="openssl makes the certificates")
def test_a_key_that_is_locked_or_anothers_is_one_sentence(tmp_path):
    words = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
    for name, own in (("plain", ["-nodes"]), ("locked", ["-passout", "pass:words"])):
        place = ["-keyout", f"{tmp_path}/{name}.key", "-out", f"{tmp_path}/{name}.pem"]
        line = [*words, "-subj", "/CN=localhost", *place, *own]
        subprocess.run(line, check=True, capture_output=True)
    authority = f"{tmp_path}/plain.pem"
    cluster.check_pem(authority, authority, f"{tmp_path}/plain.key")
    for key in ("plain", "locked"):
        certificate, own = f"{tmp_path}/locked.pem", f"{tmp_path}/{key}.key"
        with pytest.raises(MachineError, match=f"^{certificate}, with its key {own}: not what TLS"):
            cluster.check_pem(authority, certificate, own)
