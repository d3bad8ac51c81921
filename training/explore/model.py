"""A generator that draws by seed: the same seed, the same picture, whatever else is asked for."""

from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Literal

import numpy as np

from training import devices
from training.config import ConfigError
from training.exchange.opening import OpenedGenerator, open_generator
from training.explore.asked import Floats, Look, check_label, parsed_levels, rows_of
from training.networks.generator import Maps
from training.run import grids
from training.sampler import Pixels, Sampler

MANY = 256  # latents mapped at a time, where there are thousands


def open_model(
    path: Path,
    noise: Literal["const", "none", "random"] = "const",
    parts: tuple[str, ...] = ("G_ema",),
) -> "Model":
    """Whatever `open_generator` opens, ready to draw; raises its errors."""
    return Model(open_generator(path, parts), noise)


class Model:
    """An opened generator that draws one picture at a time, so that no batch changes one.

    The z of a seed is NVIDIA's, np.random.RandomState(seed).randn(z_dim). Noise is that of the
    file, none, or random, which then depends on the seed.
    """

    def __init__(
        self, opened: OpenedGenerator, noise: Literal["const", "none", "random"] = "const"
    ) -> None:
        devices.set_arithmetic("float32")
        self.opened, self.noise = opened, noise
        self.generator = opened.network()
        self.config = self.generator.config
        if noise == "random":
            self.check_noise()

    @cached_property
    def sampler(self) -> Sampler:
        """Of one picture at a time; its kernels are made when it is first asked for."""
        return Sampler(self.generator.with_kernels(), 1, self.noise)

    def check_noise(self) -> None:
        """Raise ConfigError where the model adds no noise."""
        if not self.generator.maps("const", 1):
            raise ConfigError(
                f"noise: {self.opened.path} is a student, which adds none: leave it out, or name"
                " its teacher"
            )

    @property
    def top(self) -> int:
        """The highest level."""
        return int(self.config.top)

    def said(self, look: Look) -> dict[str, str]:
        """What the metadata of a picture say of the model and of how it was asked."""
        known = {"model": self.opened.digest, **look.said()}
        return known if self.noise == "const" else {**known, "noise": self.noise}

    def check(self, look: Look) -> None:
        """Raise ConfigError where the model has no such class, level or direction."""
        check_label(look.label, self.config.labels)
        if look.cutoff is not None and not 0 <= look.cutoff <= self.top:
            raise ConfigError(f"cutoff = {look.cutoff}: this model has levels 0 to {self.top}")
        for move in look.moves:
            if len(move.step) != self.config.w_dim or max(move.levels) > self.top:
                raise ConfigError(
                    f"direction = {move.name}: it is of a model of another shape: find it anew with"
                    " `directions`"
                )

    def latents(self, seeds: Sequence[int]) -> Floats:
        """Seeds -> z [n, z_dim]."""
        return grids.seeded_latents(seeds, self.config.z_dim)

    def labels(self, seeds: Sequence[int], label: int | None) -> Floats:
        """Seeds -> one-hot labels [n, classes]: the class that is given, or one by seed."""
        return grids.seeded_labels(seeds, self.config.labels, label)

    def mapped(self, z: Floats, labels: Floats) -> Floats:
        """z, labels -> w [n, w_dim], not truncated; thousands of them in large batches."""
        sampler = Sampler(self.generator, MANY) if len(z) >= MANY else self.sampler
        return sampler.styles(z, labels)[:, 0]

    def w(self, seeds: Sequence[int], label: int | None = None) -> Floats:
        """Seeds -> w [n, w_dim], not truncated."""
        return self.mapped(self.latents(seeds), self.labels(seeds, label))

    def styled(self, w: Floats, look: Look) -> Floats:
        """w [n, w_dim] -> ws [n, L, w_dim]: truncated first, then moved along the directions."""
        ws = np.repeat(w[:, None], self.generator.rows, axis=1)
        mean = self.generator.w_avg.numpy()
        last = self.top if look.cutoff is None else look.cutoff
        rows = rows_of(range(last + 1), self.top)
        ws[:, rows] = mean + np.float32(look.psi) * (ws[:, rows] - mean)
        for move in look.moves:
            ws[:, rows_of(move.levels, self.top)] += np.float32(move.amount) * move.step
        return ws

    def styles(self, seeds: Sequence[int], look: Look) -> Floats:
        """Seeds -> ws [n, L, w_dim]."""
        return self.styled(self.w(seeds, look.label), look)

    def pictures(
        self, ws: Floats, seeds: Sequence[int] | None = None, maps: Maps | None = None
    ) -> Pixels:
        """ws [n, L, w_dim] -> uint8 [n, H, W, C]; `seeds` are those of random noise."""
        numbers = range(len(ws)) if seeds is None else seeds
        drawn = [
            self.sampler.pictures(row[None], seed % 2**31, maps)
            for row, seed in zip(ws, numbers, strict=True)
        ]
        return np.concatenate(drawn)

    def drawn(self, seeds: Sequence[int], look: Look) -> Iterator[tuple[int, Pixels]]:
        """(seed, its picture [H, W, C]), one after the other."""
        self.check(look)
        for seed in seeds:
            yield seed, self.pictures(self.styles([seed], look), [seed])[0]

    def levels(self, text: str) -> list[int]:
        """What a person wrote -> levels of this model; raises ConfigError."""
        return parsed_levels(text, self.top)
