"""Fakes for metrics: pictures of a generator, the same ones every time."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from training.features.client import AT_ONCE, Pixels
from training.networks.generator import Generator
from training.sampler import Sampler

SEED = 0  # of latents and labels
PIXELS_AT_ONCE = 4 * 2**20  # generated together


class Fakes:
    """Pictures of a generator, untruncated, with random noise; number i is always the same one.

    Labels are those of real images drawn by chance, as in training. Names of figures begin with
    `whose` they are, where that is another's than the run's own.
    """

    def __init__(self, generator: Generator, labels: NDArray[np.float32], whose: str = "") -> None:
        size = generator.config
        self.generator, self.labels, self.whose = generator, labels, whose
        at_once = int(np.clip(PIXELS_AT_ONCE // (size.height * size.width), 4, AT_ONCE))
        self.sampler = Sampler(generator, at_once, noise="random")

    @property
    def conditional(self) -> bool:
        return bool(self.generator.config.labels)

    def batches(self, count: int) -> Iterator[tuple[list[Pixels], list[int]]]:
        """(pictures HWC uint8, the class that each was made with) of fakes 0 ... count - 1."""
        for start in range(0, count, self.sampler.at_once):
            numbers = np.arange(start, min(start + self.sampler.at_once, count))
            z, labels = self.drawn(numbers)
            made_with = labels.argmax(axis=1) if labels.shape[1] else np.zeros(len(numbers), int)
            yield list(self.sampler(z, labels, first=start)), made_with.tolist()

    def drawn(self, numbers: NDArray[np.int64]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """z [n, z_dim] and labels [n, classes or 0]."""
        chance = [np.random.default_rng([SEED, 4, int(number)]) for number in numbers]
        chosen = [int(rng.integers(len(self.labels))) for rng in chance]
        z = np.stack([rng.standard_normal(self.generator.config.z_dim) for rng in chance])
        labels = self.labels[chosen][:, : self.generator.config.labels]
        return z.astype(np.float32), labels
