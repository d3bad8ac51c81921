import unicodedata

import pytest

from atelier.names import matched, name_key

THERE = ["sub/José.JPG", "sub/two.png", "other/two.png", "one.jpeg", "a/b/deep.png"]


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("sub/José.JPG", ["sub/José.JPG"]),
        (unicodedata.normalize("NFD", "sub/José.JPG"), ["sub/José.JPG"]),
        ("./sub\\José.JPG", ["sub/José.JPG"]),
        ("sub/josé.jpg", ["sub/José.JPG"]),
        ("sub/José.png", ["sub/José.JPG"]),
        ("José.JPG", ["sub/José.JPG"]),
        ("C:\\photos\\sub\\José.jpg", ["sub/José.JPG"]),
        ("/photos/b/DEEP.PNG", ["a/b/deep.png"]),
        ("one.jpg", ["one.jpeg"]),
        ("two.png", ["sub/two.png", "other/two.png"]),
        ("/x/sub/two.png", ["sub/two.png"]),
        ("three.png", []),
        ("", []),
        ("..", []),
    ],
)
def test_a_name_means_what_only_one_has(said, meant):
    assert matched([said], THERE)[said] == meant


def test_what_is_written_as_it_is_is_meant_by_nobody_else():
    assert matched(["x/a.png", "a.png"], ["x/a.png", "y/a.png"]) == {
        "x/a.png": ["x/a.png"],
        "a.png": ["y/a.png"],
    }
    assert matched(["a.png", "a.jpg"], ["a.png"]) == {"a.png": ["a.png"], "a.jpg": []}


def test_two_names_of_other_folders_are_not_one_photo():
    assert matched(["cats/1.png", "dogs/1.png"], ["cats/1.png", "birds/1.png"]) == {
        "cats/1.png": ["cats/1.png"],
        "dogs/1.png": [],
    }


def test_two_files_that_differ_in_bytes_alone_are_two():
    names = [unicodedata.normalize(form, "é.png") for form in ("NFC", "NFD")]
    assert matched(names, names) == {name: [name] for name in names}
    assert name_key(names[0]) == name_key(names[1])
