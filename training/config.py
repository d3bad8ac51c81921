"""The options of a run: declared once, checked when made, saved before the first step."""

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import PurePath
from typing import Any, ClassVar, Literal

from atelier.options import MOST_THREADS, OptionError, Section, nearest, option
from training import schedule
from training.augment import PIPES, check_pipe

METRIC = re.compile(r"(fid|frechet|kid|pr)([1-9]\d*)k(_full)?")
FIGURE = re.compile(r"(\w+)\((random-inception|classifier)\)")  # as one by a stand-in is called
KERAS = "keras"  # where a file of VGG19's weights is asked for: Keras's download


class ConfigError(OptionError):
    """A setting that cannot be: the message names it, its value and the way out."""


def steps_option(default: str, help: str) -> Any:
    """A field that holds a list of steps by kimg."""
    return option(default, help, check=schedule.steps)


def metric_forms(text: str) -> list[re.Match[str]]:
    """What each word of `metrics` says: kind, thousands of fakes, _full; raises ValueError."""
    words = [word.strip() for word in text.split(",") if word.strip()]
    for figure in filter(None, map(FIGURE.fullmatch, words)):
        asked = figure[1].replace("frechet", "fid")
        raise ValueError(
            f"{figure[0]} is what its figure is called: ask for {asked}, with standin = {figure[2]}"
        )
    forms = [METRIC.fullmatch(word) for word in words]
    if None in forms:
        raise ValueError(
            "write fid, kid or pr, thousands of fakes, and _full for all real images, as in"
            " fid2k,kid2k,pr2k or fid50k_full"
        )
    return [form for form in forms if form]


def check_name(name: str) -> None:
    """Raise ValueError for a name by which a run would lie elsewhere than in `out`."""
    path = PurePath(name)
    if path.is_absolute() or ".." in path.parts:
        raise ValueError("that leads out of the folder `out`: give a name alone")


@dataclass(frozen=True)
class Options(Section):
    """Options of a run that belong together."""

    refusal = ConfigError


@dataclass(frozen=True)
class DataConfig(Options):
    """What to learn from."""

    data: str = option(
        "", "folder of NVlabs TFRecords, ada-pytorch zip, or folder of pictures", path=True
    )
    mirror: bool = option(False, "flip half of the real images left to right")
    labels: bool = option(False, "train with the class labels of the dataset")


@dataclass(frozen=True)
class ArchitectureConfig(Options):
    """The size of both networks; part of a run's identity."""

    fmap_base: int = option(16384, "feature maps: fmap_base / 2^stage, at most fmap_max", low=1)
    fmap_max: int = option(512, "feature maps of a layer, at most", low=1)
    z_dim: int = option(512, "length of the latent z", low=1)
    w_dim: int = option(512, "length of the style w", low=1)
    mapping_layers: int = option(8, "dense layers of the mapping network", low=1, high=64)
    mbstd_group: int = option(
        4, "images per group of minibatch standard deviation; 0: the whole batch", low=0
    )
    conv_clamp: float = option(
        0.0, "no output of a convolution is larger; 0: any may be", low=0, later=True
    )
    d_architecture: Literal["orig", "skip", "resnet"] = option(
        "resnet", "how D's levels are joined", later=True
    )
    d_mapping_layers: int = option(
        0, "dense layers of D's that a label goes through", low=0, high=64, later=True
    )
    epilogue_channels: int = option(
        0, "of D's last hidden layer; 0: as many as its lowest level has", low=0, later=True
    )


@dataclass(frozen=True)
class LossConfig(Options):
    """Losses, regularisation and averages."""

    r1_gamma: str = steps_option("10", "weight of R1, by kimg: 0:10, 25451:5")
    r1_interval: int = option(16, "minibatches from one R1 step to the next; 0: none", low=0)
    pl_weight: float = option(2.0, "weight of the path length penalty; 0: none", low=0)
    pl_interval: int = option(4, "minibatches from one path length step to the next", low=1)
    pl_decay: float = option(0.01, "how fast the mean path length follows", low=0, high=1)
    pl_shrink: int = option(2, "a path length step takes batch / pl_shrink images", low=1)
    mixing: float = option(0.9, "probability of mixing two styles", low=0, high=1)
    w_avg_decay: float = option(0.995, "share of the mean w that stays, per pass", low=0, high=1)
    ema_kimg: float = option(10.0, "half-life of the averaged generator, in kimg", low=0)
    ema_ramp: float = option(0.0, "half-life at most this share of the images seen; 0: off", low=0)


