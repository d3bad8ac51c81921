"""Frames of a video as photos: written once as PNG, named after their pixels."""

import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from atelier import files, pictures
from atelier.colours import hdr_name
from atelier.pictures import Pixels
from pipeline.photos.clips import coding_of_clip, shown_seconds
from pipeline.rows.manifest import Item, Row, dropped

SIDES = (3, 4)  # OpenCV's CAP_PROP_FRAME_WIDTH and _HEIGHT
RATE, MILLISECONDS, FRAMES = 5, 0, 7  # CAP_PROP_FPS, _POS_MSEC and _FRAME_COUNT
MISSING = 2.0  # seconds at the end of a video that are not worth a word: sound may be longer
SILENCE = ("OPENCV_FFMPEG_LOGLEVEL", "-8")  # AV_LOG_QUIET
NEARLY_SAME = 2.0  # mean difference of two small grey frames, of 255


def take(clip: Row, file: Path, every: int, folder: Path) -> tuple[str, list[Row]]:
    """Write every Nth frame; returns how many those were, and a row for each different one.

    Where there is none the words are empty. Frames that hardly differ from the one taken before are
    dropped.
    """
    rows: dict[str, Row] = {}
    looked_at, last, reached = 0, None, Reached()
    for second, frame in frames(file, every, reached):
        looked_at += 1
        row = described(clip, second, frame, folder)
        small = thumbnail(frame)
        if last is not None and np.abs(small - last).mean() < NEARLY_SAME:
            rows.setdefault(row.id, dropped(row, "nearly the frame before"))
            continue
        last = small
        if row.id not in rows:
            path = folder.parent.parent / row.path
            files.write(path, pictures.encode(frame, "png", 0), lasting=False)
            rows[row.id] = row
    words = f"{looked_at} frames looked at{reached.in_words()}" if looked_at else ""
    return words, list(rows.values())


def refusal(path: Path, pixel_limit: int) -> str:
    """Why no frame of a video is decoded: it has more pixels, or brighter colours, than a photo."""
    if name := hdr_name(coding_of_clip(path)):
        return f"high dynamic range: {name}"
    video = open_video(path)
    width, height = (int(video.get(side)) for side in SIDES)
    video.release()
    if width * height <= pixel_limit:
        return ""
    return f"too many pixels: {width} x {height}, the limit is {pixel_limit}"


def open_video(path: Path) -> Any:
    """OpenCV's reader; of a broken file FFmpeg prints no lines of its own between ours."""
    import cv2

    os.environ.setdefault(*SILENCE)
    cv2.setNumThreads(1)
    return cv2.VideoCapture(str(path))


@dataclass
class Reached:
    """How far a video could be read, and how long it says that it is, in seconds."""

    last: float = 0.0
    length: float = 0.0

    def in_words(self) -> str:
        """Where it ends early, as one that was not copied whole."""
        if self.length - self.last <= max(MISSING, self.length / 10):
            return ""
        return f", the file's last after {self.last:.0f} of {self.length:.0f} s"


def frames(
    path: Path, every: int, reached: Reached | None = None
) -> Iterator[tuple[float, Pixels]]:
    """(second, HWC uint8 RGB) of each Nth frame; nothing where the file is no video."""
    video, reached = open_video(path), reached or Reached()
    rate = video.get(RATE) or 25.0
    reached.length = shown_seconds(path) or video.get(FRAMES) / rate
    number = 0
    while video.grab():
        reached.last = second = video.get(MILLISECONDS) / 1000 or number / rate
        if number % every == 0:
            good, frame = video.retrieve()
            if good:
                square = with_square_pixels(frame, pixel_ratio(video))
                yield round(second, 3), np.ascontiguousarray(square[:, :, ::-1], np.uint8)
        number += 1
    video.release()


def pixel_ratio(video: Any) -> float:
    """How many times wider than high the pixels of its frames, upright, are to be shown."""
    import cv2

    wide, high = video.get(cv2.CAP_PROP_SAR_NUM), video.get(cv2.CAP_PROP_SAR_DEN)
    ratio = wide / high if wide > 0 and high > 0 else 1.0
    lying = video.get(cv2.CAP_PROP_ORIENTATION_META) % 180 == 90
    return 1 / ratio if lying else ratio


def with_square_pixels(frame: Pixels, ratio: float) -> Pixels:
    """A frame as players show it, made smaller and never larger along one side."""
    import cv2

    height, width = frame.shape[:2]
    size = (width, round(height / ratio)) if ratio > 1 else (round(width * ratio), height)
    if size == (width, height) or not min(size):
        return frame
    square: Pixels = np.asarray(cv2.resize(frame, size, interpolation=cv2.INTER_AREA), np.uint8)
    return square


def described(clip: Row, second: float, frame: Pixels, folder: Path) -> Row:
    height, width, _ = frame.shape
    name = pictures.id_of(f"{width}x{height}".encode() + frame.tobytes())
    path = Path(*folder.parts[-2:], "pictures", name[:2], f"{name}.png")
    row = Row(name, name, str(path), clip=clip.path, second=second, format="PNG")
    return replace(row, width=width, height=height)


def is_frame(item: Item) -> bool:
    """Whether a row's picture is a frame that `described` named: the store keeps it as a PNG."""
    if item.mtime_ns is not None or item.row.picture or item.path.suffix != ".png":
        return False
    folder = item.path.parent.parent  # ingest/KEY/pictures
    return folder.name == "pictures" and folder.parent.parent.name == "ingest"


def thumbnail(frame: Pixels) -> "np.ndarray[tuple[int, ...], np.dtype[np.float64]]":
    import cv2

    return cv2.resize(frame, (32, 32), interpolation=cv2.INTER_AREA).mean(axis=2)  # type: ignore[no-any-return]
