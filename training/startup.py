"""What a process settles before TensorFlow is in it: how memory is kept, and what is printed."""

import ctypes
import os
import platform
import re
import signal
import sys

TRIM, MMAP = -1, -3  # M_TRIM_THRESHOLD and M_MMAP_THRESHOLD of <malloc.h>
LARGEST = 32 << 20  # bytes: what glibc takes as M_MMAP_THRESHOLD, at most
KEPT = 1 << 30  # bytes that may lie free
NOISE = re.compile(rb"(I\d{4} |.* I tensorflow/|WARNING: All log messages before absl)")
GIVEN = ("MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_THRESHOLD_")
# What TensorFlow loads of Keras when all else is there, and does without where it is missing.
KERAS = "keras.src.optimizers"


def keep_memory() -> bool:
    """Let glibc keep the buffers of images instead of faulting them in anew for every image.

    False where there is another library, or the environment says how it is to be.
    """
    if platform.libc_ver()[0] != "glibc" or any(name in os.environ for name in GIVEN):
        return False
    mallopt = ctypes.CDLL(None).mallopt
    return bool(mallopt(MMAP, LARGEST) and mallopt(TRIM, KEPT))


def load_tensorflow() -> None:
    """Import TensorFlow without what it prints whatever it is told; its errors are printed.

    A fork reads along, so that they are even where they end the process. Keras, a fifth of the
    time, is left to those who ask for it.
    """
    if "tensorflow" in sys.modules or "TF_CPP_MAX_VLOG_LEVEL" in os.environ:
        return
    if sys.stderr is not None:
        sys.stderr.flush()
    screen, (read, write) = os.dup(2), os.pipe()
    child = os.fork()
    if not child:
        os.close(write)
        passed_on(read, screen)
    os.close(read)
    os.dup2(write, 2)
    os.close(write)
    known = sys.modules.get(KERAS)
    sys.modules[KERAS] = known  # type: ignore[assignment]  # None, as Python says: there is none
    try:
        import tensorflow  # noqa: F401
    finally:
        if known is None:
            del sys.modules[KERAS]
        os.dup2(screen, 2)
        os.close(screen)
        os.waitpid(child, 0)


def passed_on(read: int, screen: int) -> None:
    """Copy whole lines but NOISE until there are no more, and end this process."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    try:
        with os.fdopen(read, "rb") as lines:
            for line in lines:
                if not NOISE.match(line):
                    os.write(screen, line)
    finally:
        os._exit(0)