@dataclass(frozen=True)
class RateConfig(Options):
    """Adam, for each network on its own."""

    g_lr: str = steps_option("0.002", "learning rate of the generator, by kimg: 0:1e-3, 20000:1e-4")
    d_lr: str = steps_option("0.002", "learning rate of the discriminator, by kimg")
    beta1: float = option(0.0, "Adam's beta 1", low=0, high=0.999999)
    beta2: float = option(0.99, "Adam's beta 2", low=0, high=0.999999)
    epsilon: float = option(1e-8, "Adam's epsilon", low=1e-12)


@dataclass(frozen=True)
class AugmentConfig(Options):
    """Augmentation of what the discriminator sees."""

    augment: Literal["none", "fixed", "ada"] = option("none", "none, a fixed p, or adaptive p")
    augment_p: float = option(0.0, "probability at the start, or the fixed one", low=0, high=1)
    ada_target: float = option(0.6, "sign of D on real images to aim at", low=-1, high=1)
    ada_kimg: float = option(500.0, "kimg in which p could rise from 0 to 1", low=0.001)
    ada_interval: int = option(4, "minibatches from one change of p to the next", low=1)
    augment_pipe: str = option("bgc", f"what may be done: {', '.join(PIPES)}", check=check_pipe)
    augment_centre: Literal["wavelet", "nvlabs"] = option(
        "wavelet",
        "where ADA's filter is centred: where the wavelet is, or as NVlabs' code has it",
        later=True,
    )


@dataclass(frozen=True)
class RunConfig(Options):
    """How long, how much at once, what is kept, and where."""

    out: str = option("", "folder of the run; with a name, the folder that holds runs", path=True)
    name: str = option("", "name of the run: its folder is out/name-key", check=check_name)
    seed: int = option(0, "of the weights, the order of the images and all chance", low=0)
    batch: int = option(32, "images per minibatch, over all rounds", low=1)
    accumulation: int = option(1, "rounds per minibatch: less memory, the same result", low=1)
    total_kimg: float = option(25000.0, "train until this many thousand real images", low=0)
    tick_kimg: float = option(0.0, "kimg between lines of statistics; 0: by resolution", low=0)
    snapshot_kimg: float = option(0.0, "kimg between checkpoints; 0: ten ticks", low=0)
    keep: int = option(3, "checkpoints to keep, besides the best one", low=1)
    grid_columns: int = option(0, "columns of the picture grid; 0: by resolution", low=0)
    grid_rows: int = option(0, "rows of the picture grid; 0: by resolution", low=0)
    psi: float = option(0.7, "truncation of the second grid", low=0, high=1)
    metrics: str = option(
        "",
        "to measure at each snapshot: fid2k,kid2k or fid50k_full; empty: none",
        check=metric_forms,
    )
    inception: str = option("", "file of pytorch-fid's weights; empty: its download", path=True)
    standin: Literal["", "classifier", "random-inception"] = option(
        "", "measure with this network instead; its figures are called frechet, not fid"
    )
    on_collapse: Literal["stop", "rollback", "ignore"] = option(
        "stop", "stop, or go back to the last good checkpoint with half the learning rate"
    )
    freeze_d: int = option(0, "layers of D, from the image on, that do not learn", low=0)
    resume_from: str = option(
        "",
        "file of a model to begin from, .npz or NVIDIA's .pkl, or the folder of a run",
        path=True,
    )
    begun_from: str = option(
        "",
        "digits of the SHA-256 of what resume_from names, where no run left it; filled in",
        later=True,
    )
    restart_schedule: bool = option(False, "with resume_from: count images from 0 again")
    device: Literal["auto", "cpu", "gpu"] = option("auto", "where to compute")
    devices: int = option(
        0, "how many GPUs, or parts of a CPU; 0: every GPU, one CPU", low=0, high=MOST_THREADS
    )
    precision: Literal["float32", "tf32", "bfloat16"] = option(
        "float32", "of the convolutions; tf32: float32 with 10 bits, on a GPU that has it"
    )
    half_levels: int = option(
        4, "the highest levels that precision = bfloat16 is for", low=0, later=True
    )
    recompute: bool = option(False, "compute activations twice instead of keeping them")
    xla: Literal["auto", "true", "false"] = option(
        "auto", "compile the steps with XLA, on one device; auto: no"
    )
    deterministic: bool = option(False, "only operations that give the same bits every time")
    threads: int = option(0, "threads of a CPU; 0: all cores", low=0, high=MOST_THREADS)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.batch % self.accumulation:
            raise ConfigError(
                f"batch = {self.batch} cannot be cut into accumulation = {self.accumulation}"
                " equal rounds: choose a divisor"
            )
        if self.restart_schedule and not self.resume_from:
            raise ConfigError("restart_schedule = true needs resume_from = MODEL")


