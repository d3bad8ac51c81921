"""Boxes and rectangles: integers, no pixels."""

from detectors.base import Box, FaceFactors

# libjpeg decodes at 1/1, 1/2, 1/4 or 1/8 of the photo's size.
REDUCTIONS = (8, 4, 2)
# A scaled decode this much larger than the wanted size is as good as a full one (45 dB and more).
ROOM = 1.3


def canonical_face(box: Box, factors: FaceFactors) -> Box:
    """The square face box that the detector's own `box` stands for."""
    side = factors.side * (box.width + box.height) / 2
    centre_x = box.left + factors.x * box.width
    centre_y = box.top + factors.y * box.height
    left, top = round(centre_x - side / 2), round(centre_y - side / 2)
    return Box(left, top, left + round(side), top + round(side))


def around(face: Box, size: tuple[float, float], place: tuple[float, float], photo: Box) -> Box:
    """A rectangle of `size` whose point at the shares `place` is the centre of `face`.

    What does not fit into `photo` is first shifted, then shrunk about the face at the same ratio.
    """
    width, height = size
    fit = min(1.0, photo.width / width, photo.height / height)
    width, height = width * fit, height * fit
    left = (face.left + face.right) / 2 - place[0] * width
    top = (face.top + face.bottom) / 2 - place[1] * height
    left = min(max(left, photo.left), photo.right - width)
    top = min(max(top, photo.top), photo.bottom - height)
    return Box(round(left), round(top), round(left + width), round(top + height))


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
