"""What is settled before TensorFlow is imported: its own CUDA libraries, and its noise.

They are loaded by path, so that it never opens torch's. TensorFlow searches beside itself, where
torch's cuDNN and NCCL for another CUDA lie under the very names that it looks for. A library that
is loaded already is what the loader finds first.
"""

import ctypes
import gc
import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Thread

FOLDER = Path(sys.prefix) / "cuda-for-tensorflow"  # setup.sh installs NVIDIA's wheels into it
DRIVER = Path("/proc/driver/nvidia/gpus")
# As TensorFlow 2.21 looks for them; a library comes after those that it needs.
LIBRARIES = (
    "cuda_runtime/lib/libcudart.so.12",
    "cuda_nvrtc/lib/libnvrtc.so.12",
    "nvjitlink/lib/libnvJitLink.so.12",
    "cublas/lib/libcublasLt.so.12",
    "cublas/lib/libcublas.so.12",
    "cufft/lib/libcufft.so.11",
    "curand/lib/libcurand.so.10",
    "cusparse/lib/libcusparse.so.12",
    "cusolver/lib/libcusolver.so.11",
    "cuda_cupti/lib/libcupti.so.12",
    "cudnn/lib/libcudnn.so.9",
    "nccl/lib/libnccl.so.2",
)
CARDS = "CUDA_VISIBLE_DEVICES"  # read by the driver when a process first asks for it
COMPILER = "--xla_gpu_cuda_data_dir"
GROWTH = "TF_FORCE_GPU_ALLOW_GROWTH"  # else TensorFlow takes nearly all of a card's memory at once

LEVEL = "TF_CPP_MIN_LOG_LEVEL"
NOISE = (
    "^(I[0-9]{4} |.* I tensorflow/|WARNING: All log messages before absl"
    "|To enable the following instructions: )"  # the second line of a message
)

LAST_WORDS = 2  # seconds for what TensorFlow said last, so that it comes before what follows

missing = ""  # the library for want of which `prepare` hid the cards
given = os.environ.get(CARDS)


def prepare() -> None:
    """Load the libraries, or hide the cards where one is missing; before TensorFlow is imported.

    Of a card's memory a process takes what it needs: pictures can be drawn beside a training.
    """
    global missing
    os.environ.setdefault(GROWTH, "true")
    if not card():
        return
    for place in LIBRARIES:
        own = FOLDER / "nvidia" / place
        try:
            ctypes.CDLL(str(own) if FOLDER.is_dir() else own.name)  # or as the system knows it
        except OSError:
            missing = own.name
            os.environ[CARDS] = "-1"
            return
    if FOLDER.is_dir() and COMPILER not in os.environ.get("XLA_FLAGS", ""):
        flags = f"{COMPILER}='{FOLDER / 'nvidia' / 'cuda_nvcc'}'"
        os.environ["XLA_FLAGS"] = " ".join(filter(None, (os.environ.get("XLA_FLAGS"), flags)))


@contextmanager
def importing_tensorflow() -> Iterator[None]:
    """While TensorFlow is imported: without its words, and in three quarters of the time."""
    if "tensorflow" in sys.modules:
        yield
        return
    with uncollected(), without_noise():
        yield
    logging.getLogger("absl").setLevel(logging.CRITICAL)  # it logs what it goes on after, traced


@contextmanager
def uncollected() -> Iterator[None]:
    """While much is made that stays: no collection looks through it, now or later."""
    before = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if before:
            gc.enable()


@contextmanager
def without_noise() -> Iterator[None]:
    """While what TensorFlow prints at its start, whatever it is told, is kept from the screen.

    Later it keeps its words to itself: what it has to say is raised. A process of its own reads
    along, so that errors are seen even where they end this one: no fork, as a worker has threads.
    """
    os.environ.setdefault(LEVEL, "3")
    wanted = "TF_CPP_MAX_VLOG_LEVEL" in os.environ
    if wanted or sys.stderr is None:
        yield
        return
    sys.stderr.flush()
    screen, (read, write) = os.dup(2), os.pipe()
    words = ["grep", "-avE", "--line-buffered", NOISE]
    reader = None
    with suppress(OSError):  # no grep: all is seen
        reader = subprocess.Popen(words, stdin=read, stdout=screen, start_new_session=True)
        os.dup2(write, 2)
    for end in (read, write):
        os.close(end)
    try:
        yield
    finally:
        os.dup2(screen, 2)
        os.close(screen)
        if reader:
            ending = Thread(target=reader.wait, daemon=True)
            ending.start()
            ending.join(LAST_WORDS)  # longer it reads where a child that began meanwhile may write


def environment() -> dict[str, str]:
    """The environment for a process without TensorFlow: with the cards that `prepare` hid."""
    known = dict(os.environ)
    if missing:
        del known[CARDS]
    return known | ({} if given is None else {CARDS: given})


def card() -> bool:
    """Whether the driver of an NVIDIA card says that one is there."""
    if DRIVER.is_dir():
        return any(DRIVER.iterdir())
    try:
        asked = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True, timeout=30)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return asked.stdout.startswith("GPU ")


def why_none(device: str) -> str:
    """Why TensorFlow uses no card though one is there, and the way out; empty without a card."""
    if not card():
        return ""
    if device == "cpu":
        return "the NVIDIA card is left alone, as device = cpu says"
    if missing:
        return (
            f"the NVIDIA card needs TensorFlow's CUDA libraries ({missing} is missing):"
            " GPU=1 make setup installs them"
        )
    if os.environ.get(CARDS) in ("", "-1"):
        return f"{CARDS} = {os.environ[CARDS]!r} hides the NVIDIA card: unset it"
    return f"TensorFlow does not take the NVIDIA card: {LEVEL}=0 shows why"
