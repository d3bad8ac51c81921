"""Generators of every kind that fit into a test: random weights, the smallest sizes."""

import numpy as np

from atelier.arrays import save_arrays
from tests.kit import nvidia_pickles
from training.networks.architecture import DiscriminatorConfig, Pair, saved_generator
from training.networks.discriminator import discriminator_table
from training.networks.student import new_generator_table

WIDTHS = {"fmap_base": 32, "fmap_max": 8}
DEPTH = {"z_dim": 6, "w_dim": 5, "mapping_layers": 2}
KINDS = {
    "rgb": {"height": 16, "width": 16},
    "grey": {"height": 8, "width": 8, "channels": 1},
    "rgba": {"height": 8, "width": 8, "channels": 4},
    "not square": {"height": 12, "width": 20},
    "conditional": {"height": 8, "width": 8, "labels": 3},
    "student": {"height": 16, "width": 8, "architecture": "student"},
    "NVIDIA's": {},
}


def small_model(path, kind, discriminator=True, seed=3, group=2):
    """Write a checkpoint of this kind, or NVIDIA's pickle of a conditional model."""
    if kind == "NVIDIA's":
        path = path.with_suffix(".pkl")
        path.write_bytes(nvidia_pickles.torch_pickle(nvidia_pickles.weights()))
        return path
    shape, rng = {**KINDS[kind], **WIDTHS}, np.random.default_rng(seed)
    generator = saved_generator({**shape, **DEPTH})
    shape.pop("architecture", None)
    pair = Pair(generator, DiscriminatorConfig(**shape, mbstd_group=group))
    tables = {"G_ema": new_generator_table(pair.generator)}
    if discriminator:
        tables["D"] = discriminator_table(pair.discriminator)
    arrays = {
        f"{part}/{name}": value(name, entry, rng)
        for part, table in tables.items()
        for name, entry in table.items()
    }
    seen = int(path.stem) if path.stem.isdigit() else 0
    counters = {"seen": seen, "minibatches": 0, "tally": {}}
    about = {"network": pair.saved(), "key": "0", "counters": counters}
    save_arrays(path, arrays, about)
    return path


def value(name, entry, rng):
    """What a trained network could have: noise that matters, a mean of w that is not 0."""
    drawn = rng.standard_normal(entry.shape).astype(np.float32) * (entry.std or 0.2)
    return (
        np.abs(drawn) + 0.1 if name.endswith("noise_strength") else drawn + np.float32(entry.fill)
    )
