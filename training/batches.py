"""The input pipeline: which image is seen when, and its way into the network.

Image number `at` of a run depends on (seed, at) alone, so training goes on exactly where it was.
"""

from collections import deque
from collections.abc import Generator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import lru_cache

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from training.networks.parameters import Tensor
from training.sources import Source

Sample = tuple[NDArray[np.uint8], NDArray[np.float32]]  # H W C, label
Batch = tuple[Tensor, Tensor]  # images NHWC in [-1, 1], labels [n, classes]

READERS = 4  # images read at once
AHEAD = 2  # batches kept ready


def reals(
    source: Source,
    seed: int,
    batch: int,
    start: int,
    mirror: bool,
    offsets: Sequence[int] | None = None,
) -> Generator[Batch, None, None]:
    """Batches without end, from image number `start` on; raises the DataError that names a file.

    With `offsets`, of each batch only these images. Plain threads read ahead: tf.data's own hang at
    exit when they call Python.
    """
    with ThreadPoolExecutor(READERS, "reader") as pool:
        ahead: deque[list[Future[Sample]]] = deque()
        try:
            while True:
                while len(ahead) < AHEAD:
                    numbers = [start + offset for offset in offsets or range(batch)]
                    ahead.append([pool.submit(sample, source, seed, at, mirror) for at in numbers])
                    start += batch
                samples = [future.result() for future in ahead.popleft()]
                pixels, labels = zip(*samples, strict=True)
                yield decode(np.stack(pixels)), tf.constant(np.stack(labels))
        finally:
            for futures in ahead:
                for future in futures:
                    future.cancel()


def sample(source: Source, seed: int, at: int, mirror: bool) -> Sample:
    """Pixels and label of the image that is seen as number `at`."""
    epoch, place = divmod(at, len(source))
    number = int(order(seed, epoch, len(source))[place])
    pixels = source.read(number)
    if mirror and mirrored(seed, at):
        pixels = pixels[:, ::-1]
    return np.ascontiguousarray(pixels), source.labels[number]


@lru_cache(maxsize=2)
def order(seed: int, epoch: int, images: int) -> NDArray[np.int64]:
    """Every image once, in the order of this epoch."""
    return np.random.default_rng([seed, epoch, 0]).permutation(images)


def mirrored(seed: int, at: int) -> bool:
    """Whether the image seen as number `at` is flipped: half of them are."""
    return bool(np.random.default_rng([seed, at, 1]).integers(2))


def decode(pixels: Tensor) -> Tensor:
    """uint8 -> float32 in [-1, 1]; the colours of RGBA are multiplied by its alpha.

    The products are whole levels, as records hold them: so it is one whether a dataset lies in
    records or in a zip.
    """
    images = tf.cast(pixels, tf.float32)
    if images.shape[-1] == 4:
        colours, alpha = images[..., :3], images[..., 3:]
        images = tf.concat([tf.round(colours * (alpha / 255)), alpha], axis=-1)
    return images / 127.5 - 1


def encode(images: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Float images [..., C] in [-1, 1] -> uint8; the colours of RGBA are divided by its alpha.

    NaN becomes black: a picture of a broken network is still a picture.
    """
    levels = np.clip((np.nan_to_num(images, nan=-1.0) + 1) * 127.5, 0, 255)
    if images.shape[-1] == 4:
        colours, alpha = levels[..., :3], levels[..., 3:]
        colours = np.where(alpha >= 0.5, colours * 255 / np.maximum(alpha, 0.5), 0)
        levels = np.concatenate([np.clip(colours, 0, 255), alpha], axis=-1)
    return np.asarray(np.rint(levels), np.uint8)
