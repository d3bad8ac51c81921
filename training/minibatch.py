"""One minibatch: each step that is due, then the averages; nothing in it waits for the device."""

import math
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import tensorflow as tf
from numpy.typing import NDArray

from training import schedule
from training.config import Config
from training.devices import Replicas, uses_xla
from training.networks import cpu
from training.networks.parameters import Tensor
from training.phases import Part, Phases, Share, Step
from training.state import State

T = TypeVar("T")

Measures = dict[str, Any]  # tensors, and plain numbers of what the host decides
NOTHING = 0.0  # for a part without a mean


class Minibatch:
    """Trains a state on one batch after another; `rate_scale` is 1 until a collapse halves it.

    `steps` are those of StyleGAN2, unless others are given. `use` says which faster forms
    the graphs may take: on a CPU, without XLA, those that pay for gradients.
    """

    def __init__(
        self,
        state: State,
        config: Config,
        labels: NDArray[Any],
        rate_scale: float,
        replicas: Replicas | None = None,
        steps: Sequence[Step] = (),
        use: cpu.Use | None = None,
    ) -> None:
        self.state, self.config, self.rate_scale = state, config, rate_scale
        self.replicas = replicas or Replicas()
        self.steps = list(steps) or Phases(state, config, labels, self.replicas).steps()
        rates = {"G": config.rate.g_lr, "D": config.rate.d_lr}
        self.rates = {network: schedule.steps(text) for network, text in rates.items()}
        xla = uses_xla(config)
        self.use = use or ("none" if xla else cpu.on_cpu("learning"))
        each = self.replicas.each
        self.takes = {step.name: each(self.taken(step), xla) for step in self.steps}
        self.shares = {step.name: each(self.shared(step), xla) for step in self.steps}
        self.means = {
            step.name: each(self.meant(step), xla) for step in self.steps if step.mean is not None
        }
        self.finishes = {step.name: each(self.finishing(step), xla) for step in self.steps}
        self.add, self.total = each(added), each(self.replicas.sum)
        self.average = each(self.averaged, xla)

    def __call__(self, images: Tensor, labels: Tensor) -> Measures:
        """Train on this process's real images [n, h, w, c] and labels; numbers for the journal."""
        state = self.state
        plain = {
            f"learning_rate/{network}": self.rate_scale * schedule.value_at(rate, state.seen)
            for network, rate in self.rates.items()
        }
        due = [step for step in self.steps if step.due(state.minibatches, state.seen)]
        weights = {step.name: step.weight(state.seen) for step in self.steps}
        measures = self.trained(
            tf.constant(state.seen, tf.int64),
            images,
            labels,
            due,
            {name: tf.constant(rate, tf.float32) for name, rate in plain.items()},
            {step.name: tf.constant(weights[step.name], tf.float32) for step in due},
            tf.constant(self.ema_weight(), tf.float32),
            tf.constant(self.adapts(state.minibatches + 1), tf.float32),
        )
        state.seen += self.config.run.batch
        state.minibatches += 1
        return measures | plain | {"r1_gamma": weights.get("D_r1", 0.0)}

    def trained(
        self,
        seen: Tensor,
        images: Tensor,
        labels: Tensor,
        due: Sequence[Step],
        rates: dict[str, Tensor],
        weights: dict[str, Tensor],
        ema_weight: Tensor,
        adapts: Tensor,
    ) -> Measures:
        """All of a minibatch that is computed on the device; tensors in, tensors out."""
        measures: Measures = {}
        for step in due:
            given = (weights[step.name], rates[f"learning_rate/{step.network}"])
            told = self.replicas.first(self.take(step, seen, images, labels, *given))
            both = ("grad_norm", "skipped")  # which all steps measure
            measures |= {f"{n}/{step.name}" if n in both else n: v for n, v in told.items()}
        signs = measures.get("Loss/signs/real", tf.constant(math.nan))  # D waits: it says nothing
        return measures | dict(self.replicas.first(self.average(ema_weight, signs, adapts)))

    def take(
        self,
        step: Step,
        seen: Tensor,
        images: Tensor,
        labels: Tensor,
        weight: Tensor,
        rate: Tensor,
    ) -> Measures:
        """One step: the shares of this process's replicas, added up over the rounds."""
        numbers = [tf.constant(number, tf.int64) for number in range(step.rounds)]
        parts = [
            (seen, number, *self.reals(step, images, labels, at), weight)
            for at, number in enumerate(numbers)
        ]
        mean: Any = tf.constant(NOTHING)
        if step.mean is not None:
            shares = [self.total(self.means[step.name](*part, mean)) for part in parts]
            mean = sum(self.replicas.first(share) for share in shares)
        if step.rounds == 1:
            return self.takes[step.name](*parts[0], mean, rate)  # type: ignore[no-any-return]
        total = self.shares[step.name](*parts[0], mean)
        for part in parts[1:]:
            total = self.add(total, self.shares[step.name](*part, mean))
        return self.finishes[step.name](*total, rate)  # type: ignore[no-any-return]

    def reals(self, step: Step, images: Tensor, labels: Tensor, number: int) -> tuple[Any, Any]:
        """The real images and labels of round `number`; none for a step that takes none."""
        if not step.reals:
            return tf.constant(NOTHING), tf.constant(NOTHING)
        deal = self.replicas.deal
        return deal(images, number, step.rounds), deal(labels, number, step.rounds)

    # In each replica, compiled.

    def part(self, seen: Tensor, number: Tensor, *more: Tensor) -> Part:
        """This replica's part of a round."""
        return Part(seen, self.replicas.part(number), *more)

    def shared(self, step: Step) -> Callable[..., Share]:
        return self.with_forms(lambda *given: step.share(self.part(*given)))

    def meant(self, step: Step) -> Callable[..., Tensor]:
        return self.with_forms(lambda *given: step.mean(self.part(*given)) if step.mean else None)

    def with_forms(self, function: Callable[..., T]) -> Callable[..., T]:
        """The function, traced with the forms of `use`."""

        def run(*given: Tensor) -> T:
            with cpu.allowed(self.use):
                return function(*given)

        return run

    def finishing(self, step: Step) -> Callable[..., Measures]:
        return lambda *given: self.finished(step, *given)

    def taken(self, step: Step) -> Callable[..., Measures]:
        """Share and finish in one, where a minibatch is one round."""
        share = self.shared(step)
        return lambda *given: self.finished(step, *share(*given[:-1]), given[-1])

    def finished(
        self, step: Step, gradients: list[Tensor], measures: Measures, rate: Tensor
    ) -> Measures:
        """Add up over all replicas, one step of the optimiser, and the running means."""
        gradients, measures = self.replicas.sum((gradients, dict(measures)))
        norm, finite = self.state.adams[step.network].moved(gradients, rate)
        loss, state = self.config.loss, self.state
        w = measures.pop("w", None)
        if w is not None:
            w_avg = state.networks["G"].w_avg
            w_avg.assign(kept_finite(w_avg, w, loss.w_avg_decay))
        if "pl_lengths" in measures:
            lengths = measures["pl_lengths"]
            state.path_mean.assign(kept_finite(state.path_mean, lengths, 1 - loss.pl_decay))
        if "images" in measures:
            variance = measures.pop("squares") - measures.pop("images") ** 2
            measures["diversity"] = tf.reduce_mean(tf.sqrt(tf.maximum(variance, 0.0)))
        return measures | {"grad_norm": norm, "skipped": 1 - tf.cast(finite, tf.float32)}

    def averaged(self, weight: Tensor, sign: Tensor, adapts: Tensor) -> Measures:
        """The averages of networks, and p; the numbers that hold from here on."""
        state = self.state
        for name, followed in state.averages.items():
            follow(state.networks[name], state.networks[followed], weight)
        if self.config.augment.augment == "ada":
            self.adapt(sign, adapts)
        return {"pl_mean": state.path_mean + 0.0, "augment_p": state.p + 0.0}

    def adapt(self, sign: Tensor, adapts: Tensor) -> None:
        """Count r_t = E[sign(D(real))]; where `adapts` is 1, move p so that it nears its target."""
        part, batch, state = self.config.augment, self.config.run.batch, self.state
        share = tf.where(tf.math.is_finite(sign), tf.stack([sign, 1.0]), [0.0, 0.0])
        signs = state.signs.assign_add(share * float(batch))
        total, images = signs[0], signs[1]
        r_t = total / tf.maximum(images, 1.0)
        p = ada_p(state.p, r_t, images, part.ada_target, part.ada_kimg)
        state.p.assign(tf.where(adapts * images > 0, p, state.p))
        state.signs.assign(signs * (1 - adapts))

    # On the host.

    def adapts(self, minibatches: int) -> bool:
        """Whether p moves after this many minibatches."""
        return minibatches % self.config.augment.ada_interval == 0

    def ema_weight(self) -> float:
        """How much of the old average stays after this minibatch."""
        loss, run = self.config.loss, self.config.run
        ramp = 0.0 if run.resume_from else loss.ema_ramp
        return schedule.ema_weight(self.state.seen, run.batch, loss.ema_kimg, ramp)


