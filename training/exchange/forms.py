"""What a network in a pickle says of itself -> our config of it; what ours cannot be is refused."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from training.exchange.nvidia import Found
from training.exchange.pickles import NetworkFileError
from training.networks.architecture import DiscriminatorConfig, GeneratorConfig, NetworkConfig

KERNEL = [1, 3, 3, 1]  # the filter of all resampling
TAPS = np.array(KERNEL, np.float32) / 8  # the same along one axis, as a file may hold it
LARGEST = 8192  # pixels
CONVOLUTIONS = ("SynthesisLayer", "ToRGBLayer", "Conv2dLayer")
KNOWN = {
    "G": ("Generator", "G_main", "G_mapping", "G_synthesis", "G_synthesis_stylegan2"),
    "D": ("Discriminator", "D_main", "D_stylegan2"),
}
STYLEGAN1 = ("G_style", "D_basic", "G_synthesis_stylegan_revised", "D_stylegan")


@dataclass(frozen=True)
class Form:
    """What either layout says, as it says it; a list where several layers say it."""

    resolution: Any
    channels: Any
    labels: Any
    fmap_base: Any
    fmap_max: Any
    z_dim: Any
    w_dim: Any
    architecture: list[Any]
    conv_clamp: list[Any]
    activation: list[Any]
    kernel: list[Any]
    lrmul: list[Any]
    group: Any  # of minibatch standard deviation
    maps: Any


def form_of(found: Found, part: str) -> Form:
    """What a network says; raises NetworkFileError, with its name, for one not StyleGAN2's."""
    refuse_stylegan3(found)
    functions = [str(said.get("build_func_name", "")) for said in found.modules.values()]
    for name in [found.class_name] if found.layout == "torch" else functions:
        if name in STYLEGAN1:
            raise NetworkFileError(
                f"is a network of StyleGAN1 ({name}): only StyleGAN2's networks can be opened"
            )
        if name not in KNOWN[part]:
            raise NetworkFileError(
                f"has a {part} that is called {short(name)}, and StyleGAN2's are called"
                f" {', '.join(KNOWN[part])}: another architecture cannot be opened"
            )
    return torch_form(found) if found.layout == "torch" else tf1_form(found, part)


def generator_config(found: Found) -> GeneratorConfig:
    """The config of G or G_ema."""
    form = form_of(found, "G")
    same(form.architecture, "G's architecture", "skip")
    return GeneratorConfig(
        **both(form),
        z_dim=whole(form.z_dim, "the length of z"),
        w_dim=whole(form.w_dim, "the length of w"),
        mapping_layers=dense_layers(found),
    )


def discriminator_config(found: Found) -> DiscriminatorConfig:
    """The config of D."""
    form = form_of(found, "D")
    same([form.maps], "mbstd_num_channels", 1)
    bias = found.tensors.get("b4.fc.bias", found.tensors.get("4x4/Dense0/bias"))
    features = 0 if bias is None else bias.size  # where there is none, that is said later
    lowest = NetworkConfig(**both(form)).fmaps(0)
    return DiscriminatorConfig(
        **both(form),
        architecture=same(form.architecture, "D's architecture", "orig", "skip", "resnet"),
        mapping_layers=dense_layers(found),
        epilogue_channels=0 if features == lowest else features,
        mbstd_group=whole(form.group or 0, "mbstd_group_size"),
    )


def learning_rate(found: Found, part: str) -> float:
    """lrmul of the mapping network, by which its stored weights are multiplied."""
    form = torch_form(found) if found.layout == "torch" else tf1_form(found, part)
    value = same(form.lrmul or [0.01], "the mapping's lr_multiplier")
    if not isinstance(value, int | float) or not 1e-6 < value < 1e6:
        raise unusual("the mapping's lr_multiplier", [value], [0.01])
    return float(value)


def refuse_stylegan3(found: Found) -> None:
    """Raise NetworkFileError for StyleGAN3's own networks, which share a class name."""
    if "synthesis.input" in found.modules:
        inits = [found.modules[path].get("init", {}) for path in ("", "synthesis")]
        kind = "R" if any(init.get("conv_kernel") == 1 for init in inits) else "T"
        raise NetworkFileError(
            f"is a network of StyleGAN3-{kind}: of its repository, those of --cfg=stylegan2 can be"
            " opened"
        )


