"""What a run will need, before it begins: parameters per layer, memory, disk."""

import math

from atelier.arrays import SPARE
from training.config import Config
from training.networks.architecture import NetworkConfig, Pair
from training.networks.discriminator import discriminator_table
from training.networks.parameters import Table, count
from training.networks.student import new_generator_table

BYTES = {"float32": 4, "bfloat16": 2}
# Feature maps kept per convolution in the costliest step, and with `recompute`, which spares the
# two main steps alone: measured at 1024 x 1024, config-f, batch 4 (benchmarks/step.py).
KEPT, KEPT_TWICE = 6, 5


def report(config: Config, pair: Pair, images: int) -> str:
    """Tables for people; memory is an estimate."""
    g, d = new_generator_table(pair.generator), discriminator_table(pair.discriminator)
    sizes = count(g), count(d)
    lines = [*layers("generator", g), *layers("discriminator", d)]
    lines.append(f"G {sizes[0] / 1e6:.2f}M + D {sizes[1] / 1e6:.2f}M = {sum(sizes) / 1e6:.2f}M")
    weights = state_bytes(config, g, d)
    acts = activation_bytes(config, pair.generator)
    lines += [
        f"memory, estimated: {gb(weights + 4 * max(sizes))} for weights, slots and gradients,"
        f" {gb(acts)} for activations of {config.run.batch // config.run.accumulation} images",
        f"disk: {gb(weights)} per checkpoint, {config.run.keep + 1} kept and one being written:"
        f" {gb((config.run.keep + 2) * weights + SPARE)}",
        f"{config.run.total_kimg:g} kimg are {config.run.total_kimg * 1000 / images:.1f} epochs"
        f" of {images} images",
    ]
    return "\n".join(lines)


def layers(name: str, table: Table) -> list[str]:
    """Parameters per layer of a network."""
    sums: dict[str, int] = {}
    for key, entry in table.items():
        if entry.trainable:
            layer = key.rsplit("/", 1)[0].removesuffix("/affine")
            sums[layer] = sums.get(layer, 0) + math.prod(entry.shape)
    return [name, *(f"  {layer:28} {number:>12,}" for layer, number in sums.items())]


def state_bytes(config: Config, g: Table, d: Table) -> int:
    """A checkpoint: G, D, G_ema, and one or two moments of each parameter."""
    moments = 2 if config.rate.beta1 else 1
    whole = [sum(math.prod(entry.shape) for entry in table.values()) for table in (g, d)]
    return 4 * (2 * whole[0] + whole[1] + moments * (count(g) + count(d)))


def activation_bytes(config: Config, network: NetworkConfig) -> int:
    """What one round keeps for its gradient, roughly."""
    total = 0  # bytes of one feature map per convolution, of one image
    for level in range(network.shape.levels + 1):
        height, width = network.shape.size(level)
        total += 2 * height * width * network.fmaps(level) * BYTES[network.dtype_of(level)]
    images = config.run.batch // config.run.accumulation
    kept = KEPT_TWICE if network.recompute else KEPT
    return total * kept * images


def gb(size: float) -> str:
    return f"{size / 1e9:.2f} GB"
