"""The review as a person uses it: a real window on a virtual screen, real keys and a real mouse."""

import json
import os
import shutil
import subprocess
import time
from ctypes.util import find_library

import pytest

from atelier.boxes import Box
from detectors.annotations import read_annotations
from tests.kit.commands import command, error, run
from tests.kit.store import ROOT, photo, save

pytestmark = pytest.mark.slow

TITLE = "Atelier review"
MISSING = [name for name in ("Xvfb", "xdotool") if not shutil.which(name)]
needs_screen = pytest.mark.skipif(
    bool(MISSING),
    reason=f"not installed: {', '.join(MISSING)} (Debian: xvfb, xdotool)",
)


@pytest.fixture
def display(tmp_path):
    """A virtual screen of 1280 x 800; its number as DISPLAY has it."""
    reading, writing = os.pipe()
    line = [
        "Xvfb",
        "-displayfd",
        str(writing),
        "-screen",
        "0",
        "1280x800x24",
        "-fbdir",
        str(tmp_path),
        "-noreset",
    ]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    process = subprocess.Popen([*line, "-s", "0", "-nolisten", "tcp"], pass_fds=[writing], **quiet)
    os.close(writing)
    with os.fdopen(reading) as answer:
        number = answer.readline().strip()
    assert number, "Xvfb did not start"
    yield f":{number}"
    process.terminate()
    process.wait(10)


@pytest.fixture
def folder(tmp_path):
    """Four photos, each a portrait as it is."""
    for number in range(4):
        save(tmp_path / "photos" / f"{number}.jpg", photo(number, size=(600, 800)))
    return tmp_path


def painted(picture):
    return len(set(picture[::997])) > 9


class Person:
    """Opens the review and uses its keys and its mouse."""

    def __init__(self, folder, display):
        self.folder, self.environment = folder, {**os.environ, "DISPLAY": display}
        self.process = None

    def open(self, *words):
        line = command(self.folder, "review", "--order", "random", *words)
        with (self.folder / "said").open("w") as said:
            self.process = subprocess.Popen(line, cwd=ROOT, env=self.environment, stdout=said)
        window = self.xdotool("search", "--sync", "--onlyvisible", "--name", TITLE).split()[0]
        # Without a window manager, one window of OpenCV in 30 stays black until it is mapped again.
        if not self.seen(painted, seconds=5):
            self.xdotool("windowunmap", "--sync", window, "windowmap", "--sync", window)
        self.until_seen(painted)  # keys before it are lost
        self.xdotool("windowfocus", "--sync", window)

    def xdotool(self, *words):
        done = subprocess.run(
            ["xdotool", *words], env=self.environment, capture_output=True, text=True, timeout=120
        )
        return done.stdout

    def picture(self):
        """The pixels of the screen, from its memory: a program that asks X would hold it up."""
        return (self.folder / "Xvfb_screen0").read_bytes()[-4 * 1280 * 800 :]

    def seen(self, wanted, seconds):
        """Whether such a picture appears in time."""
        end = time.monotonic() + seconds
        while not (there := wanted(self.picture())) and time.monotonic() < end:
            time.sleep(0.05)
        return there

    def until_seen(self, wanted):
        if not self.seen(wanted, seconds=90):
            raise TimeoutError("the picture did not change")

    def press(self, *keys):
        """One key after the other, each when the last one is seen on the screen."""
        for key in keys:
            before = self.picture()
            self.xdotool("key", key)
            if key != "q":
                self.until_seen(lambda picture, before=before: picture != before)

    def decided(self, count):
        """All decisions, once there are `count`."""
        path = self.folder / "store" / "review" / "decisions.jsonl"
        for _ in range(900):
            lines = path.read_text().splitlines() if path.exists() else []
            if len(lines) >= count:
                assert len(lines) == count
                return [json.loads(line) for line in lines]
            time.sleep(0.1)
        raise TimeoutError(f"{len(lines)} decisions instead of {count}")

    def ended(self):
        assert self.process.wait(90) == 0
        return (self.folder / "said").read_text().strip()

    def killed(self):
        self.process.kill()
        self.process.wait()


@pytest.fixture
def person(folder, display):
    someone = Person(folder, display)
    yield someone
    if someone.process:
        someone.killed()


@needs_screen
def test_keys_decide_and_a_killed_window_loses_nothing(person):
    person.open()
    person.press("minus", "minus", "Return")
    (first,) = person.decided(1)
    assert first["action"] == "accept"
    assert first["rectangles"] != [[0, 0, 600, 800]]
    person.press("x", "3")
    assert person.decided(2)[1]["reason"] == "hand at the face"
    person.killed()
    person.open()
    person.press("u", "q")
    taken_back = person.decided(3)[2]
    assert (taken_back["action"], taken_back["undo"]) == ("open", True)
    assert person.ended() == "1 accepted, 0 refused, 3 left"


@needs_screen
def test_arrows_move_and_with_shift_resize(person):
    person.open()
    person.press("minus", "minus", "minus", "minus", "Return", "a")
    ((left, top, right, bottom),) = person.decided(1)[0]["rectangles"]
    person.press("Right", "Down", "Return", "a")
    (moved,) = person.decided(2)[1]["rectangles"]
    assert moved == [left + 4, top + 4, right + 4, bottom + 4]
    person.press("shift+Left", "shift+Up", "Return", "a")
    (smaller,) = person.decided(3)[2]["rectangles"]
    assert smaller == [left + 4, top + 4, right, bottom]
    person.xdotool("keydown", "shift")
    person.press("Left", "Left")
    person.xdotool("keyup", "shift")
    person.press("Left", "Return", "q")
    (held,) = person.decided(4)[3]["rectangles"]
    assert held == [left, top + 4, right - 12, bottom]


@needs_screen
def test_the_mouse_draws_a_box(person):
    person.open()
    person.press(*["minus"] * 12)
    for words in (
        ("mousemove", "420", "100", "mousedown", "1"),
        ("mousemove", "500", "200"),
        ("mousemove", "560", "300"),
        ("mouseup", "1"),
    ):
        person.xdotool(*words)
        time.sleep(0.5)
    person.press("Return", "q")
    ((left, top, right, bottom),) = person.decided(1)[0]["rectangles"]
    assert (right - left) / (bottom - top) == pytest.approx(140 / 200, abs=0.05)
    assert person.ended() == "1 accepted, 0 refused, 3 left"


@needs_screen
def test_what_was_accepted_is_exported_and_built(person):
    person.open()
    person.press("Tab", "minus", "Return", "x", "x", "q")
    person.ended()
    done = run(person.folder, "review", "--export", str(person.folder / "crops.csv"))
    assert done.stdout.strip() == f"1 photo in {person.folder / 'crops.csv'}", done.stderr
    (crop,) = read_annotations(person.folder / "crops.csv", person.folder / "photos").photos
    assert [each.box for each in crop.boxes] == [Box(*person.decided(2)[0]["rectangles"][0])]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({}, "DISPLAY is not set"),
        ({"DISPLAY": ":7777"}, "none answers at DISPLAY = :7777"),
        ({"WAYLAND_DISPLAY": "wayland-0"}, "DISPLAY is not set"),
    ],
)
def test_without_a_screen_it_says_so(folder, given, said, monkeypatch):
    if given.get("DISPLAY") and not find_library("X11"):
        pytest.skip("without libX11 nobody can be asked")
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    done = run(folder, "review")
    assert error(done, 2).startswith(f"the review needs a screen of X11, and {said}: run it on")
