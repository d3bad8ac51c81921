"""A generator as one small .npz: the averaged weights in float16, and the network that they are of.

It has the layout of a checkpoint without what only training needs, so that what reads the
generator of a checkpoint reads this.
"""

from pathlib import Path

import numpy as np

from atelier.arrays import CheckpointError, save_arrays
from training.exchange.opening import OpenedGenerator, open_generator
from training.networks.generator import Generator

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


def load_generator(path: Path) -> Generator:
    """The generator of such a file, or of a checkpoint, in float32.

    Raises CheckpointError where the file is broken or its weights are not those of its network.
    """
    return open_generator(path).network()
