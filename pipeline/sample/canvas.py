"""Paints smooth shapes on pixels: antialiased, with soft edges where wanted."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import cos, sin
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

Colour = tuple[float, float, float]  # red, green, blue, 0 to 255
Points = Sequence[tuple[float, float]]
Array = NDArray[np.float32]

SUBPIXEL = 4  # bits of a pixel that OpenCV rasterises with
SIGMA = 3.0  # a softer edge is drawn smaller and enlarged: the same look, in less time


@dataclass(frozen=True)
class Mask:
    """How much of each pixel a shape covers, 0 to 1; its first pixel lies at left, top."""

    left: int
    top: int
    cover: Array

    def within(self, other: "Mask") -> "Mask":
        """The part of this shape that lies in the other one."""
        left, top = max(self.left, other.left), max(self.top, other.top)
        right = min(self.left + self.cover.shape[1], other.left + other.cover.shape[1])
        bottom = min(self.top + self.cover.shape[0], other.top + other.cover.shape[0])
        right, bottom = max(left, right), max(top, bottom)
        mine, theirs = (
            mask.cover[top - mask.top : bottom - mask.top, left - mask.left : right - mask.left]
            for mask in (self, other)
        )
        return Mask(left, top, mine * theirs)


@dataclass(frozen=True)
class Place:
    """Where a figure's own coordinates lie on the canvas: x right, y down, `unit` pixels each."""

    x: float
    y: float
    unit: float
    tilt: float = 0.0  # radians, clockwise

    def pixels(self, points: Points) -> NDArray[np.float64]:
        turn = np.array([[cos(self.tilt), sin(self.tilt)], [-sin(self.tilt), cos(self.tilt)]])
        placed: NDArray[np.float64] = np.asarray(points, float) @ turn * self.unit
        placed += (self.x, self.y)
        return placed


