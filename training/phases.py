"""The four gradients of a minibatch: G, its path lengths, D, its R1 penalty.

Each is computed in parts, as replicas and rounds cut it: part p of n has the samples i with
i mod n = p, and gives its share of the mean over the minibatch.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from math import gcd
from typing import Any

import tensorflow as tf
from numpy.typing import NDArray

from training import losses
from training.adam import Adam
from training.augment import pipe as augment
from training.config import Config
from training.devices import Replicas, path_batch
from training.draws import Draws
from training.networks.layers import keeping
from training.networks.parameters import Tensor
from training.state import State

Share = tuple[list[Tensor], dict[str, Tensor]]  # gradients, and numbers for the journal


class Phases:
    """Compiled gradients; `labels` [images, classes] are those that fakes are drawn from."""

    def __init__(
        self, state: State, config: Config, labels: NDArray[Any], replicas: Replicas
    ) -> None:
        self.state, self.config, self.replicas = state, config, replicas
        self.batch, self.path_batch = config.run.batch, path_batch(config)
        self.rounds = config.run.accumulation
        self.path_rounds = gcd(self.path_batch // replicas.count, self.rounds)
        self.labels = tf.constant(labels) if config.data.labels else None
        self.g_main = self.compiled(self.g_main_share)
        self.g_path = self.compiled(self.g_path_share)
        self.path_mean = self.compiled(self.path_mean_share)
        self.d_main = self.compiled(self.d_main_share)
        self.d_r1 = self.compiled(self.d_r1_share)
        self.average = replicas.each(self.averaged)

    def compiled(self, share: Callable[..., Any]) -> Callable[..., Any]:
        """(seen, round, ...) -> what `share` gives for this replica's part of that round."""

        def own(seen: Tensor, number: Tensor, *more: Tensor) -> Any:
            return share(seen, self.replicas.part(number), *more)

        return self.replicas.each(own, self.config.run.xla)

    # Each phase: gradients of a loss that is summed over the part and divided by the minibatch.

    def g_main_share(self, seen: Tensor, part: Tensor) -> Share:
        """softplus(-D(G(z)))."""
        draws = self.draws("g main", seen, part, self.rounds, self.batch)
        with self.learning(self.state.g_adam) as tape:
            ws, w, labels = self.styles(draws)
            images = self.state.generator.synthesize(ws, "random", draws.seeds("noise"))
            scores = self.state.discriminator(self.augmented(images, draws, "fake"), labels)
            loss = tf.reduce_sum(losses.g_loss(scores)) / self.batch
        return self.gradients(tape, loss, self.state.g_adam), {
            "Loss/G/loss": loss,
            "images": tf.reduce_sum(images, axis=0) / self.batch,
            "squares": tf.reduce_sum(images**2, axis=0) / self.batch,
            "w": w,
        }

    def g_path_share(self, seen: Tensor, part: Tensor, batch_mean: Tensor) -> Share:
        """weight * interval * (|J^T y| - a)^2, where a follows the mean length.

        `batch_mean` is that of the whole minibatch, as `path_mean_share` gives it in parts; not
        asked for where this part is the whole.
        """
        loss = self.config.loss
        with keeping(), self.learning(self.state.g_adam) as tape:
            lengths, w = self.lengths(seen, part)
            length = tf.reduce_sum(lengths) / self.path_batch
            if self.path_rounds * self.replicas.count == 1:
                batch_mean = length
            penalty, _ = losses.path_length_penalty(
                lengths, self.state.path_mean, batch_mean, loss.pl_decay
            )
            penalty = tf.reduce_sum(penalty) / self.path_batch
            total = penalty * loss.pl_weight * loss.pl_interval
        return self.gradients(tape, total, self.state.g_adam), {
            "Loss/pl_penalty": penalty,
            "pl_lengths": length,
            "w": w,
        }

    def path_mean_share(self, seen: Tensor, part: Tensor) -> Tensor:
        """This part's share of the mean path length."""
        return tf.reduce_sum(self.lengths(seen, part)[0]) / self.path_batch

    def lengths(self, seen: Tensor, part: Tensor) -> tuple[Tensor, Tensor]:
        """(path length per sample, share of the mean w)."""
        draws = self.draws("g path", seen, part, self.path_rounds, self.path_batch)
        ws, w, _ = self.styles(draws)
        size = self.state.generator.config.shape
        noise = draws.normal("image", (size.height, size.width, size.channels))
        seeds = draws.seeds("noise")
        return losses.path_lengths(self.state.generator, ws, noise, seeds), w

    def d_main_share(self, seen: Tensor, part: Tensor, reals: Tensor, labels: Tensor) -> Share:
        """softplus(D(G(z))) + softplus(-D(x))."""
        draws = self.draws("d main", seen, part, self.rounds, self.batch)
        ws, w, fake_labels = self.styles(draws)
        fakes = self.state.generator.synthesize(ws, "random", draws.seeds("noise"))
        with self.learning(self.state.d_adam) as tape:
            fake = self.state.discriminator(self.augmented(fakes, draws, "fake"), fake_labels)
            real = self.state.discriminator(
                self.augmented(reals, draws, "real"), self.known(labels)
            )
            loss = tf.reduce_sum(losses.d_loss(real, fake)) / self.batch
        return self.gradients(tape, loss, self.state.d_adam), {
            "Loss/D/loss": loss,
            "Loss/scores/real": tf.reduce_sum(real) / self.batch,
            "Loss/scores/fake": tf.reduce_sum(fake) / self.batch,
            "Loss/signs/real": tf.reduce_sum(tf.sign(real)) / self.batch,
            "w": w,
        }

    def d_r1_share(
        self, seen: Tensor, part: Tensor, reals: Tensor, labels: Tensor, gamma: Tensor
    ) -> Share:
        """interval * gamma / 2 * |dD(x)/dx|^2."""
        draws = self.draws("d r1", seen, part, self.rounds, self.batch)
        with keeping(), self.learning(self.state.d_adam) as tape:
            penalty = losses.r1_penalty(
                self.state.discriminator,
                reals,
                self.known(labels),
                lambda images: self.augmented(images, draws, "real"),
            )
            mean = tf.reduce_sum(penalty) / self.batch
            loss = mean * gamma / 2 * self.config.loss.r1_interval
        return self.gradients(tape, loss, self.state.d_adam), {"Loss/r1_penalty": mean}

    # What the phases share.

    def draws(self, phase: str, seen: Tensor, part: Tensor, rounds: int, batch: int) -> Draws:
        parts = rounds * self.replicas.count
        return Draws(self.config.run.seed, phase, seen, part, parts, batch // parts)

    @contextmanager
    def learning(self, adam: Adam) -> Iterator[Any]:
        """A tape that watches what this optimiser moves, and nothing else."""
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(list(adam.variables.values()))
            yield tape

    def gradients(self, tape: Any, loss: Tensor, adam: Adam) -> list[Tensor]:
        """Of what the loss does not reach, as the biases of D in R1: zeros."""
        variables = list(adam.variables.values())
        return list(tape.gradient(loss, variables, unconnected_gradients="zero"))

    def styles(self, draws: Draws) -> tuple[Tensor, Tensor, Tensor | None]:
        """(ws with mixing, share of the mean w over the minibatch, labels of fakes)."""
        generator, labels = self.state.generator, None
        if self.labels is not None:
            labels = tf.gather(self.labels, draws.choices("labels", self.labels.shape[0]))
        size = (generator.config.z_dim,)
        w = generator.map(draws.normal("z", size), labels)
        ws = generator.broadcast(w)
        if self.config.loss.mixing:
            other = generator.broadcast(generator.map(draws.normal("z2", size), labels))
            cutoff = draws.cutoff(self.config.loss.mixing, generator.rows)
            ws = losses.mix_styles(ws, other, cutoff)
        mean = tf.reduce_sum(tf.stop_gradient(w), axis=0) / (draws.count * draws.rounds)
        return ws, mean, labels

    def augmented(self, images: Tensor, draws: Draws, what: str) -> Tensor:
        if self.config.augment.augment == "none":
            return images
        known = self.config.augment
        options = (known.augment_pipe, known.augment_centre)
        return augment.augment(images, self.state.p, draws.seeds(f"augment {what}"), *options)

    def known(self, labels: Tensor) -> Tensor | None:
        return None if self.labels is None else labels

    def averaged(self, weight: Tensor) -> None:
        """G_ema <- lerp(G, G_ema, weight) for what learns; buffers are copied."""
        for name, entry in self.state.generator.table.items():
            mean, value = self.state.averaged.values[name], self.state.generator.values[name]
            mean.assign(value + weight * (mean - value) if entry.trainable else value)
