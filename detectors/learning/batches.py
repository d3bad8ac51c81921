"""Batches by number: batch 700 is the same whether or not the run was killed before it."""

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from detectors.learning import Example, augment
from detectors.learning.augment import Sample
from detectors.learning.examples import decoded
from detectors.learning.options import LearningConfig
from detectors.learning.targets import Target, target

CLOSING = 0.2  # of the epochs: at the end pictures come as they are framed
KEPT_DECODED = 1 << 29  # bytes
AHEAD = 2

Batch = tuple[NDArray[np.uint8], Target]


class Batches:
    """Makes the training batch of any step from the examples and the seed alone."""

    def __init__(self, examples: Sequence[Example], config: LearningConfig, kinds: int) -> None:
        self.examples, self.config, self.kinds = examples, config, kinds
        self.per_epoch = max(round(len(examples) / config.batch), 1)
        self.steps = self.per_epoch * config.epochs
        largest = max(3 * each.width * each.height for each in examples)
        self.picture = lru_cache(maxsize=max(KEPT_DECODED // largest, 1))(self.read)

    def read(self, number: int) -> Sample:
        example = self.examples[number]
        return Sample(decoded(example), example.boxes, example.classes)

    def batch(self, step: int) -> Batch:
        """(pictures NHWC uint8, targets) of a step."""
        made = [self.sample(step, place) for place in range(self.config.batch)]
        targets = [target(each.boxes, each.classes, self.config.cells, self.kinds) for each in made]
        stacked = Target(*(np.stack(parts) for parts in zip(*targets, strict=True)))
        return np.stack([each.pixels for each in made]), stacked

    def sample(self, step: int, place: int) -> Sample:
        rng = np.random.default_rng([self.config.seed, step, place])
        first = self.order(step * self.config.batch + place)
        closing = step >= (1 - CLOSING) * self.steps
        several = not closing and rng.random() < self.config.mosaic
        others = rng.integers(0, len(self.examples), 3).tolist() if several else []
        return augment.sample([self.picture(n) for n in [first, *others]], self.config, rng)

    def order(self, drawn: int) -> int:
        """Which example is drawn: each once, in an order of its own for every time around."""
        around, place = divmod(drawn, len(self.examples))
        return int(permutation(self.config.seed, around, len(self.examples))[place])

    def since(self, step: int) -> Iterator[tuple[int, Batch]]:
        """(step, batch) from this step to the last, made ahead in a thread."""
        with ThreadPoolExecutor(1) as thread:
            ahead: deque[Future[Batch]] = deque()
            try:
                for number in range(step, self.steps):
                    while len(ahead) < min(AHEAD, self.steps - number):
                        ahead.append(thread.submit(self.batch, number + len(ahead)))
                    yield number, ahead.popleft().result()
            finally:
                for waiting in ahead:
                    waiting.cancel()


@lru_cache(maxsize=4)
def permutation(seed: int, around: int, count: int) -> NDArray[np.int64]:
    return np.random.default_rng([seed, 1, around]).permutation(count)
