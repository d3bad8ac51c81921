"""What OpenCV's window does not tell: whether there is a screen, its size, whether Shift is down.

OpenCV's Qt window speaks X11 only (under Wayland through XWayland), and reports neither Shift with
an arrow key nor the size of the screen; libX11 does.
"""

import ctypes
import os
from ctypes.util import find_library

SHIFT_MASK = 1
USUAL = (1280, 800)


def there() -> bool:
    """Whether a window can be opened at all; without one OpenCV ends the process."""
    screen = Screen()
    if screen.x11 is None:
        return bool(os.environ.get("DISPLAY"))  # nobody can be asked whether it answers
    reached = screen.reached
    screen.close()
    return reached


class Screen:
    """The X11 screen; where it cannot be reached, of usual size and without a Shift key."""

    def __init__(self) -> None:
        name = find_library("X11")
        self.x11 = ctypes.CDLL(name) if name else None
        self.display: ctypes.c_void_p | None = None
        if self.x11:
            self.x11.XOpenDisplay.restype = ctypes.c_void_p
            self.x11.XDefaultRootWindow.restype = ctypes.c_ulong
            self.display = ctypes.c_void_p(self.x11.XOpenDisplay(None))

    @property
    def reached(self) -> bool:
        return bool(self.display and self.display.value)

    def close(self) -> None:
        if self.reached and self.x11 is not None:
            self.x11.XCloseDisplay(self.display)
            self.display = None

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels."""
        if not self.reached or self.x11 is None:
            return USUAL
        return self.x11.XDisplayWidth(self.display, 0), self.x11.XDisplayHeight(self.display, 0)

    def shift_is_down(self) -> bool:
        if not self.reached or self.x11 is None:
            return False
        window, mask = ctypes.c_ulong(), ctypes.c_uint()
        numbers = [ctypes.c_int() for _ in range(4)]
        root = ctypes.c_ulong(self.x11.XDefaultRootWindow(self.display))
        places = [ctypes.byref(each) for each in (window, window, *numbers, mask)]
        self.x11.XQueryPointer(self.display, root, *places)
        return bool(mask.value & SHIFT_MASK)
