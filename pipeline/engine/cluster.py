"""The Dask cluster of this command: local processes, or a scheduler that somebody started.

It stays open from stage to stage, until one needs a library that must not meet another.
"""

import asyncio
import atexit
import errno
import logging
import multiprocessing
import ssl
import sys
import time
from collections.abc import Callable
from concurrent.futures import CancelledError
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from atelier.errors import Failure, words_of
from pipeline.engine import processes as interrupt
from pipeline.engine.towards import is_listening

if TYPE_CHECKING:
    from distributed import Client, Future

CONNECT_SECONDS = 10
SILENT_SECONDS = 60  # a worker that is not heard of for so long is given up
LOOK_SECONDS = 10
CLOSES = "it closes the connection"
STARTS = 3  # tries to begin local workers
# Pictures are large buffers: glibc is to keep them, where Dask's setting gives each one back to
# the system at once (9,000 page faults a picture instead of 30). In bytes; glibc's own limits.
MALLOC = {"MALLOC_TRIM_THRESHOLD_": 1 << 28, "MALLOC_MMAP_THRESHOLD_": 1 << 25}
# Each worker keeps what it was at, a hundred times a second, for a page of the dashboard: 50 MB.
PROFILE = "distributed.worker.profile.enabled"
CERTIFICATES = ("ca-file", "client.cert", "client.key")  # of Dask's settings for TLS
ALONE = ("torch", "tensorflow")  # a process that has loaded one of them must not load the other


T = TypeVar("T")


class MachineError(Failure):
    """The machine, not a photo, is at fault: nothing was recorded, run again once it is mended."""


@dataclass
class Connection:
    """What is open just now."""

    wanted: tuple[Any, ...]
    client: "Client"
    cluster: Any = None
    workers: int = 0  # of a scheduler that somebody started, when it was last asked for


current: Connection | None = None


def connect(
    scheduler: str,
    processes: int,
    dashboard: bool,
    library: str,
    patience: int = CONNECT_SECONDS,
) -> "Client":
    """A client whose workers may load `library`; the open one if it fits.

    A scheduler that somebody started is waited for so many seconds.
    """
    global current
    wanted = (scheduler, processes, dashboard, library)
    if current is None or current.wanted != wanted or current.client.status != "running":
        close()
        if scheduler == "local":
            with interrupt.unheard():
                current = local(wanted)
        else:
            current = remote(wanted, patience)
    if scheduler != "local":
        current.workers = len(present(current.client))
    return current.client


def close() -> None:
    """Let go of the cluster; a local one ends. A signal meanwhile is heard afterwards."""
    global current
    if current is None:
        return
    with interrupt.unheard():
        ending, current = current, None
        leave(ending.client)
        if ending.cluster is not None:
            ending.cluster.close()


def leave(client: "Client") -> None:
    """Close a client, though its scheduler may hang."""
    with suppress(TimeoutError):
        client.close()


def end() -> None:
    """At the end of the command let no worker stay: they do not hear when they are told to end."""
    close()
    for process in multiprocessing.active_children():
        process.kill()


def local(wanted: tuple[Any, ...]) -> Connection:
    """Single-threaded processes of this machine, reachable from it alone; to be made unheard."""
    import dask
    from distributed import Client, LocalCluster

    interrupt.check_semaphores()
    interrupt.check_loopback()
    _, processes, dashboard, _ = wanted
    # Dask gives up the place of a worker that is away at one moment, 15 s after it died: one that
    # dies again and again may be just then, and nobody takes its place.
    dask.config.set({"distributed.deploy.lost-worker-timeout": "52 weeks"})
    environment: dict[str, Any] = {PROFILE: dashboard}
    environment |= {f"distributed.nanny.pre-spawn-environ.{k}": v for k, v in MALLOC.items()}

    def begin() -> LocalCluster:
        return LocalCluster(
            n_workers=processes,
            threads_per_worker=1,
            processes=True,
            host="127.0.0.1",
            dashboard_address="127.0.0.1:8787" if dashboard else "127.0.0.1:0",
            silence_logs=50,
            # A lost worker fails its own units at once: the engine finds out who is to blame.
            scheduler_kwargs={"allowed_failures": 0, "dashboard": dashboard},
        )

    with dask.config.set(environment):
        cluster = begun(begin)
    atexit.unregister(end)
    atexit.register(end)  # to be called before what Dask has registered
    client = Client(cluster, set_as_default=False)
    shorten_patience(client)
    return Connection(wanted, client, cluster)


