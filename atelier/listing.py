"""Which files of a folder there are, and what their suffixes say."""

import os
from collections.abc import Iterator
from pathlib import Path

PHOTOS = {".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".tif", ".tiff", ".bmp", ".dib"}
PHOTOS |= {".gif", ".heic", ".heif", ".avif"}
VIDEOS = {".mp4", ".m4v", ".mkv", ".avi", ".mov", ".webm"}
RAW = {".3fr", ".arw", ".cr2", ".cr3", ".dng", ".erf", ".kdc", ".mrw", ".nef", ".nrw", ".orf"}
RAW |= {".pef", ".raf", ".raw", ".rw2", ".sr2", ".srw", ".x3f"}


def walk(source: Path) -> Iterator[Path]:
    """Every file below a folder; links are followed, a folder is walked once, so a loop ends."""
    seen: set[tuple[int, int]] = set()
    for folder, folders, names in os.walk(source, followlinks=True, onerror=raise_error):
        facts = os.stat(folder)
        if (facts.st_dev, facts.st_ino) in seen:
            folders.clear()
            continue
        seen.add((facts.st_dev, facts.st_ino))
        folders.sort()
        yield from (Path(folder, name) for name in sorted(names))


def raise_error(error: OSError) -> None:
    raise error
