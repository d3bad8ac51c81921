"""`python -m pipeline records`: a folder of ready pictures."""

import json
import os
import zipfile
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from atelier import pictures as pictures_of
from pipeline.dataset import finished
from pipeline.dataset import ready as ready_made
from pipeline.dataset.finished import ExportError
from pipeline.dataset.places import shuffled
from pipeline.dataset.ready import chosen_layout, pack_ready, pictures_at
from pipeline.options import SettingsError
from pipeline.stages.ingest import IngestConfig
from tests.kit.exports import HERE, content, draw, pictures
from tests.kit.records import read_records
from training.sources import DataError, open_source

LIMIT = IngestConfig().pixel_limit


def records(source: Path, out: Path, layout: str | None = None, pixels: str = "") -> list[str]:
    """What the command does; returns its notes."""
    chosen = chosen_layout(source, out, layout)
    return pack_ready(pictures_at(source, LIMIT), out, chosen, HERE, lambda _: None, pixels)


@pytest.fixture
def ready(tmp_path: Path) -> Path:
    for n in range(5):
        draw(tmp_path / "ready" / f"{n}.png", n)
    return tmp_path / "ready"


def test_a_folder_of_ready_pictures(ready: Path) -> None:
    (ready / ".hidden.png").touch()
    (ready / "readme.txt").touch()
    draw(ready / "sub" / "a.png", 9)
    out = ready.parent / "clothing"
    notes = records(ready, out)
    assert notes == [
        "1 pictures are in folders below, 'sub/a.png' the first, and left out",
        "2 files are hidden or no pictures, '.hidden.png' the first",
    ]
    assert sorted(content(out)) == [
        ".checksums.json",
        "clothing-r02.tfrecords",
        "clothing-r03.tfrecords",
        "clothing-r04.tfrecords",
        "dataset.json",
    ]
    assert len(pictures(out)) == 5
    assert sorted(os.listdir(ready.parent)) == ["clothing", "ready"]
    with pytest.raises(SettingsError, match="exists already"):
        records(ready, out)


@pytest.mark.parametrize("layout", ready_made.LAYOUTS)
def test_what_lies_where_the_unfinished_one_would_is_left_alone(ready: Path, layout: str) -> None:
    out = ready.parent / f"out{ready_made.LAYOUTS[layout].suffix}"
    beside = out.with_name(f"{out.name}.partial")
    beside.mkdir()
    (beside / "chapter1.txt").write_text("mine")
    with pytest.raises(SettingsError, match=r"\.partial is in the way, .*chapter1.txt"):
        chosen_layout(ready, out, layout)
    with pytest.raises(SettingsError, match=r"\.partial is in the way, .*chapter1.txt"):
        pack_ready(pictures_at(ready, LIMIT), out, layout, HERE, lambda _: None)
    assert content(beside) == {"chapter1.txt": b"mine"} and not out.exists()
    (beside / "lock").touch()
    with pytest.raises(SettingsError, match=r"\.partial is in the way, .*chapter1.txt"):
        chosen_layout(ready, out, layout)
    (beside / "chapter1.txt").unlink()
    records(ready, out, layout)
    assert not beside.exists()
    out = out.with_name(f"other{out.suffix}")
    out.with_name(f"{out.name}.partial").write_text("mine")
    with pytest.raises(SettingsError, match=r"\.partial is in the way: move it away"):
        chosen_layout(ready, out, layout)


@pytest.mark.parametrize("layout", ready_made.LAYOUTS)
def test_two_that_make_one_dataset_do_not_mix(ready: Path, layout: str) -> None:
    for n in range(5):
        draw(ready.parent / "others" / f"{n}.png", n + 5)
    out = ready.parent / f"out{ready_made.LAYOUTS[layout].suffix}"
    others, told = pictures_at(ready.parent / "others", LIMIT), list[int]()

    def meanwhile(count: int) -> None:
        told.append(count)
        with pytest.raises(SettingsError, match=r"out.* is being made by another command: wait"):
            pack_ready(others, out, layout, HERE, lambda _: None)

    pack_ready(pictures_at(ready, LIMIT), out, layout, HERE, meanwhile)
    with pytest.raises(SettingsError, match="exists already"):
        pack_ready(others, out, layout, HERE, lambda _: None)
    assert told and sorted(os.listdir(ready.parent)) == sorted([out.name, "others", "ready"])
    found = open_source(out)
    for place, number in enumerate(shuffled(5)):
        pixels = np.asarray(Image.open(ready / f"{number}.png"))
        np.testing.assert_array_equal(found.read(place), pixels)