def begun(begin: Callable[[], T]) -> T:
    """A cluster that has begun; a worker that dies in its first second does so by chance."""
    for _ in range(STARTS):
        try:
            return begin()
        except RuntimeError as error:
            failure = error
    raise MachineError(f"worker processes die as they begin, {STARTS} times: {failure}")


def remote(wanted: tuple[Any, ...], patience: int) -> Connection:
    """Workers that somebody started; raises MachineError where there are none."""
    from distributed import Client

    address, _, _, library = wanted
    # It says at length what we say in a sentence.
    logging.getLogger("distributed.client").setLevel(logging.CRITICAL)
    if address.startswith("tls://"):
        check_certificates()
    check_scheduler(address, patience)
    try:
        client = Client(address, timeout=patience, set_as_default=False)
    except OSError as error:
        raise MachineError(f"no Dask scheduler answers at {address}: start one there") from error
    try:
        shorten_patience(client)
        wait_for_workers(client, address, patience)
        begin_anew(client, address, library)
    except BaseException:
        leave(client)
        raise
    return Connection(wanted, client)


def check_scheduler(address: str, patience: float) -> None:
    """Raise MachineError where no scheduler answers: Dask would wait for its greeting for ever."""
    until = time.monotonic() + patience
    while reason := unlike_scheduler(address, patience):
        if reason != CLOSES or time.monotonic() >= until:
            raise MachineError(
                f"what listens at {address} does not answer as a Dask scheduler does ({reason}):"
                " give the scheduler's own address, tls:// where it speaks TLS, or start it anew if"
                " it hangs"
            )
        time.sleep(patience / 10)  # one that ends just now may be started anew


def unlike_scheduler(address: str, patience: float) -> str:
    """What tells whoever listens there from a scheduler, in words; nothing where nothing does.

    Raises MachineError where nobody listens.
    """
    from distributed.comm.core import CommClosedError, FatalCommClosedError
    from distributed.utils import LoopRunner

    try:  # in a thread of its own: in this one a notebook's loop may run
        LoopRunner().run_sync(greeted, address, patience)
    except TimeoutError:
        return f"it said nothing within {patience} s"
    except FatalCommClosedError as error:  # of TLS
        return " ".join(str(error.__cause__ or error).split())
    except CommClosedError:
        return CLOSES
    except OSError as error:
        if is_listening(address, patience):
            return CLOSES
        raise MachineError(f"no Dask scheduler answers at {address}: start one there") from error
    except (MemoryError, ValueError, LookupError):  # of a length, or a text, that is none
        return "it speaks another protocol"
    return ""


async def greeted(address: str, patience: float) -> None:
    """Greet whoever listens there as Dask's processes do, and leave; its greeting has to come."""
    from distributed.comm import connect as begin
    from distributed.security import Security

    means = Security().get_connection_args("client")
    # As long again as `begin` by itself waits for somebody to listen.
    comm = await asyncio.wait_for(begin(address, timeout=patience, **means), 2 * patience)
    comm.abort()


def wait_for_workers(client: "Client", address: str, patience: float) -> None:
    """Raise MachineError where no worker joins the scheduler within so many seconds."""
    try:
        client.wait_for_workers(1, timeout=patience)
    except TimeoutError:
        raise MachineError(f"the scheduler {address} has no workers: start some") from None


def begin_anew(client: "Client", address: str, library: str) -> None:
    """Let the workers end and begin anew where they have loaded what must not meet `library`.

    Raises MachineError where another run is at work on them, or where they do not come back.
    """
    others = [name for name in ALONE if library in ALONE and name != library]
    if not others or not any_loaded(client, others):
        return
    if is_shared(client):
        raise MachineError(
            f"another run is at work on {address}, whose workers have loaded {' or '.join(others)},"
            f" which {library} cannot be loaded beside: wait for it, or start workers for this run"
        )
    try:
        client.restart()
    except TimeoutError:
        raise MachineError(
            f"the workers of {address} have loaded {' or '.join(others)}, were told to begin anew"
            f" for {library}, and not all came back: start them by `make worker`, with a nanny"
        ) from None


def any_loaded(client: "Client", names: list[str]) -> bool:
    """Whether a worker has imported one of these modules; one that does not answer has not.

    Each is asked by itself: one that is frozen keeps nobody from hearing the others.
    """

    async def ask_each() -> list[Any]:
        calls = (client._run(loaded, names, workers=[one], on_error="ignore") for one in workers)
        timed = (asyncio.wait_for(call, SILENT_SECONDS) for call in calls)
        return await asyncio.gather(*timed, return_exceptions=True)

    workers = sorted(present(client))
    answers = client.sync(ask_each)
    return any(any(each.values()) for each in answers if isinstance(each, dict))


