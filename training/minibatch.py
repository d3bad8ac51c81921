"""One minibatch: G, its path lengths, D, its R1 penalty, then the averages."""

from collections.abc import Callable
from typing import Any

import tensorflow as tf
from numpy.typing import NDArray

from training import schedule
from training.adam import Adam
from training.config import Config
from training.parameters import Tensor
from training.phases import Phases, Share
from training.state import State

Measures = dict[str, Tensor]


class Minibatch:
    """Trains a state on one batch after another; `rate_scale` is 1 until a collapse halves it."""

    def __init__(
        self, state: State, config: Config, labels: NDArray[Any], rate_scale: float
    ) -> None:
        self.state, self.config, self.rate_scale = state, config, rate_scale
        self.phases = Phases(state, config, labels)
        self.g_lr, self.d_lr = schedule.steps(config.rate.g_lr), schedule.steps(config.rate.d_lr)
        self.gamma = schedule.steps(config.loss.r1_gamma)

    def __call__(self, images: Tensor, labels: Tensor) -> Measures:
        """Train on real images [batch, h, w, c] and their labels; gives numbers for the journal."""
        state, loss, rounds = self.state, self.config.loss, self.config.run.accumulation
        seen = tf.constant(state.seen, tf.int64)
        rate_g = self.rate_scale * schedule.value_at(self.g_lr, state.seen)
        rate_d = self.rate_scale * schedule.value_at(self.d_lr, state.seen)
        gamma = schedule.value_at(self.gamma, state.seen)

        # Generator: the loss, and now and then the path lengths.
        measures = self.step(
            "G", state.g_adam, rate_g, rounds, lambda r: self.phases.g_main(seen, r)
        )
        if loss.pl_weight and state.minibatches % loss.pl_interval == 0:
            measures |= self.path_step(seen, rate_g)

        # Discriminator: the loss, and now and then R1, on the same real images.
        reals = [(images[r::rounds], labels[r::rounds]) for r in range(rounds)]
        measures |= self.step(
            "D", state.d_adam, rate_d, rounds, lambda r: self.phases.d_main(seen, r, *reals[int(r)])
        )
        if loss.r1_interval and gamma and state.minibatches % loss.r1_interval == 0:
            weight = tf.constant(gamma, tf.float32)
            measures |= self.step(
                "D_r1",
                state.d_adam,
                rate_d,
                rounds,
                lambda r: self.phases.d_r1(seen, r, *reals[int(r)], weight),
            )

        # Averages and counters.
        batch = self.config.run.batch
        ramp = 0.0 if self.config.run.resume_from else loss.ema_ramp
        weight = schedule.ema_weight(state.seen, batch, loss.ema_kimg, ramp)
        self.phases.average(tf.constant(weight, tf.float32))
        state.seen += batch
        state.minibatches += 1
        self.adapt(measures["Loss/signs/real"])
        given = {"learning_rate/G": rate_g, "learning_rate/D": rate_d, "r1_gamma": gamma}
        return measures | given | {"pl_mean": state.path_mean, "augment_p": state.p}

    def step(
        self, name: str, adam: Adam, rate: float, rounds: int, share: Callable[[Tensor], Share]
    ) -> Measures:
        """The gradient over all rounds, then one step of Adam."""
        gradients, measures = share(tf.constant(0, tf.int64))
        for number in range(1, rounds):
            more, numbers = share(tf.constant(number, tf.int64))
            gradients = [a + b for a, b in zip(gradients, more, strict=True)]
            measures = {key: measures[key] + numbers[key] for key in measures}
        norm, finite = adam.step(gradients, tf.constant(rate, tf.float32))
        if "w" in measures:
            self.follow(measures.pop("w"))
        skipped = 1 - tf.cast(finite, tf.float32)
        return measures | {f"grad_norm/{name}": norm, f"skipped/{name}": skipped}

    def path_step(self, seen: Tensor, rate: float) -> Measures:
        """The path length step; with several rounds their mean length is needed first."""
        rounds, phases, mean = self.phases.path_rounds, self.phases, tf.constant(0.0)
        if rounds > 1:
            parts = [phases.path_lengths(seen, tf.constant(r, tf.int64))[0] for r in range(rounds)]
            mean = tf.reduce_mean(tf.concat(parts, axis=0))
        measures = self.step(
            "G_path",
            self.state.g_adam,
            rate,
            rounds,
            lambda r: phases.g_path(seen, r, mean),
        )
        self.state.path_mean.assign(
            kept_finite(self.state.path_mean, measures["pl_lengths"], 1 - self.config.loss.pl_decay)
        )
        return measures

    def follow(self, w: Tensor) -> None:
        """w_avg <- lerp(mean w of the minibatch, w_avg, decay), after every pass of G."""
        average = self.state.generator.w_avg
        average.assign(kept_finite(average, w, self.config.loss.w_avg_decay))

    def adapt(self, sign: Tensor) -> None:
        """Every few minibatches, move p so that r_t = E[sign(D(real))] comes near its target."""
        part, batch, state = self.config.augment, self.config.run.batch, self.state
        if part.augment != "ada":
            return
        state.signs.assign_add(tf.stack([sign * batch, float(batch)]))
        if state.minibatches % part.ada_interval == 0:
            total, images = state.signs.numpy()
            p = schedule.ada_p(
                float(state.p), float(total / images), int(images), part.ada_target, part.ada_kimg
            )
            state.p.assign(p)
            state.signs.assign([0.0, 0.0])


def kept_finite(average: Tensor, value: Tensor, decay: float) -> Tensor:
    """The average moved towards `value`, or left where it is if that is not finite."""
    moved = value + decay * (average - value)
    return tf.where(tf.reduce_all(tf.math.is_finite(moved)), moved, average)
