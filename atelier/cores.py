"""How many cores a process may use: not all of a machine belong to a container that runs on it."""

import math
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

KINDS = ("", "cpu")  # of the control groups that limit cores: of version 2, of version 1


def cores(root: Path = Path("/")) -> int:
    """Whole cores that this process may use: one at least."""
    known = hasattr(os, "sched_getaffinity")  # on Linux
    own = len(os.sched_getaffinity(0)) if known else os.cpu_count() or 1
    return min(own, share(root) or own)


def share(root: Path = Path("/")) -> int:
    """Whole cores that the limits of its control groups leave to it, 0 where there are none.

    The system keeps to them by halting threads, so that more threads only wait longer.
    """
    return max(1, min(limits)) if (limits := [math.ceil(each) for each in quotas(root)]) else 0


def quotas(root: Path) -> Iterator[float]:
    """Seconds of all cores in one second, as each control group has them that limits this process.

    In a container the paths of its groups may be the machine's, of which it sees the last alone.
    """
    with suppress(OSError, ValueError):
        for line in (root / "proc/self/cgroup").read_text().splitlines():
            _, kinds, path = line.split(":", 2)
            if not set(kinds.split(",")).isdisjoint(KINDS):
                top = root / "sys/fs/cgroup" / kinds
                own = top / path.lstrip("/")
                for folder in (own, *own.parents[: len(own.parts) - len(top.parts)]):
                    yield from quota(folder)


def quota(folder: Path) -> Iterator[float]:
    """What one control group leaves, if it says so: `cpu.max` of version 2, two files of 1."""
    for names in (("cpu.max",), ("cpu.cfs_quota_us", "cpu.cfs_period_us")):
        with suppress(OSError, ValueError):
            allowed, period = map(int, " ".join((folder / n).read_text() for n in names).split())
            if allowed > 0 and period > 0:
                yield allowed / period
