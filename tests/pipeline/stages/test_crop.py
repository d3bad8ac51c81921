import pytest

from atelier.boxes import Box
from detectors import Spec
from detectors.base import Detection
from pipeline.rows.manifest import Row
from pipeline.sections import DatasetConfig
from pipeline.stages.crop import CropConfig, Recipe, crop, wanted


def cropped(boxes, config=None, size=(1000, 1000), label="face", dataset="400"):
    found = tuple(Detection(label, 0.9, Box(*box)) for box in boxes)
    row = Row("a", "a", width=size[0], height=size[1], boxes=found)
    return list(crop(row, Recipe(config or CropConfig(), dataset=DatasetConfig(dataset))))


def test_a_photo_lacks_what_its_detectors_look_for():
    own, haar = Spec("crop", "/mine"), Spec("haar")
    for specs, reason in (([own], "no portrait"), ([own, haar], "no face"), ([haar], "no face")):
        row = Row("a", "a", width=100, height=100)
        (made,) = crop(row, Recipe(wanted=wanted(specs)))
        assert made.drop == reason


def test_portrait_is_three_by_four_faces():
    (row,) = cropped([(450, 300, 550, 400)])
    assert row.rectangle == Box(350, 190, 650, 590)
    assert row.face == Box(450, 300, 550, 400)
    assert row.drop is None


@pytest.mark.parametrize(
    ("boxes", "size", "reason"),
    [
        ([], (1000, 1000), "no face"),
        ([(0, 0, 100, 100), (300, 0, 400, 100)], (1000, 1000), "several faces: 2"),
        ([(0, 0, 40, 40)], (1000, 1000), "face too small: 40 pixels"),
        ([(0, 0, 200, 200)], (1000, 275), "face too close: 0.73 of the height"),
        ([(0, 0, 300, 300)], (200, 1000), "face would be cut"),
    ],
)
def test_drops_say_why(boxes, size, reason):
    (row,) = cropped(boxes, size=size)
    assert row.drop == reason


def test_small_rectangle_is_dropped_unless_it_may_be_enlarged():
    (row,) = cropped([(450, 300, 550, 400)], dataset="512")
    assert row.drop == "too few pixels: 300 x 400"
    (row,) = cropped([(450, 300, 550, 400)], CropConfig(enlarge=True), dataset="512")
    assert row.drop is None


def test_faces_under_a_third_of_the_largest_do_not_count():
    (row,) = cropped([(450, 300, 550, 400), (0, 0, 33, 33)])
    assert row.drop is None


def test_each_face_becomes_a_row_from_left_to_right():
    config = CropConfig(faces="each", max_faces=3)
    rows = cropped([(700, 300, 800, 400), (200, 300, 310, 410)], config)
    assert [(row.id, row.photo, row.face.left) for row in rows] == [
        ("a.f1", "a", 200),
        ("a.f2", "a", 700),
    ]


def test_a_photo_that_is_a_portrait_already_is_taken_whole():
    (row,) = cropped([(0, 0, 1000, 1000)], label="photo")
    assert (row.rectangle, row.face, row.drop) == (Box(0, 0, 1000, 1000), None, None)


def test_out_of_range_option_names_value_and_range():
    with pytest.raises(ValueError, match=r"\[Crop\] max_faces = 0: give a value of at least 1"):
        CropConfig(max_faces=0)
