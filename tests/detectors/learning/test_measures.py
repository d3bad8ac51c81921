"""Average precision on cases that can be counted by hand, and the pictures of it."""

import json
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image

from detectors.learning import Example, charts, evaluate
from detectors.learning.examples import stored
from detectors.learning.measures import Finds, constant_box, ious, measure
from tests.kit.learning import picture

BOX = (0.2, 0.2, 0.6, 0.6)
FAR = (0.7, 0.7, 0.9, 0.9)


def drawn(*boxes, classes=None, encoded=b"", name="a"):
    own = np.int32(classes if classes is not None else [0] * len(boxes))
    return Example(name, encoded, 96, 72, np.float32(boxes).reshape(-1, 4), own, name)


def finds(*found):
    """Of (box, score) or (box, score, class)."""
    boxes = np.float32([each[0] for each in found]).reshape(-1, 4)
    classes = np.int32([each[2] if len(each) > 2 else 0 for each in found])
    return Finds(boxes, classes, np.float32([each[1] for each in found]))


def wider(share):
    """BOX made wider, so that its IoU with BOX is `share`."""
    return (0.2, 0.2, 0.2 + 0.4 / share, 0.6)


def test_what_is_drawn_is_perfect():
    found = measure([finds((BOX, 0.9))], [drawn(BOX)], 1)
    assert (found.map50, found.map5095, found.mean_iou) == (1, 1, pytest.approx(1))
    assert found.surest == pytest.approx(0.9)


def test_nothing_found_is_zero():
    found = measure([finds(), finds()], [drawn(BOX), drawn()], 1)
    assert (found.map50, found.map5095, found.mean_iou) == (0, 0, 0)


def test_a_class_of_which_nothing_is_found_right_says_nothing_of_where_to_cut():
    wrong = finds((FAR, 0.12), (FAR, 0.05))
    assert measure([wrong], [drawn(BOX)], 1).surest == 0.5
    both = finds((FAR, 0.12), (FAR, 0.8, 1))
    assert measure([both], [drawn(BOX, FAR, classes=[0, 1])], 2).surest == pytest.approx(0.8)


def test_an_overlap_counts_up_to_its_own_threshold():
    found = measure([finds((wider(0.72), 0.5))], [drawn(BOX)], 1)
    assert found.ap(0.5) == found.ap(0.7) == 1
    assert found.ap(0.75) == 0
    assert found.map5095 == pytest.approx(0.5)


def test_a_surer_wrong_find_halves_the_precision():
    right_first = measure([finds((BOX, 0.9), (FAR, 0.8))], [drawn(BOX)], 1)
    wrong_first = measure([finds((BOX, 0.8), (FAR, 0.9))], [drawn(BOX)], 1)
    assert (right_first.map50, wrong_first.map50) == (1, 0.5)


def test_a_box_is_found_once():
    twice = measure([finds((BOX, 0.9), (BOX, 0.8))], [drawn(BOX, FAR)], 1)
    assert twice.map50 == pytest.approx(51 / 101)  # recalls 0 to 0.5 have precision 1


def test_precision_is_read_at_101_recalls():
    """Three boxes; right, wrong, right: recall 1/3 at 1, then 2/3 at 2/3."""
    boxes = [drawn(BOX), drawn(BOX), drawn(BOX)]
    found = measure([finds((BOX, 0.9)), finds((FAR, 0.8)), finds((BOX, 0.7))], boxes, 1)
    assert found.map50 == pytest.approx((34 + 33 * 2 / 3) / 101)
    assert found.surest == pytest.approx(0.7)


def test_finds_of_one_score_come_at_once():
    """Half of the constant boxes are right, in whatever order the pictures come."""
    pictures = [drawn(BOX), drawn(FAR), drawn(BOX), drawn(FAR)]
    constant = [finds((BOX, 0.8))] * 4
    for order in ([0, 1, 2, 3], [1, 3, 0, 2], [0, 2, 1, 3]):
        found = measure(constant, [pictures[n] for n in order], 1)
        assert found.map50 == pytest.approx(51 / 101 * 0.5)


def test_classes_are_measured_apart():
    examples = [drawn(BOX, FAR, classes=[0, 1])]
    found = measure([finds((BOX, 0.9, 0), (FAR, 0.8, 0))], examples, 3)
    assert found.ap(0.5)[:2].tolist() == [1, 0]
    assert np.isnan(found.ap(0.5)[2])
    assert found.map50 == 0.5
    assert np.isnan(found.mean_iou)


def test_pictures_without_boxes_take_wrong_finds():
    clean = measure([finds((BOX, 0.5)), finds()], [drawn(BOX), drawn()], 1)
    wrong = measure([finds((BOX, 0.5)), finds((BOX, 0.9))], [drawn(BOX), drawn()], 1)
    assert (clean.map50, wrong.map50) == (1, 0.5)


def test_ious_in_closed_form():
    one = np.float32([[0, 0, 2, 2], [0, 0, 1, 1]])
    other = np.float32([[1, 1, 3, 3], [5, 5, 6, 6], [0, 0, 2, 2]])
    np.testing.assert_allclose(ious(one, other), [[1 / 7, 0, 1], [0, 0, 1 / 4]])


def test_the_constant_box_is_the_median_of_each_class():
    learnt = [drawn((0.1, 0, 1, 1)), drawn((0.3, 0, 1, 1)), drawn((0.2, 0, 1, 1)), drawn()]
    found = constant_box(learnt, 2)
    np.testing.assert_allclose(found.boxes, [[0.2, 0, 1, 1]])
    assert (found.classes.tolist(), found.scores.tolist()) == ([0], [0.75])


def test_the_report_of_a_measurement(tmp_path):
    pixels, _ = picture(0)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    encoded, *_ = stored((tmp_path / "a.png").read_bytes(), "a.png", 96)
    examples = [
        drawn(BOX, encoded=encoded, name="good"),
        drawn(FAR, encoded=encoded, name="bad"),
        drawn(encoded=encoded, name="empty"),
    ]
    found = [finds((BOX, 0.9)), finds((BOX, 0.7)), finds((BOX, 0.2))]
    measured = {
        "detector": measure(found, examples, 2),
        "crop:a long way/to the <box>": measure(found, examples, 2),
    }
    said = []
    evaluate.write_report(
        tmp_path, measured, found, examples, ["raccoon", "never seen"], said.append
    )
    known = json.loads((tmp_path / "metrics.json").read_text())
    assert known["worst"] == ["empty", "bad", "good"]
    assert known["measured"]["detector"]["classes"]["never seen"] == {"ap50": None, "ap5095": None}
    assert "way/to the <box>" in said[0] and len({*map(len, said[0].splitlines())}) == 2
    drawing = ElementTree.parse(tmp_path / "curve.svg")
    lines = [each for each in drawing.iter() if each.tag.endswith("polyline")]
    assert len(lines) == 2  # the class without boxes has none
    with Image.open(tmp_path / "misses.png") as sheet:
        step = charts.TILE + charts.PAD
        assert sheet.size == (3 * step + charts.PAD, step + charts.LETTERS + 2 * charts.PAD)
        assert sheet.convert("RGB").getcolors(10**6)
        tiles = np.asarray(sheet.convert("RGB"))
    green = (tiles == charts.TRUE_COLOUR).all(axis=-1)
    assert not green[:, :step].any()  # the worst has no box drawn
    assert green[:, step : 2 * step].any()
    words = (tiles[-charts.LETTERS - charts.PAD : -charts.PAD] < 99).all(axis=-1)
    assert all(words[:, at * step : (at + 1) * step].any() for at in range(3))
