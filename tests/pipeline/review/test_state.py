"""The review as a state machine: no window, no file."""

import pytest

from atelier.boxes import Box
from detectors.base import Detection
from pipeline.review.photos import Photo
from pipeline.review.state import REASONS, begin, counts, likely, point, press
from pipeline.rows.decisions import Decision

FIRST, SECOND = Box(100, 100, 400, 500), Box(500, 100, 800, 500)
FOUND = (Detection("face", 0.9, Box(200, 200, 300, 300)),)


def photo(name, candidates=(FIRST, SECOND)):
    return Photo(name, f"{name}.jpg", 1000, 800, FOUND, candidates, "kept")


PHOTOS = tuple(map(photo, "abcd"))


def start(held=None, done=()):
    return begin(PHOTOS, held or {}, done)


def pressed(state, *keys):
    """The state after some keys, and all that was decided."""
    decisions = []
    for key in keys:
        state, decision = press(state, key)
        decisions += [decision] if decision else []
    return state, decisions


def accepted(name, *boxes):
    return Decision(name, f"{name}.jpg", "accept", boxes or (FIRST,))


def refused(name, reason):
    return Decision(name, f"{name}.jpg", "refuse", (), reason)


def test_enter_accepts_and_goes_on():
    state, decisions = pressed(start(), "enter", "enter")
    assert decisions == [accepted("a"), accepted("b")]
    assert (state.photo.id, counts(state).accepted, counts(state).left) == ("c", 2, 2)


@pytest.mark.parametrize(
    ("keys", "reason"),
    [(("x", "3"), REASONS[2]), (("x", "x"), "refused"), (("x", "enter"), "refused")],
)
def test_x_refuses_and_a_digit_picks_the_reason(keys, reason):
    state, decisions = pressed(start(), *keys)
    assert decisions == [refused("a", reason)]
    assert (state.photo.id, state.mode) == ("b", "edit")


def test_another_key_goes_back_from_the_reasons():
    state, decisions = pressed(start(), "x", "escape")
    assert (decisions, state.mode, state.photo.id) == ([], "edit", "a")


@pytest.mark.parametrize(
    ("key", "box"),
    [
        ("left", Box(95, 100, 395, 500)),
        ("down", Box(100, 105, 400, 505)),
        ("shift+right", Box(100, 100, 405, 500)),
        ("shift+up", Box(100, 100, 400, 495)),
        ("+", Box(94, 92, 406, 508)),
        ("-", Box(106, 107, 394, 492)),
    ],
)
def test_keys_that_change_the_box(key, box):
    state, decisions = pressed(start(), key)
    assert (state.box, decisions) == (box, [])
    _, (decision,) = pressed(state, "enter")
    assert decision.rectangles == (box,)


@pytest.mark.parametrize("key", ["left", "up", "right", "down"])
@pytest.mark.parametrize("shift", ["", "shift+"])
def test_the_box_never_leaves_the_photo(key, shift):
    state, _ = pressed(start(), *[f"{shift}{key}"] * 300)
    box = state.box
    assert 0 <= box.left < box.right <= 1000 and 0 <= box.top < box.bottom <= 800
    if not shift:
        assert (box.width, box.height) == (300, 400)


def test_scaling_ends_at_the_photo_and_at_the_smallest_box():
    state, _ = pressed(start(), *["+"] * 200)
    assert state.box.height == 800
    assert state.box.width == pytest.approx(600, abs=6)
    state, _ = pressed(state, *["-"] * 200)
    assert min(state.box.width, state.box.height) == 16


def test_tab_goes_round_the_candidates():
    state, _ = pressed(start(), "tab")
    assert state.box == SECOND
    state, _ = pressed(state, "tab")
    assert state.box == FIRST


def test_space_keeps_a_box_so_that_a_photo_has_several_portraits():
    state, decisions = pressed(start(), "space", "tab", "enter")
    assert decisions == [accepted("a", FIRST, SECOND)]
    state, _ = pressed(state, "a")
    assert (state.box, state.kept) == (FIRST, (SECOND,))


