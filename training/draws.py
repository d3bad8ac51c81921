"""All chance of training: every draw depends on (seed, what it is for, sample number) alone.

So it does not depend on how a minibatch is cut into rounds, and needs no state to resume.
"""

import zlib
from dataclasses import dataclass

import tensorflow as tf

from training.networks.parameters import Tensor


@dataclass(frozen=True)
class Draws:
    """The chance of one round: samples first, first + rounds, ... of the minibatch after `seen`."""

    seed: int
    phase: str
    seen: Tensor  # images seen before this minibatch, int64
    first: Tensor  # the number of the round, int64
    rounds: int
    count: int  # samples in this round

    def seeds(self, purpose: str) -> Tensor:
        """A pair of seeds per sample [count, 2]."""
        numbers = self.seen + self.first + self.rounds * tf.range(self.count, dtype=tf.int64)
        keys = tf.fill([self.count], tf.constant(self.key(purpose), tf.int64))
        return tf.stack([keys, numbers], axis=1)

    def normal(self, purpose: str, shape: tuple[int, ...]) -> Tensor:
        """N(0, 1) of [count, *shape]."""
        pairs = tf.unstack(self.seeds(purpose), num=self.count)
        return tf.stack([tf.random.stateless_normal(shape, pair, alg="philox") for pair in pairs])

    def choices(self, purpose: str, below: int) -> Tensor:
        """Whole numbers from 0 on, below `below`, of [count]."""
        pairs = tf.unstack(self.seeds(purpose), num=self.count)
        return tf.stack([whole(pair, 0, below) for pair in pairs])

    def cutoff(self, probability: float, rows: int) -> Tensor:
        """Where two styles meet, one for the whole minibatch: 1 ... rows - 1, or rows for nowhere.

        Section 3.1 of the StyleGAN paper.
        """
        mixed = self.whole_batch("mixed")
        place = whole(self.whole_batch("place"), 1, rows)
        return tf.where(uniform(mixed) < probability, place, rows)

    def whole_batch(self, purpose: str) -> Tensor:
        """One pair of seeds for all samples of the minibatch."""
        return tf.stack([tf.constant(self.key(purpose), tf.int64), self.seen])

    def key(self, purpose: str) -> int:
        return zlib.crc32(f"{self.seed}/{self.phase}/{purpose}".encode())


def uniform(pair: Tensor) -> Tensor:
    """One number in [0, 1)."""
    return tf.random.stateless_uniform([], pair, alg="philox")


def whole(pair: Tensor, low: int, below: int) -> Tensor:
    """One whole number in [low, below)."""
    return tf.random.stateless_uniform([], pair, low, below, tf.int32, alg="philox")
