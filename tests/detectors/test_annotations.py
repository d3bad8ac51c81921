import subprocess
import sys

import pytest
from PIL import Image

from atelier import pictures
from atelier.boxes import Box
from detectors.annotations import (
    Annotated,
    AnnotationError,
    Labelled,
    read_annotations,
    write_csv,
    write_voc,
)
from detectors.annotations.voc import object_lines
from detectors.labelmap import read_label_map
from tests.kit.store import ROOT

HEADER = "filename,width,height,class,xmin,ymin,xmax,ymax\n"
PHOTOS = [
    Annotated("a/one.jpg", 640, 480, (Labelled("portrait", Box(0, 0, 640, 480)),)),
    Annotated(
        "b, c.png",
        33,
        21,
        (Labelled("face & hand", Box(3, 4, 5, 21)), Labelled("x", Box(0, 1, 9, 8))),
    ),
    Annotated("empty.jpg", 10, 12),
]


def table(tmp_path, *lines, header=HEADER):
    path = tmp_path / "boxes.csv"
    path.write_text(header + "".join(f"{line}\n" for line in lines))
    return path


def voc(tmp_path, boxes, name="one.xml", filename="one.jpg", size=(100, 80)):
    things = "\n".join(
        f"<object><bndbox><ymax>{y2}</ymax><xmin>{x1}</xmin><ymin>{y1}</ymin><xmax>{x2}</xmax>"
        f"<more/></bndbox><name>dog</name></object>"
        for x1, y1, x2, y2 in boxes
    )
    size = f"<size><depth>3</depth><height>{size[1]}</height><width>{size[0]}</width></size>"
    path = tmp_path / "xml" / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"<annotation>\n{things}\n<filename>{filename}</filename>{size}</annotation>")
    return path.parent


def test_csv_to_and_fro_loses_nothing(tmp_path):
    write_csv(tmp_path / "boxes.csv", PHOTOS)
    found = read_annotations(tmp_path / "boxes.csv")
    assert found.photos == PHOTOS
    assert found.warnings == []
    write_csv(tmp_path / "again.csv", found.photos)
    assert (tmp_path / "again.csv").read_bytes() == (tmp_path / "boxes.csv").read_bytes()


def test_voc_to_and_fro_loses_nothing(tmp_path):
    write_voc(tmp_path / "xml", PHOTOS)
    found = read_annotations(tmp_path / "xml")
    assert found.photos == PHOTOS
    assert found.warnings == []


ODD_NAMES = [
    *(
        "a.JPG",
        "A.jpg",
        "new\nline.jpg",
        "tab\there.jpg",
        "--leading.jpg",
        " lead.jpg",
        "trail.jpg ",
    ),
    *("com,ma.jpg", 'quo"te.jpg', "'=1+1.jpg", "<b>&amp;.jpg", 'cl"3\n/z.jpg', "back\\slash.jpg"),
    *(
        "\u00e9.jpg",
        "e\u0301.jpg",
        "cl\u00e9/a.jpg",
        "cle\u0301/a.jpg",
        "nul\x01.jpg",
        "bare",
        "cr\rx.jpg",
    ),
]


@pytest.mark.parametrize(("write", "out"), [(write_csv, "boxes.csv"), (write_voc, "xml")])
def test_photos_of_any_name_come_back_each_with_its_own_box(tmp_path, write, out):
    photos = [
        Annotated(name, 90, 80, (Labelled("portrait", Box(at, 0, 90, 80)),))
        for at, name in enumerate(sorted(ODD_NAMES))
    ]
    for name in ODD_NAMES:
        (tmp_path / "photos" / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (90, 80)).save(tmp_path / "photos" / name, "PNG")
    write(tmp_path / out, photos)
    assert read_annotations(tmp_path / out, names=ODD_NAMES).photos == photos
    assert read_annotations(tmp_path / out, tmp_path / "photos").photos == photos


@pytest.mark.parametrize(("write", "out"), [(write_csv, "boxes.csv"), (write_voc, "xml")])
def test_a_class_is_one_in_whatever_unicode_form_it_is_written(tmp_path, write, out):
    box = Box(0, 0, 9, 9)
    write(
        tmp_path / out,
        [
            Annotated("a.jpg", 9, 9, (Labelled("caf\u00e9", box),)),
            Annotated("b.jpg", 9, 9, (Labelled("cafe\u0301", box),)),
        ],
    )
    photos = read_annotations(tmp_path / out).photos
    assert {each.label for photo in photos for each in photo.boxes} == {"caf\u00e9"}


