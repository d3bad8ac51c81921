"""What fixes a pair of networks: the form of the images, the widths, the depth of the mapping."""

from dataclasses import dataclass
from typing import Literal

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
    """Settings of G and D; the widths are those of StyleGAN2's config-f."""

    height: int
    width: int
    channels: int = 3
    labels: int = 0
    fmap_base: int = 16384
    fmap_max: int = 512
    z_dim: int = 512
    w_dim: int = 512
    mapping_layers: int = 8
    mbstd_group: int = 4
    dtype: Literal["float32", "bfloat16"] = "float32"  # of convolutions and what lies between them
    recompute: bool = False  # keep no activations of a block, compute them again for its gradient

    def __post_init__(self) -> None:
        if self.dtype not in ("float32", "bfloat16"):
            raise ValueError(f"dtype is float32 or bfloat16, not {self.dtype!r}")
        for name in ("fmap_base", "fmap_max", "z_dim", "w_dim", "mapping_layers", "mbstd_group"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is at least 1, not {getattr(self, name)}")
        if self.labels < 0:
            raise ValueError(f"labels is at least 0, not {self.labels}")
        _ = self.shape.levels

    @property
    def shape(self) -> Shape:
        """The form of the images."""
        return Shape(self.height, self.width, self.channels)

    @property
    def rows(self) -> int:
        """L: how many rows of w the synthesis network reads."""
        return 2 * (self.shape.levels + 1)

    def fmaps(self, level: int) -> int:
        """Channels at `level`: fmap_base / 2^stage, from 1 to fmap_max; stage = level + 1."""
        return int(min(max(self.fmap_base // 2 ** (level + 1), 1), self.fmap_max))

    def block(self, level: int) -> str:
        """The name of the block at `level`: b4, b8, ..."""
        return f"b{self.shape.resolution(level)}"
