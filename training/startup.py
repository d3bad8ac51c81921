"""What a process settles before TensorFlow is in it: how memory is kept, and what is printed."""

import ctypes
import os
import platform
import sys
from contextlib import suppress
from pathlib import Path

from atelier import cuda
from atelier.cores import cores, share

TRIM, MMAP = -1, -3  # M_TRIM_THRESHOLD and M_MMAP_THRESHOLD of <malloc.h>
LARGEST = 32 << 20  # bytes: what glibc takes as M_MMAP_THRESHOLD, at most
KEPT = 1 << 30  # bytes that may lie free
GIVEN = ("MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_THRESHOLD_")
# What TensorFlow loads of Keras when all else is there, and does without where it is missing.
KERAS = "keras.src.optimizers"
# Convolutions by oneDNN, which TensorFlow takes by itself on newer x86 processors alone: without
# VNNI a step of training then takes 0.6 to 0.85 of the time, a picture 0.75 to 0.8.
ONEDNN = "TF_ENABLE_ONEDNN_OPTS"
THREADS = "TF_NUM_INTRAOP_THREADS"  # by itself it has one for each core of the machine
X86 = ("x86_64", "AMD64")
PROCESSOR = Path("/proc/cpuinfo")
WITH_BFLOAT16 = {"avx512f", "avx_ne_convert"}  # what oneDNN wants of an x86 processor
WITHOUT_BFLOAT16 = "this processor has no bfloat16, which takes six to ten times as long as float32"


def keep_memory() -> bool:
    """Let glibc keep the buffers of images instead of faulting them in anew for every image.

    False where there is another library, or the environment says how it is to be.
    """
    if platform.libc_ver()[0] != "glibc" or any(name in os.environ for name in GIVEN):
        return False
    mallopt = ctypes.CDLL(None).mallopt
    return bool(mallopt(MMAP, LARGEST) and mallopt(TRIM, KEPT))


def emulates_bfloat16() -> bool:
    """Whether this is an x86 processor that must compute in float32 what is asked in bfloat16."""
    with suppress(OSError):
        lines = PROCESSOR.read_text().splitlines()
        flags = next((line.split() for line in lines if line.startswith("flags")), [])
        return bool(flags) and WITH_BFLOAT16.isdisjoint(flags)
    return False


def load_tensorflow() -> None:
    """Import TensorFlow without its noise, and without Keras.

    Keras, a fifth of the time, is left to those who ask for it. Convolutions are oneDNN's,
    and the threads no more than the cores that a container may use.
    """
    if "tensorflow" in sys.modules:
        return
    if platform.machine() in X86:
        os.environ.setdefault(ONEDNN, "1")
    if share():
        os.environ.setdefault(THREADS, str(cores()))
    known = sys.modules.get(KERAS)
    sys.modules[KERAS] = known  # type: ignore[assignment]  # None, as Python says: there is none
    try:
        with cuda.importing_tensorflow():
            import tensorflow  # noqa: F401
    finally:
        if known is None:
            del sys.modules[KERAS]
