"""The losses of StyleGAN2: logistic, R1 and path length. Pure functions, float32."""

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from training.networks.parameters import Tensor


def g_loss(scores_fake: Tensor) -> Tensor:
    """softplus(-D(G(z))) per sample [n]: non-saturating (Goodfellow et al. 2014, section 3)."""
    return tf.nn.softplus(-scores_fake)[:, 0]


def d_loss(scores_real: Tensor, scores_fake: Tensor) -> Tensor:
    """softplus(D(G(z))) + softplus(-D(x)) per sample [n] (Goodfellow et al. 2014, eq. 1)."""
    return d_loss_fake(scores_fake) + d_loss_real(scores_real)


def d_loss_fake(scores: Tensor) -> Tensor:
    """The first half of `d_loss`."""
    return tf.nn.softplus(scores)[:, 0]


def d_loss_real(scores: Tensor) -> Tensor:
    """The second half of `d_loss`."""
    return tf.nn.softplus(-scores)[:, 0]


def r1_penalty(
    discriminator: Callable[..., Tensor],
    reals: Tensor,
    labels: Tensor | None = None,
    augment: Callable[[Tensor], Tensor] | None = None,
) -> Tensor:
    """|dD(x)/dx|^2 per sample [n] (Mescheder et al. 2018, eq. 9, without gamma / 2).

    With `augment`, D sees augment(x), and the gradient is still taken at x.
    """
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(reals)
        scores = discriminator(reals if augment is None else augment(reals), labels)
        total = tf.reduce_sum(scores)
    return tf.reduce_sum(tape.gradient(total, reals) ** 2, axis=[1, 2, 3])


def path_lengths(generator: Any, ws: Tensor, noise_image: Tensor, noise: Any = "const") -> Tensor:
    """|J_w^T y| per sample [n]: root of the mean over rows of the squared gradient of <G(w), y>.

    ws [n, L, w_dim]; noise_image [n, h, w, c] ~ N(0, 1) is divided by sqrt(h w) here
    (Karras et al. 2020, eq. 4 and appendix B). `noise` is that of the layers.
    """
    _, height, width, _ = noise_image.shape
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(ws)
        images = generator.synthesize(ws, noise)
        total = tf.reduce_sum(images * noise_image) / (height * width) ** 0.5
    squares = tf.reduce_sum(tape.gradient(total, ws) ** 2, axis=2)
    return tf.sqrt(tf.reduce_mean(squares, axis=1))


def path_length_penalty(
    lengths: Tensor, mean: Tensor, batch_mean: Tensor, decay: float = 0.01
) -> tuple[Tensor, Tensor]:
    """((|J^T y| - a)^2 per sample [n], the new a) (Karras et al. 2020, eq. 4 and appendix B).

    a <- a + decay (batch_mean - a), the mean of the lengths over the whole minibatch, of which
    `lengths` may be a part: the gradient is that of the whole penalty, through a as well.
    """
    a = mean + decay * (batch_mean - mean)
    pull = lengths - a - decay * (batch_mean - a)
    slope = 2 * tf.stop_gradient(pull) * lengths
    return slope + tf.stop_gradient((lengths - a) ** 2 - slope), a


def mix_styles(ws_a: Tensor, ws_b: Tensor, cutoff: Tensor | int) -> Tensor:
    """Rows below `cutoff` from ws_a, the others from ws_b (Karras et al. 2019, section 3.1)."""
    first = tf.range(ws_a.shape[1], dtype=tf.float32) < tf.cast(cutoff, tf.float32)
    return tf.where(first[None, :, None], ws_a, ws_b)
