"""From uniform numbers to the parameters of a change."""

import tensorflow as tf

from training.networks.parameters import Tensor

Drawn = dict[str, Tensor]  # name of a draw -> uniform numbers [n] in [0, 1)


def normal(uniform: Tensor) -> Tensor:
    """N(0, 1) from U(0, 1), by the inverse of its distribution function."""
    return tf.math.ndtri(tf.clip_by_value(uniform, 1e-7, 1 - 1e-7))


def chosen(drawn: Drawn, name: str, p: Tensor, value: Tensor, neutral: float) -> Tensor:
    """`value` [n] where the change called `name` is made, else `neutral`."""
    return tf.where(drawn[f"{name}?"] < p, value, tf.fill(tf.shape(value), neutral))


def picked(made: Tensor, changed: Tensor, images: Tensor) -> Tensor:
    """`changed` where it is `made` [n], else `images`; without broadcasting, which takes longer."""
    return tf.raw_ops.Select(condition=made, x=changed, y=images)


def matrices(rows: list[list[Tensor | float]], like: Tensor) -> Tensor:
    """Entries, [n] or numbers -> matrices [n, rows, columns]."""
    entries = [[tf.zeros_like(like) + entry for entry in row] for row in rows]
    return tf.stack([tf.stack(row, axis=1) for row in entries], axis=1)
