"""What is said of the crops: wanted against got, and how short too few pixels fell."""

from dataclasses import replace

import pytest

from atelier.boxes import Box
from pipeline.rows.manifest import Row, dropped, rows_table
from pipeline.sections import DatasetConfig
from pipeline.stages import framing
from pipeline.stages.crop import CropConfig, Recipe, sized


def recipe(size="512", **more):
    return Recipe(CropConfig(**more), dataset=DatasetConfig(size))


def kept(height):
    """A portrait of a face of 100 pixels."""
    return Row("a", "a", face=Box(0, 0, 100, 100), rectangle=Box(0, 0, 300, height))


def short(width, height):
    row = Row("s", "s", face=Box(0, 0, 50, 50), rectangle=Box(0, 0, width, height))
    return dropped(row, f"too few pixels: {width} x {height}")


def test_wanted_against_got_is_said():
    rows = [kept(400), kept(404), kept(200), kept(160)]
    assert framing.framing_notes([rows_table(rows)], recipe()) == [
        "2 of 4 portraits have the room that is wanted, the face 0.25 of the height; it is 0.38 in"
        " the middle one, 0.62 at most; [Portrait] shrink says how much it may be"
    ]
    (said,) = framing.framing_notes([rows_table(rows[1:3])], recipe())
    assert said.startswith("1 of 2 portraits has the room")
    assert framing.framing_notes([rows_table([kept(400), Row("n", "n")])], recipe()) == []


@pytest.mark.parametrize(
    ("recipe", "least"),
    [
        (recipe(), 512),
        (recipe(enlarge=1.28), 400),
        (recipe("1024x512"), 512),  # the height alone may do
    ],
)
def test_a_photo_that_is_smaller_gives_no_portrait_and_one_that_is_not_may(recipe, least):
    assert framing.framing_numbers(recipe)["least_photo"] == least
    for side, passes in ((least, True), (least - 1, False)):
        row = Row("a", "a", width=side, height=side, rectangle=Box(0, 0, side, side))
        assert (sized(row, recipe).drop is None) == passes


def test_no_photo_is_too_small_where_all_are_enlarged():
    assert "least_photo" not in framing.framing_numbers(recipe(enlarge=True))


def test_how_short_is_said_and_what_would_let_more_in():
    rows = [short(300, 500), short(300, 400), short(190, 250), short(60, 100), short(90, 120)]
    assert framing.framing_notes([rows_table(rows)], recipe()) == [
        "too few pixels: 5, of which the middle one reaches 0.49 of the side that is wanted; at"
        " size 256, 2 more; at size 128, 3 more; with [Crop] enlarge = 1.15, 1 more"
    ]
    (said,) = framing.framing_notes([rows_table(rows)], recipe(enlarge=1.15))
    assert "at size 256, 3 more; at size 128, 4 more" in said and "enlarge" not in said
    (said,) = framing.framing_notes([rows_table(rows[1:2])], recipe("1024x512"))
    assert "0.78 of the side that is wanted; at size 512x256, 1 more; at size 256x128, 1" in said


@pytest.mark.parametrize(("size", "factor"), [("256", 1.0), ("128", 1.0), ("256", 1.15)])
def test_what_more_would_come_in_does_come_in(size, factor):
    """The count is that of Crop itself at the smaller size."""
    rows = [short(width, width * 4 // 3) for width in range(60, 280, 7)]
    smaller = recipe(size, enlarge=factor)
    passed = sum(sized(replace(row, drop=None), smaller).drop is None for row in rows)
    (said,) = framing.framing_notes([rows_table(rows)], recipe(enlarge=factor))
    assert 0 < passed < len(rows)
    assert f"at size {size}, {passed} more" in said
