"""A distillation as the training loop takes it: its networks, its state, its steps."""

from dataclasses import replace
from typing import Any

import tensorflow as tf
from numpy.typing import NDArray

from training import losses, schedule
from training.config import Config
from training.devices import Replicas
from training.exchange.opening import OpenedGenerator
from training.explore.perceptual import Features, of_discriminator, read_vgg, vgg19
from training.minibatch import Minibatch
from training.networks.architecture import DiscriminatorConfig, Pair, StudentConfig
from training.networks.discriminator import Discriminator
from training.networks.generator import Generator
from training.networks.parameters import Tensor
from training.networks.student import Student
from training.phases import Part, Phases, Share, Step
from training.state import Plan, State, arithmetic, state_of
from training.student.losses import perceptual, pyramid_of
from training.student.options import DistillationConfig


def pair_for(opened: OpenedGenerator, config: DistillationConfig) -> Pair:
    """The networks of a distillation: the student of this teacher, and a D like the teacher's."""
    g, how = opened.config, arithmetic(config.options())
    own = {**g.saved(), "fmap_max": min(config.network.fmap_max, g.fmap_max)}
    shape = {n: own[n] for n in ("height", "width", "channels", "labels", "conv_clamp")}
    known = opened.discriminator or DiscriminatorConfig(
        **shape, fmap_base=g.fmap_base, fmap_max=g.fmap_max
    )
    return Pair(StudentConfig(**own, **how), replace(known, **how))


def plan(
    opened: OpenedGenerator, config: DistillationConfig, teacher: Generator | None = None
) -> Plan:
    """What the loop trains; pictures of the teacher stand beside the student's."""
    pair = pair_for(opened, config)
    return Plan(pair.saved(), lambda: student_state(config, pair, opened), teacher)


def student_state(config: DistillationConfig, pair: Pair, opened: OpenedGenerator) -> State:
    """Before the first step: the teacher's mapping and, where it has one, its D."""
    seed = config.run.seed
    assert isinstance(pair.generator, StudentConfig)
    student, averaged = (Student(pair.generator, seed) for _ in range(2))
    judge = Discriminator(pair.discriminator, opened.arrays.get("D", seed))
    for network in (student, averaged):
        for name, entry in network.table.items():
            if not entry.trainable:
                network.values[name].assign(opened.arrays["G_ema"][name])
    return state_of(config, student, averaged, judge)


def teaching(opened: OpenedGenerator, config: DistillationConfig, replicas: Replicas) -> "Teaching":
    """The teacher of an opened file, where the replicas are; raises ConfigError for `vgg`."""
    vgg, g = config.distill.vgg, pair_for(opened, config).generator
    how: dict[str, Any] = {"dtype": g.dtype, "half_levels": g.half_levels}
    with replicas.strategy.scope():
        teacher = opened.network(**how)
        seen = (
            vgg19(read_vgg(vgg), g.dtype) if vgg else of_discriminator(opened.network("D"), g.dtype)
        )
    return Teaching(teacher, seen)


class Teaching:
    """A teacher and the features that its images are compared by; both learn nothing.

    Called as `loop.train` calls what makes a minibatch.
    """

    def __init__(self, teacher: Generator, features: Features) -> None:
        self.teacher, self.features = teacher, features

    def __call__(
        self,
        state: State,
        config: Config,
        labels: NDArray[Any],
        rate_scale: float,
        replicas: Replicas,
    ) -> Minibatch:
        assert isinstance(config, DistillationConfig)
        steps = Distillation(state, config, labels, replicas, self).steps()
        return Minibatch(state, config, labels, rate_scale, replicas, steps)