def test_a_hidden_photo_is_written_to_no_xml_file_that_nobody_would_read(tmp_path):
    with pytest.raises(AnnotationError, match=r"\.a\.xml would be hidden.*: write CSV"):
        write_voc(tmp_path / "xml", [Annotated(".a.jpg", 9, 9)])
    assert not (tmp_path / "xml").exists()


def test_the_whole_photo_is_written_as_1_to_its_size(tmp_path):
    write_csv(tmp_path / "boxes.csv", PHOTOS[:1])
    assert (tmp_path / "boxes.csv").read_text() == (
        f"{HEADER}a/one.jpg,640,480,portrait,1,1,640,480\n"
    )


def test_two_photos_of_one_stem_are_no_two_xml_files(tmp_path):
    twins = [Annotated("a.jpg", 9, 9), Annotated("a.png", 9, 9)]
    with pytest.raises(AnnotationError, match=r"a\.jpg and a\.png would share .*a\.xml"):
        write_voc(tmp_path, twins)


def test_an_earlier_writing_is_replaced(tmp_path):
    folder = tmp_path / "xml"
    write_voc(folder, PHOTOS)
    write_voc(folder, PHOTOS[:1])
    assert read_annotations(folder).photos == PHOTOS[:1]
    assert [path.name for path in folder.rglob("*") if path.is_file()] == ["one.xml"]


def test_what_a_person_wrote_is_not_replaced(tmp_path):
    folder = voc(tmp_path, [(1, 1, 9, 9)])
    before = (folder / "one.xml").read_bytes()
    with pytest.raises(AnnotationError, match=r"xml holds 1 XML files .*, as one\.xml: name ano"):
        write_voc(folder, [Annotated("one.jpg", 9, 9), Annotated("two.jpg", 9, 9)])
    assert [path.read_bytes() for path in folder.iterdir()] == [before]


def test_tags_come_in_any_order_and_numbers_may_be_floats(tmp_path):
    found = read_annotations(voc(tmp_path, [("11.0", "5.2", "50", "69.8")]))
    assert found.photos == [Annotated("one.jpg", 100, 80, (Labelled("dog", Box(10, 4, 50, 70)),))]


def test_columns_come_in_any_order(tmp_path):
    header = "more,class,xmin,ymin,xmax,ymax,height,width,filename\n"
    found = read_annotations(
        table(tmp_path, "?,dog,11,5,50,70,80,100,a\\one.jpg", header="\ufeff" + header)
    )
    assert found.photos == [Annotated("a/one.jpg", 100, 80, (Labelled("dog", Box(10, 4, 50, 70)),))]


def test_a_box_outside_is_cut_and_a_tiny_one_left_out(tmp_path):
    folder = voc(tmp_path, [(-20, 1, 130, 40), (50, 50, 50, 60), (0, 0, 30, 30), (9, 9, 5, 5)])
    found = read_annotations(folder)
    boxes = [each.box for each in found.photos[0].boxes]
    assert boxes == [Box(0, 0, 100, 40), Box(0, 0, 30, 30)]
    file = folder / "one.xml"
    assert found.warnings == [
        f"{file} line 2: 'dog' lies partly outside the photo; cut to it",
        f"{file} line 3: 'dog' is under 2 pixels in the photo; left out",
        f"{file} line 5: 'dog' has its corners swapped, from 9 to 5 and from 9 to 5; left out:"
        " swap them back",
    ]


def test_a_wrong_filename_is_mended_by_the_files_own_name(tmp_path):
    folder = voc(tmp_path, [(1, 1, 9, 9)], filename="other.png")
    assert [photo.filename for photo in read_annotations(folder).photos] == ["one.png"]
    photos = tmp_path / "pictures"
    photos.mkdir()
    Image.new("RGB", (100, 80)).save(photos / "one.jpg")
    found = read_annotations(folder, photos)
    assert [photo.filename for photo in found.photos] == ["one.jpg"]
    assert found.warnings == [
        f"{folder / 'one.xml'}: <filename> is 'other.png'; taken as 'one.jpg', by its own name"
    ]


def test_a_photo_that_is_not_there_is_left_out(tmp_path):
    (tmp_path / "pictures").mkdir()
    path = table(tmp_path, "a.jpg,9,9,dog,1,1,5,5")
    found = read_annotations(path, tmp_path / "pictures")
    assert found.photos == []
    assert found.warnings == [f"{path} line 2: no photo a.jpg in {tmp_path / 'pictures'}; left out"]


