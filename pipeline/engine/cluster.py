"""The Dask cluster of this command: local processes, or a scheduler that somebody started.

It stays open from stage to stage, until one needs a library that must not meet another.
"""

import atexit
import multiprocessing
import sys
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from atelier.errors import Failure
from pipeline.engine import processes as interrupt

if TYPE_CHECKING:
    from distributed import Client

CONNECT_SECONDS = 10
# Pictures are large buffers: glibc is to keep them, where Dask's setting gives each one back to
# the system at once (9,000 page faults a picture instead of 30). In bytes; glibc's own limits.
MALLOC = {"MALLOC_TRIM_THRESHOLD_": 1 << 28, "MALLOC_MMAP_THRESHOLD_": 1 << 25}
ALONE = ("torch", "tensorflow")  # a process that has loaded one of them must not load the other


class MachineError(Failure):
    """The machine, not a photo, is at fault: nothing was recorded, run again once it is mended."""


@dataclass
class Connection:
    """What is open just now."""

    wanted: tuple[Any, ...]
    client: "Client"
    cluster: Any = None


current: Connection | None = None


def connect(scheduler: str, processes: int, dashboard: bool, library: str) -> "Client":
    """A client whose workers may load `library`; the open one if it fits."""
    global current
    wanted = (scheduler, processes, dashboard, library)
    if current is None or current.wanted != wanted or current.client.status != "running":
        close()
        if scheduler == "local":
            with interrupt.unheard():
                current = local(wanted)
        else:
            current = remote(wanted)
    return current.client


def close() -> None:
    """Let go of the cluster; a local one ends. A signal meanwhile is heard afterwards."""
    global current
    if current is None:
        return
    with interrupt.unheard():
        ending, current = current, None
        ending.client.close()
        if ending.cluster is not None:
            ending.cluster.close()


def end() -> None:
    """At the end of the command let no worker stay: they do not hear when they are told to end."""
    close()
    for process in multiprocessing.active_children():
        process.kill()


def local(wanted: tuple[Any, ...]) -> Connection:
    """Single-threaded processes of this machine, reachable from it alone; to be made unheard."""
    import dask
    from distributed import Client, LocalCluster

    _, processes, dashboard, _ = wanted
    # Dask gives up the place of a worker that is away at one moment, 15 s after it died: one that
    # dies again and again may be just then, and nobody takes its place.
    dask.config.set({"distributed.deploy.lost-worker-timeout": "52 weeks"})
    environment = {f"distributed.nanny.pre-spawn-environ.{k}": v for k, v in MALLOC.items()}
    with dask.config.set(environment):
        cluster = LocalCluster(
            n_workers=processes,
            threads_per_worker=1,
            processes=True,
            host="127.0.0.1",
            dashboard_address="127.0.0.1:8787" if dashboard else "127.0.0.1:0",
            silence_logs=50,
            # A lost worker fails its own units at once: the engine finds out who is to blame.
            scheduler_kwargs={"allowed_failures": 0, "dashboard": dashboard},
        )
    atexit.unregister(end)
    atexit.register(end)  # to be called before what Dask has registered
    return Connection(wanted, Client(cluster, set_as_default=False), cluster)


def remote(wanted: tuple[Any, ...]) -> Connection:
    """Workers that somebody started; raises MachineError where there are none."""
    from distributed import Client

    address, _, _, library = wanted
    try:
        client = Client(address, timeout=CONNECT_SECONDS, set_as_default=False)
    except OSError as error:
        raise MachineError(f"no Dask scheduler answers at {address}: start one there") from error
    try:
        client.wait_for_workers(1, timeout=CONNECT_SECONDS)
    except TimeoutError:
        client.close()
        raise MachineError(f"the scheduler {address} has no workers: start some") from None
    others = [name for name in ALONE if library in ALONE and name != library]
    if any(client.run(loaded, others).values()):
        client.restart()
    return Connection(wanted, client)


def loaded(names: list[str]) -> bool:
    """Whether this process has imported one of these modules."""
    return any(name in sys.modules for name in names)


def refuse_company(library: str) -> None:
    """Raise MachineError where this process has loaded what must not meet `library`."""
    others = [name for name in ALONE if name != library]
    if library in ALONE and loaded(others):
        raise MachineError(
            f"{library} cannot be loaded beside {', '.join(others)} in one process: set"
            " [Engine] scheduler = local"
        )


def check_shared(client: "Client", store: Path, photos: Path) -> None:
    """Raise MachineError where a worker does not see the same store, or the folder of photos."""
    store.mkdir(parents=True, exist_ok=True)
    nonce = store / f".nonce-{uuid.uuid4().hex}"
    nonce.write_text("seen")
    try:
        for folder, look in ((store, nonce.is_file), (photos, photos.is_dir)):
            if folder.is_dir() and (
                blind := [w for w, seen in client.run(look).items() if not seen]
            ):
                raise MachineError(
                    f"workers {', '.join(blind)} do not see {folder}: mount it there at that path"
                )
    finally:
        nonce.unlink()
