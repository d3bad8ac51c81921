"""COCO's JSON says the same boxes as a CSV table, and boxes that are turned are seen as such."""

import json

import pytest

from atelier.boxes import Box
from detectors.annotations import Annotated, AnnotationError, Labelled, read_annotations

IMAGES = [
    {"id": 3, "file_name": "a/one.jpg", "width": 640, "height": 480},
    {"id": "x", "file_name": "two.png", "width": 33, "height": 21},
    {"id": 4, "file_name": "empty.jpg", "width": 10, "height": 12},
]
BOXES = [
    {"id": 1, "image_id": 3, "category_id": 7, "bbox": [0, 0, 640, 480], "iscrowd": 0},
    {"id": 2, "image_id": "x", "category_id": 7, "bbox": [3.2, 4, 2.0, 17], "segmentation": []},
    {"id": 3, "image_id": "x", "category_id": 0, "bbox": [0, 1, 9, 7]},
]
KINDS = [{"id": 7, "name": "portrait"}, {"id": 0, "name": "hand", "supercategory": "body"}]
WHOLE = {"info": {}, "images": IMAGES, "annotations": BOXES, "categories": KINDS}


def coco(tmp_path, found):
    path = tmp_path / "boxes.json"
    path.write_text(found if isinstance(found, str) else json.dumps(found))
    return path


def changed(name, /, **values):
    """The whole file with other values in the first row of a list; None takes one out."""
    row = {**WHOLE[name][0], **values}
    first = {key: value for key, value in row.items() if value is not None}
    return {**WHOLE, name: [first, *WHOLE[name][1:]]}


def test_boxes_count_from_0_and_photos_without_any_are_there(tmp_path):
    found = read_annotations(coco(tmp_path, WHOLE))
    assert found.warnings == []
    assert found.photos == [
        Annotated("a/one.jpg", 640, 480, (Labelled("portrait", Box(0, 0, 640, 480)),)),
        Annotated("empty.jpg", 10, 12),
        Annotated(
            "two.png",
            33,
            21,
            (Labelled("portrait", Box(3, 4, 5, 21)), Labelled("hand", Box(0, 1, 9, 8))),
        ),
    ]


def test_a_crowd_is_left_out_and_said(tmp_path):
    found = read_annotations(coco(tmp_path, changed("annotations", iscrowd=1)))
    assert found.photos[0] == Annotated("a/one.jpg", 640, 480)
    assert "annotations[0]: a crowd" in found.warnings[0]


TURNED = "'portrait' is turned by 90 degrees; taken as the upright box around it"


def test_the_upright_box_around_a_turned_one_counts(tmp_path):
    turned = changed("annotations", bbox=[100, 100, 40, 20], attributes={"rotation": 90.0})
    found = read_annotations(coco(tmp_path, turned))
    assert found.photos[0].boxes == (Labelled("portrait", Box(110, 90, 130, 130)),)
    assert TURNED in found.warnings[0]


@pytest.mark.parametrize("told", ["0.0", "360.0", "nan", "", "a lot"])
def test_what_is_not_turned_stays(tmp_path, told):
    found = read_annotations(coco(tmp_path, changed("annotations", attributes={"rotation": told})))
    assert found.photos[0].boxes == (Labelled("portrait", Box(0, 0, 640, 480)),)
    assert found.warnings == []


def test_pascal_voc_of_cvat_says_it_beside_the_box(tmp_path):
    path = tmp_path / "xml" / "one.xml"
    path.parent.mkdir()
    path.write_text(
        "<annotation><filename>one.jpg</filename><size><width>640</width><height>480</height>"
        "</size><object><name>portrait</name><bndbox><xmin>101</xmin><ymin>101</ymin>"
        "<xmax>140</xmax><ymax>120</ymax></bndbox><attributes><attribute><name>rotation</name>"
        "<value>90.0</value></attribute></attributes></object></annotation>"
    )
    found = read_annotations(path.parent)
    assert found.photos[0].boxes == (Labelled("portrait", Box(110, 90, 130, 130)),)
    assert TURNED in found.warnings[0]


@pytest.mark.parametrize(
    ("found", "said"),
    [
        ("{", "boxes.json: no JSON"),
        ("[" * 100_000, "boxes.json: no JSON"),
        ("[]", "no COCO, which has lists images, annotations, categories"),
        ({**WHOLE, "annotations": None}, "no COCO"),
        ({**WHOLE, "images": [1]}, "no COCO"),
        (changed("images", id=[]), r"images\[0\]: id \[\] is none"),
        (changed("images", id="x"), r"images\[1\]: id 'x' is none, or another's"),
        (changed("images", file_name=None), r"images\[0\]: no file_name"),
        (changed("images", width="wide"), "'wide' is no number"),
        (
            changed("images", file_name="\ud800.jpg"),
            r"images\[0\]: file_name '\\ud800.jpg' holds half",
        ),
        (changed("categories", name="\udc80"), r"categories\[0\]: name '\\udc80' holds half of a"),
        (changed("categories", name=7), r"categories\[0\]: no name"),
        (changed("annotations", image_id=9), r"annotations\[0\]: image_id 9 is not in the file"),
        (changed("annotations", category_id={}), r"category_id {} is not in the file"),
        (changed("annotations", bbox=None), r"annotations\[0\]: bbox is not four numbers"),
        (changed("annotations", bbox=[1, 2, "3", 4]), "bbox is not four numbers"),
        (changed("annotations", bbox=[True, 2, 3, 4]), "bbox is not four numbers"),
    ],
)
def test_what_is_wrong_is_named(tmp_path, found, said):
    with pytest.raises(AnnotationError, match=said):
        read_annotations(coco(tmp_path, found))


def test_numbers_beyond_all_photos_are_left_out(tmp_path):
    huge = json.dumps(changed("annotations", bbox=[1, 2, 3, 4])).replace("[1, 2", "[1e999, 2")
    found = read_annotations(coco(tmp_path, huge.replace(", 3, 4]", f", 3, {'9' * 400}]")))
    assert found.photos[0].boxes == ()
    assert "no finite number" in found.warnings[0]
