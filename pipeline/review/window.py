"""The review in an OpenCV window: events in, pictures out. All that is decided is in `state`."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

import cv2

from atelier.pictures import Pixels
from pipeline.review import view
from pipeline.review.ahead import Ahead, Unshown
from pipeline.review.screen import Screen
from pipeline.review.state import State, likely, point, press
from pipeline.review.view import Look
from pipeline.rows.decisions import Journal

TITLE = "Atelier review"
PLAIN = cv2.WINDOW_NORMAL | cv2.WINDOW_GUI_NORMAL | cv2.WINDOW_FREERATIO
WAIT = 15  # milliseconds between two looks at the mouse
SHIFT = (65505, 65506)  # X11's names of the two keys
ARMED = 0.5  # seconds: an arrow that comes so soon after Shift counts as pressed with it
KEYS = {13: "enter", 9: "tab", 27: "escape", 32: "space"}
KEYS |= {65361: "left", 65362: "up", 65363: "right", 65364: "down", 65421: "enter"}
MOUSE = {cv2.EVENT_LBUTTONDOWN: "down", cv2.EVENT_LBUTTONUP: "up", cv2.EVENT_MOUSEMOVE: "move"}


@dataclass
class Window:
    """The open window: a state, and what shows it."""

    state: State
    journal: Journal
    ahead: Ahead
    look: Look
    screen: Screen = field(default_factory=Screen)
    size: tuple[int, int] = (0, 0)
    changed: bool = True
    shift_at: float = -1.0  # when Shift was pressed last
    timed: Callable[[float], None] = lambda _: None  # told the seconds from key to picture

    def run(self) -> State:
        """Until q is pressed or the window is closed."""
        self.open()
        try:
            while self.state.mode != "quit" and self.is_open():
                self.fit()
                if self.changed:
                    self.show()
                code = cv2.waitKeyEx(WAIT)
                if code != -1:
                    self.key(code)
        finally:
            self.ahead.close()
            cv2.destroyAllWindows()
        return self.state

    def open(self) -> None:
        cv2.namedWindow(TITLE, PLAIN)
        cv2.resizeWindow(TITLE, *self.screen.size)
        cv2.moveWindow(TITLE, 0, 0)
        cv2.setWindowProperty(TITLE, cv2.WND_PROP_FULLSCREEN, cv2.WINDOW_FULLSCREEN)
        cv2.setMouseCallback(TITLE, self.mouse)
        self.size = self.screen.size

    @staticmethod
    def is_open() -> bool:
        return bool(cv2.getWindowProperty(TITLE, cv2.WND_PROP_VISIBLE) >= 1)

    def fit(self) -> None:
        """Follow the window's size."""
        _, _, width, height = cv2.getWindowImageRect(TITLE)
        if (width, height) != self.size and min(width, height) > 100:
            self.size, self.changed = (width, height), True

    def show(self) -> None:
        room = view.room(self.size)
        picture = view.draw(self.state, self.pixels(room), self.size, self.look)
        cv2.imshow(TITLE, cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))
        self.changed = False
        self.ahead.prepare(self.state.photo, likely(self.state), room)

    def pixels(self, room: tuple[int, int]) -> Pixels | str:
        """What the window shows of the photo, or why it cannot."""
        part = self.state.zoom or self.state.photo.whole
        try:
            return self.ahead.get(self.state.photo, part, room)
        except Unshown as reason:
            return str(reason)

    def key(self, code: int) -> None:
        """One key: what it decides is on the disk before the next picture is drawn."""
        began = time.perf_counter()
        if code in SHIFT:
            self.shift_at = began
            return
        name = KEYS.get(code) or (chr(code) if 32 < code < 127 else "")
        if name in ("left", "right", "up", "down") and self.shifted(began):
            name = f"shift+{name}"
        self.shift_at = -1.0
        reply = press(self.state, name)
        if reply.decision is not None:
            self.journal.append(reply.decision)
        self.state, self.changed = reply.state, True
        if self.state.mode != "quit":
            self.show()
            self.timed(time.perf_counter() - began)

    def shifted(self, now: float) -> bool:
        return now - self.shift_at < ARMED or self.screen.shift_is_down()

    def mouse(self, event: int, x: int, y: int, flags: int, _: object) -> None:
        at = view.view(self.state, self.size)
        name = MOUSE.get(event, "")
        if event == cv2.EVENT_MOUSEWHEEL:
            name = "wheel up" if flags > 0 else "wheel down"
        if name == "move" and not self.state.grip:
            return
        before = self.state
        self.state = point(self.state, name, *at.to_photo(x, y), at.reach)
        self.changed |= self.state != before
