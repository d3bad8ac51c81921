"""Adam (Kingma and Ba 2015), as StyleGAN2 uses it: one set of slots, two kinds of steps."""

import math
from collections.abc import Mapping, Sequence

import tensorflow as tf

from training import schedule
from training.networks.parameters import Tensor, new_variable


class Adam:
    """Moves named variables against their gradients; steps that are not finite are left out.

    `interval` is that of the lazy regularisation, whose steps share these slots (appendix B of the
    StyleGAN2 paper).
    """

    def __init__(
        self,
        variables: Mapping[str, Tensor],
        beta1: float,
        beta2: float,
        epsilon: float,
        interval: int,
    ) -> None:
        self.variables, self.epsilon = dict(variables), epsilon
        self.correction = schedule.lazy(interval)
        self.beta1, self.beta2 = beta1**self.correction, beta2**self.correction
        self.steps = new_variable(tf.constant(0, tf.int64))
        self.second = {name: zeros(variable) for name, variable in self.variables.items()}
        # With beta 1 = 0 the first moment is the gradient itself: nothing to keep.
        self.first = {name: zeros(v) for name, v in self.variables.items()} if beta1 else {}

    def moved(self, gradients: Sequence[Tensor], rate: Tensor) -> tuple[Tensor, Tensor]:
        """One step at this learning rate; gives (norm of the gradient, whether it was finite).

        A gradient that is not finite leaves every variable and slot as it was, bit for bit. That is
        done by factors of 0 and 1: a condition would wait for the device.
        """
        norm = tf.linalg.global_norm(gradients)
        finite = tf.math.is_finite(norm)
        steps = self.steps.assign_add(tf.cast(finite, tf.int64))
        t = tf.cast(tf.maximum(steps, 1), tf.float32)
        rate = rate * self.correction * tf.sqrt(1 - self.beta2**t) / (1 - self.beta1**t)
        rate, share = tf.where(finite, rate, 0.0), tf.cast(finite, tf.float32)
        betas = [tf.where(finite, beta, 1.0) for beta in (self.beta1, self.beta2)]
        apply = self.with_momentum if self.first else self.without
        apply(gradients, rate, betas, share)
        return norm, finite

    def with_momentum(
        self, gradients: Sequence[Tensor], rate: Tensor, betas: Sequence[Tensor], share: Tensor
    ) -> None:
        """m and v, then x -= rate * m / (sqrt(v) + epsilon), in one operation."""
        for (name, variable), gradient in zip(self.variables.items(), gradients, strict=True):
            tf.raw_ops.ResourceApplyAdam(
                var=variable.handle,
                m=self.first[name].handle,
                v=self.second[name].handle,
                beta1_power=0.0,  # `rate` is corrected already
                beta2_power=0.0,
                lr=rate,
                beta1=betas[0],
                beta2=betas[1],
                epsilon=self.epsilon,
                grad=tf.math.multiply_no_nan(gradient, share),
            )

    def without(
        self, gradients: Sequence[Tensor], rate: Tensor, betas: Sequence[Tensor], share: Tensor
    ) -> None:
        """The same for m = gradient.

        v <- beta2 v, then Adagrad's operation with s = sqrt(1 - beta2) times the gradient: it adds
        s^2 gradient^2 to v and moves by rate / s * s gradient / (sqrt(v) + epsilon).
        """
        scale = math.sqrt(1 - self.beta2)
        rate, share = rate / scale, share * scale
        for (name, variable), gradient in zip(self.variables.items(), gradients, strict=True):
            v = self.second[name]
            v.assign(v * betas[1])
            tf.raw_ops.ResourceApplyAdagradV2(
                var=variable.handle,
                accum=v.handle,
                lr=rate,
                epsilon=self.epsilon,
                grad=tf.math.multiply_no_nan(gradient, share),
            )

    def slots(self) -> dict[str, Tensor]:
        """Everything that a checkpoint has to hold."""
        moments = {f"v/{name}": value for name, value in self.second.items()}
        moments |= {f"m/{name}": value for name, value in self.first.items()}
        return {"steps": self.steps, **moments}


def zeros(like: Tensor) -> Tensor:
    return new_variable(tf.zeros(like.shape))
