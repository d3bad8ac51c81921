"""Small generators of every kind, none of whose parameters is 0 or 1, as files that open."""

import numpy as np

from training.exchange.npz import save_generator
from training.exchange.opening import OpenedGenerator, open_generator
from training.networks.architecture import saved_generator
from training.networks.student import new_generator

WIDTHS = {"fmap_base": 64, "fmap_max": 16, "z_dim": 16, "w_dim": 24, "mapping_layers": 2}
KINDS = {
    "rgb": {"height": 16, "width": 16},
    "grey": {"height": 8, "width": 8, "channels": 1},
    "rgba": {"height": 16, "width": 16, "channels": 4, "conv_clamp": 1.5},
    "wide": {"height": 12, "width": 20},
    "classes": {"height": 8, "width": 8, "labels": 3},
    "student": {"height": 16, "width": 24, "labels": 3, "architecture": "student"},
}


def opened(kind, path, **more):
    """A generator of KINDS, written to `path` and opened again."""
    config = saved_generator({**WIDTHS, **KINDS[kind], **more})
    rng = np.random.default_rng(len(kind))
    arrays = {
        name: (value.numpy() + 0.2 * rng.standard_normal(value.shape)).astype(np.float32)
        for name, value in new_generator(config, start=1).values.items()
    }
    save_generator(path, OpenedGenerator(path, "made", config, None, {"G_ema": arrays}))
    return open_generator(path)
