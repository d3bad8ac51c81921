"""All that a run has learnt and counted: what is not in here is not saved."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import tensorflow as tf
from numpy.typing import NDArray

from atelier.errors import Refusal
from training.adam import Adam
from training.config import Config
from training.networks.architecture import (
    DiscriminatorConfig,
    GeneratorConfig,
    Pair,
)
from training.networks.discriminator import Discriminator
from training.networks.generator import Generator
from training.networks.parameters import Network, Tensor, new_variable

Arrays = dict[str, NDArray[Any]]


class StateError(Refusal):
    """A checkpoint that does not fit this run."""


@dataclass
class State:
    """Networks and optimisers by name, and counters; `seen` counts real images shown to D."""

    networks: dict[str, Any]  # "G", "D", and "G_ema", the average of G
    adams: dict[str, Adam]  # by the name of the network that each moves
    averages: dict[str, str]  # an average by the name of the network that it follows
    p: Tensor  # probability of augmentation
    path_mean: Tensor  # a of the path length penalty
    signs: Tensor  # [sum of sign(D(real)), images] since p last moved
    seen: int = 0
    minibatches: int = 0
    tally: dict[str, tuple[float, int]] = field(default_factory=dict)  # of the open tick

    def variables(self) -> dict[str, Tensor]:
        """Every variable under the name that it has in a checkpoint."""
        parts: dict[str, Mapping[str, Tensor]] = {
            name: network.values for name, network in self.networks.items()
        }
        parts |= {f"adam_{name}": adam.slots() for name, adam in self.adams.items()}
        parts["loss"] = {"p": self.p, "path_mean": self.path_mean, "signs": self.signs}
        return {f"{part}/{name}": v for part, named in parts.items() for name, v in named.items()}

    def counters(self) -> dict[str, Any]:
        """Plain numbers, exactly."""
        tally = {name: [float(total), count] for name, (total, count) in self.tally.items()}
        return {
            "seen": self.seen,
            "minibatches": self.minibatches,
            "tally": tally,
        }

    def arrays(self) -> Arrays:
        """A copy of every variable."""
        return {name: variable.numpy() for name, variable in self.variables().items()}

    def restore(self, arrays: Mapping[str, NDArray[Any]], counters: Mapping[str, Any]) -> None:
        """Take everything from a checkpoint; raises StateError where a shape differs.

        An optimiser that moves more than the checkpoint's did, as after Freeze-D, counts its steps
        anew: with new slots of 0 and a count of many, its steps would be ten times too long.
        """
        variables = self.variables()
        anew: set[str] = set()
        for name, variable in variables.items():
            if name not in arrays:
                if name.startswith("adam_"):  # frozen in that run, or another beta 1
                    anew.add(f"{name.partition('/')[0]}/steps")
                    continue
                raise StateError(f"the checkpoint has no {name}")
            there, here = arrays[name].shape, tuple(variable.shape)
            if there != here:
                raise StateError(f"{name} is {there} in the checkpoint and {here} in this run")
        for name, variable in variables.items():
            known = name in arrays and name not in anew
            variable.assign(arrays[name] if known else tf.zeros_like(variable))
        self.seen, self.minibatches = counters["seen"], counters["minibatches"]
        self.tally = {name: (total, count) for name, (total, count) in counters["tally"].items()}


@dataclass(frozen=True)
class Plan:
    """What a run trains."""

    about: dict[str, Any]  # what its files say of the networks
    begin: Callable[[], State]  # before the first step; called where the replicas are
    teacher: Any = None  # a generator that is shown and measured beside the run's own


def new_state(config: Config, pair: Pair) -> State:
    """The state before the first step; weights depend on the seed alone."""
    seed = config.run.seed
    generator, averaged = (Generator(pair.generator, seed) for _ in range(2))
    return state_of(config, generator, averaged, Discriminator(pair.discriminator, seed))


def state_of(
    config: Config, generator: Generator, averaged: Generator, discriminator: Discriminator
) -> State:
    """The state of these networks when nothing has moved yet."""
    loss, rate = config.loss, config.rate
    betas = (rate.beta1, rate.beta2, rate.epsilon)
    pl_interval = loss.pl_interval if loss.pl_weight else 0
    return State(
        networks={"G": generator, "D": discriminator, "G_ema": averaged},
        adams={
            "G": Adam(trainable(generator), *betas, pl_interval),
            "D": Adam(unfrozen(discriminator, config.run.freeze_d), *betas, loss.r1_interval),
        },
        averages={"G_ema": "G"},
        p=number(config.augment.augment_p if config.augment.augment != "none" else 0.0),
        path_mean=number(0.0),
        signs=number([0.0, 0.0]),
    )


def restored(
    state: State,
    config: Config,
    arrays: Mapping[str, NDArray[Any]],
    counters: Mapping[str, Any],
) -> None:
    """Take a checkpoint's place; a probability of augmentation that does not adapt is this run's.

    Raises StateError where a shape differs.
    """
    state.restore(arrays, counters)
    mode = config.augment.augment
    if mode != "ada":
        state.p.assign(config.augment.augment_p if mode == "fixed" else 0.0)


def take_average(generator: Generator, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Give `generator` the values of a checkpoint's G_ema."""
    for name, variable in generator.values.items():
        variable.assign(arrays[f"G_ema/{name}"])


def number(value: Any) -> Tensor:
    return new_variable(tf.constant(value, tf.float32))


def trainable(network: Network) -> dict[str, Tensor]:
    """The variables that learn, by name, from the input on."""
    return {name: network.values[name] for name, entry in network.table.items() if entry.trainable}


def unfrozen(discriminator: Discriminator, freeze: int) -> dict[str, Tensor]:
    """What of D learns when its first `freeze` layers (fromrgb, conv0, conv1, skip, ...) do not."""
    variables = trainable(discriminator)
    layers = list(dict.fromkeys(name.rsplit("/", 1)[0] for name in variables))
    if freeze >= len(layers):
        raise StateError(f"freeze_d = {freeze}: D has {len(layers)} layers, leave one to learn")
    return {n: v for n, v in variables.items() if n.rsplit("/", 1)[0] not in layers[:freeze]}


def arithmetic(options: Mapping[str, Any]) -> dict[str, Any]:
    """How the networks of a run with these options compute: `architecture.ARITHMETIC`."""
    return {
        "dtype": "bfloat16" if options["precision"] == "bfloat16" else "float32",
        "half_levels": options["half_levels"],
        "recompute": options["recompute"],
    }


def network_configs(config: Config, size: tuple[int, int, int], classes: int) -> Pair:
    """The networks of a run, for images of `size` (H, W, C)."""
    part, (height, width, channels) = config.network, size
    both: dict[str, Any] = {
        "height": height,
        "width": width,
        "channels": channels,
        "labels": classes if config.data.labels else 0,
        "fmap_base": part.fmap_base,
        "fmap_max": part.fmap_max,
        "conv_clamp": part.conv_clamp,
        **arithmetic(config.options()),
    }
    return Pair(
        GeneratorConfig(
            **both, z_dim=part.z_dim, w_dim=part.w_dim, mapping_layers=part.mapping_layers
        ),
        DiscriminatorConfig(
            **both,
            architecture=part.d_architecture,
            mapping_layers=part.d_mapping_layers,
            epilogue_channels=part.epilogue_channels,
            mbstd_group=part.mbstd_group,
        ),
    )
