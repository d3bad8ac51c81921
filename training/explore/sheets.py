"""Sheets: pictures in rows and columns with words beside them, as RGB on white."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from training.run.films import on_white

Pixels = NDArray[np.uint8]  # ..., H, W, C
LETTERS = 11  # pixels: the height of the words
PAD = 4
SMALLEST = 48  # pixels: smaller pictures are enlarged by a whole factor up to here


def sheet(
    cells: Sequence[Sequence[Pixels]],
    columns: Sequence[str],
    rows: Sequence[str],
    notes: Sequence[Sequence[str]] = (),
) -> Pixels:
    """Rows of pictures of one size [H, W] -> one picture, with words above and to the left.

    `notes` are words below each picture; channels may differ. Returns [h, w, 3].
    """
    height, width = cells[0][0].shape[:2]
    factor = enlargement(height, width)
    letters = ImageFont.load_default(LETTERS)
    wide = [width * factor, *(text_width(text) for row in (columns, *notes) for text in row)]
    left = max([text_width(text) for text in rows], default=0) + PAD
    top, line = (LETTERS + 2 * PAD if any(columns) else PAD), 0 if not notes else LETTERS + PAD
    step = max(wide) + 2, height * factor + 2 + line
    most = max(len(row) for row in cells)
    page = Image.new("RGB", (left + most * step[0], top + len(cells) * step[1]), "white")
    pen = ImageDraw.Draw(page)

    def write(text: str, x: int, y: int, anchor: str) -> None:
        pen.text((x, y), text, fill="black", font=letters, anchor=anchor)

    for number, text in enumerate(columns):
        write(text, left + number * step[0] + step[0] // 2, top // 2, "mm")
    for down, row in enumerate(cells):
        y = top + down * step[1]
        write(rows[down] if rows else "", left - PAD, y + height * factor // 2, "rm")
        for across, pixels in enumerate(row):
            shown = enlarged(on_white(pixels), (width * factor, height * factor), "nearest")
            x = left + across * step[0] + (step[0] - width * factor) // 2
            page.paste(Image.fromarray(shown), (x, y))
            if notes:
                middle = left + across * step[0] + step[0] // 2
                write(notes[down][across], middle, y + step[1] - 2 - line // 2, "mm")
    return np.asarray(page)


def enlargement(height: int, width: int) -> int:
    """How many times as large small pictures are shown."""
    return max(1, -(-SMALLEST // max(height, width)))


def text_width(text: str) -> int:
    """How wide words are, with the room beside them."""
    return int(ImageFont.load_default(LETTERS).getlength(text)) + PAD


def enlarged(pixels: Pixels, size: tuple[int, int], way: str) -> Pixels:
    """A picture at another size (width, height), by `nearest` or `lanczos`."""
    if size == pixels.shape[1::-1]:
        return pixels
    ways = {"nearest": Image.Resampling.NEAREST, "lanczos": Image.Resampling.LANCZOS}
    return np.asarray(Image.fromarray(pixels).resize(size, ways[way]))
