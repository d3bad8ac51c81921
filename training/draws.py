"""All chance of training: every draw depends on (seed, what it is for, sample number) alone.

Philox (Salmon et al. 2011) gives four numbers of 32 bits for each value of its counter. A sample
has as many values to itself as it needs, from its number on, so that all samples of a minibatch are
one draw, and a part of them is a slice of it: how a minibatch is cut changes nothing, there is no
state to resume, and no graph grows with the batch. Bits are turned into floats here, not by
TensorFlow, whose XLA does that in an order of its own.
"""

import hashlib
import math
from dataclasses import dataclass

import tensorflow as tf

from training.networks.parameters import Tensor

PHILOX = 1  # as TensorFlow's operations call it
PER_COUNT = 4  # numbers of 32 bits


@dataclass(frozen=True)
class Draws:
    """The chance of one part of a minibatch: its samples i with i mod parts = part."""

    seed: int
    phase: str
    seen: Tensor  # images seen before this minibatch, int64
    part: Tensor  # int64
    parts: int
    count: int  # samples in this part

    def uniform(self, purpose: str, shape: tuple[int, ...]) -> Tensor:
        """U(0, 1) of [count, *shape], never 1."""
        return self.own(self.units(purpose, math.prod(shape)), shape)

    def normal(self, purpose: str, shape: tuple[int, ...]) -> Tensor:
        """N(0, 1) of [count, *shape], two at a time (Box and Muller 1958)."""
        one, other = tf.unstack(self.units(purpose, math.prod(shape), pairs=True), axis=2)
        radius = tf.sqrt(-2 * tf.math.log(one + 2.0**-24))
        angle = 2 * math.pi * other
        both = tf.concat([radius * tf.cos(angle), radius * tf.sin(angle)], axis=1)
        return self.own(both, shape)

    def noise(self, layer: int, shape: tuple[int, int, int, int]) -> Tensor:
        """The random noise that layer `layer` of G adds: N(0, 1) [count, h, w, 1]."""
        return self.normal(f"noise {layer}", shape[1:])

    def choices(self, purpose: str, below: int) -> Tensor:
        """Whole numbers from 0 on, below `below`, of [count], int64."""
        numbers = tf.raw_ops.StatelessRandomUniformIntV2(
            shape=[self.parts * self.count * 2],  # of 64 bits: two for each value of the counter
            key=self.key(purpose),
            counter=counter(self.seen),
            alg=PHILOX,
            minval=tf.constant(0, tf.int64),
            maxval=tf.constant(below, tf.int64),
        )
        return self.own(tf.reshape(numbers, [-1, 2]), (1,))[:, 0]

    def cutoff(self, probability: float, rows: int) -> Tensor:
        """Where two styles meet, one for the whole minibatch: 1 ... rows - 1, or rows for nowhere.

        A float32, since an int32 would be compared on the host (section 3.1 of the StyleGAN paper).
        """
        mixed, place = tf.unstack(self.units("mixing", 2, samples=1)[0, :2])
        return tf.where(mixed < probability, 1 + tf.floor(place * (rows - 1)), float(rows))

    def units(
        self, purpose: str, numbers: int, pairs: bool = False, samples: int | None = None
    ) -> Tensor:
        """Multiples of 2^-24 in [0, 1) for all samples, at least `numbers` of each.

        [samples, numbers], or as pairs [samples, numbers / 2, 2].
        """
        samples = samples or self.parts * self.count
        counts = math.ceil(numbers / PER_COUNT)
        bits = tf.raw_ops.StatelessRandomUniformFullIntV2(
            shape=[samples * counts * PER_COUNT],
            key=self.key(purpose),
            counter=counter(self.seen * counts),
            alg=PHILOX,
            dtype=tf.uint32,
        )
        bits = tf.bitwise.right_shift(bits, tf.constant(8, tf.uint32))
        units = tf.cast(bits, tf.float32) * 2.0**-24
        sizes = [counts * PER_COUNT // 2, 2] if pairs else [counts * PER_COUNT]
        return tf.reshape(units, [samples, *sizes])

    def own(self, numbers: Tensor, shape: tuple[int, ...]) -> Tensor:
        """Of [parts * count, at least as many] those of this part, as [count, *shape]."""
        wide = numbers.shape[1]
        if self.parts > 1:
            dealt = tf.reshape(numbers, [self.count, self.parts, wide])
            numbers = tf.gather(dealt, self.part, axis=1)
        return tf.reshape(numbers[:, : math.prod(shape)], [self.count, *shape])

    def key(self, purpose: str) -> Tensor:
        """64 bits for this seed, phase and purpose."""
        text = f"{self.seed}/{self.phase}/{purpose}"
        digest = hashlib.sha256(text.encode()).digest()
        return tf.constant([int.from_bytes(digest[:8], "little")], tf.uint64)


def counter(low: Tensor) -> Tensor:
    """Where Philox begins: 128 bits, of which the lower 64 are given as int64."""
    return tf.stack([tf.cast(low, tf.uint64), tf.constant(0, tf.uint64)])
