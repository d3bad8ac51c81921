"""The features process: uint8 pictures in, float32 features out. Torch only; no TensorFlow.

Started by `training.features.client` as `python -m training.features.server`. It answers each
message on its standard input with one on its standard output, and ends when its parent does.
"""

import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO, Any, Literal, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from atelier.errors import words_of
from atelier.files import digest_file
from training.features import frames
from training.features.standin import Classifier, School

Pixels = NDArray[np.uint8]  # H, W, C

# pytorch-fid's weights are named after the beginning of their SHA-256, as torch's hub asks for.
REAL_DIGEST = "6726825d"
PATIENCE = 30  # seconds without a byte, after which a download has failed


class FeatureNetwork(Protocol):
    """Pictures to features; one that classifies leaves its guesses in `classes`."""

    dims: int

    def __call__(self, pictures: Iterable[Pixels]) -> NDArray[np.float32]: ...


def main() -> None:
    """Answer until the other side is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, which then ends us
    out = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever a library prints must not become an answer
    socket.setdefaulttimeout(PATIENCE)
    threading.Thread(target=end_with, args=(os.getppid(),), daemon=True).start()
    with suppress(frames.EndError):
        try:
            serve(sys.stdin.buffer, out)
        except (ValueError, OSError) as error:
            frames.send(out, {"error": words_of(error)})


def end_with(parent: int) -> None:
    """End at most a second after the parent, also while something is computed."""
    while os.getppid() == parent:
        time.sleep(1)
    os._exit(1)


def serve(inbox: IO[bytes], out: IO[bytes]) -> None:
    """First message: which network. All others: pictures."""
    wanted, _ = frames.receive(inbox)
    torch.set_num_threads(wanted["threads"])
    device = chosen_device(wanted["device"])
    if wanted["school"]:
        frames.send(out, learnt(inbox, wanted, device))
    net, label, fingerprint = build_network(wanted, device)
    known = {"dims": net.dims, "label": label, "fingerprint": fingerprint, "device": device}
    frames.send(out, known)
    while True:
        about, payload = frames.receive(inbox)
        features = net(pictures(about["shapes"], payload))
        frames.send(out, {"classes": getattr(net, "classes", None)}, features.tobytes())


def learnt(inbox: IO[bytes], wanted: dict[str, Any], device: str) -> dict[str, Any]:
    """Teach a classifier with the messages that follow, up to one without pictures."""
    school = School(wanted["school"]["size"], wanted["school"]["classes"])
    while True:
        about, payload = frames.receive(inbox)
        if not about["shapes"]:
            return school.teach(Path(wanted["weights"]), device)
        school.add(pictures(about["shapes"], payload), about["labels"])


def chosen_device(wanted: str) -> Literal["cpu", "cuda"]:
    """cuda where it is wanted or left open, and torch sees one."""
    if wanted != "cpu" and torch.cuda.is_available():
        return "cuda"
    if wanted == "gpu":
        raise ValueError("device = gpu, but torch sees no GPU: give --device cpu, or auto")
    return "cpu"


def build_network(
    wanted: dict[str, Any], device: Literal["cpu", "cuda"]
) -> tuple[FeatureNetwork, str, str]:
    """The network, the label that its figures carry, and what tells it from all others.

    The label is empty for pytorch-fid's own weights alone.
    """
    weights, threads = Path(wanted["weights"]), wanted["threads"]
    if wanted["kind"] == "classifier":
        return Classifier(weights, device), "classifier", f"classifier {digest_file(weights)}"
    # With torchvision, which a classifier does without: it takes as long as torch itself.
    from training.features.inception import Inception
    from training.features.untrained import write_inception

    if wanted["kind"] == "random-inception":
        with TemporaryDirectory() as folder:
            made = Path(folder, "weights.pth")
            write_inception(made)
            net = Inception(made, device=device, threads=threads)
        return net, "random-inception", f"random-inception 1 {torch.__version__}"
    try:
        given = weights if wanted["weights"] else None
        net = Inception(given, device=device, threads=threads)
    except ConnectionError as error:
        raise ConnectionError(
            f"{words_of(error)}; or measure with --standin random-inception, or where the data has"
            " classes with --standin classifier: figures that are no FID"
        ) from None
    first = digest_file(given or downloaded())[:8]
    return net, "" if first == REAL_DIGEST else f"inception-{first}", f"inception {first}"


def downloaded() -> Path:
    """Where torch's hub keeps pytorch-fid's weights."""
    from pytorch_fid.inception import FID_WEIGHTS_URL

    return Path(torch.hub.get_dir(), "checkpoints", FID_WEIGHTS_URL.rsplit("/", 1)[1])


def pictures(shapes: Iterable[tuple[int, int, int]], payload: bytes) -> Iterable[Pixels]:
    """The pictures of a message, one after the other, as RGB."""
    at = 0
    for height, width, channels in shapes:
        size = height * width * channels
        pixels = np.frombuffer(payload, np.uint8, size, at).reshape(height, width, channels)
        at += size
        yield rgb(pixels)


def rgb(pixels: Pixels) -> Pixels:
    """Grey is repeated; RGBA, whose colours are not multiplied by alpha, is laid on white."""
    if pixels.shape[2] == 1:
        return np.repeat(pixels, 3, axis=2)
    if pixels.shape[2] == 3:
        return pixels
    colours, alpha = pixels[..., :3].astype(np.float32), pixels[..., 3:] / np.float32(255)
    return np.asarray(np.rint(colours * alpha + 255 * (1 - alpha)), np.uint8)


if __name__ == "__main__":
    main()
