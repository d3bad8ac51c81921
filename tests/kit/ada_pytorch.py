"""Golden weights: tensors under their stylegan2-ada-pytorch names -> values of our networks."""

from training.exchange.names import from_torch, torch_name


def load(network, weights, prefix):
    """Give every parameter and buffer of `network` its value from `weights` (npz)."""
    for key, variable in network.values.items():
        variable.assign(from_torch(key, weights[prefix + torch_name(key)]))


def norms(names, network):
    """The positions of `names` (theirs, of trainable parameters) among our trainable variables."""
    keys = [torch_name(key) for key, entry in network.table.items() if entry.trainable]
    assert sorted(keys) == sorted(names)
    return [keys.index(name) for name in names]
