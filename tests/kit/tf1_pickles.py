"""The tensors of a network pickle in TensorFlow 1's layout, under stylegan2-ada-pytorch's names."""

import pickle
import re

import numpy as np

ALLOWED = {("numpy", "ndarray"), ("numpy", "dtype")} | {
    (module, name)
    for module in ("numpy._core.multiarray", "numpy.core.multiarray")
    for name in ("_reconstruct", "scalar")
}
WORDS = {
    "LabelEmbed": "mapping.embed",
    "Const/const": "const",
    "Conv0_up": "conv0",
    "Conv1_down": "conv1",
    "Conv0": "conv0",
    "Conv1": "conv1",
    "ToRGB": "torgb",
    "FromRGB": "fromrgb",
    "Skip": "skip",
    "Conv": "conv",
    "Output": "out",
    "mod_": "affine.",
}


class Network:
    """What the pickle says of one network; no code of it is run."""

    def __setstate__(self, state):
        self.state = state

    def variables(self):
        found = dict(self.state["variables"])
        for component in self.state.get("components", {}).values():
            found |= component.variables()
        return found


class Reader(pickle.Unpickler):
    def find_class(self, module, name):
        if (module, name) == ("dnnlib.tflib.network", "Network"):
            return Network
        assert (module, name) in ALLOWED, (module, name)
        return super().find_class(module, name)


def load(path):
    """{"G.synthesis.b4.const": array, ...} of the pair (D, and the averaged G)."""
    with open(path, "rb") as file:
        _, discriminator, averaged = Reader(file).load()
    found = {}
    for prefix, network in (("G", averaged), ("D", discriminator)):
        for name, value in network.variables().items():
            if "lod" not in name:
                key = f"{prefix}.{renamed(name, prefix)}"
                found[key] = theirs(key, np.asarray(value))
    return found


def renamed(name, prefix):
    noise = re.fullmatch(r"noise(\d+)", name)
    if noise:
        layer = int(noise[1]) + 1
        return f"synthesis.b{4 * 2 ** (layer // 2)}.conv{layer % 2 if layer > 1 else 1}.noise_const"
    if name == "dlatent_avg":
        return "mapping.w_avg"
    name = re.sub(r"^(\d+)x\1/", r"b\1.", name)
    if prefix == "G":
        name = re.sub(r"^b4\.Conv\b", "b4.conv1", name)
        name = re.sub(r"^Dense(\d)", r"mapping.fc\1", name)
    else:
        name = re.sub(r"\bDense0", "fc", re.sub(r"^(?=Output)", "b4.", name))
    for word, short in WORDS.items():
        name = name.replace(word, short)
    inner = prefix == "G" and name.startswith("b")
    return ("synthesis." if inner else "") + name.replace("/", ".")


def theirs(key, value):
    """One tensor in ada-pytorch's layout."""
    if "noise_const" in key:
        return value[0, 0]
    if key.endswith(".const"):
        return value[0]
    if key.endswith("affine.bias"):
        return value + 1
    if value.ndim == 4:
        upsampling = "synthesis" in key and "conv0" in key
        return (value[::-1, ::-1] if upsampling else value).transpose(3, 2, 0, 1)
    return value.T if value.ndim == 2 else value
