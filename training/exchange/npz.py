"""A generator as one .npz: small, for Atelier, or with ada-pytorch's names, for ada-pytorch.

The small one has the averaged weights in float16, and the network that they are of, in the layout
of a checkpoint without what only training needs: what reads the generator of a checkpoint reads it.
"""

from pathlib import Path
from typing import Any

import numpy as np

from atelier.arrays import CheckpointError, save_arrays
from training.exchange.names import to_torch, torch_name
from training.exchange.opening import OpenedGenerator
from training.exchange.pickles import NetworkFileError
from training.networks.architecture import NetworkConfig, StudentConfig

PART = "G_ema/"  # of the names in a checkpoint


def save_generator(path: Path, opened: OpenedGenerator) -> None:
    """Write the averaged generator of whatever was opened.

    Raises CheckpointError where a weight is beyond what float16 holds.
    """
    arrays = {}
    for name, array in opened.arrays["G_ema"].items():
        with np.errstate(over="ignore"):
            arrays[PART + name] = array.astype(np.float16)
        if not np.isfinite(arrays[PART + name]).all():
            raise CheckpointError(
                f"{name} of {opened.path} holds {abs(array).max():.4g}, and float16 ends at"
                " 65504: choose an earlier checkpoint"
            )
    save_arrays(path, arrays, {"network": opened.saved(), **opened.about})


def save_for_torch(path: Path, opened: OpenedGenerator) -> None:
    """Write every tensor of G_ema, G and D, as far as they are there, as ada-pytorch has them.

    Float32, called G_ema.synthesis.b4.const and so on; `about` is JSON with the arguments of their
    constructors. Raises NetworkFileError for a form that their networks have not.
    """
    form = opened.config.shape
    if isinstance(opened.config, StudentConfig):
        raise NetworkFileError(
            f"{opened.path} is a student, which ada-pytorch's networks are not: choose another --to"
        )
    if form.height != form.width or form.base != (4, 4):
        raise NetworkFileError(
            f"{opened.path} draws {form.width} x {form.height}: ada-pytorch's networks are square,"
            " their side a power of two"
        )
    if (judge := opened.discriminator) and judge.features != judge.fmaps(0):
        raise NetworkFileError(
            f"{opened.path} has a D whose last dense layer makes {judge.features} numbers of"
            f" {judge.fmaps(0)}, which ada-pytorch's D does not: choose another --to"
        )
    arrays = {
        f"{part}.{torch_name(name)}": np.array(to_torch(name, array), order="C")
        for part, known in opened.arrays.items()
        for name, array in known.items()
    }
    save_arrays(path, arrays, constructors(opened))


def constructors(opened: OpenedGenerator) -> dict[str, Any]:
    """What their Generator and Discriminator are made with."""
    config, judge = opened.config, opened.discriminator
    latents = {"z_dim": config.z_dim, "w_dim": config.w_dim}
    depth = {"mapping_kwargs": {"num_layers": config.mapping_layers}}
    known = {"G": size_in_torch(config) | latents | depth | {"synthesis_kwargs": widths(config)}}
    if judge is not None:
        last = {"mbstd_group_size": judge.mbstd_group or None}
        depth = {"mapping_kwargs": {"num_layers": judge.mapping_layers}}
        own = {"architecture": judge.architecture, "epilogue_kwargs": last}
        known["D"] = size_in_torch(judge) | widths(judge) | own | depth
    return known


def size_in_torch(config: NetworkConfig) -> dict[str, Any]:
    return {
        "c_dim": config.labels,
        "img_resolution": config.height,
        "img_channels": config.channels,
    }


def widths(config: NetworkConfig) -> dict[str, Any]:
    base = {"channel_base": 2 * config.fmap_base, "channel_max": config.fmap_max}
    return {**base, "conv_clamp": config.conv_clamp or None}