class Canvas:
    """An RGB picture, float32 in 0 to 255, that shapes are painted on."""

    def __init__(self, width: int, height: int) -> None:
        self.width, self.height = width, height
        self.pixels = np.zeros((height, width, 3), np.float32)

    def shape(self, outlines: Iterable[NDArray[np.float64]], soft: float = 0.0) -> Mask:
        """What lies inside an odd number of outlines; `soft` is the edge's sigma, in pixels."""
        outlines = list(outlines)
        corners = np.concatenate(outlines)
        room = 3 * soft + 2
        left, top = (max(0, int(edge)) for edge in corners.min(axis=0) - room)
        ends = corners.max(axis=0) + room
        right, bottom = min(self.width, int(ends[0]) + 1), min(self.height, int(ends[1]) + 1)
        width, height = right - left, bottom - top
        if width <= 0 or height <= 0:
            return Mask(0, 0, np.zeros((0, 0), np.float32))
        shrink = max(1.0, soft / SIGMA)
        # The blur needs what lies outside the canvas too: a margin that is cut off again.
        margin = int(3 * soft / shrink) + 1 if soft else 0
        small = (int(width / shrink) + 1 + 2 * margin, int(height / shrink) + 1 + 2 * margin)
        drawn = np.zeros(small[::-1], np.uint8)
        moved = [(outline - (left, top)) / shrink + margin for outline in outlines]
        whole = [np.round(points * 2**SUBPIXEL).astype(np.int32) for points in moved]
        cv2.fillPoly(drawn, whole, 255, cv2.LINE_AA, SUBPIXEL)
        cover: Array = drawn.astype(np.float32) / np.float32(255)
        if soft:
            cover = cv2.GaussianBlur(cover, (0, 0), soft / shrink).astype(np.float32)
            cover = cover[margin : small[1] - margin, margin : small[0] - margin]
        if shrink > 1:
            # Only the part that stands for whole pixels: a rest would stretch the shape.
            grown = (round(cover.shape[1] * shrink), round(cover.shape[0] * shrink))
            cover = cv2.resize(cover, grown, interpolation=cv2.INTER_LINEAR).astype(np.float32)
        return Mask(left, top, cover[:height, :width])

    def paint(
        self,
        mask: Mask,
        colour: Colour,
        alpha: float = 1.0,
        mode: Literal["over", "multiply", "screen"] = "over",
    ) -> None:
        """Lay a colour on the shape: over it, as a shadow (multiply) or as light (screen)."""
        height, width = mask.cover.shape
        part = self.pixels[mask.top : mask.top + height, mask.left : mask.left + width]
        cover = mask.cover[: part.shape[0], : part.shape[1]] * np.float32(alpha)
        # NumPy takes three times as long for all channels at once: they are its shortest axis.
        for channel, tint in enumerate(np.array(colour, np.float32)):
            plane = part[..., channel]
            match mode:
                case "over":
                    plane += (tint - plane) * cover
                case "multiply":
                    plane *= 1 - (1 - tint / 255) * cover
                case "screen":
                    plane += (255 - plane) * (tint / 255) * cover

    def gradient(self, top: Colour, bottom: Colour, slant: float = 0.0) -> None:
        """Fill the whole canvas from one colour to the other; `slant` turns it to the right."""
        ys = np.linspace(0, 1, self.height, dtype=np.float32)[:, None]
        xs = np.linspace(-0.5, 0.5, self.width, dtype=np.float32)[None, :]
        share = np.clip(ys + slant * xs, 0, 1)
        for channel, (first, last) in enumerate(np.array([top, bottom], np.float32).T):
            eased = (last - first) * share * share * (3 - 2 * share)
            self.pixels[..., channel] = first + eased

    def grain(self, rng: np.random.Generator, strength: float) -> None:
        """A little noise, as film has it: without it smooth shading shows bands."""
        tile = rng.normal(0, strength, (257, 263)).astype(np.float32)
        repeats = (-(-self.height // 257), -(-self.width // 263))
        self.pixels += np.tile(tile, repeats)[: self.height, : self.width, None]

    def finished(self) -> NDArray[np.uint8]:
        """HWC, uint8, RGB."""
        return np.clip(np.round(self.pixels), 0, 255).astype(np.uint8)


def smooth(points: Points, closed: bool = True, steps: int = 12) -> list[tuple[float, float]]:
    """A curve through the points (Catmull-Rom)."""
    knots = np.asarray(points, float)
    if closed:
        around = np.concatenate([knots[-1:], knots, knots[:2]])
    else:
        around = np.concatenate([knots[:1], knots, knots[-1:]])
    t = np.linspace(0, 1, steps, endpoint=False)[:, None]
    a, b, c, d = around[:-3, None], around[1:-2, None], around[2:-1, None], around[3:, None]
    curve = (
        2 * b + (c - a) * t + (2 * a - 5 * b + 4 * c - d) * t**2 + (3 * b - a - 3 * c + d) * t**3
    ) / 2
    flat = curve.reshape(-1, 2)
    if not closed:
        flat = np.concatenate([flat, knots[-1:]])
    return [(float(x), float(y)) for x, y in flat]


def ellipse(
    x: float, y: float, across: float, down: float, steps: int = 72
) -> list[tuple[float, float]]:
    """An ellipse by its centre and half axes."""
    turns = np.linspace(0, 2 * np.pi, steps, endpoint=False)
    return [(x + across * float(cos(t)), y + down * float(sin(t))) for t in turns]


def stroke(points: Points, widths: Sequence[float]) -> list[tuple[float, float]]:
    """The outline of a brush that follows the points and is as wide as `widths` say."""
    path = np.asarray(points, float)
    ahead = np.gradient(path, axis=0)
    length = np.maximum(np.hypot(ahead[:, 0], ahead[:, 1]), 1e-9)[:, None]
    side = np.stack([-ahead[:, 1], ahead[:, 0]], axis=1) / length
    at = np.linspace(0, 1, len(path))
    half = np.interp(at, np.linspace(0, 1, len(widths)), widths)[:, None] / 2
    outline = np.concatenate([path + side * half, (path - side * half)[::-1]])
    return [(float(x), float(y)) for x, y in outline]


def mirrored(points: Points) -> list[tuple[float, float]]:
    """The same on the other side of x = 0."""
    return [(-x, y) for x, y in points]


def both(half: Points) -> list[tuple[float, float]]:
    """From the left over the middle to the right; `half` begins in the middle."""
    return [*mirrored(half[:0:-1]), *((x, y) for x, y in half)]


def mixed(a: Colour, b: Colour, share: float) -> Colour:
    """`share` of b in a."""
    red, green, blue = (p + (q - p) * share for p, q in zip(a, b, strict=True))
    return red, green, blue
