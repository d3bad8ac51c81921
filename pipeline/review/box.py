"""A rectangle as a person moves it: it never leaves its photo. Pure integers."""

from atelier.boxes import Box

LEAST = 16  # pixels: the smallest side

CORNERS = ("left top", "right top", "left bottom", "right bottom")


def moved(box: Box, x: int, y: int, photo: Box) -> Box:
    """`box` by x to the right and y down, as far as the photo goes."""
    x = min(max(x, photo.left - box.left), photo.right - box.right)
    y = min(max(y, photo.top - box.top), photo.bottom - box.bottom)
    return Box(box.left + x, box.top + y, box.right + x, box.bottom + y)


def resized(box: Box, width: int, height: int, photo: Box) -> Box:
    """`box` wider and higher by so many pixels: its right and bottom edges move."""
    right = min(max(box.right + width, box.left + LEAST), photo.right)
    bottom = min(max(box.bottom + height, box.top + LEAST), photo.bottom)
    return fitted(Box(box.left, box.top, right, bottom), photo)


def scaled(box: Box, factor: float, photo: Box) -> Box:
    """`box` times `factor` about its centre at the same ratio, moved into the photo, or less."""
    factor = min(factor, photo.width / box.width, photo.height / box.height)
    factor = max(factor, LEAST / min(box.width, box.height))
    width, height = round(box.width * factor), round(box.height * factor)
    left = (box.left + box.right - width) // 2
    top = (box.top + box.bottom - height) // 2
    return fitted(Box(left, top, left + width, top + height), photo)


def fitted(box: Box, photo: Box) -> Box:
    """`box` with a side of at least `LEAST` where the photo has as much, moved into the photo."""
    width = min(max(box.width, LEAST), photo.width)
    height = min(max(box.height, LEAST), photo.height)
    return moved(Box(box.left, box.top, box.left + width, box.top + height), 0, 0, photo)


def corner(box: Box, x: int, y: int, reach: int) -> str:
    """The corner within `reach` pixels of a point, or nothing."""
    for name in CORNERS:
        horizontal, vertical = name.split()
        distance = max(abs(getattr(box, horizontal) - x), abs(getattr(box, vertical) - y))
        if distance <= reach:
            return name
    return ""


def opposite(box: Box, name: str) -> tuple[int, int]:
    """The corner that stays while `name` is dragged."""
    return (
        box.right if "left" in name else box.left,
        box.bottom if "top" in name else box.top,
    )


def between(one: tuple[int, int], other: tuple[int, int], photo: Box) -> Box:
    """The rectangle of two corners, in any order."""
    (x1, y1), (x2, y2) = one, other
    left, right = sorted((min(max(x1, 0), photo.right), min(max(x2, 0), photo.right)))
    top, bottom = sorted((min(max(y1, 0), photo.bottom), min(max(y2, 0), photo.bottom)))
    return fitted(Box(left, top, right, bottom), photo)


def inside(box: Box, x: int, y: int) -> bool:
    return box.left <= x < box.right and box.top <= y < box.bottom
