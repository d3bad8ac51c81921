"""Named sets of options, as a table; what the command line gives comes on top."""

from collections.abc import Mapping
from typing import Any

from atelier.options import nearest, shown
from training.config import Config, ConfigError, configure

DEFAULT = "auto"
CONFIG_F: dict[str, Any] = {"fmap_base": 16384, "r1_gamma": "10"}

PRESETS: dict[str, dict[str, Any]] = {
    # The StyleGAN2 paper, FFHQ at 1024.
    "config-f": CONFIG_F,
    "config-e": {"fmap_base": 8192, "r1_gamma": "100"},
    # StyleGAN2-ADA's automatic choice, or ours for small sizes: computed, see `auto`.
    "auto": {},
    # The write-up of 36K portraits: FID 3.57 at 25451 kimg.
    "l4rz": CONFIG_F
    | {
        "g_lr": "0:1e-3, 20000:1e-4, 25000:1e-5",
        "d_lr": "0:1e-3, 20000:1e-4, 25000:1e-5",
        "batch": 32,
        "mirror": True,
    },
    # Small enough for a CPU and for tests.
    "tiny": {
        "fmap_base": 128,
        "fmap_max": 32,
        "z_dim": 32,
        "w_dim": 32,
        "mapping_layers": 2,
        "batch": 8,
        "total_kimg": 8,
        "tick_kimg": 0.4,
        "snapshot_kimg": 2,
        "ema_kimg": 1,
        "grid_columns": 8,
        "grid_rows": 4,
    },
}

FINE_TUNED = {"ada_kimg": 100.0}  # StyleGAN2-ADA's: what D knows already, it soon overfits
SMALL = 64  # pixels: up to this side `auto` goes its own way


def resolve(preset: str, height: int, width: int, given: Mapping[str, Any]) -> Config:
    """The config of a preset for images of this size, with what is given on top."""
    if preset not in PRESETS:
        raise ConfigError(f"no preset is called {preset!r}{nearest(preset, PRESETS)}")
    table = PRESETS[preset]
    if preset == "auto":
        table = auto(height, width, max(configure(devices_of(given)).run.devices, 1))
    further = FINE_TUNED if given.get("resume_from") else {}
    return configure({**table, **further, **given})


def told() -> str:
    """What is in each preset, a line for each."""
    lines = []
    for name, table in PRESETS.items():
        said = {option: shown(value) for option, value in table.items()}
        words = (defaults() if name == DEFAULT else said).items()
        lines.append(f"  {name:9} {', '.join(f'{option} {value}' for option, value in words)}")
    return "\n".join(lines)


def defaults() -> dict[str, str]:
    """What `auto` gives each of its options, whatever the size or by it."""
    sizes = [auto(side, side) for side in (64, 256, 1024)]
    values = {option: {table.get(option) for table in sizes} for option in sizes[0]}
    return {
        option: "by size" if len(found) > 1 else shown(*found) for option, found in values.items()
    }


def devices_of(given: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in given.items() if name == "devices"}


def auto(height: int, width: int, devices: int = 1) -> dict[str, Any]:
    """StyleGAN2-ADA's rules, where H * W stands for the resolution squared; our own up to 64 px."""
    area = height * width
    resolution = area**0.5
    batch = max(min(devices * min(int(4096 // resolution), 32), 64), devices)
    batch = 1 << (batch.bit_length() - 1)  # sides that are no powers of two give odd numbers
    rate = "0.002" if resolution >= 1024 else "0.0025"
    published = {
        "batch": batch,
        "mbstd_group": min(batch // devices, 4),
        "fmap_base": 16384 if resolution >= 512 else 8192,
        "g_lr": rate,
        "d_lr": rate,
        "r1_gamma": f"{0.0002 * area / batch:.6g}",
        "ema_kimg": batch * 10 / 32,
        "ema_ramp": 0.05,
        "mapping_layers": 2,
        "augment": "ada",
    }
    return published if resolution > SMALL else published | small(area, devices)


def small(area: int, devices: int) -> dict[str, Any]:
    """What short runs at 32 and 64 px were found to need: many steps, and a D that is held back.

    The published gamma lets D win before G draws anything: docs/training.md, Faces.
    """
    return {
        "batch": 8 * devices,
        "mbstd_group": 4,
        "g_lr": "0.004",
        "d_lr": "0.004",
        "r1_gamma": f"0:{0.01 * area:.6g}, 15:{0.002 * area:.6g}",
        "pl_weight": 0,
        "mixing": 0,
        "ema_kimg": 2.5 * devices,
    }