def is_shared(client: "Client") -> bool:
    """Whether somebody else waits for what the workers make."""

    def look(dask_scheduler: Any) -> bool:
        clients = dask_scheduler.clients.items()
        return any(other.wants_what for name, other in clients if name != own)

    own = client.id
    return bool(asked(client, client._run_on_scheduler, look))


def asked(client: "Client", question: Callable[..., Any], *given: Any, **more: Any) -> Any:
    """What the scheduler answers; raises CommClosedError where it does not: it hangs, or is gone.

    `question` is one of the client's coroutines, of which Dask itself waits for ever.
    """
    from distributed.comm import CommClosedError

    try:
        return client.sync(question, *given, callback_timeout=SILENT_SECONDS, **more)
    except TimeoutError:
        silence = f"Dask's scheduler has not answered for {SILENT_SECONDS} s"
        raise CommClosedError(f"{silence}: the same command goes on") from None
    except OSError as error:  # which CommClosedError is; of one that is gone it may be another
        if ours := of_files(error):
            raise ours from None  # the scheduler may be well
        gone = f"Dask's scheduler is gone ({words_of(error)})"
        raise CommClosedError(f"{gone}: the same command goes on") from None


def of_files(error: BaseException | None) -> OSError | None:
    """What says that too many files are open here; Dask hides it behind another error."""
    while error and getattr(error, "errno", None) not in (errno.EMFILE, errno.ENFILE):
        error = error.__cause__
    return error if isinstance(error, OSError) else None


def result_of(future: "Future") -> Any:
    """What a unit that is done gave; raises CommClosedError where it does not come.

    The scheduler is asked for it, which may hang, or go at that moment.
    """
    from distributed.comm import CommClosedError

    try:
        return future.result(2 * SILENT_SECONDS)
    except (OSError, CancelledError) as error:  # TimeoutError is one, too
        silence = f"Dask's scheduler does not hand on a result ({type(error).__name__})"
        raise CommClosedError(f"{silence}: the same command goes on") from None


def present(client: "Client") -> set[str]:
    """The addresses of all workers."""
    return set(asked(client, client.scheduler.ncores))


def check_certificates() -> None:
    """Raise MachineError where what TLS needs is not named, or not there."""
    import dask

    found = [dask.config.get(f"distributed.comm.tls.{name}", None) for name in CERTIFICATES]
    for name, file in zip(CERTIFICATES, found, strict=True):
        variable = f"DASK_DISTRIBUTED__COMM__TLS__{name.replace('-', '_').replace('.', '__')}"
        if not file:
            raise MachineError(f"tls:// needs certificates: name a file by {variable.upper()}")
        if not Path(file).is_file():
            raise MachineError(f"{variable.upper()} = {file}: there is no such file")
    check_pem(*found)


def check_pem(authority: str, certificate: str, key: str) -> None:
    """Raise MachineError where these files are not what TLS needs."""
    file = authority
    try:
        context = ssl.create_default_context(cafile=authority)
        file = f"{certificate}, with its key {key}"
        # Asked for a password, OpenSSL would wait at the terminal.
        context.load_cert_chain(certificate, key, lambda: "")
    except OSError as error:  # which those of ssl are
        raise MachineError(
            f"{file}: not what TLS needs ({error.strerror}): give PEM files that can be read, and"
            " the key of the certificate, without a password"
        ) from None


def shorten_patience(client: "Client") -> None:
    """Let the scheduler give up a worker that it has not heard of for `SILENT_SECONDS`."""

    def apply(dask_scheduler: Any) -> None:
        looks = dask_scheduler.periodic_callbacks.get("worker-ttl")
        if looks is not None:  # else somebody has set it up so that it never does
            dask_scheduler.worker_ttl = min(dask_scheduler.worker_ttl, seconds)
            looks.stop()
            looks.callback_time = 1000 * often
            looks.start()

    seconds, often = SILENT_SECONDS, LOOK_SECONDS
    asked(client, client._run_on_scheduler, apply)


def silent_for(client: "Client") -> dict[str, float]:
    """How long the scheduler has not heard of each worker, in seconds by its own clock."""

    def look(dask_scheduler: Any) -> dict[str, float]:
        return {w.address: time.time() - w.last_seen for w in dask_scheduler.workers.values()}

    found: dict[str, float] = asked(client, client._run_on_scheduler, look)
    return found


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
