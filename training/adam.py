"""Adam (Kingma and Ba 2015), as StyleGAN2 uses it: one set of slots, two kinds of steps."""

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
        """One step at this learning rate; gives (norm of the gradient, whether it was finite)."""
        norm = tf.linalg.global_norm(gradients)
        finite = tf.math.is_finite(norm)
        tf.cond(finite, lambda: self.update(gradients, rate), lambda: self.steps.read_value())
        return norm, finite

    def update(self, gradients: Sequence[Tensor], rate: Tensor) -> Tensor:
        """m and v, then x -= rate * sqrt(1 - beta2^t) / (1 - beta1^t) * m / (sqrt(v) + epsilon)."""
        steps = self.steps.assign_add(1)
        t = tf.cast(steps, tf.float32)
        rate = rate * self.correction * tf.sqrt(1 - self.beta2**t) / (1 - self.beta1**t)
        for (name, variable), gradient in zip(self.variables.items(), gradients, strict=True):
            v = self.second[name]
            v.assign_add((1 - self.beta2) * (gradient**2 - v))
            m = gradient
            if self.first:
                m = self.first[name].assign_add((1 - self.beta1) * (gradient - self.first[name]))
            variable.assign_sub(rate * m / (tf.sqrt(v) + self.epsilon))
        return steps

    def slots(self) -> dict[str, Tensor]:
        """Everything that a checkpoint has to hold."""
        moments = {f"v/{name}": value for name, value in self.second.items()}
        moments |= {f"m/{name}": value for name, value in self.first.items()}
        return {"steps": self.steps, **moments}


def zeros(like: Tensor) -> Tensor:
    return new_variable(tf.zeros(like.shape))
