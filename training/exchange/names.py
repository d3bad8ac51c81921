"""Where each tensor of ours lies in NVIDIA's two layouts, and how it is turned into ours.

Ours: kernels HWIO, dense layers [in, out], images NHWC; the dense layer after D's last features
counts them in the order h, w, c. All three store weights before the equalised learning rate, and an
output of a dense layer in the mapping is the same for (weight * a, bias * a, lrmul / a).

    ours                   ada-pytorch                       TensorFlow 1
    kernel [h, w, i, o]    [o, i, h, w]; up: flipped         as ours
    dense [i, o]           [o, i]                            as ours
    affine/bias            as ours                           mod_bias, 1 less
    const [1, h, w, c]     [c, h, w]                         [1, c, h, w]
    noise [1, h, w, 1]     [h, w]                            [1, 1, h, w]
    b4/fc/weight [hwc, o]  [o, chw]                          [chw, o]
"""

import re
from typing import Any

import numpy as np
from numpy.typing import NDArray

LAYERS_OF_G = {"conv0": "Conv0_up", "conv1": "Conv1", "torgb": "ToRGB"}
LAYERS_OF_D = {"fromrgb": "FromRGB", "conv0": "Conv0", "conv1": "Conv1_down", "skip": "Skip"}
LOWEST = {
    "synthesis/b4/const": "synthesis/4x4/Const/const",
    "synthesis/b4/conv1": "synthesis/4x4/Conv",
    "b4/conv": "4x4/Conv",
    "b4/fc": "4x4/Dense0",
    "b4/out": "Output",
}
IGNORED = re.compile(r"(.*[./])?(resample_filter|lod)")  # no parameter of any network

Array = NDArray[Any]


def torch_name(key: str) -> str:
    """What ada-pytorch and StyleGAN3's repository call our `key`."""
    return key.replace("/", ".")


def from_torch(key: str, value: Array) -> Array:
    """A tensor in their layout, in ours."""
    if key.endswith("/noise_const") and value.ndim == 2:
        return value[None, :, :, None]
    if key.endswith("/const") and value.ndim == 3:
        return value.transpose(1, 2, 0)[None]
    if value.ndim == 4:
        kernel = value.transpose(2, 3, 1, 0)
        return kernel[::-1, ::-1] if is_up(key) else kernel
    if value.ndim == 2:
        return by_place(value.T) if key == "b4/fc/weight" else value.T
    return value


def to_torch(key: str, value: Array) -> Array:
    """A tensor of ours in ada-pytorch's layout: `from_torch` takes it back."""
    if key.endswith("/noise_const"):
        return np.squeeze(value, (0, 3))
    if key.endswith("/const"):
        return np.transpose(value[0], (2, 0, 1))
    if value.ndim == 4:
        kernel: Array = value[::-1, ::-1] if is_up(key) else value
        return kernel.transpose(3, 2, 0, 1)
    if value.ndim == 2:
        return by_channel(value).T if key == "b4/fc/weight" else value.T
    return value


def tf1_name(key: str, part: str) -> str:
    """What the TensorFlow 1 trainers call our `key` of G or D."""
    if noise := re.fullmatch(r"synthesis/b(\d+)/conv([01])/noise_const", key):
        return f"synthesis/noise{2 * int(noise[1]).bit_length() - 7 + int(noise[2])}"
    if key == "mapping/w_avg":
        return "dlatent_avg"
    key = key.replace("affine/", "mod_")
    if key.startswith("mapping/"):
        mapping, dense = ("mapping/", "Dense") if part == "G" else ("", "Mapping")
        return mapping + key.removeprefix("mapping/").replace("embed", "LabelEmbed").replace(
            "fc", dense
        )
    for ours, theirs in LOWEST.items():
        if key == ours or key.startswith(f"{ours}/"):
            return theirs + key.removeprefix(ours)
    key = re.sub(r"\bb(\d+)/", r"\1x\1/", key)
    layers = LAYERS_OF_G if part == "G" else LAYERS_OF_D
    return re.sub(r"(?<=\d/)(\w+?)(?=/)", lambda found: layers[found[1]], key)


def from_tf1(key: str, value: Array) -> Array:
    """A tensor in their layout, in ours."""
    if key.endswith("const") and value.ndim == 4:
        return value.transpose(0, 2, 3, 1)
    if key.endswith("/affine/bias"):
        return value + 1
    return by_place(value) if key == "b4/fc/weight" else value


def is_up(key: str) -> bool:
    """Whether a kernel is of a convolution to twice the size."""
    return key.startswith("synthesis/") and "/conv0/" in key


def by_place(weight: Array) -> Array:
    """A dense layer over 4 x 4 features, rows in the order c, h, w -> in the order h, w, c."""
    rows, outputs = weight.shape
    if rows % 16:
        return weight
    blocks = weight.reshape(rows // 16, 4, 4, outputs).transpose(1, 2, 0, 3)
    return blocks.reshape(rows, outputs)


def by_channel(weight: Array) -> Array:
    """Rows in the order h, w, c -> in the order c, h, w."""
    rows, outputs = weight.shape
    blocks = weight.reshape(4, 4, rows // 16, outputs).transpose(2, 0, 1, 3)
    return blocks.reshape(rows, outputs)
