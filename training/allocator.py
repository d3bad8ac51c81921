"""What the C library does with memory that is given back."""

import ctypes
import os
import platform

TRIM, MMAP = -1, -3  # M_TRIM_THRESHOLD and M_MMAP_THRESHOLD of <malloc.h>
LARGEST = 32 << 20  # bytes: what glibc takes as M_MMAP_THRESHOLD, at most
KEPT = 1 << 30  # bytes that may lie free
GIVEN = ("MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_THRESHOLD_")


def keep_memory() -> bool:
    """Let glibc keep the buffers of images instead of faulting them in anew for every image.

    False where there is another library, or the environment says how it is to be.
    """
    if platform.libc_ver()[0] != "glibc" or any(name in os.environ for name in GIVEN):
        return False
    mallopt = ctypes.CDLL(None).mallopt
    return bool(mallopt(MMAP, LARGEST) and mallopt(TRIM, KEPT))
