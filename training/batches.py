"""The input pipeline: which image is seen when, and its way into the network.

Image number `at` of a run depends on (seed, at) alone, so training goes on exactly where it was.
"""

from collections import deque
from collections.abc import Generator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import lru_cache
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from training.networks.parameters import Tensor
from training.sources import Source

Sample = tuple[NDArray[np.uint8], NDArray[np.float32]]  # H W C, label
Packed = tuple[Tensor, Tensor]  # images NHWC uint8, labels [n, classes], where training needs them
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

    With `offsets`, of each batch only these images. Plain threads read ahead, one puts each batch
    together and on its way to the device: tf.data's own hang at exit when they call Python.
    """
    with ThreadPoolExecutor(READERS, "reader") as pool, ThreadPoolExecutor(1, "packer") as packer:
        ahead: deque[tuple[list[Future[Any]], Future[Packed]]] = deque()
        try:
            while True:
                while len(ahead) < AHEAD:
                    numbers = [start + offset for offset in offsets or range(batch)]
                    read = [pool.submit(sample, source, seed, at, mirror) for at in numbers]
                    ahead.append((read, packer.submit(packed, read)))
                    start += batch
                pixels, labels = ahead.popleft()[1].result()
                yield decoded(pixels), labels
        finally:
            for read, whole in ahead:
                for future in (whole, *read):
                    future.cancel()


def packed(read: Sequence[Future[Sample]]) -> Packed:
    """The images of a batch in one array, a quarter of the bytes that the networks see."""
    samples = [future.result() for future in read]
    pixels, labels = zip(*samples, strict=True)
    with tf.device(home()):
        return tf.identity(np.stack(pixels)), tf.identity(np.stack(labels))


def home() -> str:
    """Where images wait for the step: on the card, if there is one alone."""
    return "GPU:0" if len(tf.config.list_logical_devices("GPU")) == 1 else "CPU:0"


def sample(source: Source, seed: int, at: int, mirror: bool) -> Sample:
    """Pixels and label of the image that is seen as number `at`."""
    import cv2

    epoch, place = divmod(at, len(source))
    number = int(order(seed, epoch, len(source))[place])
    pixels = source.read(number)
    if mirror and mirrored(seed, at):
        pixels = cv2.flip(pixels, 1).reshape(pixels.shape)
    return pixels, source.labels[number]


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
    if pixels.shape[-1] != 4 and not tf.config.list_logical_devices("GPU"):
        # The same bits in one pass over the memory, not three; a GPU has no kernel for it.
        levels = tf.bitcast(pixels, tf.quint8)
        return tf.quantization.dequantize(levels, -1.0, 1.0, "MIN_COMBINED")
    images = tf.cast(pixels, tf.float32)
    if pixels.shape[-1] == 4:
        colours, alpha = images[..., :3], images[..., 3:]
        images = tf.concat([tf.round(colours * (alpha / 255)), alpha], axis=-1)
    return images * (1 / 127.5) - 1  # as graphs are optimised: eagerly a quotient would differ


decoded = tf.function(decode, autograph=False)


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