@pytest.mark.parametrize(
    ("size", "orientation", "match"),
    [
        ((100, 80), 6, r"80 x 100 pixels upright, and its boxes were drawn on it lying, 100 x 80"),
        ((100, 81), 1, r"100 x 80 pixels, and its boxes were drawn on 100 x 81: scale them"),
    ],
)
def test_boxes_of_another_size_are_refused(tmp_path, size, orientation, match):
    exif = Image.Exif()
    exif[0x0112] = orientation
    (tmp_path / "pictures").mkdir()
    Image.new("RGB", (100, 80)).save(tmp_path / "pictures" / "one.jpg", exif=exif)
    with pytest.raises(AnnotationError, match=match):
        read_annotations(voc(tmp_path, [(1, 1, 9, 9)], size=size), tmp_path / "pictures")


def test_boxes_drawn_upright_fit_a_photo_that_lies(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 8
    (tmp_path / "pictures").mkdir()
    Image.new("RGB", (100, 80)).save(tmp_path / "pictures" / "one.jpg", exif=exif)
    found = read_annotations(voc(tmp_path, [(1, 1, 9, 100)], size=(80, 100)), tmp_path / "pictures")
    assert found.photos[0].boxes[0].box == Box(0, 0, 9, 100)


def test_a_heic_photo_has_a_size(tmp_path):
    """In a process of its own: here the pipeline has told Pillow of HEIC already."""
    (tmp_path / "pictures").mkdir()
    Image.new("RGB", (100, 80)).save(tmp_path / "pictures" / "one.heic")
    given = voc(tmp_path, [(1, 1, 9, 9)]), tmp_path / "pictures"
    script = (
        "import sys; from pathlib import Path; from detectors.annotations import read_annotations"
    )
    script += "; print(read_annotations(*map(Path, sys.argv[1:])).photos[0].filename)"
    line = [sys.executable, "-c", script, *map(str, given)]
    assert subprocess.run(line, cwd=ROOT, capture_output=True, text=True).stdout == "one.heic\n"


def test_a_photo_of_too_many_pixels_is_refused(tmp_path, monkeypatch):
    (tmp_path / "pictures").mkdir()
    Image.new("RGB", (100, 80)).save(tmp_path / "pictures" / "one.jpg")
    monkeypatch.setattr(pictures, "PIXEL_LIMIT", 100)
    said = r"one\.jpg cannot be opened \(too many pixels: 100 x 80, the limit is 100\)"
    with pytest.raises(AnnotationError, match=said):
        read_annotations(voc(tmp_path, [(1, 1, 9, 9)]), tmp_path / "pictures")


@pytest.mark.parametrize(
    ("line", "match"),
    [
        ("a.jpg,9,9,dog,0.1,0.2,0.5,1", r"boxes\.csv line 2: edges between 0 and 1.*pixels"),
        ("a.jpg,9,9,dog,0,0,1,1", r"line 2: edges between 0 and 1"),
        ("a.jpg,9,9,cat,1,1,5,5", r"line 2: class 'cat' is not one of bird, dog"),
        ("a.jpg,9,9,,1,1,5,5", r"line 2: a box without a class"),
        ("a.jpg,9,9,dog,,,,", r"line 2: class 'dog' without a box; give its edges"),
        ("a.jpg,9,9,dog,1,,5,5", r"line 2: '' is no number"),
        ("a.jpg,nan,9,dog,1,1,5,5", r"line 2: 'nan' is no size"),
        ("a.jpg,0,9,dog,1,1,5,5", r"line 2: a\.jpg is 0 x 9 pixels"),
    ],
)
def test_bad_lines_are_refused_by_file_and_line(tmp_path, line, match):
    with pytest.raises(AnnotationError, match=match):
        read_annotations(table(tmp_path, line), classes=["dog", "bird"])


def test_two_sizes_for_one_photo_are_refused(tmp_path):
    path = table(tmp_path, "a.jpg,9,9,dog,1,1,5,5", "a.jpg,9,8,dog,1,1,6,6")
    with pytest.raises(AnnotationError, match=r"line 3: a\.jpg is 9 x 8 .* 9 x 9 at .* line 2"):
        read_annotations(path)


def test_missing_columns_are_named(tmp_path):
    path = table(tmp_path, "a,1", header="filename;width\n")
    with pytest.raises(
        AnnotationError, match=r"line 1: no column height, class.*it has filename, width, and"
    ):
        read_annotations(path)


def test_the_same_box_twice_counts_once(tmp_path):
    path = table(tmp_path, "a.jpg,9,9,dog,1,1,5,5", "a.jpg,9,9,dog,1,1,5,5")
    found = read_annotations(path)
    assert len(found.photos[0].boxes) == 1
    assert found.warnings == [f"{path} line 3: the same box as at {path} line 2; counted once"]


def test_edges_that_are_no_numbers_are_left_out(tmp_path):
    found = read_annotations(table(tmp_path, "a.jpg,9,9,dog,1,nan,5,5"))
    assert found.photos == [Annotated("a.jpg", 9, 9)]
    assert "line 2: an edge of 'dog' is no finite number" in found.warnings[0]


def test_xml_of_two_bytes_a_letter_loses_no_box(tmp_path):
    folder = voc(tmp_path, [(1, 1, 9, 9), (2, 2, 8, 8)])
    file = folder / "one.xml"
    file.write_bytes(f'<?xml version="1.0"?>{file.read_text()}'.encode("utf-16"))
    assert [each.box for each in read_annotations(folder).photos[0].boxes] == [
        Box(0, 0, 9, 9),
        Box(1, 1, 8, 8),
    ]


def test_broken_xml_is_refused(tmp_path):
    encoded = '<?xml version="1.0" encoding="{}"?><a/>'.format
    for text in ("<annotation>\n<object>", encoded("nosuch"), encoded("gbk")):
        (tmp_path / "one.xml").write_text(text)
        with pytest.raises(AnnotationError, match=r"one\.xml: no XML \(.*(line 2|encoding)"):
            read_annotations(tmp_path)
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(AnnotationError, match="no XML file in it"):
        read_annotations(empty)
    with pytest.raises(AnnotationError, match="there is no such"):
        read_annotations(tmp_path / "none.csv")


@pytest.mark.real_data
def test_labelimgs_own_files_and_their_table_say_the_same(test_data):
    raccoon = test_data / "raccoon"
    xml = read_annotations(raccoon / "annotations", raccoon / "images", classes=["raccoon"])
    table = read_annotations(raccoon / "data" / "raccoon_labels.csv", raccoon / "images")
    assert sum(len(photo.boxes) for photo in xml.photos) == 217
    assert len(xml.photos) == 200
    assert set(xml.photos) == set(table.photos)
    assert xml.warnings == []


@pytest.mark.real_data
def test_labelimgs_own_files_go_to_and_fro(test_data, tmp_path):
    photos = read_annotations(test_data / "raccoon" / "annotations").photos
    write_voc(tmp_path / "xml", photos)
    write_csv(tmp_path / "boxes.csv", photos)
    assert (
        read_annotations(tmp_path / "xml").photos
        == read_annotations(tmp_path / "boxes.csv").photos
        == photos
    )


def picture(path, size=(100, 80)):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size).save(path)


