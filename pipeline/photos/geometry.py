"""Faces and the rectangles around them: boxes in, boxes out."""

from atelier.boxes import Box
from detectors.base import FaceFactors


def canonical_face(box: Box, factors: FaceFactors) -> Box:
    """The square face box that the detector's own `box` stands for."""
    side = factors.side * (box.width + box.height) / 2
    centre_x = box.left + factors.x * box.width
    centre_y = box.top + factors.y * box.height
    left, top = round(centre_x - side / 2), round(centre_y - side / 2)
    return Box(left, top, left + round(side), top + round(side))


def around(
    face: Box,
    size: tuple[float, float],
    place: tuple[float, float],
    photo: Box,
    headroom: float = 0.0,
) -> Box:
    """A rectangle of `size` whose point at the shares `place` is the centre of `face`.

    What does not fit into `photo` is first shifted, then shrunk about the face at the same ratio.
    Above the face at least `headroom` face boxes are left where photo and size have them.
    """
    width, height = size
    fit = min(1.0, photo.width / width, photo.height / height)
    width, height = width * fit, height * fit
    left = (face.left + face.right) / 2 - place[0] * width
    top = (face.top + face.bottom) / 2 - place[1] * height
    if headroom:
        above = max(face.top - headroom * face.height, face.bottom - height)
        top = min(top, above)
    left = min(max(left, photo.left), photo.right - width)
    top = min(max(top, photo.top), photo.bottom - height)
    return Box(round(left), round(top), round(left + width), round(top + height))
