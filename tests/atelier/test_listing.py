"""Which files count: one table, and every reader holds to it."""

import inspect
import io
import sys
import zipfile

import numpy as np
import pytest
from PIL import Image

from atelier import listing
from detectors.annotations.sizes import PhotoSizes
from detectors.annotations.voc import voc_entries
from pipeline.dataset import ready
from pipeline.dataset.records import write
from pipeline.photos import folder
from training.sources import DataError, open_source
from training.sources.stores import FolderStore, ZipStore, picture_names

APPLE = bytes.fromhex("00051607000200004d6163204f532058") + bytes(100)
COUNTED = ("a.png", "b.JPG", "c.jpe", "d.jfif", "e.hif", "f.jpg_large", "g.bin", "h", "sub/i.webp")
COUNTED += ("j.ppm", "k.pgm")
HIDDEN = (
    *(".hidden.png", "._a.png", ".trashed-1700000000-a.jpg", ".thumbnails/1.jpg", "sub/.x/a.png"),
    *("@eaDir/a.png/SYNOPHOTO_THUMB_XL.jpg", "SYNOPHOTO_THUMB_M.jpg", "#recycle/a.jpg"),
    *("$RECYCLE.BIN/S-1/a.jpg", ".Trash-1000/files/a.jpg", "lost+found/a.jpg", "LOST.DIR/a.jpg"),
    *("__MACOSX/._a.png", "__MACOSX/a.png", "sub/.@__thumb/a.jpg", ".picasaoriginals/a.jpg"),
    *("My.photoslibrary/resources/derivatives/a.jpg", "x Previews.lrdata/a.jpg"),
)
OTHER = ("note.txt", "README", "a.jpg.part", "a.crdownload", "a.jpg_original", "MVI_1.THM", "a.cr2")
FORMATS = {".JPG": "JPEG", ".jpe": "JPEG", ".jfif": "JPEG", ".hif": "HEIF", ".webp": "WEBP"}
FORMATS |= {".ppm": "PPM", ".pgm": "PPM"}
TEXTS = ("note.txt", "README")


def content(name):
    file = io.BytesIO()
    suffix = next((end for end in FORMATS if name.endswith(end)), "")
    Image.new("RGB", (16, 16), "red").save(file, FORMATS.get(suffix, "PNG"))
    return b"BMW and others" if name in TEXTS else APPLE if "._" in name else file.getvalue()


@pytest.fixture
def source(tmp_path):
    """A folder as it lies on a NAS, a stick and a phone; one of its folders is a link."""
    root = tmp_path / "source"
    for name in (*COUNTED, *HIDDEN, *OTHER):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content(name))
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "far.png").write_bytes(content("far.png"))
    (root / "link").symlink_to(tmp_path / "elsewhere")
    (root / "link" / "loop").symlink_to(root)
    (root / ".cache").mkdir()
    (root / ".cache" / "again").symlink_to(root / "sub")  # what it shows counts in its own place
    return root


def by_ingest(root):
    return [row.path for row in folder.listing(root, root.parent / "store") if row.drop is None]


def by_zip(root):
    path = root.parent / "x.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for name, file in {
            n: root / n for n in (*COUNTED, *HIDDEN, *OTHER, "link/far.png")
        }.items():
            archive.write(file, name)
    return picture_names(ZipStore(path))


def by_voc(root):
    for name in (*COUNTED, *HIDDEN, "link/far.png"):
        (root / f"{name}.xml").write_text("<annotation/>")
    entries = voc_entries(root, None, lambda _: None)
    return [entry.place.split(" line ")[0].removeprefix(f"{root}/")[:-4] for entry in entries]


READERS = {
    "Ingest": by_ingest,
    "records": lambda root: [item.path.name for item in ready.listed(root)[0]],
    "trainer's folder": lambda root: picture_names(FolderStore(root)),
    "trainer's zip": by_zip,
    "detectors' pictures": lambda root: list(PhotoSizes(root).files),
    "detectors' XML": by_voc,
}