@dataclass(frozen=True)
class Config:
    """All options of a run."""

    FIXED: ClassVar[tuple[str, ...]] = ()  # further options that are part of a run's identity
    DIFFER: ClassVar[Mapping[str, str]] = {}  # what differs, where a name does not say it
    WHOLE: ClassVar[str] = "choose a larger batch, fewer parts, or a divisor as mbstd_group"
    data: DataConfig = field(default_factory=DataConfig)
    network: ArchitectureConfig = field(default_factory=ArchitectureConfig)
    loss: LossConfig = field(default_factory=LossConfig)
    rate: RateConfig = field(default_factory=RateConfig)
    augment: AugmentConfig = field(default_factory=AugmentConfig)
    run: RunConfig = field(default_factory=RunConfig)

    def __post_init__(self) -> None:
        self.check_parts()

    def check_parts(self, devices: int = 1) -> None:
        """Raise ConfigError unless what a device has at once is whole groups of images.

        Smaller parts than a group would change D's statistic, and with it the result.
        """
        parts = self.run.accumulation * devices
        part, whole = self.run.batch // parts, self.run.batch
        group = min(self.network.mbstd_group or whole, whole)
        if part % group or not part:
            raise ConfigError(
                f"mbstd_group = {group} does not divide the {part} images that a device has at"
                f" once (batch = {self.run.batch}, accumulation = {self.run.accumulation}, devices"
                f" = {devices}): {self.WHOLE}"
            )

    def options(self) -> dict[str, Any]:
        """Every option by its name."""
        return {name: value for part in asdict(self).values() for name, value in part.items()}


SECTIONS: dict[str, type[Options]] = {
    "data": DataConfig,
    "network": ArchitectureConfig,
    "loss": LossConfig,
    "rate": RateConfig,
    "augment": AugmentConfig,
    "run": RunConfig,
}
NAMES = {f.name: part for part, section in SECTIONS.items() for f in fields(section)}
# What an option stands at in a run that was begun before there was such an option.
BEFORE = {
    f.name: f.default
    for section in SECTIONS.values()
    for f in fields(section)
    if f.metadata["later"]
}


def configure(options: Mapping[str, Any]) -> Config:
    """A config from options by name, as text or not; raises ConfigError."""
    return Config(**made_sections(options, SECTIONS))


def made_sections(
    options: Mapping[str, Any], sections: Mapping[str, type[Options]]
) -> dict[str, Any]:
    """The sections of a config, each with its own of the options; raises ConfigError."""
    names = {f.name: part for part, section in sections.items() for f in fields(section)}
    parts: dict[str, dict[str, Any]] = {part: {} for part in sections}
    for name, value in options.items():
        if name not in names:
            raise ConfigError(f"no option is called {name!r}{nearest(name, names)}")
        parts[names[name]][name] = value
    return {part: section(**parts[part]) for part, section in sections.items()}
