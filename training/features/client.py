"""The features process seen from outside: TensorFlow may live here, torch lives there."""

import os
import subprocess
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from atelier import cuda
from atelier.cores import cores
from atelier.errors import Refusal
from training.features import frames

Pixels = NDArray[np.uint8]  # H, W, C
Kind = Literal["inception", "random-inception", "classifier"]
STANDINS: tuple[Kind, ...] = ("random-inception", "classifier")

AT_ONCE = 32  # pictures per message, at most
MOST_BYTES = 64 * 2**20  # of pixels per message, unless one picture has more
LAST_WORDS = 300  # characters of a dead process' own words that are shown
GRACE = 5  # seconds to end in


class FeaturesError(Refusal):
    """The features process cannot go on; the message says why."""


@dataclass(frozen=True)
class Net:
    """Which feature network: `weights` is a file of Inception's, or the classifier's place."""

    kind: Kind
    weights: str = ""  # of inception, empty: pytorch-fid's download
    device: Literal["auto", "cpu", "gpu"] = "auto"
    threads: int = 0  # 0: all cores


@dataclass(frozen=True)
class Lessons:
    """What a classifier learns from: batches of pictures, with the class of each."""

    size: tuple[int, int]
    classes: int
    batches: Iterable[tuple[Sequence[Pixels], Sequence[int]]]


@dataclass(frozen=True)
class Answer:
    """Features [n, dims] of n pictures, and the classes a classifier takes them for."""

    features: NDArray[np.float32]
    classes: Sequence[int]


class Extractor:
    """Turns pictures into features in a process of its own; use it in a `with` statement.

    `label` is what every figure made with it must carry, empty for the real Inception alone;
    `taught` says what a classifier that was made for it can do; features of two processes with the
    same `fingerprint` may be compared.
    """

    def __init__(self, net: Net, lessons: Lessons | None = None) -> None:
        """Start it; raises FeaturesError where the network cannot be had."""
        self.words = TemporaryFile()  # noqa: SIM115 - closed with the process
        root = str(Path(__file__).parents[2])
        path = os.pathsep.join(filter(None, (root, os.environ.get("PYTHONPATH"))))
        self.process = subprocess.Popen(
            [sys.executable, "-m", "training.features.server"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.words,
            # Threads that wait by sleeping leave the processor to the generator's.
            env={"OMP_WAIT_POLICY": "PASSIVE", **cuda.environment(), "PYTHONPATH": path},
        )
        try:
            self.taught = self.begin(net, lessons)
            ready, _ = self.receive()
        except BaseException:
            self.close()
            raise
        self.dims, self.label, self.device = ready["dims"], ready["label"], ready["device"]
        self.fingerprint: str = ready["fingerprint"]

    def begin(self, net: Net, lessons: Lessons | None) -> dict[str, Any] | None:
        """Say which network; teach it if there are lessons."""
        school = {"size": lessons.size, "classes": lessons.classes} if lessons else None
        about = {"kind": net.kind, "weights": net.weights, "device": net.device}
        self.send({**about, "threads": net.threads or cores(), "school": school})
        if lessons is None:
            return None
        for batch, labels in lessons.batches:
            self.send({"shapes": [p.shape for p in batch], "labels": list(labels)}, joined(batch))
        self.send({"shapes": []})
        return self.receive()[0]

    def stream(self, batches: Iterable[Sequence[Pixels]]) -> Iterator[Answer]:
        """The features of each batch; the next batch is made while these are computed.

        No message is sent before the last one was answered: both sides writing would hang.
        """
        waiting = 0
        for batch in batches:
            if waiting:
                yield self.answer(waiting)
            self.send({"shapes": [picture.shape for picture in batch]}, joined(batch))
            waiting = len(batch)
        if waiting:
            yield self.answer(waiting)

    def answer(self, count: int) -> Answer:
        about, payload = self.receive()
        features = np.frombuffer(payload, np.float32).reshape(count, self.dims)
        return Answer(features, about["classes"] or ())

    def send(self, about: dict[str, Any], payload: bytes = b"") -> None:
        assert self.process.stdin
        try:
            frames.send(self.process.stdin, about, payload)
        except frames.EndError:
            self.receive()  # it may have said why
            raise self.died() from None

    def receive(self) -> tuple[dict[str, Any], bytes]:
        assert self.process.stdout
        try:
            about, payload = frames.receive(self.process.stdout)
        except frames.EndError:
            raise self.died() from None
        if "error" in about:
            raise FeaturesError(about["error"])
        return about, payload

    def died(self) -> FeaturesError:
        """One sentence: how it ended, and the end of what it said."""
        try:
            code: int | str = self.process.wait(GRACE)
        except subprocess.TimeoutExpired:
            code = "none, it still runs"
        self.words.seek(0)
        said = self.words.read().decode(errors="replace").strip().split("\n")[-1][-LAST_WORDS:]
        return FeaturesError(
            f"the features process ended with code {code}: {said or 'it left no word'}"
            "; try again, with less memory in use or with --device cpu"
        )

    def close(self) -> None:
        """End the process; it ends by itself when its input does."""
        for pipe in (self.process.stdin, self.process.stdout):
            assert pipe
            with suppress(BrokenPipeError):
                pipe.close()
        try:
            self.process.wait(GRACE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.words.close()

    def __enter__(self) -> "Extractor":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def joined(batch: Sequence[Pixels]) -> bytes:
    return b"".join(picture.tobytes() for picture in batch)


def batched(pictures: Iterable[Pixels]) -> Iterator[list[Pixels]]:
    """Pictures of any sizes in messages that are not too large."""
    batch: list[Pixels] = []
    size = 0
    for picture in pictures:
        if batch and (len(batch) == AT_ONCE or size + picture.nbytes > MOST_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(picture)
        size += picture.nbytes
    if batch:
        yield batch