@pytest.mark.parametrize("keys", [("d", "d", "a"), (".", ".", ",")])
def test_going_to_and_fro_decides_nothing(keys):
    state, decisions = pressed(start(), *keys)
    assert (state.photo.id, decisions) == ("b", [])


def test_it_starts_at_the_first_undecided_photo():
    assert start({"a": accepted("a"), "b": refused("b", "x")}).photo.id == "c"


def test_a_decided_photo_shows_its_rectangle():
    held = {"a": accepted("a", Box(1, 2, 30, 40))}
    state, _ = pressed(start(held), "a")
    assert state.box == Box(1, 2, 30, 40)


def test_after_the_last_photo_it_goes_on_at_the_first_that_is_left():
    state, _ = pressed(start(), "d", "d", "d", "enter")
    assert state.photo.id == "a"
    state, _ = pressed(state, "enter", "enter", "enter")
    assert counts(state).left == 0
    assert "all photos are decided" in state.message


def test_undo_takes_back_as_many_steps_as_there_were():
    state, _ = pressed(start(), "enter", "x", "1", "a", "a", "x", "2")
    assert counts(state).refused == 2
    state, undone = pressed(state, "u")
    assert (state.photo.id, state.decision) == ("a", accepted("a"))
    assert undone[0].undo and undone[0].action == "accept"
    state, undone = pressed(state, "u", "u", "u")
    assert [line.action for line in undone] == ["open", "open"]
    assert counts(state).left == 4
    assert state.message == "nothing to undo"


def test_help_and_zoom_and_guides_come_and_go():
    state, _ = pressed(start(), "?")
    assert state.mode == "help"
    state, decisions = pressed(state, "enter")
    assert (state.mode, decisions) == ("edit", [])
    state, _ = pressed(state, "g", "z")
    assert state.guides and state.zoom == Box(62, 50, 437, 550)
    state, _ = pressed(state, "g", "z")
    assert not state.guides and state.zoom is None


def test_zoomed_in_a_step_is_finer():
    state, _ = pressed(start(), "z", "right")
    assert state.box.left == 102


def test_q_quits_and_unknown_keys_do_nothing():
    state, _ = pressed(start(), "#", "escape", "7")
    assert state == start()
    assert pressed(state, "q")[0].mode == "quit"


def dragged(state, *points, reach=10):
    state = point(state, "down", *points[0], reach)
    for each in points[1:]:
        state = point(state, "move", *each)
    return point(state, "up", *points[-1])


@pytest.mark.parametrize(
    ("points", "box"),
    [
        (((200, 200), (250, 240)), Box(150, 140, 450, 540)),  # inside: moves
        (((200, 200), (-900, 200)), Box(0, 100, 300, 500)),
        (((398, 497), (500, 700)), Box(100, 100, 500, 700)),  # a corner: pulls
        (((101, 102), (450, 600)), Box(400, 500, 450, 600)),  # past the other one
        (((600, 200), (700, 400)), Box(600, 200, 700, 400)),  # outside: draws
        (((600, 200), (603, 203)), FIRST),  # a shaky click draws nothing
    ],
)
def test_the_mouse(points, box):
    state = dragged(start(), *points)
    assert (state.box, state.grip) == (box, "")


def test_the_wheel_scales():
    assert point(start(), "wheel up", 0, 0).box == Box(94, 92, 406, 508)


def test_the_photos_that_may_come_next_are_known():
    held = {"b": accepted("b")}
    assert [photo.id for photo in likely(start(held))] == ["c", "d", "b"]


def test_undo_names_a_photo_that_is_not_shown():
    elsewhere = Decision("z", "far/z.jpg", "accept", (FIRST,))
    state, (line,) = pressed(start(done=((elsewhere, None),)), "d", "u")
    assert (line.photo, line.action) == ("z", "open")
    assert (state.photo.id, state.message) == ("b", "undone: far/z.jpg")
