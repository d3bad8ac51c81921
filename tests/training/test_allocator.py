"""Buffers of images stay with the process that uses them again and again."""

import platform
import subprocess
import sys

import pytest

from training import allocator

FAULTS = """
import resource
from training import allocator
if {keeps}:
    assert allocator.keep_memory()
def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt
def images():
    return [b"x" * (3 << 20) for _ in range(4)]
for _ in range(4):
    images()
before = faults()
for _ in range(20):
    images()
print(faults() - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another C library")
def test_a_buffer_of_an_image_is_not_faulted_in_again(monkeypatch):
    for name in allocator.GIVEN:
        monkeypatch.delenv(name, raising=False)
    found = []
    for keeps in (True, False):
        command = [sys.executable, "-c", FAULTS.format(keeps=keeps)]
        found.append(int(subprocess.run(command, capture_output=True, check=True).stdout))
    assert found[0] < 0.01 * found[1]


@pytest.mark.parametrize("name", allocator.GIVEN)
def test_the_environment_comes_first(monkeypatch, name):
    monkeypatch.setenv(name, "131072")
    assert not allocator.keep_memory()
