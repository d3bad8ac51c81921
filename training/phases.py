"""The steps of a minibatch, as values: G, its path lengths, D, its R1 penalty.

The gradient of each is computed in parts, as replicas and rounds cut it: part p of n has the
samples i with i mod n = p, and gives its share of the mean over the minibatch.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from math import gcd, prod
from typing import Any

import tensorflow as tf
from numpy.typing import NDArray

from training import losses, schedule
from training.adam import Adam
from training.augment import PIPES, pipe
from training.config import Config
from training.devices import Replicas, path_batch
from training.draws import Draws
from training.networks.layers import keeping
from training.networks.parameters import Tensor
from training.state import State

Weights = float | tuple[float, ...]  # of a loss, or of each of its terms
Share = tuple[list[Tensor], dict[str, Tensor]]  # gradients, and numbers for the journal
Seen = tuple[list[Tensor], Tensor, Tensor]  # gradients, the scores of fakes and of real images
LARGE = 512 * 512  # pixels of an image
TOLD = 64  # rows and columns, or up to twice as many, that tell how alike fakes are


@dataclass(frozen=True)
class Part:
    """What a step has of one part of a minibatch: tensors."""

    seen: Tensor  # images seen before the minibatch, int64
    number: Tensor  # which part this is, int64
    reals: Tensor  # images of this part [n, h, w, c], where the step takes any
    labels: Tensor  # of the images [n, classes]
    weight: Tensor  # of the loss, or of its terms [terms]
    mean: Tensor  # over all parts of the minibatch, where the step asks for one


@dataclass(frozen=True)
class Step:
    """A loss whose gradient moves one network."""

    name: str  # its numbers are called grad_norm/NAME, skipped/NAME
    network: str  # whose optimiser takes the gradient
    share: Callable[[Part], Share]
    weight: Callable[[int], Weights]  # by images seen; where all are 0 the step is left out
    interval: int = 1  # minibatches from one such step to the next
    rounds: int = 1
    reals: bool = False  # whether it takes real images
    mean: Callable[[Part], Tensor] | None = None  # this part's share of a mean that comes first

    def due(self, minibatches: int, seen: int) -> bool:
        """Whether it is made in this minibatch."""
        weight = self.weight(seen)
        some = any(weight) if isinstance(weight, tuple) else weight != 0
        return minibatches % self.interval == 0 and some


class Phases:
    """The losses of StyleGAN2; `labels` [images, classes] are those that fakes are drawn from."""

    def __init__(
        self, state: State, config: Config, labels: NDArray[Any], replicas: Replicas
    ) -> None:
        self.state, self.config, self.replicas = state, config, replicas
        self.batch, self.path_batch = config.run.batch, path_batch(config)
        self.rounds = config.run.accumulation
        self.path_rounds = gcd(self.path_batch // replicas.count, self.rounds)
        self.path_parts = self.path_rounds * replicas.count
        self.labels = tf.constant(labels) if config.data.labels else None

    def steps(self) -> list[Step]:
        """In the order in which a minibatch makes them."""
        loss, gamma = self.config.loss, schedule.steps(self.config.loss.r1_gamma)
        path = Step(
            "G_path",
            "G",
            self.g_path,
            weight=lambda seen: loss.pl_weight,
            interval=loss.pl_interval,
            rounds=self.path_rounds,
            mean=self.path_mean if self.path_parts > 1 else None,
        )
        r1 = Step(
            "D_r1",
            "D",
            self.d_r1,
            weight=lambda seen: schedule.value_at(gamma, seen) if loss.r1_interval else 0.0,
            interval=loss.r1_interval or 1,
            rounds=self.rounds,
            reals=True,
        )
        return [
            Step("G", "G", self.g_main, weight=always, rounds=self.rounds),
            path,
            Step("D", "D", self.d_main, weight=always, rounds=self.rounds, reals=True),
            r1,
        ]

    # Each step: gradients of a loss that is summed over the part and divided by the minibatch.

    def g_main(self, part: Part) -> Share:
        """softplus(-D(G(z)))."""
        draws, networks = self.draws("g main", part, self.rounds, self.batch), self.state.networks
        with self.learning("G") as tape:
            ws, w, labels = self.styles(draws)
            images = networks["G"].synthesize(ws, draws.noise)
            scores = networks["D"](self.augmented(images, draws, "fake"), labels)
            loss = tf.reduce_sum(losses.g_loss(scores)) / self.batch
        told = {"Loss/G/loss": loss, "w": w, **self.spread(images)}
        return self.gradients(tape, loss, "G"), told

    def g_path(self, part: Part) -> Share:
        """weight * interval * (|J^T y| - a)^2, where a follows the mean length.

        The mean length of the whole minibatch comes from `path_mean`, in parts; it is this part's
        own where this part is the whole.
        """
        loss = self.config.loss
        with keeping(), self.learning("G") as tape:
            lengths, w = self.lengths(part)
            length = tf.reduce_sum(lengths) / self.path_batch
            mean = part.mean if self.path_parts > 1 else length
            penalty, _ = losses.path_length_penalty(
                lengths, self.state.path_mean, mean, loss.pl_decay
            )
            penalty = tf.reduce_sum(penalty) / self.path_batch
            total = penalty * part.weight * loss.pl_interval
        return self.gradients(tape, total, "G"), {
            "Loss/pl_penalty": penalty,
            "pl_lengths": length,
            "w": w,
        }

    def path_mean(self, part: Part) -> Tensor:
        """This part's share of the mean path length."""
        return tf.reduce_sum(self.lengths(part)[0]) / self.path_batch

    def lengths(self, part: Part) -> tuple[Tensor, Tensor]:
        """(path length per sample, share of the mean w)."""
        draws = self.draws("g path", part, self.path_rounds, self.path_batch)
        ws, w, _ = self.styles(draws)
        generator = self.state.networks["G"]
        size = generator.config.shape
        noise = draws.normal("image", (size.height, size.width, size.channels))
        return losses.path_lengths(generator, ws, noise, draws.noise), w

    def d_main(self, part: Part) -> Share:
        """softplus(D(G(z))) + softplus(-D(x)).

        Of large images D sees the fakes first: the feature maps of one half are kept at a time. Of
        small ones, of whose time the kernels take a part, it sees fakes and real images at once.
        """
        draws, networks = self.draws("d main", part, self.rounds, self.batch), self.state.networks
        ws, w, labels = self.styles(draws)
        fakes = networks["G"].synthesize(ws, draws.noise)
        seen = self.seen_in_turn if prod(fakes.shape[1:3]) >= LARGE else self.seen_at_once
        gradients, fake, real = seen(part, draws, fakes, labels)
        loss = tf.reduce_sum(losses.d_loss(real, fake)) / self.batch
        return gradients, {
            "Loss/D/loss": loss,
            "Loss/scores/real": tf.reduce_sum(real) / self.batch,
            "Loss/scores/fake": tf.reduce_sum(fake) / self.batch,
            "Loss/signs/real": tf.reduce_sum(tf.sign(real)) / self.batch,
            "w": w,
        }

    def seen_at_once(self, part: Part, draws: Draws, fakes: Tensor, labels: Tensor | None) -> Seen:
        """D sees fakes and real images at once."""
        with self.learning("D") as tape:
            both = self.augmented(fakes, draws, "fake"), self.augmented(part.reals, draws, "real")
            labels = None if labels is None else tf.concat([labels, part.labels], axis=0)
            scores = self.state.networks["D"](tf.concat(both, axis=0), labels, batches=2)
            fake, real = tf.split(scores, 2)
            loss = tf.reduce_sum(losses.d_loss(real, fake)) / self.batch * part.weight
        return self.gradients(tape, loss, "D"), fake, real

    def seen_in_turn(self, part: Part, draws: Draws, fakes: Tensor, labels: Tensor | None) -> Seen:
        """D sees fakes; once their gradients are there, real images."""
        discriminator = self.state.networks["D"]
        with self.learning("D") as tape:
            fake = discriminator(self.augmented(fakes, draws, "fake"), labels)
            loss = tf.reduce_sum(losses.d_loss_fake(fake)) / self.batch * part.weight
        of_fakes = self.gradients(tape, loss, "D")
        with tf.control_dependencies(of_fakes):
            reals = tf.identity(part.reals)
        with self.learning("D") as tape:
            real = discriminator(self.augmented(reals, draws, "real"), self.known(part.labels))
            loss = tf.reduce_sum(losses.d_loss_real(real)) / self.batch * part.weight
        return [*map(tf.add, of_fakes, self.gradients(tape, loss, "D"))], fake, real

    def d_r1(self, part: Part) -> Share:
        """interval * gamma / 2 * |dD(x)/dx|^2."""
        draws = self.draws("d r1", part, self.rounds, self.batch)
        with keeping(), self.learning("D") as tape:
            penalty = losses.r1_penalty(
                self.state.networks["D"],
                part.reals,
                self.known(part.labels),
                lambda images: self.augmented(images, draws, "real"),
            )
            mean = tf.reduce_sum(penalty) / self.batch
            loss = mean * part.weight / 2 * self.config.loss.r1_interval
        return self.gradients(tape, loss, "D"), {"Loss/r1_penalty": mean}

    # What the steps share.

    def draws(self, phase: str, part: Part, rounds: int, batch: int) -> Draws:
        parts = rounds * self.replicas.count
        return Draws(self.config.run.seed, phase, part.seen, part.number, parts, batch // parts)

    @contextmanager
    def learning(self, network: str) -> Iterator[Any]:
        """A tape that watches what this network's optimiser moves, and nothing else."""
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(list(self.state.adams[network].variables.values()))
            yield tape

    def gradients(self, tape: Any, loss: Tensor, network: str) -> list[Tensor]:
        """Of what the loss does not reach, as the biases of D in R1: zeros."""
        adam: Adam = self.state.adams[network]
        variables = list(adam.variables.values())
        return list(tape.gradient(loss, variables, unconnected_gradients="zero"))

    def styles(self, draws: Draws) -> tuple[Tensor, Tensor, Tensor | None]:
        """(ws with mixing, share of the mean w over the minibatch, labels of fakes)."""
        generator, labels = self.state.networks["G"], None
        if self.labels is not None:
            labels = tf.gather(self.labels, draws.choices("labels", self.labels.shape[0]))
        size = (generator.config.z_dim,)
        if self.config.loss.mixing:
            z = tf.concat([draws.normal(name, size) for name in ("z", "z2")], axis=0)
            twice = None if labels is None else tf.tile(labels, [2, 1])
            w, other = tf.split(generator.map(z, twice), 2)
            cutoff = draws.cutoff(self.config.loss.mixing, generator.rows)
            ws = losses.mix_styles(generator.broadcast(w), generator.broadcast(other), cutoff)
        else:
            w = generator.map(draws.normal("z", size), labels)
            ws = generator.broadcast(w)
        mean = tf.reduce_sum(tf.stop_gradient(w), axis=0) / (draws.count * draws.parts)
        return ws, mean, labels

    def augmented(self, images: Tensor, draws: Draws, what: str) -> Tensor:
        """Images as ADA shows them to D."""
        part, noise = self.config.augment, None
        if part.augment == "none":
            return images
        options = (part.augment_pipe, part.augment_centre)
        if "noise" in PIPES[part.augment_pipe]:
            noise = draws.normal(f"augment {what} noise", tuple(images.shape[1:]))
        uniform = draws.uniform(f"augment {what}", (len(pipe.DRAWS),))
        return pipe.changed(images, self.state.p, uniform, noise, *options)

    def spread(self, images: Tensor) -> dict[str, Tensor]:
        """This part's share of the means of fakes and their squares, by which diversity is told.

        Of equally distant rows and columns: those of all of 1024 x 1024 pixels would be 25 MB that
        machines send each other.
        """
        rows, columns = (max(side // TOLD, 1) for side in images.shape[1:3])
        some = images[:, ::rows, ::columns]
        sums = {"images": tf.reduce_sum(some, axis=0), "squares": tf.reduce_sum(some**2, axis=0)}
        return {name: total / self.batch for name, total in sums.items()}

    def known(self, labels: Tensor) -> Tensor | None:
        return None if self.labels is None else labels


def always(seen: int) -> float:
    """The weight of a loss that nothing changes."""
    return 1.0
