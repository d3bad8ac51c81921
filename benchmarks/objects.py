"""What an object store costs: listing it, and reading photos from it, one and several at a time.

moto's S3 server on this machine stands for the store: it answers slowly, and from no distance. So
each rate is given once more with 30 ms added to each request, as over a network.
"""

import argparse
import multiprocessing
import os
import sys
import time
from collections.abc import Callable
from multiprocessing.queues import Queue
from pathlib import Path
from typing import Any

sys.path.append(str(Path(__file__).resolve().parent.parent))

import fsspec

from pipeline.photos import folder, objects
from pipeline.photos.objects import address, ahead
from pipeline.rows.manifest import Item, Row
from tests.kit.stores import BUCKET, moto

LISTED, FOLDERS, READ, BYTES = 10_000, 100, 200, 100_000
FURTHER = 0.03  # seconds


def serve(told: "Queue[Any]") -> None:
    with moto() as known:
        told.put(known)
        time.sleep(3600)


def main() -> None:
    argparse.ArgumentParser(description=__doc__.splitlines()[0]).parse_args()
    context = multiprocessing.get_context("spawn")
    told = context.Queue()
    server = context.Process(target=serve, args=(told,), daemon=True)
    server.start()
    fsspec.config.conf["s3"] = told.get()
    system = fsspec.filesystem("s3")
    system.makedirs(BUCKET, exist_ok=True)
    system.pipe({f"{BUCKET}/many/{n % FOLDERS}/{n}.jpg": b"x" for n in range(LISTED)})
    system.pipe({f"{BUCKET}/some/{n}.jpg": os.urandom(BYTES) for n in range(READ)})
    rows, seconds, cpu = timed(lambda: listed(f"s3://{BUCKET}/many"))
    print(f"listing {len(rows):,} objects: {seconds:.1f} s, {cpu:.1f} s of this process")
    place = address(f"s3://{BUCKET}/some")
    items = [Item(r.id, r, place / r.path, r.size_bytes, r.mtime_ns) for r in listed(str(place))]
    tell_rates(items, "")
    near = objects.Address.opened

    def far(self: objects.Address) -> tuple[Any, str]:
        time.sleep(FURTHER)
        return near(self)

    objects.Address.opened = far  # type: ignore[method-assign]
    tell_rates(items, f", {FURTHER * 1e3:.0f} ms further away")
    server.terminate()


def listed(text: str) -> list[Row]:
    return list(folder.listing(address(text), Path("store")))


def tell_rates(items: list[Item], where: str) -> None:
    """Print how fast photos come, in turns."""
    for most in (1, objects.READERS) * 2:
        _, seconds, cpu = timed(lambda most=most: list(ahead(folder.read_photo, items, most)))
        each = 1e3 * cpu / len(items)
        print(f"{most} at a time{where}: {len(items) / seconds:.0f} photos/s, {each:.1f} ms of CPU")


def timed(work: Callable[[], Any]) -> tuple[Any, float, float]:
    """What it gives, and the seconds and the processor time of this process that it took."""
    began = time.perf_counter(), time.process_time()
    found = work()
    return found, time.perf_counter() - began[0], time.process_time() - began[1]


if __name__ == "__main__":
    main()
