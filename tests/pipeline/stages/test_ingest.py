import os
import subprocess
import sys

import cv2
import numpy as np
import pytest

from pipeline.photos import folder
from pipeline.stages import ingest
from pipeline.tasks import Ingest
from tests.kit.store import ROOT, build, photo, save, set_options


def ingested():
    assert build(Ingest())
    return {row.path: row for row in Ingest().rows()}


def test_equal_bytes_equal_id(store):
    rows = ingested()
    assert rows["3.png"].id == rows["copy.png"].id
    assert rows["3.png"].id != rows["0.png"].id
    assert (rows["0.png"].width, rows["0.png"].height) == (160, 120)


def test_of_copies_the_smallest_path_stays(store):
    rows = ingested()
    assert rows["3.png"].drop is None
    assert rows["copy.png"].drop == "exact copy: 3.png"


@pytest.mark.slow
def test_every_file_is_counted_as_what_it_is(store):
    source = store.parent / "photos"
    (source / "zero.jpg").write_bytes(b"")
    (source / "note.jpg").write_text("hello")
    (source / "drawing.jpg").write_text("<svg xmlns='http://www.w3.org/2000/svg'/>")
    (source / "a.CR2").write_bytes(b"II")
    (source / "a.txt").write_text("hello")
    (source / "README").write_text("hello")
    (source / "clip.mp4").write_bytes(b"0000")
    (source / "dir.jpg").mkdir()
    (source / "gone.jpg").symlink_to(source / "nowhere.jpg")
    os.mkfifo(source / "pipe.jpg")
    os.rename(source / "0.png", os.fsencode(source) + b"/\xff.png")
    drops = {path: row.drop for path, row in ingested().items() if row.drop}
    assert drops == {
        "zero.jpg": "empty file",
        "note.jpg": "content is no picture in a known format",
        "drawing.jpg": "content is no picture in a known format",
        "a.CR2": "camera raw file (.cr2)",
        "a.txt": "not a photo (.txt)",
        "README": "not a photo (no suffix)",
        "clip.mp4": "video: set video_every",
        "gone.jpg": "broken link",
        "pipe.jpg": "not a regular file",
        "\\xff.png": "file name is not UTF-8",
        "copy.png": "exact copy: 3.png",
    }


def test_a_file_that_goes_while_they_are_listed_is_not_among_them(store, monkeypatch):
    walk = folder.walk

    def going(path, but):
        for found in walk(path, but):
            if found.name == "1.png":
                found.unlink()
            yield found

    monkeypatch.setattr(folder, "walk", going)
    rows = ingested()
    assert "1.png" not in rows and "2.png" in rows


@pytest.mark.slow
def test_strange_names_are_fine(store):
    source = store.parent / "photos"
    names = ["a b.png", 'it\'s "it".png', "line\nbreak.png", "@at.png", "<script>.png", "日本.PNG"]
    for number, name in enumerate(names):
        save(source / name, photo(50 + number))
    rows = ingested()
    assert all(rows[name].drop is None for name in names)


@pytest.mark.parametrize("year", [1902, 1969, 1970, 2038, 2263, 2400])
def test_a_photo_of_any_time_is_one(store, year):
    seconds = (year - 1970) * 31_557_600
    os.utime(store.parent / "photos" / "1.png", (seconds, seconds))
    assert ingested()["1.png"].drop is None


def test_names_that_no_locale_of_few_letters_opens_are_said_before_the_work(store, monkeypatch):
    monkeypatch.setattr("sys.getfilesystemencoding", lambda: "ascii")
    assert len(list(folder.listing(store.parent / "photos", store))) == 6
    save(store.parent / "photos" / "é.png", photo(50))
    with pytest.raises(ValueError, match=r"'é\.png': .* ascii here: set PYTHONUTF8=1"):
        list(folder.listing(store.parent / "photos", store))


def test_links_are_followed_and_a_loop_ends(store):
    source = store.parent / "photos"
    (source / "loop").symlink_to(source)
    other = store.parent / "other"
    save(other / "far.png", photo(77))
    (source / "far").symlink_to(other)
    rows = ingested()
    assert "far/far.png" in rows
    assert len(rows) == 7


