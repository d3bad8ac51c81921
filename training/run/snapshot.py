"""What a snapshot leaves beside the checkpoint: grids, and D's scores of the same real images."""

from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from atelier import files
from training.batches import decode, encode
from training.config import Config
from training.devices import Replicas
from training.networks.generator import Generator
from training.run import board, charts, grids
from training.sampler import Pixels, Sampler
from training.sources import Source
from training.state import State

WATCHED = 64  # real images whose scores are followed


class Snapshots:
    """Draws the pictures of a run; latents, labels and real images are the same every time.

    Above each row of them stands what the `teacher`, if there is one, makes of the same latents.
    """

    def __init__(
        self,
        run: Path,
        state: State,
        config: Config,
        source: Source,
        replicas: Replicas,
        teacher: Generator | None = None,
    ) -> None:
        self.run, self.state, self.config, self.replicas = run, state, config, replicas
        size, judge = state.networks["G"].config, state.networks["D"]
        options = (config.run.grid_columns, config.run.grid_rows)
        self.columns, self.rows = grids.grid_size(size.height, size.width, *options)
        self.sampler = Sampler(state.networks["G_ema"])
        self.teacher = Sampler(teacher) if teacher else None
        seeds = [config.run.seed * 100003 + number for number in range(self.columns * self.rows)]
        self.z = grids.seeded_latents((seed % 2**32 for seed in seeds), size.z_dim)
        rng = np.random.default_rng([config.run.seed, 2])
        self.labels = np.zeros((len(self.z), 0), np.float32)
        if size.labels:
            self.labels = source.labels[rng.integers(len(source), size=len(self.z))]
        numbers = rng.permutation(len(source))[:WATCHED]
        # Scores depend on a minibatch's other images: always the same few go together.
        group = judge.config.mbstd_group or config.run.batch
        self.group = min(group, len(numbers))
        self.numbers = numbers[: len(numbers) // self.group * self.group]
        self.source = source
        self.score = tf.function(lambda *args: judge(*args), autograph=False)

    def leave(self) -> None:
        """All pictures of this moment; of several processes that train together, one draws."""
        if self.replicas.chief:
            self.draw_reals()
            self.draw()
            self.score_reals()

    def draw_reals(self) -> None:
        """A grid of real images as the networks see them, once."""
        path = self.run / "grids" / "reals.png"
        if path.exists():
            return
        count = self.columns * self.rows
        pixels = np.stack([self.source.read(i % len(self.source)) for i in range(count)])
        grids.write_png(path, grids.tiled(encode(decode(pixels).numpy()), self.columns))

    def draw(self) -> None:
        """Both grids after the images seen so far."""
        drawn: dict[str, Path] = {}
        for psi, name in ((1.0, "fakes"), (self.config.run.psi, f"psi{self.config.run.psi:g}")):
            pictures = self.pictures(psi)
            path = self.run / "grids" / f"{name}-{self.state.seen:010d}.png"
            grids.write_png(path, grids.tiled(pictures, self.columns))
            drawn[name] = path
        board.show_grids(self.run, drawn, self.state.seen)

    def pictures(self, psi: float) -> Pixels:
        """What is on a grid, row by row."""
        own = self.sampler(self.z, self.labels, psi)
        if not self.teacher:
            return own
        wanted = self.teacher(self.z, self.labels, psi)
        rows = [part.reshape(self.rows, self.columns, *own.shape[1:]) for part in (wanted, own)]
        return np.stack(rows, axis=1).reshape(-1, *own.shape[1:])

    def score_reals(self) -> None:
        """One more line of D's scores of the watched images, and their chart."""
        scores: list[float] = []
        for chosen in np.split(self.numbers, len(self.numbers) // self.group):
            images = decode(np.stack([self.source.read(int(i)) for i in chosen]))
            labels = tf.constant(self.source.labels[chosen])
            known = labels if self.state.networks["D"].config.labels else None
            scores += self.score(images, known).numpy()[:, 0].tolist()
        path = self.run / "real_scores.jsonl"
        known = files.read_lines(path, seen=int, scores=list)
        rows = [row for row in known if row["seen"] < self.state.seen]
        rows.append({"seen": self.state.seen, "images": self.numbers.tolist(), "scores": scores})
        files.write_lines(path, rows)
        charts.write_scores(self.run / "real_scores.svg", [*filter(self.is_of_these, rows)])

    def is_of_these(self, row: dict[str, Any]) -> bool:
        """Whether a line has a score for each of the watched images, which other batches change."""
        scores, images = row["scores"], self.numbers.tolist()
        numbers = all(type(score) is float for score in scores)
        return row.get("images") == images and len(scores) == len(images) and numbers

    def film(self) -> None:
        """progress.mp4 of all untruncated grids."""
        frames = sorted((self.run / "grids").glob("fakes-*.png"))
        if frames and self.replicas.chief:
            grids.write_film(self.run / "progress.mp4", frames)
