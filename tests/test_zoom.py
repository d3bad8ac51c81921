from dataclasses import replace

import pytest

from detectors.base import Box
from pipeline.crop import PortraitConfig
from pipeline.dataset import DatasetConfig
from pipeline.manifest import Row
from pipeline.zoom import ZoomConfig, zoom

ROW = Row("", "p", width=2000, height=2000, face=Box(900, 700, 1100, 900))


def rows(count):
    return [replace(ROW, id=f"{n:04d}", rectangle=Box(700, 480, 1300, 1280)) for n in range(count)]


def zoomed(given, config=None, size="128"):
    return zoom(given, config or ZoomConfig(), PortraitConfig(), DatasetConfig(size))


def test_close_ups_are_the_wanted_share_of_the_dataset():
    out, _ = zoomed(rows(72))
    close_ups = [row for row in out if row.parent]
    assert len(out) == 72 + 28
    assert len(close_ups) == 28
    assert [row for row in out if not row.parent] == rows(72)


def test_close_up_shows_the_face_at_the_wanted_share():
    out, _ = zoomed(rows(3), ZoomConfig(share=0.5))
    assert out[1].id == "0000.z"
    assert out[1].parent == "0000"
    assert out[1].rectangle == Box(850, 640, 1150, 1040)


def test_growth_keeps_earlier_choices():
    before = {row.parent for row in zoomed(rows(50))[0] if row.parent}
    after = [row.parent for row in zoomed(rows(51))[0] if row.parent]
    assert len(before) == 19
    assert before <= set(after)


@pytest.mark.parametrize(
    ("face", "size", "said"),
    [
        (Box(800, 600, 1200, 1000), "128", "1 passed over: the portrait is that close already"),
        (Box(900, 700, 1100, 900), "512", "1 passed over: too few pixels: a close-up would be"),
        (None, "128", "1 passed over: no face was looked for"),
    ],
)
def test_what_is_passed_over_is_counted(face, size, said):
    out, notes = zoomed([replace(rows(1)[0], face=face)], ZoomConfig(share=0.6), size)
    assert len(out) == 1
    assert any(note.startswith(said) for note in notes)
