"""Tables as people save them, and as they are written here."""

import csv

import pytest

from atelier.tables import TableError, read_table, write_table

COLUMNS = ("file", "label")
ROWS = [("José.png", "cat"), ("sub/a, b.png", "a dog"), ("c.png", "")]


def as_text(separator=",", end="\n", head=COLUMNS, tail=""):
    lines = [head, *ROWS]
    quoted = [[f'"{cell}"' if separator in cell else cell for cell in line] for line in lines]
    return "".join(separator.join(line) + tail + end for line in quoted)


SAVED = {
    "plain": as_text().encode(),
    "mark": as_text().encode("utf-8-sig"),
    "CRLF": as_text(end="\r\n").encode(),
    "CR": as_text(end="\r").encode(),
    "semicolons": as_text(";").encode(),
    "tabs": as_text("\t").encode(),
    "Excel's hint": b"sep=;\r\n" + as_text(";", "\r\n").encode(),
    "UTF-16": as_text("\t", "\r\n").encode("utf-16"),
    "UTF-16 without a mark": as_text("\t").encode("utf-16-le"),
    "Windows-1252": as_text().encode("cp1252"),
    "trailing commas": as_text(tail=",,").encode(),
    "blank lines": b"\n\n" + as_text(end="\n\n").encode(),
    "rows of commas": as_text().encode() + b",\n,,\n",
    "quoted": as_text().replace("file,label", '"file","label"').encode(),
    "capitals": as_text(head=("File", "LABEL")).encode(),
    "other order": b"label,x,file\n"
    + b"".join(f'{label},?,"{file}"\n'.encode() for file, label in ROWS),
    "blanks after commas": ("file, label\n" + "".join(f'"{f}", "{n}"\n' for f, n in ROWS)).encode(),
}


@pytest.mark.parametrize("data", SAVED.values(), ids=SAVED)
def test_however_it_is_saved_it_says_the_same(tmp_path, data):
    path = tmp_path / "t.csv"
    path.write_bytes(data)
    found = [(line["file"], line["label"].strip()) for _, line in read_table(path, COLUMNS)]
    assert found == ROWS


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "line 1: no column file, label; it has nothing, and should have file,label"),
        ("a;b\n1;2\n", "line 1: no column file, label; it has a, b, and should"),
        ("file,label,label\na,b,c\n", "line 1: two columns label; keep one"),
        ("file,label\na.png,b.png,x\n", "line 2: 3 cells under 2 columns; put what holds a comma"),
        ('file,label\na.png,"cat\nb.png,dog\n', "line 3: no CSV table .*; mend the quotes there"),
        ("file,label\n\0\0\0\xff", "no CSV table, but a binary file"),
    ],
)
def test_a_table_that_cannot_be_read_says_where(tmp_path, text, said):
    path = tmp_path / "t.csv"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(TableError, match=said):
        list(read_table(path, COLUMNS))


ODD = ["=1+1", "+1", "-1", "@sum", "\tx", "\rx", "'=x", "''-x", "'quoted'", 'a"b', "a\nb", " x", ""]


@pytest.mark.parametrize("cell", ODD)
def test_what_is_written_is_no_formula_and_reads_back(tmp_path, cell):
    path = tmp_path / "t.csv"
    write_table(path, COLUMNS, [("a.png", cell), (cell or "x", "b")])
    found = [(line["file"], line["label"]) for _, line in read_table(path, COLUMNS)]
    assert found == [("a.png", cell), (cell or "x", "b")]
    with path.open(newline="") as file:
        shown = [each for line in csv.reader(file) for each in line]
    assert not any(each.startswith(("=", "+", "-", "@", "\t", "\r")) for each in shown)


def test_a_name_that_is_not_utf_8_is_written_as_text(tmp_path):
    write_table(tmp_path / "t.csv", COLUMNS, [("a\udce4.png", "b")])
    assert [line["file"] for _, line in read_table(tmp_path / "t.csv", COLUMNS)] == ["a\\xe4.png"]


def test_a_negative_number_is_written_as_one(tmp_path):
    write_table(tmp_path / "t.csv", ("file", "score"), [("-a", -1.5), ("b", -2)])
    assert (tmp_path / "t.csv").read_text() == "file,score\n'-a,-1.5\nb,-2\n"