def test_a_dataset_that_cannot_be_begun_leaves_nothing(
    ready: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise ExportError("make room")

    monkeypatch.setattr(finished, "check_room", full)
    with pytest.raises(ExportError, match="make room"):
        records(ready, ready.parent / "out", "nvlabs")
    assert os.listdir(ready.parent) == ["ready"]


def test_what_somebody_else_left_unfinished_makes_way(ready: Path) -> None:
    for n in range(5):
        draw(ready.parent / "others" / f"{n}.png", n + 5)

    def stopping(count: int) -> None:
        if count:
            raise KeyboardInterrupt

    out = ready.parent / "out"
    with pytest.raises(KeyboardInterrupt):
        pack_ready(pictures_at(ready.parent / "others", LIMIT), out, "nvlabs", HERE, stopping)
    records(ready, out)
    records(ready, ready.parent / "same" / "out")
    assert content(out) == content(ready.parent / "same" / "out")


@pytest.mark.parametrize("layout", ready_made.LAYOUTS)
def test_a_name_that_is_not_utf_8_is_packed_as_any_other(ready: Path, layout: str) -> None:
    for number, path in enumerate(sorted(ready.iterdir())):
        path.rename(ready / os.fsdecode(b"%d\xe4.png" % number))
    suffix = ready_made.LAYOUTS[layout].suffix
    records(ready, ready.parent / os.fsdecode(b"out\xe4" + suffix.encode()), layout)
    (out,) = ready.parent.glob("out*")
    assert len(open_source(str(out))) == 5
    if not suffix and (told := json.loads((out / "dataset.json").read_text())).get("order"):
        assert sorted(told["order"])[0] == "0\\xe4.png"


@pytest.mark.parametrize(
    ("size", "mode", "sentence"),
    [
        ((8, 16), "RGB", r"3.png is 8 x 16 pixels, the dataset is 16 x 16"),
        ((16, 16), "L", r"3.png has 1 channel, the first picture has 3"),
        ((16, 16), "RGBA", r"3.png has 4 channels, the first picture has 3"),
    ],
)
def test_mixed_pictures_are_an_error(
    ready: Path, size: tuple[int, int], mode: str, sentence: str
) -> None:
    draw(ready / "3.png", 0, size, mode)
    with pytest.raises(ExportError, match=sentence):
        records(ready, ready.parent / "out")
    assert not (ready.parent / "out").exists()


def test_a_folder_below_that_is_closed_does_not_matter(
    ready: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def closed(source: Path) -> None:
        raise PermissionError(13, "Permission denied", str(source / "sub"))

    monkeypatch.setattr(ready_made, "photos", closed)
    assert records(ready, ready.parent / "out") == []


def test_a_folder_without_pictures_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="holds no picture"):
        records(tmp_path, tmp_path / "out")
    draw(tmp_path / "elsewhere" / "cats" / "a.png", 0)
    (tmp_path / "linked").mkdir()
    (tmp_path / "linked" / "cats").symlink_to(tmp_path / "elsewhere" / "cats")
    for folder in ("elsewhere", "linked"):
        with pytest.raises(SettingsError, match=r"itself: .*; 1 pictures are .*, 'cats/a.png' the"):
            records(tmp_path / folder, tmp_path / "out")
    with pytest.raises(SettingsError, match="none is not there: give a folder"):
        records(tmp_path / "none", tmp_path / "out")


def test_labels_of_a_folder_are_kept_in_every_layout(ready: Path) -> None:
    classes = [2, 0, 1, 0, 2]
    pairs = [[f"{n}.png", label] for n, label in enumerate(classes)]
    (ready / "dataset.json").write_text(json.dumps({"labels": pairs}))
    expected = np.eye(3)[[classes[n] for n in shuffled(5)]]
    for out in ("nvlabs", "x.zip", "pictures"):
        layout = None if out == "x.zip" else out
        assert records(ready, ready.parent / out, layout) == []
        found = open_source(ready.parent / out)
        np.testing.assert_array_equal(found.labels, expected)
        for place, number in enumerate(shuffled(5)):
            pixels = np.asarray(Image.open(ready / f"{number}.png"))
            np.testing.assert_array_equal(found.read(place), pixels)
    np.testing.assert_array_equal(np.load(ready.parent / "nvlabs/nvlabs-rxx.labels"), expected)


def test_jpegs_are_packed_as_they_are_unless_only_we_would_see_them_so(tmp_path: Path) -> None:
    for n in range(3):
        noise = np.random.default_rng(n).integers(0, 256, (8, 16, 3), np.uint8)
        (tmp_path / "ready").mkdir(exist_ok=True)
        Image.fromarray(noise).save(tmp_path / "ready" / f"{n}.jpg")
    lying = np.random.default_rng(0).integers(0, 256, (16, 8, 3), np.uint8)
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(lying).save(tmp_path / "ready" / "0.jpg", exif=exif)
    told = tmp_path / "ready" / "2.jpg"
    bare = told.read_bytes()
    told.write_bytes(bare[:2] + b"\xff\xfe\0\6home" + bare[2:])
    records(tmp_path / "ready", tmp_path / "out", "sharded")
    (file,) = (tmp_path / "out").glob("*.tfrecords")
    held = file.read_bytes()
    assert (tmp_path / "ready" / "1.jpg").read_bytes() in held
    assert bare in held and b"home" not in held
    assert (tmp_path / "ready" / "0.jpg").read_bytes() not in held
    found = open_source(tmp_path / "out")
    turned = found.read(shuffled(3).tolist().index(0)).astype(int)
    seen = pictures_of.decode((tmp_path / "ready" / "0.jpg").read_bytes())
    assert np.abs(turned - seen).mean() < 10 < np.abs(turned - seen[::-1]).mean()


@pytest.mark.parametrize("pixels", ready_made.PIXELS)
def test_pixels_are_held_as_asked(ready: Path, pixels: str) -> None:
    out = ready.parent / "out"
    records(ready, out, "sharded", pixels)
    assert json.loads((out / "dataset.json").read_text())["pixels"] == pixels
    far = np.abs(seen(out)[0].astype(int) - np.stack([open_png(ready, n) for n in shuffled(5)]))
    assert (far.max() == 0) == (pixels != "jpeg") and far.mean() < 10
    name = "x.zip" if pixels == "raw" else "x"
    with pytest.raises(SettingsError, match=r"--pixels .*: layout (nvlabs|zip) has (raw|png): le"):
        records(ready, ready.parent / name, None, pixels)
    if pixels == "jpeg":
        draw(ready / "0.png", 0, mode="RGBA")
        with pytest.raises(SettingsError, match="--pixels jpeg: JPEG has no transparency"):
            records(ready, ready.parent / "y", "sharded", pixels)


def open_png(folder: Path, number: int) -> NDArray[np.uint8]:
    return np.asarray(Image.open(folder / f"{number}.png"))


def test_labels_for_some_pictures_are_an_error(ready: Path) -> None:
    (ready / "dataset.json").write_text('{"labels": [["0.png", 1], ["1.png", 0]]}')
    with pytest.raises(DataError, match=r"dataset.json has no label for 2.png"):
        records(ready, ready.parent / "out")
    assert os.listdir(ready.parent) == ["ready"]


def loose(folder: Path, channels: int, size: tuple[int, int], labels: bool) -> Path:
    """A dataset of five pictures in a folder: ada-pytorch's zip, unpacked."""
    for n in range(5):
        mode = {1: "L", 3: "RGB", 4: "RGBA"}[channels]
        draw(folder / f"00000/img{n:08}.png", n, size, mode)
    pairs = [[f"00000/img{n:08}.png", n * 3 % 4] for n in range(5)]
    (folder / "dataset.json").write_text(json.dumps({"labels": pairs if labels else None}))
    return folder


def seen(path: Path) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """All pictures of a dataset in their order, and its labels."""
    found = open_source(path)
    return np.stack([found.read(number) for number in range(len(found))]), found.labels


@pytest.mark.parametrize("labels", [True, False], ids=["labels", "none"])
@pytest.mark.parametrize("size", [(16, 16), (16, 8)], ids=["square", "wide"])
@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("layout", ready_made.LAYOUTS)
def test_there_and_back_again(
    tmp_path: Path, layout: str, channels: int, size: tuple[int, int], labels: bool
) -> None:
    source = loose(tmp_path / "loose", channels, size, labels)
    suffix = ready_made.LAYOUTS[layout].suffix
    for start, end in (("loose", "x"), ("x", "back"), ("back", "again/x")):
        as_layout = end != "back"
        starting = tmp_path / (start + suffix if start == "x" else start)
        ending = tmp_path / (end + suffix if as_layout else end)
        records(starting, ending, layout if as_layout else None)
    given, given_labels = seen(source)
    back, back_labels = seen(tmp_path / "back")
    np.testing.assert_array_equal(back_labels, given_labels)
    assert given_labels.shape == (5, 4 if labels else 0)
    if channels == 4 and layout == "nvlabs":  # which hold products of colour and opacity
        products = [np.rint(a[..., :3] * (a[..., 3:] / 255)) for a in (given, back)]
        np.testing.assert_array_equal(*products)
        np.testing.assert_array_equal(back[..., 3], given[..., 3])
    else:
        np.testing.assert_array_equal(back, given)
    one, again = tmp_path / f"x{suffix}", tmp_path / f"again/x{suffix}"
    for path in [one] if suffix else [p for p in one.rglob("*") if p.is_file()]:
        other = again / path.relative_to(one)
        if (
            layout in ("zip", "pictures") or path.suffix != ".json"
        ):  # which name where they came from
            assert other.read_bytes() == path.read_bytes()
    assert sorted(os.listdir(tmp_path)) == sorted(["again", "back", "loose", f"x{suffix}"])


def test_records_become_a_zip_and_the_zip_records(tmp_path: Path) -> None:
    source = loose(tmp_path / "loose", 3, (16, 16), labels=True)
    records(source, tmp_path / "a" / "x", "nvlabs")
    records(tmp_path / "a" / "x", tmp_path / "x.zip")
    records(tmp_path / "x.zip", tmp_path / "b" / "x", "nvlabs")
    one, other = content(tmp_path / "a" / "x"), content(tmp_path / "b" / "x")
    for name in one.keys() - {"dataset.json"}:
        assert one[name] == other[name]
    assert seen(tmp_path / "x.zip")[1].shape == (5, 4)


def test_a_broken_picture_in_a_zip_is_named_and_mended_from_there(tmp_path: Path) -> None:
    source = loose(tmp_path / "loose", 3, (16, 16), labels=False)
    picture = (source / "00000/img00000003.png").read_bytes()
    for path, data in ((tmp_path / "bad.zip", picture[:-30]), (tmp_path / "good.zip", picture)):
        with zipfile.ZipFile(path, "w") as made:
            for n in (0, 1, 2, 4):
                made.write(source / f"00000/img{n:08}.png", f"00000/img{n:08}.png")
            made.writestr("00000/img00000003.png", data)
    with pytest.raises(ExportError, match=r"1 of 5 .*bad.zip/00000/img00000003.png: broken"):
        records(tmp_path / "bad.zip", tmp_path / "out")
    assert not (tmp_path / "out").exists()
    assert records(tmp_path / "good.zip", tmp_path / "out") == []
    np.testing.assert_array_equal(seen(tmp_path / "out")[0], seen(source)[0])


@pytest.mark.parametrize(
    ("given", "out", "layout", "sentence"),
    [
        ("ready", "x", "zip", r"x: layout zip makes one file: call it x.zip"),
        ("ready", "x.zip", "nvlabs", r"x.zip: layout nvlabs makes a folder: leave out .zip"),
        ("ready", "x.zip", "pictures", r"x.zip: layout pictures makes a folder"),
        ("ready", "ready", "pictures", r"ready exists already: remove it"),
        ("ready", "ä" * 101, "zip", r"ä: its files need room for more: give a shorter name"),
        ("none.zip", "x", None, r"none.zip is not there"),
        ("half.zip", "x", None, r"half.zip is no zip, or a part of one"),
        ("mixed.zip", "x", None, r"b.png is 8 x 16 RGB, but a.png is 16 x 16 RGB"),
        ("text.txt", "x", None, r"text.txt is no folder: give the folder that holds the pictures"),
        ("torn", "x", None, r"torn-r04.tfrecords, record 4: the file ends before it"),
    ],
)
def test_what_cannot_be_is_one_sentence(
    ready: Path, given: str, out: str, layout: str | None, sentence: str
) -> None:
    root = ready.parent
    records(ready, root / "torn", "nvlabs")
    os.truncate(root / "torn/torn-r04.tfrecords", 4000)
    records(ready, root / "half.zip")
    os.truncate(root / "half.zip", 2000)
    (root / "text.txt").write_text("no picture")
    draw(root / "b.png", 0, (8, 16))
    with zipfile.ZipFile(root / "mixed.zip", "w") as made:
        made.write(ready / "0.png", "a.png")
        made.write(root / "b.png", "b.png")
    before = sorted(os.listdir(root))
    with pytest.raises((SettingsError, DataError), match=sentence) as error:
        records(root / given, root / out, layout)
    assert "\n" not in str(error.value)
    assert sorted(os.listdir(root)) == before


@pytest.mark.real_data
def test_the_records_of_dataset_tool_come_out_equal(tmp_path: Path) -> None:
    if "ATELIER_TESTDATA" not in os.environ:
        pytest.skip("set ATELIER_TESTDATA to the folder of real test data")
    golden = Path(os.environ["ATELIER_TESTDATA"]) / "golden" / "sg2_records"
    records(golden / "png", tmp_path / "clothing32")
    for theirs in sorted((golden / "clothing32").glob("*.tfrecords")):
        ours = tmp_path / "clothing32" / theirs.name
        np.testing.assert_array_equal(list(read_records(ours)), list(read_records(theirs)))
    assert len(list((tmp_path / "clothing32").glob("*.tfrecords"))) == 4
