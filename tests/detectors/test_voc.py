"""Folders of Pascal VOC as people have them, with other files beside."""

import pytest

from detectors.annotations import AnnotationError, read_annotations

BOX = "<bndbox><xmin>1</xmin><ymin>1</ymin><xmax>50</xmax><ymax>50</ymax></bndbox>"
SIZE = "<size><width>100</width><height>80</height></size>"


def test_xml_that_is_no_annotation_is_left_out(tmp_path):
    """Even where it is called as a photo is: that would be one without objects."""
    for name, root in (("one", "annotation"), ("two", "html")):
        inner = f"<filename>{name}.jpg</filename>{SIZE}<object><name>dog</name>{BOX}</object>"
        (tmp_path / f"{name}.xml").write_text(f"<{root}>{inner}</{root}>")
    found = read_annotations(tmp_path)
    assert [photo.filename for photo in found.photos] == ["one.jpg"]
    assert found.warnings == [f"{tmp_path / 'two.xml'} is no Pascal VOC, but <html>; left out"]


def test_a_folder_without_any_annotation_is_named(tmp_path):
    (tmp_path / "annotations.xml").write_text("<annotations><image/></annotations>")
    with pytest.raises(AnnotationError, match="no Pascal VOC, but <annotations>: export it as"):
        read_annotations(tmp_path)
