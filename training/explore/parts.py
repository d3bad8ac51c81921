"""What parts of a generator do to a picture: its noise, and the colours of each level."""

from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from training.batches import encode
from training.explore.asked import Floats, Look
from training.explore.model import Model
from training.explore.sheets import Pixels, sheet
from training.networks import layers
from training.networks.generator import noise_sizes

DRAWS = 16  # of noise, for its standard deviation


def noise(model: Model, seeds: Sequence[int], look: Look, draws: int = DRAWS) -> Pixels:
    """Two rows a seed: without noise, with that of one level alone, with all; what that changes.

    The change from the picture without is shown around grey, and in the last column the standard
    deviation over `draws` draws of all noise, mean over the channels. Both have one scale for the
    whole sheet: the words say which value is white, in levels of 255.
    """
    model.check(look)
    model.check_noise()
    ws, maps = model.styles(seeds, look), model.generator.maps("const", 1)
    levels = range(model.top + 1)
    kept = [(), *((level,) for level in levels), tuple(levels)]
    drawn = np.stack([model.pictures(ws, seeds, only(maps, each)) for each in kept], axis=1)
    change = drawn[..., :3].astype(np.float32) - drawn[:, :1, ..., :3]
    spread = np.stack([noise_spread(model, row, draws) for row in ws])[..., None]
    far, most = (max(float(np.abs(values).max()), 1.0) for values in (change, spread))
    cells, rows = [], []
    for number, seed in enumerate(seeds):
        cells.append([*drawn[number], encode(spread[number] / most * 2 - 1)])
        cells.append(list(encode(change[number] / far)))
        rows += [f"seed {seed}", f"change ±{far:.0f}"]
    shape = model.config.shape
    names = [f"{shape.size(level)[1]} px" for level in levels]
    return sheet(cells, ["none", *names, "all", f"std 0 to {most:.1f}"], rows)


def only(maps: Sequence[tf.Tensor], levels: Sequence[int]) -> list[tf.Tensor]:
    """Noise maps, zero but at some levels."""
    return [
        given if (layer + 1) // 2 in levels else tf.zeros_like(given)
        for layer, given in enumerate(maps)
    ]


def noise_spread(model: Model, ws: Floats, draws: int) -> Floats:
    """ws [L, w_dim] -> standard deviation of each pixel [H, W], in levels of 255.

    The root of the unbiased variance: of few draws the mean square around their own mean is less.
    """
    found = []
    for number in range(draws):
        rng = np.random.default_rng(number)
        maps = [
            tf.constant(rng.standard_normal((1, *size, 1)), tf.float32)
            for size in noise_sizes(model.config)
        ]
        found.append(model.pictures(ws[None], maps=maps)[0].astype(np.float32))
    return np.asarray(np.std(found, axis=0, ddof=1).mean(axis=2), np.float32)


def level_images(model: Model, ws: Floats) -> Floats:
    """ws [L, w_dim] -> what each level adds to the picture, at its size: [levels + 1, H, W, C].

    Upsampled by the filter of the skip connections, so that their sum is the picture.
    """
    found, before = [], None
    for level in model.generator.levels(tf.constant(ws[None]), "const"):
        own = level.image if before is None else level.image - layers.up2(before)
        before = level.image
        found.append(own)
    for number in range(len(found)):
        for _ in range(model.top - number):
            found[number] = layers.up2(found[number])
    return np.concatenate([image.numpy() for image in found])


def contributions(model: Model, seeds: Sequence[int], look: Look) -> Pixels:
    """Two rows a seed, a column a level: what it adds, and the picture up to it.

    What a level adds is shown around grey, divided by its largest value, which stands below it
    (white is 1 and black -1 in a picture); the alpha of RGBA is left out.
    """
    model.check(look)
    shape, cells, rows, notes = model.config.shape, [], [], []
    for seed, ws in zip(seeds, model.styles(seeds, look), strict=True):
        parts = level_images(model, ws)
        colours = parts[..., : min(3, parts.shape[-1])]
        most = np.abs(colours).max(axis=(1, 2, 3), keepdims=True)
        cells += [list(encode(colours / np.maximum(most, 1e-6)))]
        cells += [list(encode(np.cumsum(parts, axis=0)))]
        notes += [[f"{value:.2g}" for value in most.ravel()], [""] * len(parts)]
        rows += [f"seed {seed}: adds", "sum"]
    names = [f"{shape.size(level)[1]} px" for level in range(model.top + 1)]
    return sheet(cells, names, rows, notes)
