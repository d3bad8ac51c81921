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


def test_canonical_face_is_square_about_the_stated_point():
    face = geometry.canonical_face(Box(100, 100, 200, 300), FaceFactors(side=2, x=0.5, y=0.25))
    assert face == Box(0, 0, 300, 300)
