"""What fixes a pair of networks: the size of the images, the widths, the depth of the mapping."""

from dataclasses import dataclass
from typing import Literal

from training.shape import Shape


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
