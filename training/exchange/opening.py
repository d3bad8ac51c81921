"""Open a generator, whatever it lies in: a run, a checkpoint, a small file, NVIDIA's pickle."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from atelier.arrays import CheckpointError, are_numbers, load_arrays
from training.exchange.described import (
    WORDS,
    ModelFile,
    check_there,
    configs_in,
    is_pickle,
    kind_of,
    named_file,
    networks_of,
    of_newest,
)
from training.exchange.forms import discriminator_config, generator_config
from training.exchange.nvidia import PARTS, Found
from training.exchange.pickles import NetworkFileError
from training.exchange.weights import Arrays, weights
from training.networks.architecture import (
    DiscriminatorConfig,
    GeneratorConfig,
)
from training.networks.discriminator import Discriminator, discriminator_table
from training.networks.parameters import Network, Table
from training.networks.student import new_generator, new_generator_table
from training.run.checkpoints import Checkpoint

AVERAGE = ("G_ema",)


@dataclass(frozen=True)
class OpenedGenerator(ModelFile):
    """The averaged generator of a file, and what else of it was asked for and is there."""

    arrays: Mapping[str, Arrays] = field(repr=False)  # by G_ema, G, D; then by our names
    notes: tuple[str, ...] = ()  # what whoever uses it should know
    about: Mapping[str, Any] = field(default_factory=dict)  # key and images seen of its run

    def saved(self) -> dict[str, Any]:
        """What a file says of the networks, without the arithmetic."""
        known = {"D": self.discriminator.saved()} if self.discriminator else {}
        return {"G": self.config.saved()} | known

    def network(self, part: str = "G_ema", **arithmetic: Any) -> Network:
        """A network of it: G_ema, G or D; raises NetworkFileError where the file has it not.

        `arithmetic` are the fields of a config that change no weights: dtype, half_levels, ...
        """
        if part not in self.arrays:
            raise NetworkFileError(f"{self.path} has no {part}: open a file that has it")
        if part == "D" and self.discriminator:
            return Discriminator(replace(self.discriminator, **arithmetic), self.arrays[part])
        return new_generator(replace(self.config, **arithmetic), self.arrays[part])


def open_generator(path: Path, parts: tuple[str, ...] = AVERAGE) -> OpenedGenerator:
    """The generator in a run's folder, a checkpoint or small .npz, or a network pickle.

    `parts` are those to read: G_ema, and G and D where the file has them. Nothing that a file
    holds is executed. Raises NetworkFileError or CheckpointError in one sentence.
    """
    if path.is_dir():
        return of_newest(path, "G_ema", lambda found: from_run(found, parts))
    check_there(path)
    if is_pickle(path):
        return open_pickle(path, parts)
    return from_arrays(path, *load_arrays(path, "G_ema/"), parts)


def from_run(found: Checkpoint, parts: tuple[str, ...]) -> OpenedGenerator:
    """A run's checkpoint, whose digest is taken at once: its training may take the file away."""
    opened = from_arrays(found.path, found.arrays, found.about, parts)
    _ = opened.digest
    return opened


def open_pickle(path: Path, parts: tuple[str, ...]) -> OpenedGenerator:
    """The networks of a pickle of NVIDIA's."""
    with named_file(path):
        return from_networks(path, networks_of(path), parts)


def from_networks(
    path: Path, networks: Mapping[str, Found], parts: tuple[str, ...]
) -> OpenedGenerator:
    """Our configs and weights of what a pickle holds."""
    average = networks["G_ema"]
    config = generator_config(average)
    wanted = [part for part in PARTS if part in {*parts, *AVERAGE} and part in networks]
    discriminator = discriminator_config(networks["D"]) if "D" in wanted else None
    if "G" in wanted and generator_config(networks["G"]) != config:
        raise NetworkFileError("has a G and a G_ema of different shapes: it was put together")
    tables = tables_of(config, discriminator)
    arrays = {part: weights(networks[part], tables[part[0]], part[0]) for part in wanted}
    return OpenedGenerator(
        path, WORDS[average.layout], config, discriminator, arrays, tuple(notes(networks))
    )


def tables_of(
    generator: GeneratorConfig, discriminator: DiscriminatorConfig | None
) -> dict[str, Table]:
    """The parameters of G, and of D where its config is known."""
    tables = {"G": new_generator_table(generator)}
    return tables | ({"D": discriminator_table(discriminator)} if discriminator else {})


def notes(networks: Mapping[str, Found]) -> list[str]:
    """What whoever uses the networks should know."""
    modules = [said for found in networks.values() for said in found.modules.values()]
    half = any(said.get("use_fp16") is True or said.get("num_fp16_res") for said in modules)
    return ["it computed its highest levels in float16; here they are float32"] if half else []


def from_arrays(
    path: Path, arrays: Mapping[str, NDArray[Any]], about: Mapping[str, Any], parts: tuple[str, ...]
) -> OpenedGenerator:
    """A checkpoint, or a generator alone in a file of the same layout, whose G_ema was read."""
    generator, discriminator = configs_in(path, about)
    tables = tables_of(generator, discriminator)
    read = {"G_ema": own_arrays(path, arrays, tables["G"], "G_ema")}
    for part in sorted({*parts} & {*tables}):
        if more := load_arrays(path, f"{part}/")[0]:
            read[part] = own_arrays(path, more, tables[part], part)
    known = {name: about[name] for name in ("key", "seen") if name in about}
    known |= {"seen": about["counters"]["seen"]} if "counters" in about else {}
    return OpenedGenerator(path, kind_of(about), generator, discriminator, read, about=known)


def own_arrays(
    path: Path, arrays: Mapping[str, NDArray[Any]], table: Mapping[str, Any], part: str
) -> Arrays:
    """The arrays of one network in float32; raises CheckpointError unless all are those of it."""
    found = {}
    for name, entry in table.items():
        value = arrays.get(f"{part}/{name}")
        there = "missing" if value is None else value.shape
        if value is None or there != entry.shape:
            raise CheckpointError(
                f"{path} is no generator of its network: {name} is {there}, not {entry.shape};"
                " write it again from its checkpoint"
            )
        if not are_numbers(value):
            raise CheckpointError(
                f"{path} holds no finite numbers in {part}/{name}: name another file, or an earlier"
                " checkpoint of its run"
            )
        found[name] = value.astype(np.float32, copy=False)
    return found
