"""The words of the review window: the line of help, the page of help, the reasons."""

from collections.abc import Sequence

from PIL import ImageDraw, ImageFont

from pipeline.review.colours import ACCENT, BAR, QUIET, TEXT

Font = ImageFont.FreeTypeFont | ImageFont.ImageFont

SHORT = (
    ("Enter", "accept"),
    ("x", "refuse"),
    ("arrows", "move"),
    ("Shift+arrows", "resize"),
    ("+ -", "scale"),
    ("Tab", "next box"),
    ("a d", "photos"),
    ("u", "undo"),
    ("?", "help"),
    ("q", "quit"),
)
LONG = (
    ("Enter", "accept the portrait, go to the next photo"),
    ("x", "refuse the photo: a digit picks the reason, x again gives none"),
    ("arrows", "move the box"),
    ("Shift + arrows", "resize it: its right and lower edges move"),
    ("+  -", "scale it about its middle"),
    ("Tab", "the next box to choose from"),
    ("Space", "keep this box, too: several portraits of one photo"),
    ("a  d   or   ,  .", "the photo before, the photo after"),
    ("u", "undo, as often as you like"),
    ("g", "guides: thirds, and where the face belongs"),
    ("z", "zoom in on the box, and out"),
    ("q", "quit; every decision is saved already"),
    ("mouse", "drag the box, or a corner, or outside of it a new one; the wheel scales"),
)


def help_line(pen: ImageDraw.ImageDraw, at: tuple[int, int], right: int, letters: Font) -> None:
    """The keys in one line, as many as fit."""
    x, y = at
    for key, meaning in SHORT:
        wide = pen.textlength(f"{key} {meaning}", letters)
        if x + wide > right:
            return
        pen.text((x, y), key, ACCENT, letters, "lm")
        x += round(pen.textlength(f"{key} ", letters))
        pen.text((x, y), meaning, QUIET, letters, "lm")
        x += round(pen.textlength(meaning, letters)) + 20


def help(pen: ImageDraw.ImageDraw, size: tuple[int, int], letters: Font, large: Font) -> None:
    """All keys, in the middle of the screen."""
    line = round(1.9 * pen.textbbox((0, 0), "Xy", letters)[3])
    keys = max(pen.textlength(key, letters) for key, _ in LONG) + 36
    wide = keys + max(pen.textlength(meaning, letters) for _, meaning in LONG) + 80
    high = (len(LONG) + 3) * line
    left, top = round(size[0] - wide) // 2, (size[1] - high) // 2
    frame(pen, (left, top, left + round(wide), top + high))
    pen.text((left + 40, top + round(1.2 * line)), "Review", TEXT, large, "lm")
    for number, (key, meaning) in enumerate(LONG):
        y = top + round((number + 2.4) * line)
        pen.text((left + 40, y), key, ACCENT, letters, "lm")
        pen.text((left + 40 + keys, y), meaning, TEXT, letters, "lm")


def reasons(
    pen: ImageDraw.ImageDraw, names: Sequence[str], size: tuple[int, int], letters: Font
) -> None:
    """Why a photo is refused, a number each: at the side, so that the photo is seen."""
    lines = [*((str(n), name) for n, name in enumerate(names, 1)), ("x", "no reason")]
    line = round(2 * pen.textbbox((0, 0), "Xy", letters)[3])
    title, end = "Refuse, because", "Esc goes back"
    wide = round(max(pen.textlength(name, letters) for name in (title, *names)) + 130)
    high = (len(lines) + 3) * line
    left, top = size[0] - wide - line, (size[1] - high) // 2
    frame(pen, (left, top, left + wide, top + high))
    pen.text((left + 36, top + line), title, TEXT, letters, "lm")
    for number, (key, name) in enumerate(lines):
        y = top + (number + 2) * line
        pen.text((left + 36, y), key, ACCENT, letters, "lm")
        pen.text((left + 70, y), name, TEXT, letters, "lm")
    pen.text((left + 36, top + (len(lines) + 2) * line), end, QUIET, letters, "lm")


def frame(pen: ImageDraw.ImageDraw, place: tuple[int, int, int, int]) -> None:
    pen.rounded_rectangle(place, 14, fill=BAR, outline=(86, 90, 98), width=1)
