"""The review's orders, its picture, and annotation files to and fro."""

import numpy as np
import pytest

from atelier.boxes import Box
from detectors.base import Detection
from pipeline.options import SettingsError
from pipeline.review import session, view
from pipeline.review.ahead import Ahead, Unshown
from pipeline.review.exchange import bring_in, export
from pipeline.review.photos import Photo, ordered
from pipeline.review.session import Sitting
from pipeline.review.state import begin, press
from pipeline.rows.decisions import Decision, Journal, in_force, load_decisions

BOX = Box(100, 100, 400, 500)


def photo(name, *scores, outcome="kept", **more):
    found = tuple(Detection("face", score, Box(0, 0, 9, 9)) for score in scores)
    return Photo(name, f"{name}.jpg", 1000, 800, found, (BOX,), outcome, **more)


def names(shown):
    return "".join(photo.id for photo in shown)


def test_the_least_sure_come_first_and_edited_ones_before():
    shown = [photo("a"), photo("b", 0.9), photo("c", 0.5, 0.2), photo("d", 0.4)]
    assert names(ordered(shown, ["unsure"])) == "dcba"
    shown += [photo("e", 0.99, edited=True)]
    assert names(ordered(shown, ["unsure"])) == "edcba"


def test_a_random_order_is_the_same_every_time():
    shown = [photo(name) for name in "abcdefgh"]
    once = names(ordered(shown, ["random"]))
    assert once == names(ordered(shown[::-1], ["random"])) != "abcdefgh"


def test_a_reason_shows_only_its_photos():
    shown = [photo("a"), photo("b", outcome="no face"), photo("c", outcome="several faces: 2")]
    assert names(ordered(shown, ["several faces"])) == "c"
    assert names(ordered(shown, ["no face", "kept"])) == "ab"
    with pytest.raises(SettingsError, match=r"--order 'blurred'.*'kept', 'no face', 'several"):
        ordered(shown, ["blurred"])


def accept(name, *boxes):
    return Decision(name, f"{name}.jpg", "accept", boxes or (BOX,))


@pytest.mark.parametrize("target", ["crops.csv", "crops"])
def test_accepted_portraits_go_out_and_come_in_again(tmp_path, target):
    shown = [photo(name) for name in ("a", "b/c", "d")]
    held = {"a": accept("a"), "b/c": accept("b/c", BOX, Box(500, 0, 800, 400))}
    held["d"] = Decision("d", "d.jpg", "refuse", (), "blurred")
    assert export(tmp_path / target, shown, held) == (2, [])
    journal = Journal(tmp_path / "decisions.jsonl")
    assert bring_in(tmp_path / target, shown, journal) == (2, [])
    back = in_force(load_decisions(journal.path))
    assert back == {"a": accept("a"), "b/c": accept("b/c", BOX, Box(500, 0, 800, 400))}


def test_what_goes_out_lies_in_its_photo(tmp_path):
    shown = [photo("a"), photo("b")]
    held = {"a": accept("a", Box(-5, 0, 2000, 10**30), Box(1000, 0, 1100, 9))}
    held["b"] = accept("b", Box(5000, 0, 6000, 9))
    outside = ["1 photo with all rectangles outside"]
    assert export(tmp_path / "x.csv", shown, held) == (1, outside)
    assert (tmp_path / "x.csv").read_text().splitlines()[1:] == [
        "a.jpg,1000,800,portrait,1,1,1000,800"
    ]


def test_what_is_left_of_the_accepted_is_said(tmp_path):
    outside = Box(5000, 0, 6000, 9)
    shown = [photo("a"), photo("b"), photo("c", clip="x.mp4"), photo("d")]
    held = {"a": accept("a", outside), "c": accept("c"), "d": accept("d")}
    left = ["1 clip frame", "1 photo with all rectangles outside"]
    assert export(tmp_path / "x.csv", shown, held) == (1, left)
    del held["d"]
    said = "all that is accepted are 1 clip frame and 1 photo with all rectangles outside"
    with pytest.raises(SettingsError, match=f"^{said}: nothing to export"):
        export(tmp_path / "y.csv", shown, held)
    assert not (tmp_path / "y.csv").exists()
    with pytest.raises(SettingsError, match=r"^no photo is accepted: nothing to export"):
        export(tmp_path / "y.csv", shown, {})


