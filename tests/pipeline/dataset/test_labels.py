"""Labels of photos, from their folders or from a table."""

import tracemalloc
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from pipeline.dataset import labels
from pipeline.dataset.export import ExportTFRecordsConfig, check_export
from pipeline.dataset.labels import LabelRows, by_table, labels_of
from pipeline.options import SettingsError
from pipeline.rows.manifest import rows_table
from tests.kit.exports import COUNT, SMALL, photos, rows
from training.sources.labels import dense

PHOTOS = list(photos())


def test_a_photo_outside_the_class_folders_is_an_error() -> None:
    loose = photos() | {"p3": "3.jpg"}
    with pytest.raises(SettingsError, match=r"the photo '3.jpg' is in the source folder itself"):
        labels_of(PHOTOS, lambda: loose, "folder")


def test_labels_by_table(tmp_path: Path) -> None:
    table = tmp_path / "labels.csv"
    lines = [photos()[f"p{n}"] if n % 2 else f"{n}.jpg" for n in range(COUNT)]
    table.write_text("file,label\n" + "".join(f"{line},{n % 3}\n" for n, line in enumerate(lines)))
    found = labels_of(PHOTOS, photos, str(table))
    assert found is not None
    assert found.classes == ("0", "1", "2")
    assert found.indices == tuple(n % 3 for n in range(COUNT))
    table.write_text(table.read_text().replace(",0", ",zebra"))
    found = labels_of(PHOTOS, photos, str(table))
    assert found is not None
    assert found.classes == ("1", "2", "zebra")
    assert found.indices[:3] == (2, 0, 1)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("file,label\n0.jpg,1\n", r"9 photos, 'ant/2.jpg' the first, are not in it"),
        (
            "name,label\n0.jpg,1\n",
            r"line 1: no column file; it has name, label, and should have file,label",
        ),
        ("", r"line 1: no column file, label; it has nothing"),
        ("file,label\n0.jpg,1\n0.jpg,2\n", r"'0.jpg' has the labels '1' and '2'"),
    ],
)
def test_a_table_that_does_not_fit_is_an_error(tmp_path: Path, text: str, sentence: str) -> None:
    table = tmp_path / "labels.csv"
    table.write_text(text)
    with pytest.raises(SettingsError, match=sentence):
        labels_of(PHOTOS, photos, str(table))


def test_a_file_name_that_two_photos_have_is_no_label(tmp_path: Path) -> None:
    table = tmp_path / "labels.csv"
    table.write_text("file,label\na.jpg,1\n")
    two = {"p0": "x/a.jpg", "p1": "y/a.jpg"}
    with pytest.raises(SettingsError, match=r"several photos are called 'a.jpg'"):
        labels_of(PHOTOS[:2], lambda: two, str(table))


def test_a_line_of_another_photo_is_not_taken_for_this_one(tmp_path: Path) -> None:
    table = tmp_path / "labels.csv"
    table.write_text("file,label\ncats/1.png,cat\n")
    with pytest.raises(SettingsError, match=r"the photo .* is not in it"):
        by_table(["dogs/1.png"], table, others=["cats/1.png"])


@pytest.mark.parametrize("source", ["folder", "table"])
def test_a_class_is_one_in_whatever_unicode_form_it_is_written(tmp_path: Path, source: str) -> None:
    names = ["cl\u00e9", "cle\u0301", "dog"]
    paths = {f"p{n}": f"{name}/{n}.jpg" for n, name in enumerate(names)}
    if source == "table":
        source = str(tmp_path / "labels.csv")
        lines = (f"{n}.jpg,{name}" for n, name in enumerate(names))
        Path(source).write_text("\n".join(["file,label", *lines]))
    found = labels_of(list(paths), lambda: paths, source)
    assert found is not None
    assert (found.classes, found.indices) == (("cl\u00e9", "dog"), (0, 0, 1))


@pytest.mark.parametrize("number", ["10000", "9" * 5000])
def test_a_class_number_that_is_too_high_is_an_error(tmp_path: Path, number: str) -> None:
    table = tmp_path / "labels.csv"
    table.write_text(f"file,label\n0.jpg,0\n1.jpg,{number}\n")
    with pytest.raises(SettingsError, match=r"class number \d{5,20} is too high"):
        labels_of(["a", "b"], lambda: {"a": "0.jpg", "b": "1.jpg"}, str(table))


@pytest.mark.parametrize("source", ["folder", "table"])
def test_more_names_than_there_can_be_classes_are_an_error(
    tmp_path: Path, source: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(labels, "MOST_CLASSES", 3)
    paths = {name: f"who {name}/{name}.jpg" for name in "abcd"}
    if source == "table":
        table = tmp_path / "labels.csv"
        table.write_text("file,label\n" + "".join(f"{p},{p[:5]}\n" for p in paths.values()))
        source = str(table)
    said = r"labels: 4 classes, 'who a' the first, are too many: there can be 3; "
    with pytest.raises(SettingsError, match=said):
        labels_of(list(paths), lambda: paths, source)
    found = labels_of(list("abc"), lambda: paths, source)
    assert found is not None and len(found.classes) == 3


def test_too_many_classes_are_said_before_pictures_are_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(labels, "MOST_CLASSES", 2)
    config = ExportTFRecordsConfig(labels="folder")
    with pytest.raises(SettingsError, match="3 classes, 'ant' the first, are too many"):
        check_export(rows_table(rows()), photos, 0, tmp_path, config, SMALL)


@pytest.mark.parametrize(
    "one_hot",
    [
        lambda classes: labels.numbered([*map(str, classes)]).one_hot(),
        lambda classes: dense("here", classes),
    ],
    ids=["written", "read"],
)
def test_labels_take_the_room_of_their_rows(one_hot: Callable[[list[int]], LabelRows]) -> None:
    given = [7, 2999, 0]
    tracemalloc.start()
    found = one_hot(given)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert found.shape == (3, 3000) and found.dtype == np.float32
    assert found.argmax(1).tolist() == given and found.sum() == 3
    assert peak < 1e6


def test_folders_of_years_are_class_numbers_and_that_is_said() -> None:
    years = {"a": "2019/1.jpg", "b": "2021/1.jpg"}
    found = labels_of(list(years), lambda: years, "folder")
    assert found is not None
    assert found.indices == (2019, 2021)
    assert found.remarks()[0].startswith(
        "labels: 2020 of 2022 classes have no picture, 0 the first: whole numbers count from 0 on"
    )
    named = labels_of(list(years), lambda: {n: f"class-{p}" for n, p in years.items()}, "folder")
    assert named is not None
    assert (named.indices, named.remarks()) == ((0, 1), [])


def test_whole_numbers_with_a_point_are_class_numbers(tmp_path: Path) -> None:
    """In the order of their letters 10.0 would come before 2.0."""
    table = tmp_path / "labels.csv"
    given = ["0.0", "10.0", "2.0", "2", "2."]
    photos = {name: f"{name}.jpg" for name in "abcde"}
    lines = [f"{path},{label}\n" for path, label in zip(photos.values(), given, strict=True)]
    table.write_text("file,label\n" + "".join(lines))
    found = labels_of(list(photos), lambda: photos, str(table))
    assert found is not None
    assert found.indices == (0, 10, 2, 2, 2)
    table.write_text(table.read_text().replace("2.0", "2.5"))
    named = labels_of(list(photos), lambda: photos, str(table))
    assert named is not None
    assert named.classes == ("0.0", "10.0", "2", "2.", "2.5")