class Distillation(Phases):
    """The losses of BlazeStyleGAN (Jia et al. 2023, eq. 1 to 4)."""

    config: DistillationConfig

    def __init__(
        self,
        state: State,
        config: DistillationConfig,
        labels: NDArray[Any],
        replicas: Replicas,
        teaching: Teaching,
    ) -> None:
        super().__init__(state, config, labels, replicas)
        self.teaching = teaching

    def steps(self) -> list[Step]:
        """In the order in which a minibatch makes them; without an adversarial loss G's alone."""
        part, loss = self.config.distill, self.config.loss
        near, against, own, gamma = (
            schedule.steps(text)
            for text in (
                part.lambda_perceptual,
                part.lambda_adversarial,
                part.lambda_d,
                loss.r1_gamma,
            )
        )
        self.adversarial = any(value for _, value in against)

        def of_d(seen: int) -> float:  # it waits while nobody listens
            return schedule.value_at(own, seen) if schedule.value_at(against, seen) else 0.0

        def of_g(seen: int) -> tuple[float, float]:
            return schedule.value_at(near, seen), schedule.value_at(against, seen)

        def of_penalty(seen: int) -> float:
            return of_d(seen) * schedule.value_at(gamma, seen) if loss.r1_interval else 0.0

        punished = Step(
            "D_r1", "D", self.d_r1, of_penalty, loss.r1_interval or 1, self.rounds, reals=True
        )
        return [
            Step("G", "G", self.g_main, of_g, rounds=self.rounds),
            Step("D", "D", self.d_main, of_d, rounds=self.rounds, reals=True),
            punished,
        ]

    def g_main(self, part: Part) -> Share:
        """lambda_1 L_p + lambda_2 softplus(-D(G_s(w))) (eq. 1, 2 and 4)."""
        draws, networks = self.draws("g main", part, self.rounds, self.batch), self.state.networks
        ws, _, labels = self.styles(draws)
        target = self.taught(ws)
        with self.learning("G") as tape:
            images = [level.image for level in networks["G"].levels(ws)]
            shown = images if self.config.distill.pyramid else images[-1:]
            wanted = pyramid_of(target, [tuple(image.shape[1:3]) for image in shown])
            near = tf.reduce_sum(perceptual(self.teaching.features, shown, wanted)) / self.batch
            loss = part.weight[0] * near
            told = {"Loss/perceptual": near}
            if self.adversarial:
                scores = networks["D"](self.augmented(images[-1], draws, "fake"), labels)
                against = tf.reduce_sum(losses.g_loss(scores)) / self.batch
                loss += part.weight[1] * against
                told["Loss/G/loss"] = against
        return self.gradients(tape, loss, "G"), told | self.spread(images[-1])

    def d_main(self, part: Part) -> Share:
        """lambda_3 (softplus(D(G_s(w))) + softplus(-D(x))) (the first terms of eq. 3)."""
        gradients, told = super().d_main(self.judged(part))
        told.pop("w")  # the mean of w is the teacher's
        return gradients, told

    def d_r1(self, part: Part) -> Share:
        """lambda_3 gamma / 2 |dD(x)/dx|^2, at real images or, as eq. 3 has it, at the student's."""
        part = self.judged(part)
        if self.config.distill.penalty == "r2":
            draws = self.draws("d r2", part, self.rounds, self.batch)
            ws, _, labels = self.styles(draws)
            images = tf.stop_gradient(self.state.networks["G"].synthesize(ws))
            part = replace(part, reals=images, labels=part.labels if labels is None else labels)
        return super().d_r1(part)

    def judged(self, part: Part) -> Part:
        """The part with the teacher's images, where D is told that those are real."""
        if self.config.distill.reals == "data":
            return part
        ws, _, labels = self.styles(self.draws("d real", part, self.rounds, self.batch))
        return replace(
            part, reals=self.taught(ws), labels=part.labels if labels is None else labels
        )

    def taught(self, ws: Tensor) -> Tensor:
        """What the teacher draws of a student's ws [n, L, w_dim]: images [n, h, w, c].

        Its highest level, which the student has not, reads the student's last row.
        """
        more = self.teaching.teacher.rows - ws.shape[1]
        whole = tf.concat([ws, tf.repeat(ws[:, -1:], more, axis=1)], axis=1)
        return tf.stop_gradient(self.teaching.teacher.synthesize(whole))