@pytest.mark.parametrize("place", ["file/x.csv", "file/x", "file", "folder.csv", "/proc/x.csv"])
def test_a_place_that_cannot_be_written_to_is_named(tmp_path, place):
    (tmp_path / "file").write_text("mine")
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(SettingsError, match=r"--export .*: nothing can be written there"):
        export(tmp_path / place, [photo("a")], {"a": accept("a")})
    assert (tmp_path / "file").read_text() == "mine"


def test_what_cannot_come_in_is_said(tmp_path):
    table = tmp_path / "crops.csv"
    table.write_text(
        "filename,width,height,class,xmin,ymin,xmax,ymax\n"
        "a.jpg,1000,800,portrait,101,101,400,500\n"
        "b.jpg,500,400,portrait,1,1,40,50\n"
        "c.jpg,1000,800,cat,1,1,40,50\n"
        "gone.jpg,9,9,portrait,1,1,9,9\n"
    )
    journal = Journal(tmp_path / "decisions.jsonl")
    number, warnings = bring_in(table, [photo(name) for name in "abc"], journal)
    assert number == 1 and load_decisions(journal.path) == [accept("a")]
    assert [line.split(": ")[1] for line in warnings] == ["b.jpg", "c.jpg", "gone.jpg"]
    assert "drawn on 500 x 400 pixels, and the upright photo has 1000 x 800" in warnings[0]
    with pytest.raises(SettingsError, match="nothing to export"):
        export(table, [], {})


def test_decisions_that_an_import_replaces_are_counted(tmp_path, monkeypatch):
    shown = [photo(name) for name in "abc"]
    export(tmp_path / "crops.csv", shown, {name: accept(name) for name in "abc"})
    sitting = Sitting(tmp_path, (), {}, None, None)
    monkeypatch.setattr(Sitting, "photos", lambda _: shown)
    for decision in (accept("a"), accept("b", Box(0, 0, 9, 9))):
        sitting.journal.append(decision)
    said = session.bring_in(sitting, tmp_path / "crops.csv")
    assert said == ["3 photos accepted, 1 of them decided otherwise before"]
    assert session.bring_in(sitting, tmp_path / "crops.csv") == ["3 photos accepted"]


LOOK = view.Look(0.5, 0.4, (1024, 1024))


def drawn(state, size=(640, 480), pixels=None):
    at = view.view(state, size)
    pixels = np.full((at.height, at.width, 3), 200, np.uint8) if pixels is None else pixels
    return view.draw(state, pixels, size, LOOK), at


def test_the_portrait_is_bright_and_the_rest_dark():
    state = begin((photo("a"),), {})
    picture, at = drawn(state)
    assert picture.shape == (480, 640, 3) and picture.dtype == np.uint8
    left, top, right, bottom = at.to_screen(BOX)
    assert (picture[(top + bottom) // 2, (left + right) // 2] == 200).all()
    assert (picture[(top + bottom) // 2, right + 12] == 80).all()
    assert at.to_photo(left, top) == pytest.approx((100, 100), abs=2)


@pytest.mark.slow
@pytest.mark.parametrize("size", [(320, 200), (640, 480), (3840, 2160)])
@pytest.mark.parametrize("keys", [(), ("?",), ("x",), ("g", "z"), ("enter",), ("x", "1")])
def test_every_state_can_be_drawn_at_any_size(size, keys):
    state = begin((photo("a", 0.9, outcome="no face"), photo("b" * 300)), {})
    for key in keys:
        state = press(state, key).state
    for shown in (drawn(state, size), drawn(state, size, "broken file")):
        assert shown[0].shape == (size[1], size[0], 3)
        assert len(np.unique(shown[0])) > 2


def test_a_photo_that_cannot_be_read_is_said():
    def gone(_):
        raise OSError("it is gone")

    ahead = Ahead(gone)
    with pytest.raises(Unshown, match="it is gone"):
        ahead.get(photo("a"), BOX, (64, 64))
    ahead.close()
