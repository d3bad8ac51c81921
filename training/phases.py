"""The four gradients of a minibatch: G, its path lengths, D, its R1 penalty.

Each is computed in rounds: round r has the samples i with i mod rounds = r, as the groups of
minibatch standard deviation are strided, and gives its share of the mean over the minibatch.
"""

from math import gcd
from typing import Any

import tensorflow as tf
from numpy.typing import NDArray

from training import augment, losses
from training.config import Config
from training.draws import Draws
from training.parameters import Tensor
from training.state import State

Share = tuple[list[Tensor], dict[str, Tensor]]  # gradients, and numbers for the journal


class Phases:
    """Compiled gradients; `labels` [images, classes] are those that fakes are drawn from."""

    def __init__(self, state: State, config: Config, labels: NDArray[Any]) -> None:
        self.state, self.config = state, config
        self.batch, self.rounds = config.run.batch, config.run.accumulation
        self.path_batch = max(self.batch // config.loss.pl_shrink, 1)
        self.path_rounds = gcd(self.path_batch, self.rounds)
        self.labels = tf.constant(labels) if config.data.labels else None
        compiled = {"autograph": False, "jit_compile": config.run.xla or None}
        self.g_main = tf.function(self.g_main_share, **compiled)
        self.g_path = tf.function(self.g_path_share, **compiled)
        self.path_lengths = tf.function(self.lengths, **compiled)
        self.d_main = tf.function(self.d_main_share, **compiled)
        self.d_r1 = tf.function(self.d_r1_share, **compiled)
        self.average = tf.function(self.averaged, autograph=False)

    # Each phase: gradients of a loss that is summed over the round and divided by the minibatch.

    def g_main_share(self, seen: Tensor, part: Tensor) -> Share:
        """softplus(-D(G(z)))."""
        draws = self.draws("g main", seen, part, self.rounds, self.batch)
        with tf.GradientTape() as tape:
            ws, w, labels = self.styles(draws)
            images = self.state.generator.synthesize(ws, "random", draws.seeds("noise"))
            scores = self.state.discriminator(self.augmented(images, draws, "fake"), labels)
            loss = tf.reduce_sum(losses.g_loss(scores)) / self.batch
        diversity = tf.reduce_mean(tf.math.reduce_std(images, axis=0)) / self.rounds
        gradients = tape.gradient(loss, list(self.state.g_adam.variables.values()))
        return gradients, {"Loss/G/loss": loss, "diversity": diversity, "w": w}

    def g_path_share(self, seen: Tensor, part: Tensor, mean_length: Tensor) -> Share:
        """weight * interval * (|J^T y| - a)^2, where a follows the mean length.

        The mean is over all rounds; that a moves with every length is in `pull`, so the gradient
        is that of the penalty over the whole minibatch.
        """
        loss = self.config.loss
        with tf.GradientTape() as tape:
            lengths, w = self.lengths(seen, part)
            if self.path_rounds == 1:
                mean_length = tf.stop_gradient(tf.reduce_mean(lengths))
            a = self.state.path_mean + loss.pl_decay * (mean_length - self.state.path_mean)
            pull = tf.stop_gradient(lengths - a - loss.pl_decay * (mean_length - a))
            total = tf.reduce_sum(2 * pull * lengths) / self.path_batch
            total *= loss.pl_weight * loss.pl_interval
        penalty = tf.reduce_sum((lengths - a) ** 2) / self.path_batch
        variables = list(self.state.g_adam.variables.values())
        gradients = tape.gradient(total, variables, unconnected_gradients="zero")
        length = tf.reduce_sum(lengths) / self.path_batch
        return gradients, {"Loss/pl_penalty": penalty, "pl_lengths": length, "w": w}

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
        with tf.GradientTape() as tape:
            fake = self.state.discriminator(self.augmented(fakes, draws, "fake"), fake_labels)
            real = self.state.discriminator(
                self.augmented(reals, draws, "real"), self.known(labels)
            )
            loss = tf.reduce_sum(losses.d_loss(real, fake)) / self.batch
        gradients = tape.gradient(loss, list(self.state.d_adam.variables.values()))
        return gradients, {
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
        with tf.GradientTape() as tape:
            penalty = losses.r1_penalty(
                self.state.discriminator,
                reals,
                self.known(labels),
                lambda images: self.augmented(images, draws, "real"),
            )
            mean = tf.reduce_sum(penalty) / self.batch
            loss = mean * gamma / 2 * self.config.loss.r1_interval
        variables = list(self.state.d_adam.variables.values())
        gradients = tape.gradient(loss, variables, unconnected_gradients="zero")
        return gradients, {"Loss/r1_penalty": mean}

    # What the phases share.

    def draws(self, phase: str, seen: Tensor, part: Tensor, rounds: int, batch: int) -> Draws:
        return Draws(self.config.run.seed, phase, seen, part, rounds, batch // rounds)

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
        pipe = augment.AugmentConfig(self.config.augment.augment_pipe)
        return augment.augment(images, self.state.p, draws.seeds(f"augment {what}"), pipe)

    def known(self, labels: Tensor) -> Tensor | None:
        return None if self.labels is None else labels

    def averaged(self, weight: Tensor) -> None:
        """G_ema <- lerp(G, G_ema, weight) for what learns; buffers are copied."""
        for name, entry in self.state.generator.table.items():
            mean, value = self.state.averaged.values[name], self.state.generator.values[name]
            mean.assign(value + weight * (mean - value) if entry.trainable else value)
