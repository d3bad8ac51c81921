"""The weights of a generator with all constants multiplied in: rates, gains, noise, labels.

What is left is plain: dense layers, convolutions, and one rsqrt a layer for the demodulation.
"""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from training.deploy import transposed
from training.networks import winograd
from training.networks.architecture import GeneratorConfig, StudentConfig
from training.networks.layers import GAIN, LRMUL

Array = NDArray[Any]
Folded = dict[str, Array]  # "mapping/fc0/weight" -> float32
UP = 4  # the gain of zero insertion


def fold(
    arrays: Mapping[str, Array], config: GeneratorConfig, mixed: bool = False, phased: bool = False
) -> Folded:
    """The parameters of G (as `generator_table` names them) -> those of a `Program`.

    With `mixed` the kernels that it pays for are those of `winograd`; with `phased` those that go
    up are split by `transposed`.
    """
    wide = {name: np.asarray(array, np.float64) for name, array in arrays.items()}
    found = folded_mapping(wide, config)
    found["const"] = wide["synthesis/b4/const"]
    if isinstance(config, StudentConfig):
        found |= folded_student(wide, config)
        return {name: np.ascontiguousarray(array, np.float32) for name, array in found.items()}
    for level in range(config.shape.levels + 1):
        block = config.block(level)
        start = f"synthesis/{block}"
        for conv in ("conv0", "conv1") if level else ("conv1",):
            up = conv == "conv0"
            for name, array in folded_conv(wide, f"{start}/{conv}", up).items():
                found[f"{block}/{conv}/{name}"] = array
        if phased and level:
            kernel = found.pop(f"{block}/conv0/kernel")[::-1, ::-1].swapaxes(2, 3)
            split = transposed.in_phases(kernel)
            found |= {f"{block}/conv0/{name}": kernel for name, kernel in split.items()}
        form = (*config.shape.size(level), config.fmaps(level))
        if mixed and winograd.pays(*form):
            kernel = found.pop(f"{block}/conv1/kernel")
            found[f"{block}/conv1/mixed"] = winograd.mixed_kernel(kernel, winograd.nests(*form))
        for name, array in folded_modulated(wide, f"{start}/torgb").items():
            found[f"{block}/torgb/{name}"] = array
    return {name: np.ascontiguousarray(array, np.float32) for name, array in found.items()}


def folded_student(arrays: Mapping[str, Array], config: StudentConfig) -> Folded:
    """The convolutions of a student, and of its heads the last."""
    found, layers = {}, [f"{config.block(level)}/conv1" for level in range(config.top + 1)]
    layers += [f"{config.block(level)}/conv0" for level in range(1, config.top + 1)]
    for layer in [*layers, f"{config.block(config.top)}/torgb"]:
        for name, array in folded_modulated(arrays, f"synthesis/{layer}").items():
            found[f"{layer}/{name}"] = array
    return found


def folded_mapping(arrays: Mapping[str, Array], config: GeneratorConfig) -> Folded:
    """Dense layers with gain and learning rate in them; the embedding of each class as a row."""
    found = {"w_avg": arrays["mapping/w_avg"]}
    for number in range(config.mapping_layers):
        name = f"mapping/fc{number}"
        weight, bias = arrays[f"{name}/weight"], arrays[f"{name}/bias"]
        # The leaky ReLU is linear in positive factors, so its gain goes in front of it.
        found[f"fc{number}/weight"] = weight * (GAIN * LRMUL / math.sqrt(weight.shape[0]))
        found[f"fc{number}/bias"] = bias * (GAIN * LRMUL)
    if config.labels:
        weight = arrays["mapping/embed/weight"]
        rows = weight / math.sqrt(weight.shape[0]) + arrays["mapping/embed/bias"]
        power = np.mean(rows**2, axis=1, keepdims=True)
        found["classes"] = rows / np.sqrt(power + 1e-8)
    return found


def folded_conv(arrays: Mapping[str, Array], name: str, up: bool) -> Folded:
    """A styled convolution: kernel HWIO, or HWOI and flipped where it goes up; noise; power."""
    weight = arrays[f"{name}/weight"]
    scaled = weight / math.sqrt(math.prod(weight.shape[:-1]))
    kernel = scaled * (GAIN * UP if up else GAIN)
    return {
        **folded_affine(arrays, name),
        "power": np.sum(scaled**2, axis=(0, 1)),  # [i, o]: d_o = rsqrt(s^2 @ power)
        "kernel": kernel[::-1, ::-1].transpose(0, 1, 3, 2) if up else kernel,
        "noise": arrays[f"{name}/noise_const"] * arrays[f"{name}/noise_strength"] * GAIN,
        "bias": arrays[f"{name}/bias"] * GAIN,
    }


def folded_modulated(arrays: Mapping[str, Array], name: str) -> Folded:
    """A modulated convolution without demodulation: to image channels, or any of a student's."""
    weight = arrays[f"{name}/weight"]
    kernel = weight / math.sqrt(math.prod(weight.shape[:-1]))
    return {**folded_affine(arrays, name), "kernel": kernel, "bias": arrays[f"{name}/bias"]}


def folded_affine(arrays: Mapping[str, Array], name: str) -> Folded:
    """The dense layer w -> styles."""
    weight = arrays[f"{name}/affine/weight"]
    return {
        "affine/weight": weight / math.sqrt(weight.shape[0]),
        "affine/bias": arrays[f"{name}/affine/bias"],
    }
