"""What fixes a pair of networks: the form of the images, the widths, the depth of the mapping."""

from collections.abc import Mapping
from dataclasses import MISSING, asdict, dataclass, fields
from math import isnan
from numbers import Integral, Real
from typing import Any, Literal, TypeVar

import numpy as np

MOST = 2**24  # of anything that a network counts
FLOAT_MAX = float(np.finfo(np.float32).max)
DEEPEST = 64  # dense layers of a mapping
SMALLEST = 3  # pixels: no side of the lowest level is shorter


@dataclass(frozen=True)
class Shape:
    """An image of `height` x `width` x `channels`; level 0 is the lowest, level `levels` the image.

    Raises ValueError for sides that do not halve together at least once.
    """

    height: int
    width: int
    channels: int = 3

    def __post_init__(self) -> None:
        if self.channels not in (1, 3, 4):
            raise ValueError(f"images have 1, 3 or 4 channels, not {self.channels}")
        if self.levels < 1:
            raise ValueError(
                f"{self.width} x {self.height} is no size for StyleGAN2: both sides must be a power"
                f" of two times at least {SMALLEST}, as in 64 x 64, 640 x 384 or 48 x 80"
            )

    @property
    def levels(self) -> int:
        """The largest n with both sides divisible by 2^n and both quotients >= 3; -1 for none."""
        fits = [
            n
            for n in range(min(self.height, self.width).bit_length())
            if not self.height % 2**n
            and not self.width % 2**n
            and min(self.height, self.width) >= SMALLEST * 2**n
        ]
        return max(fits, default=-1)

    @property
    def base(self) -> tuple[int, int]:
        """Height and width at level 0."""
        return self.size(0)

    def size(self, level: int) -> tuple[int, int]:
        """Height and width at `level`."""
        factor = 2 ** (self.levels - level)
        return self.height // factor, self.width // factor

    def resolution(self, level: int) -> int:
        """What `level` is called, and has its channels from: 4 * 2^level, the side of a square."""
        return int(4 * 2**level)


