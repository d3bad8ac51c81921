"""Films: mp4 files, frame by frame, with a comment in the place where players look for one.

And what a picture of any channels is in one, and on paper: RGB, on white.
"""

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from numpy.typing import NDArray
from PIL import Image

TREE = (b"moov", b"udta", b"meta", b"ilst")  # where iTunes' comment lies
SIZES = (b"moov", b"trak", b"mdia", b"minf", b"stbl", b"stsz")  # where the frames' sizes are
COMMENT = b"\xa9cmt"
TEXT = (1).to_bytes(4, "big") + bytes(4)  # of UTF-8, in no language


class Film:
    """Writes RGB frames of one size to an mp4; `path` may have any name."""

    def __init__(self, path: Path, size: Sequence[int], per_second: float) -> None:
        import cv2

        self.path, self.size, self.frames = path, size, 0
        kind = cv2.VideoWriter.fourcc(*"vp09")  # which browsers play; mp4v none does
        with TemporaryDirectory(prefix="atelier-") as folder:
            # OpenCV goes by the suffix, and dies of a name that is not UTF-8.
            named = Path(folder, "film.mp4")
            named.symlink_to(path.absolute())
            self.writer = cv2.VideoWriter(str(named), kind, per_second, list(size))
        if not self.writer.isOpened():
            raise OSError(f"{path.parent}: OpenCV has no mp4 writer here; write pictures instead")

    def write(self, pixels: NDArray[np.uint8]) -> None:
        """One more frame, [H, W, 3]."""
        self.frames += 1
        self.writer.write(np.ascontiguousarray(pixels[:, :, ::-1]))

    def close(self, comment: str = "") -> None:
        """Finish the file; raises OSError where not all of it was written, which OpenCV hides."""
        self.writer.release()
        data = self.path.read_bytes()
        if (found := frames_in(data)) != self.frames:
            raise OSError(
                f"{self.path.parent}: {found} of {self.frames} frames of a film could be written:"
                " make room on that disk, and run the same command again"
            )
        if comment:
            self.path.write_bytes(commented(data, comment))


def even(side: float) -> int:
    """A side as the codec takes it."""
    return max(int(side) // 2 * 2, 2)


def on_white(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """[H, W, 1, 3 or 4] -> RGB; what is transparent is laid on white."""
    if pixels.shape[2] == 1:
        return np.repeat(pixels, 3, axis=2)
    if pixels.shape[2] == 3:
        return pixels
    image = Image.fromarray(pixels)
    white = Image.new("RGBA", image.size, "white")
    return np.asarray(Image.alpha_composite(white, image).convert("RGB"))


def boxes(data: bytes, start: int, end: int) -> list[tuple[bytes, int, int]]:
    """(name, first byte, end) of the boxes in this part of a film (ISO 14496-12, 4.2)."""
    found = []
    while start + 8 <= end:
        size = int.from_bytes(data[start : start + 4], "big")
        if size == 1:  # the true size follows
            size = int.from_bytes(data[start + 8 : start + 16], "big")
        size = size or end - start
        found.append((data[start + 4 : start + 8], start, start + size))
        start += max(size, 8)
    return found


def frames_in(data: bytes) -> int:
    """How many frames a finished film has; of one that is not finished none."""
    start, end = 0, len(data)
    for name in SIZES:
        inner = next((box for box in boxes(data, start, end) if box[0] == name), None)
        if inner is None or inner[2] > end:
            return 0
        start, end = inner[1] + 8, inner[2]
    return int.from_bytes(data[start + 8 : start + 12], "big")


def way_to_list(data: bytes) -> list[tuple[int, int]]:
    """(first byte, end) of moov, udta, meta and ilst, as far as a film has them."""
    start, end, found = 0, len(data), list[tuple[int, int]]()
    for name in TREE:
        inside = [box for box in boxes(data, start, end) if box[0] == name]
        if not inside:
            break
        _, first, end = inside[0]
        found.append((first, end))
        start = first + (12 if name == b"meta" else 8)  # meta has a version
    return found


def commented(data: bytes, comment: str) -> bytes:
    """A film with a comment; unchanged where it lacks the list of such words.

    The list lies behind the frames, which therefore stay where the film says they are.
    """
    way, frames = way_to_list(data), [at for name, at, _ in boxes(data, 0, len(data))]
    if len(way) < len(TREE) or way[0][0] != frames[-1]:
        return data
    item = box(COMMENT, box(b"data", TEXT + comment.encode()))
    grown = bytearray(data)
    for first, end in way:
        grown[first : first + 4] = (end - first + len(item)).to_bytes(4, "big")
    at = way[-1][1]
    return bytes(grown[:at]) + item + bytes(grown[at:])


def box(name: bytes, content: bytes) -> bytes:
    """A box of a film."""
    return (len(content) + 8).to_bytes(4, "big") + name + content
