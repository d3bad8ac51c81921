"""Rectangles in pixels: left and top are inside, right and bottom are outside. No pixels here."""

from typing import NamedTuple

# libjpeg decodes at 1/1, 1/2, 1/4 or 1/8 of the photo's size.
REDUCTIONS = (8, 4, 2)
# A scaled decode this much larger than the wanted size is as good as a full one (45 dB and more).
ROOM = 1.3


class Box(NamedTuple):
    """A rectangle in pixels: left and top are inside, right and bottom are outside."""

    left: int
    top: int
    right: int
    bottom: int

    @property
    def width(self) -> int:
        return self.right - self.left

    @property
    def height(self) -> int:
        return self.bottom - self.top


NOWHERE = Box(0, 0, 0, 0)


def area(box: Box) -> int:
    """How many pixels it has; none where its edges are swapped."""
    return max(box.width, 0) * max(box.height, 0)


def shared(one: Box, other: Box) -> int:
    """How many pixels lie in both."""
    return area(within(one, other))


def iou(one: Box, other: Box) -> float:
    """Intersection over union."""
    both = shared(one, other)
    return both / (area(one) + area(other) - both) if both else 0.0


def within(box: Box, photo: Box) -> Box:
    """The part of `box` that lies in the photo."""
    return Box(
        max(box.left, photo.left),
        max(box.top, photo.top),
        min(box.right, photo.right),
        min(box.bottom, photo.bottom),
    )


def has_area(box: Box) -> bool:
    """Whether there is anything in it."""
    return area(box) > 0


def contains(outer: Box, inner: Box) -> bool:
    """Whether no part of `inner` lies outside `outer`."""
    return (
        outer.left <= inner.left
        and outer.top <= inner.top
        and inner.right <= outer.right
        and inner.bottom <= outer.bottom
    )


def fitted(width: int, height: int, into: tuple[int, int]) -> tuple[int, int]:
    """The largest (width, height) of the same ratio within `into`, each at least 1."""
    scale = min(into[0] / width, into[1] / height)
    return max(1, round(width * scale)), max(1, round(height * scale))


def reduction(box: Box, into: tuple[int, int]) -> int:
    """By how much a JPEG may be decoded smaller before `box` of it is fitted into `into`.

    1, 2, 4 or 8: what is left is at least `ROOM` times the wanted size.
    """
    width, height = fitted(box.width, box.height, into)
    scale = min(box.width / (width * ROOM), box.height / (height * ROOM))
    return next((factor for factor in REDUCTIONS if scale >= factor), 1)


def aligned(box: Box, into: tuple[int, int], photo: Box) -> Box:
    """`box` with its edges moved to whole pixels of the scaled decode that it will be cut from.

    Edges on the border of `photo` stay there. The largest move is 4 pixels, of a rectangle that
    is at least 8 x 1.3 times larger than the picture made from it.
    """
    grid = reduction(box, into)

    def moved(edge: int, end: int) -> int:
        return edge if edge in (0, end) else min(round(edge / grid) * grid, end)

    return Box(
        moved(box.left, photo.right),
        moved(box.top, photo.bottom),
        moved(box.right, photo.right),
        moved(box.bottom, photo.bottom),
    )


def is_aligned(box: Box, grid: int, photo: Box) -> bool:
    """Whether all edges of `box` are whole pixels of a decode at 1/`grid`."""
    return all(
        edge % grid == 0 or edge == end
        for edge, end in zip(box, (photo.right, photo.bottom) * 2, strict=True)
    )