@dataclass(frozen=True)
class NetworkConfig:
    """What G and D each have: the form of the images, labels, the widths, the arithmetic."""

    height: int
    width: int
    channels: int = 3
    labels: int = 0
    fmap_base: int = 16384
    fmap_max: int = 512
    conv_clamp: float = 0.0  # no output of a convolution is larger; 0: any may be
    dtype: Literal["float32", "bfloat16"] = "float32"  # of convolutions and what lies between them
    half_levels: int = 4  # the highest levels, which bfloat16 is for; 4 x 4 is always float32
    recompute: bool = False  # keep no activations of a block, compute them again for its gradient

    def __post_init__(self) -> None:
        if self.dtype not in ("float32", "bfloat16"):
            raise ValueError(f"dtype is float32 or bfloat16, not {self.dtype!r}")
        for f in fields(self):
            self.check_number(f.name, f.type)
        self.at_least(1, "fmap_base", "fmap_max")
        self.at_least(0, "labels", "conv_clamp", "half_levels")
        _ = self.shape.levels

    def check_number(self, name: str, kind: Any) -> None:
        """Raise ValueError for a field that is no number: what a file says may be anything.

        One beyond all reason would take all memory before it is seen not to fit.
        """
        value, kinds = getattr(self, name), {int: Integral, float: Real}
        if kind not in kinds:
            return
        is_number = isinstance(value, kinds[kind]) and not isinstance(value, bool)
        if is_number and abs(value) > FLOAT_MAX:
            raise ValueError(f"{name} lies beyond float32")
        if not is_number or isnan(value):
            raise ValueError(f"{name} is a number, not {value!r}")
        most = DEEPEST if name == "mapping_layers" else MOST
        if kind is int and getattr(self, name) > most:
            raise ValueError(f"{name} is at most {most}, not {value}")

    def at_least(self, low: int, *names: str) -> None:
        """Raise ValueError for a field that is less."""
        for name in names:
            if getattr(self, name) < low:
                raise ValueError(f"{name} is at least {low}, not {getattr(self, name)}")

    def saved(self) -> dict[str, Any]:
        """What a file says of it: all but the arithmetic."""
        return {name: value for name, value in asdict(self).items() if name not in ARITHMETIC}

    @property
    def shape(self) -> Shape:
        """The form of the images."""
        return Shape(self.height, self.width, self.channels)

    def fmaps(self, level: int) -> int:
        """Channels at `level`: fmap_base / 2^stage, from 1 to fmap_max; stage = level + 1."""
        return int(min(max(self.fmap_base // 2 ** (level + 1), 1), self.fmap_max))

    def block(self, level: int) -> str:
        """The name of the block at `level`: b4, b8, ..."""
        return f"b{self.shape.resolution(level)}"

    def dtype_of(self, level: int) -> str:
        """In what the block at `level` computes."""
        return self.dtype if level > max(self.shape.levels - self.half_levels, 0) else "float32"


@dataclass(frozen=True)
class GeneratorConfig(NetworkConfig):
    """G of StyleGAN2 with skip connections; the defaults are those of config-f."""

    z_dim: int = 512
    w_dim: int = 512
    mapping_layers: int = 8

    def __post_init__(self) -> None:
        super().__post_init__()
        self.at_least(1, "z_dim", "w_dim", "mapping_layers")

    @property
    def top(self) -> int:
        """The highest level that has convolutions."""
        return self.shape.levels

    @property
    def rows(self) -> int:
        """L: how many rows of w the synthesis network reads."""
        return 2 * (self.top + 1)


@dataclass(frozen=True)
class StudentConfig(GeneratorConfig):
    """The student of a generator (Jia et al. 2023), whose fields, widths aside, are its teacher's.

    It has convolutions up to half of the image's size, and no more channels than its teacher.
    """

    architecture: Literal["student"] = "student"

    @property
    def top(self) -> int:
        return self.shape.levels - 1

    def fmaps(self, level: int) -> int:
        """Channels at `level`; those that the paper's counts of parameters allow."""
        known = BODY | TAILS.get(self.shape.resolution(self.shape.levels), TAILS[LARGEST])
        return min(known.get(self.shape.resolution(level), NARROWEST), super().fmaps(level))


# Channels of a student's body by resolution: of all, and above 64 pixels by that of its image.
BODY = {4: 144, 8: 144, 16: 144, 32: 128, 64: 48}
TAILS = {256: {128: 40}, 512: {128: 32, 256: 16}, 1024: {128: 32, 256: 24, 512: 24}}
LARGEST, NARROWEST = 1024, 24


@dataclass(frozen=True)
class DiscriminatorConfig(NetworkConfig):
    """D of StyleGAN2, in one of the three forms of figure 7 of the StyleGAN2 paper."""

    architecture: Literal["orig", "skip", "resnet"] = "resnet"
    mapping_layers: int = 0  # dense layers that a label goes through
    epilogue_channels: int = 0  # of the dense layer at the end; 0: as many as the lowest level has
    mbstd_group: int = 4  # images per group of minibatch standard deviation; 0: all

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.architecture not in ("orig", "skip", "resnet"):
            raise ValueError(f"architecture is orig, skip or resnet, not {self.architecture!r}")
        self.at_least(0, "mapping_layers", "epilogue_channels", "mbstd_group")

    @property
    def features(self) -> int:
        """How many numbers D makes of an image before it scores it."""
        return self.epilogue_channels or self.fmaps(0)


ARITHMETIC = ("dtype", "half_levels", "recompute")  # may differ between two commands of a run
OWN = ("epilogue_channels", "mbstd_group")  # what D alone can have, as options are called

C = TypeVar("C", bound=NetworkConfig)


@dataclass(frozen=True)
class Pair:
    """The configs of a generator and of its discriminator."""

    generator: GeneratorConfig
    discriminator: DiscriminatorConfig

    def saved(self) -> dict[str, dict[str, Any]]:
        """What config.json and a checkpoint say of both: all but the arithmetic."""
        return {"G": self.generator.saved(), "D": self.discriminator.saved()}

    def named(self) -> dict[str, Any]:
        """Everything saved, under the names of the options: D's have d_ before them."""
        known = self.saved()
        own = {name if name in OWN else f"d_{name}": value for name, value in known["D"].items()}
        return known["G"] | own


def saved_pair(saved: Mapping[str, Any], **arithmetic: Any) -> Pair:
    """What `Pair.saved` wrote, or the one flat list of names that runs had before it."""
    known = {f.name for f in fields(DiscriminatorConfig)} - {"mapping_layers"}
    flat = {
        "G": {name: value for name, value in saved.items() if name != "mbstd_group"},
        "D": {name: value for name, value in saved.items() if name in known},
    }
    parts = saved if "G" in saved else flat
    discriminator = saved_config(DiscriminatorConfig, parts["D"], **arithmetic)
    return Pair(saved_generator(parts["G"], **arithmetic), discriminator)


def saved_generator(saved: Mapping[str, Any], **arithmetic: Any) -> GeneratorConfig:
    """The config of a generator, or of a student, from what was saved of it."""
    kind = StudentConfig if "architecture" in saved else GeneratorConfig
    return saved_config(kind, saved, **arithmetic)


def saved_config(kind: type[C], saved: Mapping[str, Any], **arithmetic: Any) -> C:
    """A config of what was saved of it; raises ValueError where that is of none, and says why."""
    known = {field.name: field.default for field in fields(kind)}
    if odd := sorted(saved.keys() - known):
        raise ValueError(f"networks here have no {odd[0]}: a newer version may have written it")
    if lacking := [n for n, value in known.items() if value is MISSING and n not in saved]:
        raise ValueError(f"it has no {lacking[0]}")
    return kind(**saved, **arithmetic)
