"""A state -> the picture in the window. Pixels only: Pillow draws, nothing is opened."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from atelier.boxes import Box, fitted
from atelier.pictures import Pixels
from pipeline.review import panels
from pipeline.review.colours import ACCENT, BACK, BAR, GREEN, QUIET, RED, TEXT, THIN, WARNING
from pipeline.review.state import State, counts
from pipeline.rows.decisions import REFUSED

MARGIN = 14

Font = ImageFont.FreeTypeFont | ImageFont.ImageFont


@dataclass(frozen=True)
class Look:
    """What the drawing knows of the recipe."""

    face_x: float  # where the face's centre should be, as shares of the portrait
    face_y: float
    least: tuple[int, int]  # a portrait smaller than this, both ways, is dropped; (0, 0): none


@dataclass(frozen=True)
class View:
    """How the part of the photo that is shown lies on a screen of `size`."""

    part: Box
    left: int
    top: int
    width: int
    height: int

    def to_screen(self, box: Box) -> tuple[int, int, int, int]:
        x, y = self.width / self.part.width, self.height / self.part.height
        return (
            self.left + round((box.left - self.part.left) * x),
            self.top + round((box.top - self.part.top) * y),
            self.left + round((box.right - self.part.left) * x),
            self.top + round((box.bottom - self.part.top) * y),
        )

    def to_photo(self, x: int, y: int) -> tuple[int, int]:
        scale_x, scale_y = self.part.width / self.width, self.part.height / self.height
        return (
            self.part.left + round((x - self.left) * scale_x),
            self.part.top + round((y - self.top) * scale_y),
        )

    @property
    def reach(self) -> int:
        """Pixels of the photo that are twelve of the screen."""
        return max(1, round(12 * self.part.width / self.width))


def bars(size: tuple[int, int]) -> tuple[int, int]:
    """The heights of the bar above and of the one below."""
    line = text_size(size)
    return round(2.4 * line), round(3.4 * line)


def text_size(size: tuple[int, int]) -> int:
    return max(13, min(size[0] // 86, size[1] // 46))


@cache
def font(pixels: int) -> Font:
    return ImageFont.load_default(pixels)


def room(size: tuple[int, int]) -> tuple[int, int]:
    """Width and height that a photo may have on a screen of `size`."""
    above, below = bars(size)
    return max(size[0] - 2 * MARGIN, 32), max(size[1] - above - below - 2 * MARGIN, 32)


def view(state: State, size: tuple[int, int]) -> View:
    """Where the photo lies on a screen of (width, height)."""
    part = state.zoom or state.photo.whole
    space = room(size)
    width, height = fitted(part.width, part.height, space)
    above = bars(size)[0] + MARGIN
    left, top = (size[0] - width) // 2, above + (space[1] - height) // 2
    return View(part, left, top, width, height)


def draw(state: State, pixels: Pixels | str, size: tuple[int, int], look: Look) -> Pixels:
    """The whole window, HWC uint8 RGB. `pixels`: the part that is shown, or why there is none."""
    at = view(state, size)
    image = Image.new("RGB", size, BACK)
    if not isinstance(pixels, str):
        image.paste(Image.fromarray(dimmed(pixels, at, state.box)), (at.left, at.top))
    pen = ImageDraw.Draw(image)
    if isinstance(pixels, str):
        middle = size[0] // 2, size[1] // 2
        pen.text(middle, f"cannot be shown: {pixels}", RED, font(text_size(size)), "mm")
    draw_boxes(pen, state, at, size, look)
    draw_top(pen, state, size, look)
    draw_bottom(pen, state, size)
    if state.mode == "help":
        panels.help(pen, size, font(text_size(size)), font(round(1.4 * text_size(size))))
    if state.mode == "reason":
        panels.reasons(pen, state.reasons, size, font(text_size(size)))
    return np.asarray(image)


def dimmed(pixels: Pixels, at: View, box: Box) -> Pixels:
    """The photo, darker where the portrait is not."""
    left, top, right, bottom = at.to_screen(box)
    rows = slice(max(top - at.top, 0), max(bottom - at.top, 0))
    columns = slice(max(left - at.left, 0), max(right - at.left, 0))
    dark: Pixels = pixels // np.uint8(5) * np.uint8(2)
    dark[rows, columns] = pixels[rows, columns]
    return dark


def draw_boxes(
    pen: ImageDraw.ImageDraw, state: State, at: View, size: tuple[int, int], look: Look
) -> None:
    small = font(round(0.85 * text_size(size)))
    for found in state.photo.found:
        place = at.to_screen(found.box)
        pen.rectangle(place, outline=THIN)
        labelled(pen, place, f"{found.label} {found.score:.2f}", small)
    for kept in state.kept:
        pen.rectangle(at.to_screen(kept), outline=GREEN, width=2)
    place = at.to_screen(state.box)
    if state.guides:
        draw_guides(pen, place, look)
    colour = box_colour(state)
    pen.rectangle(place, outline=colour, width=3)
    for x in (place[0], place[2]):
        for y in (place[1], place[3]):
            pen.rectangle((x - 5, y - 5, x + 5, y + 5), fill=colour, outline=BACK)


def labelled(
    pen: ImageDraw.ImageDraw, place: tuple[int, int, int, int], words: str, small: Font
) -> None:
    """Write on a plate on top of a box."""
    where = place[0] + 3, place[1] - 4
    left, top, right, bottom = pen.textbbox(where, words, small, "ls")
    pen.rectangle((left - 3, top - 2, right + 3, bottom + 2), fill=BACK)
    pen.text(where, words, THIN, small, "ls")


def box_colour(state: State) -> tuple[int, int, int]:
    decision = state.decision
    if decision is None:
        return ACCENT
    if decision.action == "refuse":
        return RED
    return GREEN if state.box in decision.rectangles else ACCENT


def draw_guides(pen: ImageDraw.ImageDraw, place: tuple[int, int, int, int], look: Look) -> None:
    """Thirds, thin; and where the centre of the face belongs."""
    left, top, right, bottom = place
    width, height = right - left, bottom - top
    for share in (1 / 3, 2 / 3):
        x, y = left + round(share * width), top + round(share * height)
        pen.line((x, top, x, bottom), TEXT)
        pen.line((left, y, right, y), TEXT)
    x, y = left + round(look.face_x * width), top + round(look.face_y * height)
    for start in range(left, right, 14):
        pen.line((start, y, min(start + 8, right), y), ACCENT, 2)
    for start in range(top, bottom, 14):
        pen.line((x, start, x, min(start + 8, bottom)), ACCENT, 2)


def draw_top(pen: ImageDraw.ImageDraw, state: State, size: tuple[int, int], look: Look) -> None:
    """Which photo this is, what holds for it, and how large the portrait is."""
    high, letters = bars(size)[0], font(text_size(size))
    pen.rectangle((0, 0, size[0], high), fill=BAR)
    photo, middle = state.photo, high // 2
    number = f"{state.at + 1} of {len(state.photos)}"
    x = MARGIN + written(pen, (MARGIN, middle), number, QUIET, letters) + 18
    colour, words = told(state)
    measure, alarm = measured(state, look)
    right = size[0] - MARGIN
    right -= written(pen, (right, middle), measure, WARNING if alarm else TEXT, letters, "rm") + 24
    right -= written(pen, (right, middle), words, colour, letters, "rm") + 24
    pen.text((x, middle), shortened(pen, photo.path, right - x, letters), TEXT, letters, "lm")


def written(
    pen: ImageDraw.ImageDraw,
    at: tuple[int, int],
    words: str,
    colour: tuple[int, int, int],
    letters: Font,
    anchor: str = "lm",
) -> int:
    """Write; returns the width in pixels."""
    pen.text(at, words, colour, letters, anchor)
    return round(pen.textlength(words, letters))


def shortened(pen: ImageDraw.ImageDraw, words: str, width: int, letters: Font) -> str:
    """The end of `words`, as much of it as fits."""
    if pen.textlength(words, letters) <= width:
        return words
    while words and pen.textlength(f"...{words}", letters) > width:
        words = words[max(1, len(words) // 20) :]
    return f"...{words}"


def told(state: State) -> tuple[tuple[int, int, int], str]:
    """What holds for the photo, or what Crop makes of it by itself."""
    decision, photo = state.decision, state.photo
    if decision and decision.action == "refuse":
        return RED, REFUSED if decision.reason == REFUSED else f"refused: {decision.reason}"
    if decision:
        changed = "" if state.box in decision.rectangles else ", changed"
        return GREEN if not changed else ACCENT, f"accepted{changed}"
    if photo.edited:
        return ACCENT, "edited since: the old rectangle is proposed"
    return (QUIET, "proposed") if photo.outcome == "kept" else (WARNING, photo.outcome)


def measured(state: State, look: Look) -> tuple[str, bool]:
    """The portrait's size, and whether it is too small for the dataset."""
    box, (width, height) = state.box, look.least
    if box.width < width and box.height < height:
        return f"{box.width} x {box.height}, under {width} x {height}", True
    return f"{box.width} x {box.height}", False


