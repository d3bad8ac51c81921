"""One minibatch: G, its path lengths, D, its R1 penalty, then the averages."""

from collections.abc import Callable
from typing import Any

import tensorflow as tf
from numpy.typing import NDArray

from training import schedule
from training.adam import Adam
from training.config import Config
from training.devices import Replicas
from training.networks.parameters import Tensor
from training.phases import Phases, Share
from training.state import State

Measures = dict[str, Tensor]


class Minibatch:
    """Trains a state on one batch after another; `rate_scale` is 1 until a collapse halves it."""

    def __init__(
        self,
        state: State,
        config: Config,
        labels: NDArray[Any],
        rate_scale: float,
        replicas: Replicas | None = None,
    ) -> None:
        self.state, self.config, self.rate_scale = state, config, rate_scale
        self.replicas = replicas or Replicas()
        self.phases = Phases(state, config, labels, self.replicas)
        self.g_lr, self.d_lr = schedule.steps(config.rate.g_lr), schedule.steps(config.rate.d_lr)
        self.gamma = schedule.steps(config.loss.r1_gamma)
        self.add = self.replicas.each(added)
        self.total = self.replicas.each(self.replicas.sum)
        self.finish_g = self.replicas.each(lambda *sums: self.finished(state.g_adam, *sums))
        self.finish_d = self.replicas.each(lambda *sums: self.finished(state.d_adam, *sums))

    def __call__(self, images: Tensor, labels: Tensor) -> Measures:
        """Train on this process's real images [n, h, w, c] and labels; numbers for the journal."""
        state, loss, rounds = self.state, self.config.loss, self.config.run.accumulation
        phases, seen = self.phases, tf.constant(state.seen, tf.int64)
        rate_g = self.rate_scale * schedule.value_at(self.g_lr, state.seen)
        rate_d = self.rate_scale * schedule.value_at(self.d_lr, state.seen)
        gamma = schedule.value_at(self.gamma, state.seen)

        # Generator: the loss, and now and then the path lengths.
        summed = self.over(rounds, lambda r: phases.g_main(seen, r))
        measures = by_step("G", self.finish_g(*summed, tf.constant(rate_g, tf.float32)))
        if loss.pl_weight and state.minibatches % loss.pl_interval == 0:
            measures |= self.path_step(seen, rate_g)

        # Discriminator: the loss, and now and then R1, on the same real images.
        reals = [
            (self.replicas.deal(images, r, rounds), self.replicas.deal(labels, r, rounds))
            for r in range(rounds)
        ]
        summed = self.over(rounds, lambda r: phases.d_main(seen, r, *reals[int(r)]))
        measures |= by_step("D", self.finish_d(*summed, tf.constant(rate_d, tf.float32)))
        if loss.r1_interval and gamma and state.minibatches % loss.r1_interval == 0:
            weight = tf.constant(gamma, tf.float32)
            summed = self.over(rounds, lambda r: phases.d_r1(seen, r, *reals[int(r)], weight))
            measures |= by_step("D_r1", self.finish_d(*summed, tf.constant(rate_d, tf.float32)))
        measures = dict(self.replicas.first(measures))

        # Averages and counters.
        batch = self.config.run.batch
        ramp = 0.0 if self.config.run.resume_from else loss.ema_ramp
        weight = schedule.ema_weight(state.seen, batch, loss.ema_kimg, ramp)
        phases.average(tf.constant(weight, tf.float32))
        state.seen += batch
        state.minibatches += 1
        self.adapt(measures["Loss/signs/real"])
        given = {"learning_rate/G": rate_g, "learning_rate/D": rate_d, "r1_gamma": gamma}
        means = {"pl_mean": state.path_mean + 0.0, "augment_p": state.p + 0.0}  # as they are now
        return measures | given | means

    def path_step(self, seen: Tensor, rate: float) -> Measures:
        """The path length step; in several parts their mean length is needed first."""
        phases, rounds, mean = self.phases, self.phases.path_rounds, tf.constant(0.0)
        if rounds * self.replicas.count > 1:
            shares = [phases.path_mean(seen, tf.constant(r, tf.int64)) for r in range(rounds)]
            mean = sum(self.replicas.first(self.total(share)) for share in shares)
        summed = self.over(rounds, lambda r: phases.g_path(seen, r, mean))
        return by_step("G_path", self.finish_g(*summed, tf.constant(rate, tf.float32)))

    def over(self, rounds: int, share: Callable[[Tensor], Share]) -> Share:
        """The shares of this process's replicas, added up over the rounds."""
        total = share(tf.constant(0, tf.int64))
        for number in range(1, rounds):
            total = self.add(total, share(tf.constant(number, tf.int64)))
        return total

    def finished(
        self, adam: Adam, gradients: list[Tensor], measures: Measures, rate: Tensor
    ) -> Measures:
        """In each replica: add up over all of them, one step of Adam, and the running means."""
        gradients, measures = self.replicas.sum((gradients, dict(measures)))
        norm, finite = adam.moved(gradients, rate)
        loss, state = self.config.loss, self.state
        w_avg, w = state.generator.w_avg, measures.pop("w", None)
        if w is not None:
            w_avg.assign(kept_finite(w_avg, w, loss.w_avg_decay))
        if "pl_lengths" in measures:
            lengths = measures["pl_lengths"]
            state.path_mean.assign(kept_finite(state.path_mean, lengths, 1 - loss.pl_decay))
        if "images" in measures:
            variance = measures.pop("squares") - measures.pop("images") ** 2
            measures["diversity"] = tf.reduce_mean(tf.sqrt(tf.maximum(variance, 0.0)))
        return measures | {"grad_norm": norm, "skipped": 1 - tf.cast(finite, tf.float32)}

    def adapt(self, sign: Tensor) -> None:
        """Every few minibatches, move p so that r_t = E[sign(D(real))] comes near its target."""
        part, batch, state = self.config.augment, self.config.run.batch, self.state
        if part.augment != "ada":
            return
        share = tf.where(tf.math.is_finite(sign), [sign, 1.0], [0.0, 0.0])
        state.signs.assign_add(share * float(batch))
        if state.minibatches % part.ada_interval == 0 and state.signs.numpy()[1] > 0:
            total, images = state.signs.numpy()
            p = schedule.ada_p(
                float(state.p.numpy()),
                float(total / images),
                int(images),
                part.ada_target,
                part.ada_kimg,
            )
            state.p.assign(p)
            state.signs.assign([0.0, 0.0])


def added(one: Share, other: Share) -> Share:
    """Two rounds in one."""
    return tf.nest.map_structure(tf.add, one, other)  # type: ignore[no-any-return]


def by_step(step: str, measures: Measures) -> Measures:
    """Says which of the steps was meant by what all of them measure."""
    both = ("grad_norm", "skipped")
    return {f"{key}/{step}" if key in both else key: value for key, value in measures.items()}


def kept_finite(average: Tensor, value: Tensor, decay: float) -> Tensor:
    """The average moved towards `value`, or left where it is if that is not finite."""
    moved = value + decay * (average - value)
    return tf.where(tf.reduce_all(tf.math.is_finite(moved)), moved, average)
