"""Records to and fro; what cannot be in those that others wrote is one sentence each."""

import numpy as np
import pytest
import tensorflow as tf

from detectors.learning import records
from detectors.learning.examples import decoded, gather
from detectors.learning.options import LearningError
from tests.kit.learning import dataset

XMIN = "image/object/bbox/xmin"


@pytest.mark.slow
def test_records_come_back(tmp_path):
    labels, pictures = dataset(tmp_path, 5, two=True)
    found, classes = gather(labels, str(pictures), (), 48, print)
    path = tmp_path / "train.tfrecord"
    records.write_records(path, found, classes)
    again, names = records.examples(path, classes)
    assert names == classes
    for one, other in zip(found, again, strict=True):
        assert (one.name, one.encoded, one.origin) == (other.name, other.encoded, other.origin)
        np.testing.assert_array_equal(one.boxes, other.boxes)
        np.testing.assert_array_equal(one.classes, other.classes)
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(LearningError, match="is no whole file of records"):
        records.examples(path)


@pytest.mark.slow
@pytest.mark.real_data
def test_records_of_the_object_detection_api_are_read(test_data):
    from detectors import annotations

    found, classes = records.examples(test_data / "raccoon/data/test.record")
    table = annotations.read_annotations(test_data / "raccoon/data/test_labels.csv")
    assert classes == ["raccoon"]
    said = {photo.filename: photo for photo in table.photos}
    assert {each.name for each in found} <= set(said)
    assert sum(len(each.boxes) for each in found) == sum(len(p.boxes) for p in table.photos)
    for each in found:
        assert decoded(each).shape == (each.height, each.width, 3)


@pytest.fixture
def example(tmp_path):
    """One picture with one box, as a record that tests change."""
    labels, pictures = dataset(tmp_path, 1)
    found, classes = gather(labels, str(pictures), (), 96, print)
    return records.record(found[0], classes)


def written(folder, example):
    path = folder / "own.record"
    with tf.io.TFRecordWriter(str(path)) as file:
        file.write(example.SerializeToString())
    return path


def put(example, name, values):
    """Values as the API has them under this name; but text is written as text everywhere."""
    as_text = any(isinstance(value, bytes) for value in values)
    feature = records.feature(records.CLASS if as_text else name, values)
    example.features.feature[name].CopyFrom(feature)


@pytest.mark.parametrize(
    ("name", "values", "said"),
    [
        (
            XMIN,
            [float("nan")],
            r"a box has the edges nan, .*; give left, top, right, bottom as sha",
        ),
        (XMIN, [40.0], r"a box has the edges 40, .* 0 to 1"),
        (XMIN, [0.99], r"a box has the edges 0.99, "),
        (XMIN, [-0.1], r"a box has the edges -0.1, "),
        (XMIN, [b"left"], r"image/object/bbox/xmin is text where numbers belong; write"),
        (XMIN, [], r"1 boxes and 1 texts in image/object/class/text; .* four edges for each box"),
        ("image/object/class/text", [], r"1 boxes and 0 texts in image/object/class/text; write"),
        ("image/object/class/text", [b"\xff"], r"image/object/class/text is no UTF-8 text; write"),
        ("image/filename", [b"\xff"], r"image/filename is no UTF-8 text; write"),
        ("image/encoded", [], r"has no image/encoded; write the records again"),
        ("image/encoded", [b""], r"has no image/encoded; write the records again"),
        ("image/width", [], r"has no image/width; write the records again"),
    ],
)
def test_a_bad_record_is_one_sentence(tmp_path, example, name, values, said):
    put(example, name, values)
    path = written(tmp_path, example)
    for classes in ([], ["red"]):
        with pytest.raises(LearningError, match=rf"own\.record record 0:? {said}") as refused:
            records.examples(path, classes)
        assert "\n" not in str(refused.value)


def test_a_label_that_is_text_is_one_sentence(tmp_path, example):
    put(example, records.LABEL, [b"1"])
    with pytest.raises(LearningError, match=r"record 0: \S*class/label is text where numbers"):
        records.examples(written(tmp_path, example))


def test_an_edge_may_lie_outside_by_its_last_digit(tmp_path, example):
    put(example, "image/object/bbox/xmax", [float(np.nextafter(np.float32(1), np.float32(2)))])
    ((found,), _) = records.examples(written(tmp_path, example))
    assert found.boxes[0, 2] == pytest.approx(1)