def torch_form(found: Found) -> Form:
    """What a network of ada-pytorch says: layers of themselves, not what they were made with."""
    root, modules = found.modules[""], found.modules
    widths = modules.get("synthesis", root).get("init", {})
    layers = [said for said in modules.values() if said.get("class_name") in CONVOLUTIONS]
    dense = [said for path, said in modules.items() if re.fullmatch(r"mapping\.fc\d+", path)]
    levels = [said for path, said in modules.items() if re.fullmatch(r"(synthesis\.)?b\d+", path)]
    deviation = modules.get("b4.mbstd", {})
    base = widths.get("channel_base", 32768)
    active = [said for said in layers if said.get("activation") != "linear"]
    return Form(
        resolution=root.get("img_resolution"),
        channels=root.get("img_channels"),
        labels=root.get("c_dim"),
        fmap_base=base / 2 if isinstance(base, int | float) else base,
        fmap_max=widths.get("channel_max", 512),
        z_dim=root.get("z_dim"),
        w_dim=root.get("w_dim"),
        architecture=[said.get("architecture") for said in levels],
        conv_clamp=[said.get("conv_clamp") for said in active],
        activation=[said.get("activation", "lrelu") for said in [*active, *dense]],
        kernel=[
            kernel_of(taps)
            for name, taps in found.tensors.items()
            if name.endswith("resample_filter") and taps.ndim
        ],
        lrmul=[said.get("bias_gain") for said in dense],
        group=deviation.get("group_size"),
        maps=deviation.get("num_channels", 1),
    )


def kernel_of(taps: NDArray[Any]) -> Any:
    """The filter of a layer: KERNEL, or its shape and first number where it is another."""
    wanted = np.outer(TAPS, TAPS) if taps.ndim == 2 else TAPS
    usual = taps.shape == wanted.shape and np.allclose(taps, wanted, rtol=0, atol=1e-6)
    return KERNEL if usual else [*taps.shape, *taps.flat[:1].tolist()]


def tf1_form(found: Found, part: str) -> Form:
    """What a network of TensorFlow 1 says; the defaults are those of its functions."""
    said: dict[str, Any] = {}
    for component in ("mapping", "synthesis", ""):
        said |= found.modules.get(component, {})
    group = 4 if found.class_name == "D_stylegan2" else None
    return Form(
        resolution=said.get("resolution"),
        channels=said.get("num_channels", 3),
        labels=said.get("label_size", 0),
        fmap_base=said.get("fmap_base", 16384),
        fmap_max=said.get("fmap_max", 512),
        z_dim=said.get("latent_size", 512),
        w_dim=said.get("dlatent_size", 512),
        architecture=[said.get("architecture", "skip" if part == "G" else "resnet")],
        conv_clamp=[said.get("conv_clamp")],
        activation=[said.get(f"{where}nonlinearity", "lrelu") for where in ("", "mapping_")],
        kernel=[said.get("resample_kernel") or KERNEL],
        lrmul=[said.get("mapping_lrmul", 0.01 if part == "G" else 0.1)],
        group=said.get("mbstd_group_size", group),
        maps=said.get("mbstd_num_features", 1),
    )


def both(form: Form) -> dict[str, Any]:
    """What G and D have in common."""
    same(form.activation or ["lrelu"], "activation", "lrelu")
    same(form.kernel or [KERNEL], "resample_filter", KERNEL)
    side = whole(form.resolution, "the resolution")
    if side.bit_count() != 1 or not 8 <= side <= LARGEST:
        raise unusual("the resolution", [side], [8, 16, "...", LARGEST])
    return {
        "height": side,
        "width": side,
        "channels": whole(form.channels, "the channels"),
        "labels": whole(form.labels, "the labels"),
        "fmap_base": whole(form.fmap_base, "half of channel_base"),
        "fmap_max": whole(form.fmap_max, "channel_max"),
        "conv_clamp": clamp(same(form.conv_clamp or [None], "conv_clamp")),
    }


def dense_layers(found: Found) -> int:
    """How many dense layers the mapping network has: those that are there."""
    pattern = r"mapping\.fc\d+\.weight|(mapping/Dense|Mapping)\d+/weight"
    return sum(re.fullmatch(pattern, name) is not None for name in found.tensors)


def whole(value: Any, name: str) -> int:
    """A whole number, of which there is a sensible amount."""
    if not isinstance(value, int | float) or not 0 <= value < 2**31 or value != int(value):
        raise unusual(name, [value], ["whole numbers"])
    return int(value)


def clamp(value: Any) -> float:
    """conv_clamp, 0 for none."""
    if value is None:
        return 0.0
    if not isinstance(value, int | float) or not 0 < value < 1e30:
        raise unusual("conv_clamp", [value], ["none", 256])
    return float(value)


def same(values: Iterable[Any], name: str, *wanted: Any) -> Any:
    """The one value that all layers say; raises NetworkFileError unless it is among `wanted`."""
    first, *others = values
    if any(other != first for other in others):
        raise unusual(name, values, ["one for all layers"])
    if wanted and first not in wanted:
        raise unusual(name, [first], wanted)
    return first


def unusual(name: str, values: Iterable[Any], wanted: Iterable[Any]) -> NetworkFileError:
    """What is said of an option that our networks have not."""
    said = " and ".join(sorted({short(value) for value in values})[:3])
    return NetworkFileError(
        f"has {said} as {name}, and Atelier's networks have {' or '.join(map(str, wanted))}:"
        " it cannot be opened"
    )


def short(value: Any) -> str:
    """A value of a file as it can be printed."""
    return ascii(value)[:40]
