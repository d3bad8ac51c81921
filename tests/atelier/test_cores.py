"""The cores of a container are counted, whatever the machine has."""

import re

import pytest

from atelier.cores import cores, share
from tests.kit import house


@pytest.fixture
def machine(monkeypatch):
    """One of 256 cores."""
    monkeypatch.setattr("os.sched_getaffinity", lambda _: set(range(256)))


def lay(root, files):
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


GROUP, TOP = "proc/self/cgroup", "sys/fs/cgroup"
TWO = {
    f"{TOP}/cpu,cpuacct/cpu.cfs_quota_us": "150000\n",
    f"{TOP}/cpu,cpuacct/cpu.cfs_period_us": "100000\n",
}


@pytest.mark.parametrize(
    ("files", "found"),
    [
        ({}, 0),
        ({GROUP: "0::/\n"}, 0),
        ({GROUP: "0::/\n", f"{TOP}/cpu.max": "max 100000\n"}, 0),
        ({GROUP: "0::/\n", f"{TOP}/cpu.max": "400000 100000\n"}, 4),
        ({GROUP: "0::/\n", f"{TOP}/cpu.max": "1000 100000\n"}, 1),
        ({GROUP: "0::/a/b\n", f"{TOP}/a/cpu.max": "250000 100000\n"}, 3),
        (
            {
                GROUP: "0::/a/b\n",
                f"{TOP}/a/cpu.max": "800000 100000",
                f"{TOP}/a/b/cpu.max": "300000 100000",
            },
            3,
        ),
        ({GROUP: "3:cpuset:/\n2:cpu,cpuacct:/docker/0bc4\n0::/\n", **TWO}, 2),
        ({GROUP: "2:cpu,cpuacct:/\n", **TWO, f"{TOP}/cpu,cpuacct/cpu.cfs_quota_us": "-1\n"}, 0),
        ({GROUP: "what is this\n"}, 0),
        ({GROUP: "0::/\n", f"{TOP}/cpu.max": "many\n"}, 0),
    ],
)
def test_the_limit_of_a_container_is_found(tmp_path, machine, files, found):
    root = lay(tmp_path, files)
    assert share(root) == found
    assert cores(root) == (found or 256)


def test_a_limit_above_what_a_process_may_use_adds_none(tmp_path, monkeypatch):
    monkeypatch.setattr("os.sched_getaffinity", lambda _: {3, 5})
    assert cores(lay(tmp_path, {GROUP: "0::/", f"{TOP}/cpu.max": "400000 100000"})) == 2


def test_nobody_else_counts_cores():
    counting = re.compile(r"\b(cpu_count|sched_getaffinity)\(")
    found = [name for name, path in house.modules().items() if counting.search(path.read_text())]
    assert found == ["atelier.cores"]
