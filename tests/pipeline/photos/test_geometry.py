import pytest

from atelier.boxes import Box
from detectors.base import FaceFactors
from pipeline.photos import geometry

PHOTO = Box(0, 0, 1000, 800)


def test_rectangle_has_its_face_at_the_wanted_place():
    face = Box(450, 300, 550, 400)
    assert geometry.around(face, (300, 400), (0.5, 0.4), PHOTO) == Box(350, 190, 650, 590)


def test_what_does_not_fit_is_shifted():
    face = Box(10, 300, 110, 400)
    assert geometry.around(face, (300, 400), (0.5, 0.4), PHOTO) == Box(0, 190, 300, 590)


def test_what_is_too_large_is_shrunk_at_the_same_ratio():
    face = Box(400, 200, 700, 500)
    box = geometry.around(face, (900, 1200), (0.5, 0.4), PHOTO)
    assert box == Box(250, 0, 850, 800)


@pytest.mark.parametrize(
    ("face", "size", "photo"),
    [
        (Box(400, 300, 700, 600), (450, 600), PHOTO),  # half of the height
        (Box(100, 300, 400, 600), (900, 1200), Box(0, 0, 450, 2000)),  # a narrow photo
        (Box(400, 50, 700, 350), (450, 600), PHOTO),  # the photo ends above the head
        (Box(400, 300, 700, 600), (240, 320), PHOTO),  # hardly more than the face
    ],
)
def test_the_head_keeps_its_hair_where_there_is_room(face, size, photo):
    box = geometry.around(face, size, (0.5, 0.4), photo, 0.35)
    without = geometry.around(face, size, (0.5, 0.4), photo)
    assert (box.width, box.height) == (without.width, without.height)
    wanted = max(0.35 * face.height, face.top - without.top)
    assert face.top - box.top >= min(wanted, face.top - photo.top, box.height - face.height) - 1
    assert box.bottom >= min(without.bottom, face.bottom)


def test_a_roomy_portrait_is_not_moved_for_the_hair():
    face, size = Box(450, 300, 550, 400), (300, 400)
    assert geometry.around(face, size, (0.5, 0.4), PHOTO, 0.35) == Box(350, 190, 650, 590)


def test_canonical_face_is_square_about_the_stated_point():
    face = geometry.canonical_face(Box(100, 100, 200, 300), FaceFactors(side=2, x=0.5, y=0.25))
    assert face == Box(0, 0, 300, 300)