def added(one: Share, other: Share) -> Share:
    """Two rounds in one."""
    return tf.nest.map_structure(tf.add, one, other)  # type: ignore[no-any-return]


def follow(mean: Any, network: Any, weight: Tensor) -> None:
    """mean <- lerp(network, mean, weight) for what learns; buffers are copied."""
    share = 1 - weight
    for name, entry in network.table.items():
        average, value = mean.values[name], network.values[name]
        if not entry.trainable:
            average.assign(value)
            continue
        tf.raw_ops.ResourceApplyGradientDescent(
            var=average.handle, alpha=share, delta=average - value
        )


def ada_p(p: Tensor, r_t: Tensor, images: Tensor, target: float, ada_kimg: float) -> Tensor:
    """The next probability of augmentation, given r_t = E[sign(D(real))] over `images` images.

    p moves towards the target so fast that 0 -> 1 takes `ada_kimg` (equation 1 and section 3 of the
    ADA paper), and stays in [0, 1]: above 1 the augmentations leak.
    """
    moved = p + tf.sign(r_t - target) * images / (ada_kimg * 1000)
    return tf.minimum(tf.maximum(moved, 0.0), 1.0)


def kept_finite(average: Tensor, value: Tensor, decay: float) -> Tensor:
    """The average moved towards `value`, or left where it is if that is not finite."""
    moved = value + decay * (average - value)
    return tf.where(tf.reduce_all(tf.math.is_finite(moved)), moved, average)