@pytest.mark.parametrize("reader", READERS.values(), ids=READERS)
def test_every_reader_counts_the_same_files(source, reader):
    wanted = {*COUNTED, "link/far.png"}
    if reader is READERS["records"]:
        wanted = {name for name in COUNTED if "/" not in name}  # a flat folder
    assert set(reader(source)) == wanted


def test_what_does_not_count_has_a_reason(source):
    drops = {row.path: row.drop for row in folder.listing(source, source.parent / "store")}
    assert {drops[name] for name in HIDDEN} == {"hidden, or a device's own folder"}
    assert {name: drops[name] for name in OTHER} == {
        "note.txt": "not a photo (.txt)",
        "README": "not a photo (no suffix)",
        "a.jpg.part": "not a photo (.part)",
        "a.crdownload": "not a photo (.crdownload)",
        "a.jpg_original": "not a photo (.jpg_original)",
        "MVI_1.THM": "not a photo (.thm)",
        "a.cr2": "camera raw file (.cr2)",
    }


def test_an_option_takes_hidden_ones(source):
    rows = folder.listing(source, source.parent / "store", hidden=True)
    assert {row.path for row in rows if row.drop is None} >= {*COUNTED, *HIDDEN}


def test_a_store_among_the_photos_is_left_out_under_every_name(source):
    plain = by_ingest(source)
    (source / "store" / "resize").mkdir(parents=True)
    (source / "store" / "resize" / "a.png").write_bytes(content("a.png"))
    (source / "alias").symlink_to(source / "store")
    assert [row.path for row in folder.listing(source, source / "store") if not row.drop] == plain


def test_the_folder_that_was_named_is_never_hidden(tmp_path):
    root = tmp_path / ".photos" / "@eaDir"
    root.mkdir(parents=True)
    (root / "a.png").write_bytes(content("a.png"))
    assert by_ingest(root) == ["a.png"]


def test_only_what_no_suffix_tells_is_opened():
    def asked():
        raise AssertionError("opened")

    for name in ("a.jpg", "a.CR2", "a.mp4", "a.part"):
        listing.kind_by_content(name, asked)


def test_the_trainer_says_what_it_leaves_out(source):
    for name in ("e.hif", "sub/i.webp"):
        (source / name).unlink()
    (note,) = open_source(source).notes
    assert note.endswith(
        f"{len(HIDDEN) + len(OTHER)} files are left out: {len(HIDDEN)} hidden or in a device's own"
        f" folder, {len(OTHER)} no pictures, 'MVI_1.THM' the first"
    )


def records(path, count):
    """A file of `count` records, each with a checksum that is right."""
    with path.open("w+b") as file:
        for number in range(count):
            write(file.fileno(), number, np.full((3, 8, 8), number, np.uint8))


def test_of_two_datasets_in_a_folder_none_is_guessed(tmp_path):
    records(tmp_path / "cats-r03.tfrecords", 2)
    records(tmp_path / "._cats-r03.tfrecords", 0)
    assert len(open_source(tmp_path)) == 2
    records(tmp_path / "dogs-r03.tfrecords", 3)
    with (tmp_path / "dogs-rxx.labels").open("wb") as file:
        np.save(file, np.eye(3, dtype=np.float32))
    with pytest.raises(DataError, match=r"holds 2 datasets, cats and dogs: name one of their"):
        open_source(tmp_path)
    cats, dogs = (open_source(tmp_path / f"{name}-r03.tfrecords") for name in ("cats", "dogs"))
    assert (cats.labels.shape, dogs.labels.shape) == ((2, 0), (3, 3))
    assert cats.notes == ["dogs-rxx.labels is not called cats-rxx.labels, so it is no labels"]


@pytest.mark.slow
def test_no_depth_of_folders_is_too_much(tmp_path):
    folder = tmp_path
    for _ in range(200):
        folder = folder / "d"
        folder.mkdir()
    (folder / "deep.txt").touch()
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(len(inspect.stack(0)) + 100)
    try:
        assert list(listing.walk(tmp_path)) == [folder / "deep.txt"]
    finally:
        sys.setrecursionlimit(limit)
