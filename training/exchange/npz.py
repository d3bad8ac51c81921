"""A generator as one small .npz: the averaged weights in float16, and the network that they are of.

It has the layout of a checkpoint without what only training needs, so that what reads the
generator of a checkpoint reads this.
"""

from pathlib import Path

import numpy as np

from atelier.arrays import CheckpointError, load_arrays, save_arrays
from training.networks.architecture import NetworkConfig
from training.networks.generator import Generator, generator_table
from training.run.checkpoints import Checkpoint

PART = "G_ema/"  # of the names in a checkpoint


def save_generator(path: Path, checkpoint: Checkpoint) -> None:
    """Write the averaged generator of a checkpoint.

    Raises CheckpointError where a weight is beyond what float16 holds.
    """
    arrays = {}
    for name, array in checkpoint.arrays.items():
        if name.startswith(PART):
            with np.errstate(over="ignore"):
                arrays[name] = array.astype(np.float16)
            if not np.isfinite(arrays[name]).all():
                raise CheckpointError(
                    f"{name} of {checkpoint.path} holds {abs(array).max():.4g}, and float16 ends at"
                    " 65504: choose an earlier checkpoint"
                )
    about = {
        "network": checkpoint.about["network"],
        "key": checkpoint.about["key"],
        "seen": checkpoint.about["counters"]["seen"],
    }
    save_arrays(path, arrays, about)


def load_generator(path: Path) -> Generator:
    """The generator of such a file, or of a checkpoint, in float32.

    Raises CheckpointError where the file is broken or its weights are not those of its network.
    """
    arrays, about = load_arrays(path)
    try:
        config = NetworkConfig(**about["network"])
    except (KeyError, TypeError, ValueError) as error:
        raise CheckpointError(f"{path} does not say what network it is of: {error}") from None
    for name, entry in generator_table(config).items():
        there = arrays[PART + name].shape if PART + name in arrays else "missing"
        if there != entry.shape:
            raise CheckpointError(
                f"{path} is no generator of its network: {name} is {there}, not {entry.shape};"
                " write it again from its checkpoint"
            )
    generator = Generator(config, 0)
    for name, variable in generator.values.items():
        variable.assign(arrays[PART + name].astype(np.float32))
    return generator
