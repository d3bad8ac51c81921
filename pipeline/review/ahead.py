"""Photos decoded for the screen before they are asked for."""

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np
from PIL import Image

from atelier import pictures
from atelier.boxes import Box, fitted
from atelier.errors import words_of
from atelier.pictures import Pixels
from pipeline.review.photos import Photo

Read = Callable[[Photo], bytes]  # raises OSError


class Unshown(ValueError):
    """The photo cannot be shown; the message says why."""


class Ahead:
    """Decodes in threads (Pillow lets others run meanwhile) and remembers a few photos."""

    def __init__(self, read: Read, threads: int = 2) -> None:
        self.read = read
        self.pool = ThreadPoolExecutor(threads, "decode")
        self.known: dict[tuple[str, Box, tuple[int, int]], Future[Pixels]] = {}

    def get(self, photo: Photo, part: Box, into: tuple[int, int]) -> Pixels:
        """`part` of the photo, as it fits into (width, height). Raises Unshown."""
        try:
            return self.ask(photo, part, into).result()
        except (OSError, pictures.UnreadableError) as error:
            raise Unshown(words_of(error)) from None

    def ask(self, photo: Photo, part: Box, into: tuple[int, int]) -> Future[Pixels]:
        key = photo.id, part, into
        if key not in self.known:
            self.known[key] = self.pool.submit(self.decode, photo, part, into)
        return self.known[key]

    def decode(self, photo: Photo, part: Box, into: tuple[int, int]) -> Pixels:
        pixels = pictures.decode(self.read(photo), part, into)
        size = fitted(part.width, part.height, into)
        small = Image.fromarray(pixels).resize(size, Image.Resampling.BILINEAR, reducing_gap=2)
        return np.asarray(small)

    def prepare(self, shown: Photo, likely: Sequence[Photo], into: tuple[int, int]) -> None:
        """Begin with the photos that may be asked for next, and forget all others."""
        near = {photo.id for photo in (shown, *likely)}
        for key in [k for k in self.known if k[0] not in near or k[2] != into]:
            self.known.pop(key).cancel()
        for photo in likely:
            self.ask(photo, photo.whole, into)

    def close(self) -> None:
        self.pool.shutdown(wait=False, cancel_futures=True)
