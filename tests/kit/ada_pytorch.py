"""Golden weights: tensors under their stylegan2-ada-pytorch names -> values of our networks."""


def load(network, weights, prefix):
    """Give every parameter and buffer of `network` its value from `weights` (npz)."""
    for key, variable in network.values.items():
        variable.assign(ours(key, weights[prefix + their_name(key)], variable.shape))


def their_name(key):
    return key.replace("/", ".")


def ours(key, value, shape):
    """One tensor in our layout: HWIO kernels, dense [in, out], NHWC, D flattens in HWC order."""
    if key.endswith("const") and "noise" not in key:
        return value.transpose(1, 2, 0)[None]
    if key.endswith("noise_const"):
        return value[None, :, :, None]
    if value.ndim == 4:
        kernel = value.transpose(2, 3, 1, 0)
        upsampling = "synthesis" in key and "conv0" in key
        return kernel[::-1, ::-1] if upsampling else kernel
    if key == "b4/fc/weight":
        channels = shape[0] // 16
        return value.T.reshape(channels, 4, 4, -1).transpose(1, 2, 0, 3).reshape(shape)
    return value.T if value.ndim == 2 else value


def norms(names, network):
    """The positions of `names` (theirs, of trainable parameters) among our trainable variables."""
    keys = [their_name(key) for key, entry in network.table.items() if entry.trainable]
    assert sorted(keys) == sorted(names)
    return [keys.index(name) for name in names]