def draw_bottom(pen: ImageDraw.ImageDraw, state: State, size: tuple[int, int]) -> None:
    """A line of help, the counts, and how far it is."""
    line, (_, high) = text_size(size), bars(size)
    letters, top = font(line), size[1] - high
    pen.rectangle((0, top, *size), fill=BAR)
    count = counts(state)
    x, y = size[0] - MARGIN, top + round(1.4 * line)
    for words, colour in (
        (f"{count.left} left", TEXT),
        (f"{count.refused} refused", RED),
        (f"{count.accepted} accepted", GREEN),
    ):
        x -= written(pen, (x, y), words, colour, letters, "rm") + 18
    if state.message:
        pen.text((MARGIN, y), state.message, ACCENT, letters, "lm")
    else:
        panels.help_line(pen, (MARGIN, y), x, letters)
    progress(pen, (count.accepted, count.refused, count.left), size, round(0.45 * line))


def progress(
    pen: ImageDraw.ImageDraw, numbers: Sequence[int], size: tuple[int, int], high: int
) -> None:
    width, left = size[0] - 2 * MARGIN, MARGIN
    top = size[1] - high - round(0.9 * high)
    for number, colour in zip(numbers, (GREEN, RED, (70, 73, 80)), strict=True):
        right = left + round(width * number / max(sum(numbers), 1))
        if right > left:
            pen.rectangle((left, top, right - 1, top + high), fill=colour)
        left = right
