"""What several detectors found in a photo, as one list."""

from atelier.boxes import Box
from detectors import UNUSABLE, Detection, FaceFactors
from pipeline.rows.manifest import Row
from pipeline.stages.finds import join, joined_rows

PLAIN, LARGER = FaceFactors(), FaceFactors(side=2.0)


def face(score, *box, label="face"):
    return Detection(label, score, Box(*box))


def test_the_same_face_is_one_with_the_first_ones_box_and_the_best_score():
    found = [[face(0.6, 0, 0, 100, 100)], [face(0.9, 10, 0, 110, 100)]]
    assert join(found, [PLAIN, PLAIN]) == (face(0.9, 0, 0, 100, 100),)
    assert join(found[::-1], [PLAIN, PLAIN]) == (face(0.9, 10, 0, 110, 100),)


def test_each_detectors_own_factors_come_first():
    found = [[face(0.6, 0, 0, 100, 100)], [face(0.9, 25, 25, 75, 75)]]
    assert len(join(found, [PLAIN, PLAIN])) == 2
    assert join(found, [PLAIN, LARGER]) == (face(0.9, 0, 0, 100, 100),)


def test_under_half_an_overlap_they_are_two_best_first():
    found = [[face(0.6, 0, 0, 100, 100)], [face(0.9, 50, 0, 150, 100)]]
    assert join(found, [PLAIN, PLAIN]) == (face(0.9, 50, 0, 150, 100), face(0.6, 0, 0, 100, 100))


def test_faces_of_one_detector_stay_apart():
    both = [face(0.9, 0, 0, 100, 100), face(0.8, 5, 0, 105, 100)]
    assert join([both], [PLAIN]) == tuple(both)
    once = join([[face(0.7, 2, 0, 102, 100)], both], [PLAIN, PLAIN])
    assert once == (face(0.9, 2, 0, 102, 100), face(0.8, 5, 0, 105, 100))


def test_other_things_follow_detector_by_detector_as_they_are():
    hand, nose = (face(0.8, 3, 3, 9, 4, label=label) for label in ("hand", "nose"))
    nothing = face(0.9, 0, 0, 0, 0, label=UNUSABLE)
    found = [[hand, face(0.5, 0, 0, 10, 10)], [nothing, nose]]
    assert join(found, [LARGER, LARGER]) == (face(0.5, -5, -5, 15, 15), hand, nose)


def test_a_photo_that_one_detector_could_not_do_is_dropped():
    first = [Row("a", boxes=(face(0.5, 0, 0, 10, 10),)), Row("b"), Row("c", drop="broken file")]
    second = [
        Row("a", boxes=(face(0.7, 40, 0, 50, 10),)),
        Row("b", drop="kills its worker"),
        *first[2:],
    ]
    a, b = joined_rows([first, second], [PLAIN, PLAIN])
    assert [one.score for one in a.boxes] == [0.7, 0.5]
    assert (b.id, b.drop) == ("b", "kills its worker")