@pytest.mark.parametrize(
    "name",
    [
        "IMG_1.jpg",
        "img_1.JPG",
        "IMG_1.jpeg",
        "C:\\photos\\IMG_1.JPG",
        "/home/x/IMG_1.JPG",
        "./IMG_1.JPG",
    ],
)
def test_a_photo_is_found_by_what_only_it_has(tmp_path, name):
    picture(tmp_path / "pictures" / "IMG_1.JPG")
    path = table(tmp_path, f"{name},100,80,dog,11,5,50,70")
    found = read_annotations(path, tmp_path / "pictures")
    assert found.photos == [Annotated("IMG_1.JPG", 100, 80, (Labelled("dog", Box(10, 4, 50, 70)),))]


def test_a_name_that_may_be_two_photos_is_left_out(tmp_path):
    for folder in "ab":
        picture(tmp_path / "pictures" / folder / "1.png")
    path = table(tmp_path, "1.png,100,80,dog,11,5,50,70")
    found = read_annotations(path, tmp_path / "pictures")
    assert not found.photos
    assert found.warnings == [
        f"{path} line 2: 1.png may be a/1.png or b/1.png; left out: give its path"
    ]


@pytest.mark.parametrize("size", [(0, 0), ("", "")])
def test_a_size_that_labelimg_did_not_know_is_the_photos(tmp_path, size):
    picture(tmp_path / "pictures" / "one.jpg")
    folder = voc(tmp_path, [(11, 5, 50, 70)], size=size)
    found = read_annotations(folder, tmp_path / "pictures")
    assert (found.photos[0].width, found.photos[0].height) == (100, 80)
    assert found.warnings == [
        f"{folder / 'one.xml'} line 2: no size of one.jpg; taken from the photo: 100 x 80"
    ]
    with pytest.raises(AnnotationError, match=r"is 0 x 0 pixels; give its size, or the folder"):
        read_annotations(folder)


def test_lines_are_counted_in_linear_time_past_comments_and_cdata():
    data = (
        b"<a>" + b"<!--<object>-->\n" + b"<![CDATA[" + b"<!--<object>\n" * 200_000 + b"]]><object>"
    )
    assert object_lines(data) == [200_002]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_a_label_map_may_begin_with_a_mark(tmp_path, encoding):
    path = tmp_path / "map.pbtxt"
    path.write_bytes("item { id: 1 name: 'Zoë' }".encode(encoding))
    assert read_label_map(path) == {1: "Zoë"}
