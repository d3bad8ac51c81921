"""Frames of videos are the store's own: a damaged one is named, never taken for a bad photo."""

import cv2
import pytest

from pipeline import cli
from pipeline.photos.folder import read_photo
from pipeline.photos.video import is_frame
from pipeline.rows.manifest import Item, Row
from pipeline.tasks import Crop, Resize
from pipeline.upkeep import verify
from tests.kit.sound import sound_files
from tests.kit.store import build, fresh, photo, save, set_options

pytestmark = pytest.mark.slow


@pytest.fixture
def frames(store):
    """The frames of a video of two scenes."""
    path = str(store.parent / "photos" / "clip.avi")
    video = cv2.VideoWriter(path, cv2.VideoWriter.fourcc(*"MJPG"), 10, (160, 120))
    for number in range(4):
        video.write(photo(number // 2, [(60, 40, 20 + 20 * (number // 2))]))
    video.release()
    set_options(Ingest_video_every=2)
    assert build(Crop())
    return sorted(store.glob("ingest/*/pictures/*/*.png"))


@pytest.mark.parametrize("damage", ["flipped", "gone"])
def test_a_damaged_frame_is_made_again(store, frames, damage, capsys):
    before = sound_files(store)
    data = bytearray(frames[0].read_bytes())
    data[len(data) // 2] ^= 1
    frames[0].write_bytes(data)
    if damage == "gone":
        frames[0].unlink()
    fresh()
    assert not build(Resize())  # the row stays open: a damaged frame is no reason to drop it
    assert "verify --repair" in capsys.readouterr().out
    fresh()
    assert verify.verify(store, True, lambda: cli.build_task(Crop())) == 0
    assert str(frames[0]) in capsys.readouterr().out
    assert {name: sound_files(store)[name] for name in before} == before
    fresh()
    assert build(Resize())


def test_a_persons_own_picture_is_no_frame_whatever_its_folders_are_called(store):
    path = store.parent / "photos" / "pictures" / "2024" / "a.png"
    save(path, photo(1))
    path.write_bytes(path.read_bytes() + b"more")
    item = Item("0", Row("0", format="PNG"), path)
    assert not is_frame(item) and read_photo(item) == path.read_bytes()
