"""The two networks of StyleGAN2: Generator (mapping and synthesis) and Discriminator."""

from typing import Literal

import tensorflow as tf

from training.architecture import NetworkConfig
from training.discriminator import Discriminator, discriminator_table
from training.mapping import mapped, mapping_table
from training.parameters import Network, Table, Tensor
from training.synthesis import (
    Draw,
    Noise,
    noise_from_seeds,
    noise_layers,
    noise_sizes,
    synthesis_table,
    synthesised,
)

__all__ = ["Discriminator", "Generator", "NetworkConfig", "discriminator_table", "generator_table"]


def generator_table(config: NetworkConfig) -> Table:
    """The parameters of G."""
    return mapping_table(config) | synthesis_table(config)


class Generator(Network):
    """G: map(z) -> w, synthesize(ws) -> images."""

    def __init__(self, config: NetworkConfig, seed: int) -> None:
        super().__init__(generator_table(config), seed, "generator")
        self.config = config

    @property
    def rows(self) -> int:
        """L: how many rows of w an image is made from."""
        return self.config.rows

    @property
    def w_avg(self) -> Tensor:
        """The running mean of w [w_dim], a variable that the training loop updates."""
        return self.values["mapping/w_avg"]

    def map(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        """z [n, z_dim], labels [n, labels] -> w [n, w_dim]."""
        return mapped(self, z, labels)

    def broadcast(self, w: Tensor) -> Tensor:
        """w [n, w_dim] -> ws [n, L, w_dim]; ws stay as they are."""
        return w if len(w.shape) == 3 else tf.repeat(w[:, None], self.rows, axis=1)

    def truncate(self, w: Tensor, psi: float, cutoff: int | None = None) -> Tensor:
        """w_avg + psi (w - w_avg), of w or ws; with `cutoff` ws, of which the first rows only."""
        near = self.w_avg + psi * (w - self.w_avg)
        if cutoff is None:
            return near
        first = (tf.range(self.rows) < cutoff)[None, :, None]
        return tf.where(first, self.broadcast(near), self.broadcast(w))

    def synthesize(
        self,
        ws: Tensor,
        noise: Literal["random", "const", "none"] = "random",
        draws: Tensor | Draw | None = None,
    ) -> Tensor:
        """ws [n, L, w_dim] (or w for all rows) -> images [n, h, w, c], float32.

        Random noise comes from `draws`: a pair of seeds per sample [n, 2], or a function of
        (layer, shape); the noise of a sample then does not depend on the batch it is in.
        """
        ws = self.broadcast(ws)
        return synthesised(self, self.config, ws, self.noise(ws, noise, draws))

    def noise(self, ws: Tensor, kind: str, draws: Tensor | Draw | None) -> Noise:
        """What every layer adds, before its strength."""
        if kind == "none":
            return None
        layers = noise_layers(self.config)
        if kind == "const":
            return [tf.convert_to_tensor(self.values[f"{name}/noise_const"]) for name in layers]
        if kind != "random":
            raise ValueError(f"noise is random, const or none, not {kind!r}")
        if draws is None:
            raise ValueError("random noise needs draws: seeds [n, 2] or a function")
        if callable(draws):
            n, sizes = ws.shape[0], noise_sizes(self.config)
            return [draws(layer, (n, *size, 1)) for layer, size in enumerate(sizes)]
        return noise_from_seeds(self.config, draws)
