"""Pictures of a generator: latents -> styles -> uint8, in batches that are all equally long."""

from collections.abc import Iterator
from typing import Any, Literal

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from training.batches import encode
from training.draws import Draws
from training.networks import cpu, layers
from training.networks.generator import Generator, Maps
from training.networks.parameters import Tensor

Floats = NDArray[np.float32]
Pixels = NDArray[np.uint8]  # ..., H, W, C
AT_ONCE = 8  # images generated at a time: a grid in one batch is a common way out of memory
SEED = 0  # of random noise


class Sampler:
    """Turns latents into pixels, `at_once` at a time.

    Noise is the generator's own maps, none, or random: that of picture number i is always the same.
    """

    def __init__(
        self,
        generator: Generator,
        at_once: int = AT_ONCE,
        noise: Literal["const", "none", "random"] = "const",
    ) -> None:
        self.generator, self.at_once, self.noise = generator, at_once, noise
        self.map = tf.function(self.mapped, autograph=False)
        self.draw = tf.function(self.drawn, autograph=False)

    def __call__(
        self,
        z: Floats,
        labels: Floats | None = None,
        psi: float = 1.0,
        cutoff: int | None = None,
        first: int = 0,
    ) -> Pixels:
        """z [n, z_dim], labels [n, classes] -> uint8 [n, H, W, C]; `first` is z[0]'s number."""
        return self.pictures(self.styles(z, labels, psi, cutoff), first)

    def styles(
        self, z: Floats, labels: Floats | None = None, psi: float = 1.0, cutoff: int | None = None
    ) -> Floats:
        """z [n, z_dim], labels [n, classes] -> ws [n, L, w_dim], truncated below row `cutoff`."""
        rows = self.generator.rows if cutoff is None else cutoff
        near = tf.constant(psi, tf.float32), tf.constant(rows)
        if labels is None:
            labels = np.zeros((len(z), 0), np.float32)
        return np.concatenate(
            [self.map(*part, *near).numpy()[:n] for n, *part in self.cut(z, labels)]
        )

    def pictures(self, ws: Floats, first: int = 0, maps: Maps | None = None) -> Pixels:
        """ws [n, L, w_dim] -> uint8 [n, H, W, C], with the noise of `maps` where given."""
        found, number = [], first
        for n, part in self.cut(ws):
            start = tf.constant(number, tf.int64)
            found.append(encode(self.draw(part, start, maps).numpy()[:n]))
            number += n
        return np.concatenate(found)

    def cut(self, *rows: Floats) -> Iterator[Any]:
        """(how many count, the arrays), filled up with the last row to `at_once`."""
        for start in range(0, len(rows[0]), self.at_once):
            parts = [part[start : start + self.at_once] for part in rows]
            yield len(parts[0]), *(filled(part, self.at_once) for part in parts)

    def mapped(self, z: Tensor, labels: Tensor, psi: Tensor, cutoff: Tensor) -> Tensor:
        with layers.without_gradients():
            w = self.generator.map(z, labels if self.generator.config.labels else None)
            return self.generator.truncate(w, psi, cutoff)

    def drawn(self, ws: Tensor, start: Tensor, maps: Maps | None) -> Tensor:
        with layers.without_gradients(), cpu.allowed(cpu.on_cpu("drawing")):
            return self.synthesized(ws, start, maps)

    def synthesized(self, ws: Tensor, start: Tensor, maps: Maps | None) -> Tensor:
        if maps is not None:
            return self.generator.synthesize(ws, maps)
        if self.noise != "random":
            return self.generator.synthesize(ws, self.noise)
        part = tf.constant(0, tf.int64)
        draws = Draws(SEED, "pictures", start, part, parts=1, count=self.at_once)
        return self.generator.synthesize(ws, draws.noise)


def filled(rows: Floats, count: int) -> Tensor:
    """Rows filled up with the last one."""
    return tf.constant(np.concatenate([rows, np.repeat(rows[-1:], count - len(rows), axis=0)]))