def test_pixel_limit_is_checked_before_any_decode(store):
    set_options(Ingest_pixel_limit=100)
    assert {row.drop.split(":")[0] for row in ingested().values()} == {"too many pixels"}


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("nowhere", f"there is no such folder; {folder.HOLDS}"),
        ("photos/0.png", f"not a folder; {folder.HOLDS}"),
        ("store/resize", "lies in the store"),
    ],
)
def test_a_bad_source_is_one_sentence(store, source, said):
    (store / "resize").mkdir(parents=True)
    with pytest.raises(ValueError, match=said):
        folder.listing(store.parent / source, store)


def test_an_empty_source_is_an_error(store):
    (store.parent / "empty").mkdir()
    set_options(Ingest_source=store.parent / "empty")
    with pytest.raises(ValueError, match=f"the folder is empty; {folder.HOLDS}"):
        Ingest().complete()


def test_photos_in_the_stores_raw_folder_are_fine(store):
    (store / "raw").mkdir(parents=True)
    folder.check_source(store / "raw", store, "source")


@pytest.fixture
def clip(store):
    """Ten frames: five of one scene, five of another, at 10 frames a second."""
    path = store.parent / "photos" / "clip.avi"
    video = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 10, (160, 120))
    for number in range(10):
        frame = photo(1 if number < 5 else 2, [(60, 40, 20 if number < 5 else 60)])
        frame[:8, :8] = 20 * number
        video.write(frame)
    video.release()
    return path


LOOK = """
import sys
from pathlib import Path
from pipeline.photos import video
path = Path(sys.argv[1])
print(video.refusal(path, 1), len(list(video.frames(path, 1))))
"""


@pytest.mark.slow
def test_ffmpeg_says_nothing_of_its_own(tmp_path):
    """It reads how loud it may be once in a process."""
    broken = tmp_path / "a.mp4"
    broken.write_bytes(b"\0\0\0\x18ftypmp42" + b"junk" * 100)
    said = subprocess.run([sys.executable, "-c", LOOK, broken], cwd=ROOT, capture_output=True)
    assert (said.stdout, said.stderr) == (b" 0\n", b"")


@pytest.mark.slow
def test_frames_of_a_video_become_photos(store, clip):
    set_options(Ingest_video_every=2)
    assert build(Ingest())
    rows = [row for row in Ingest().rows() if row.clip or row.path == "clip.avi"]
    rows.sort(key=lambda row: (bool(row.clip), row.second or 0))
    assert rows[0].drop == "video: 5 frames looked at"
    assert {row.drop for row in rows[1:]} == {None, "nearly the frame before"}
    taken = [row for row in rows[1:] if row.drop is None]
    assert [row.second for row in taken] == [0.0, 0.6]
    for row in taken:
        frame = cv2.imread(str(store / row.path))
        assert np.array_equal(frame.shape, (row.height, row.width, 3))


def test_frames_obey_the_pixel_limit(store, clip):
    set_options(Ingest_video_every=2, Ingest_pixel_limit=160 * 120 - 1)
    drops = {path: row.drop for path, row in ingested().items()}
    assert drops["clip.avi"] == "too many pixels: 160 x 120, the limit is 19199"


def test_a_file_too_large_for_a_photo_is_not_read(store, monkeypatch):
    source = store.parent / "photos"
    for name, head, size in (
        ("huge.jpg", b"\xff\xd8\xff", 3 << 30),
        ("text.jpg", b"abc", 65 << 20),
    ):
        with (source / name).open("wb") as file:  # sparse: it takes no room
            file.write(head)
            file.truncate(size)
    read = ingest.read_photo
    monkeypatch.setattr(
        ingest,
        "read_photo",
        lambda item: read(item) if item.size_bytes < 1 << 20 else pytest.fail(),
    )
    rows = ingested()
    assert rows["huge.jpg"].drop == (
        "too many bytes: 3,221,225,472, and 200,000,000 pixels take no more than 1,667,108,864"
    )
    assert rows["text.jpg"].drop == "content is no picture in a known format"


@pytest.mark.slow
def test_hidden_files_are_counted_and_an_option_takes_them(store):
    save(store.parent / "photos" / "@eaDir" / "x.png", photo(90))
    assert ingested()["@eaDir/x.png"].drop == "hidden, or a device's own folder"
    key = Ingest().key
    set_options(Ingest_hidden=True)
    assert ingested()["@eaDir/x.png"].drop is None
    assert Ingest().key == key
