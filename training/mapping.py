"""The mapping network: z -> w."""

import tensorflow as tf

from training.architecture import NetworkConfig
from training.ops import GAIN, dense, leaky, normalise
from training.parameters import Network, Parameter, Table, Tensor, dense_table

LRMUL = 0.01  # the learning rate of the mapping network, relative to that of the rest


def mapping_table(config: NetworkConfig) -> Table:
    """The parameters of the mapping network; w_avg is a buffer."""
    table: Table = {}
    if config.labels:
        table |= dense_table("mapping/embed", config.labels, config.w_dim)
    inputs = config.z_dim + (config.w_dim if config.labels else 0)
    for number in range(config.mapping_layers):
        table |= dense_table(f"mapping/fc{number}", inputs, config.w_dim, LRMUL)
        inputs = config.w_dim
    return table | {"mapping/w_avg": Parameter((config.w_dim,), trainable=False)}


def mapped(network: Network, z: Tensor, labels: Tensor | None) -> Tensor:
    """z [n, z_dim], labels [n, labels] -> w [n, w_dim]; both inputs are normalised first."""
    x = normalise(z)
    if "mapping/embed/weight" in network.table:
        embedded = dense(tf.cast(labels, tf.float32), network.layer("mapping/embed"))
        x = tf.concat([x, normalise(embedded)], axis=1)
    number = 0
    while f"mapping/fc{number}/weight" in network.table:
        x = GAIN * leaky(dense(x, network.layer(f"mapping/fc{number}"), LRMUL))
        number += 1
    return x
