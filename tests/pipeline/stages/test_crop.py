import pytest

from atelier.boxes import Box
from detectors import Spec
from detectors.base import Detection
from pipeline.options import keyed
from pipeline.rows.manifest import Row
from pipeline.sections import DatasetConfig, PortraitConfig
from pipeline.stages.crop import CropConfig, Recipe, crop, crop_notes, wanted

PORTRAIT = PortraitConfig()


def cropped(boxes, config=None, size=(1000, 1000), label="face", dataset="400", portrait=PORTRAIT):
    found = tuple(Detection(label, 0.9, Box(*box)) for box in boxes)
    row = Row("a", "a", width=size[0], height=size[1], boxes=found)
    recipe = Recipe(config or CropConfig(), portrait, DatasetConfig(dataset))
    return list(crop(row, recipe))


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


@pytest.mark.parametrize(
    ("enlarge", "kept"), [("1.15", False), ("1.28", True), ("2", True), (1.28, True), (True, True)]
)
def test_a_portrait_may_be_enlarged_up_to_a_factor(enlarge, kept):
    (row,) = cropped([(450, 300, 550, 400)], CropConfig(enlarge=enlarge), dataset="512")
    assert (row.drop is None) is kept


@pytest.mark.parametrize("enlarge", ["0.9", "99", "some", "nan"])
def test_what_is_no_factor_is_refused(enlarge):
    with pytest.raises(ValueError, match=r"\[Crop\] enlarge = .*give true, false"):
        CropConfig(enlarge=enlarge)


def test_keys_are_as_they_were_for_a_switch():
    assert [keyed(CropConfig(enlarge=e))["enlarge"] for e in ("false", "true", "1.5")] == [
        False,
        True,
        1.5,
    ]


def tight(shrink, boxes, **more):
    """What becomes of a portrait whose face may have these shares of the height."""
    return cropped(boxes, portrait=PortraitConfig(shrink=shrink), **more)[0]


def test_a_portrait_shrinks_no_further_than_it_may():
    boxes, size = [(100, 100, 200, 200)], (1000, 300)
    assert tight("", boxes, size=size, dataset="32").drop is None
    assert tight("0.25-0.35", boxes, size=size, dataset="32").drop is None
    (row,) = [tight("0.25-0.3", boxes, size=size, dataset="32")]
    assert row.drop == "too little room: face 0.33, 0.25 wanted"


def test_a_portrait_widens_for_more_pixels_and_no_further_than_it_may():
    boxes = [(450, 450, 550, 550)]
    assert tight("", boxes, dataset="480").drop == "too few pixels: 300 x 400"
    row = tight("0.2-0.7", boxes, dataset="480")
    assert (row.rectangle.height, row.drop) == (480, None)
    assert tight("0.2-0.7", boxes, dataset="512").drop == "too few pixels: 376 x 500"
    assert tight("0.2-0.7", boxes, dataset="256").rectangle.height == 400


@pytest.mark.parametrize("shrink", ["0.3", "0.3-0.5", "0.1-0.2", "-", "a-b", "0.2-1.5"])
def test_a_range_that_cannot_be_is_refused(shrink):
    with pytest.raises(ValueError, match=r"\[Portrait\] shrink"):
        PortraitConfig(shrink=shrink)


def test_a_narrow_photo_leaves_room_for_the_hair():
    (row,) = cropped([(50, 500, 350, 800)], size=(400, 2000))
    assert row.face.top - row.rectangle.top == 105
    assert row.rectangle.bottom >= row.face.bottom


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


def test_finds_that_make_no_portrait_are_told_with_the_way_out():
    (said,) = crop_notes([{"labels": ["raccoon"]}, {"labels": []}], CropConfig())
    assert "all are called raccoon:" in said and "?names=portrait" in said
    for labels in (["face", "raccoon"], ["portrait"], ["photo"], []):
        assert crop_notes([{"labels": labels}], CropConfig()) == []
