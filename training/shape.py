"""The form of an image: how many times its sides halve, and what is left at the bottom."""

from dataclasses import dataclass

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
