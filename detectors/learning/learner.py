"""The networks and optimizers of a run, one step, and what must be saved of them."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow import keras

from detectors.learning import Example, network
from detectors.learning.batches import Batch
from detectors.learning.examples import decoded
from detectors.learning.finder import finder
from detectors.learning.losses import loss
from detectors.learning.measures import Finds
from detectors.learning.options import LearningConfig

PRETRAINED_RATE = 0.2  # of the learning rate: a backbone that knows something forgets slowly
LARGEST_GRADIENT = 10.0  # norm
WARM_UP = 0.03  # share of the steps in which the learning rate rises
LAST_SHARE = 0.01  # of the learning rate, at the end
PICTURES = tf.TensorSpec([None, None, None, 3], tf.uint8)

Find = Callable[[Any], dict[str, Any]]


class Learner:
    """`model` learns; `average`, which follows it, is what is measured and exported."""

    def __init__(self, config: LearningConfig, kinds: int) -> None:
        """All chance in the weights comes from the seed."""
        self.config, self.kinds = config, kinds
        keras.utils.set_random_seed(config.seed)
        self.model = network.build_detector(config, kinds)
        self.average = network.build_detector(config, kinds)
        own = {layer.name for layer in network.backbone_of(config).layers}
        backbone = {
            id(w) for layer in self.model.layers if layer.name in own for w in layer.weights
        }
        every = self.model.trainable_weights
        self.parts = [
            (optimizer(config), [w for w in every if id(w) not in backbone], 1.0),
            (
                optimizer(config),
                [w for w in every if id(w) in backbone],
                1.0 if config.weights == "none" else PRETRAINED_RATE,
            ),
        ]
        for each, weights, _ in self.parts:
            each.build(weights)
        self.compiled = tf.function(self.learn, autograph=False)
        find = finder(self.average, config.mirror)
        self.find = tf.function(find, input_signature=[PICTURES], autograph=False)

    def begin(self) -> str:
        """Take the weights that training begins with; says which."""
        said = network.begin_weights(self.model, self.config)
        for one, other in zip(self.average.weights, self.model.weights, strict=True):
            one.assign(other)
        return said

    def step(self, number: int, batch: Batch, steps: int) -> dict[str, float]:
        """Learn from one batch; `number` counts from 0 to `steps`."""
        pictures, wanted = batch
        rate = self.config.rate * share_of_rate(number, steps)
        for each, _, factor in self.parts:
            each.learning_rate.assign(rate * factor)
        stays = ema_weight(number, self.config.ema)
        values = self.compiled(pictures, *wanted, tf.constant(stays, tf.float32))
        return {name: float(value) for name, value in values.items()}

    def learn(
        self, pictures: Any, centres: Any, counted: Any, boxes: Any, shares: Any, stays: Any
    ) -> dict[str, Any]:
        """One step of both optimizers and of the average, as a graph."""
        with tf.GradientTape() as tape:
            answer = self.model(tf.cast(pictures, tf.float32) / 127.5 - 1.0, training=True)
            missed, apart = loss(answer, centres, counted, boxes, shares)
            total = missed + apart
        weights = [weight for _, some, _ in self.parts for weight in some]
        values = [weight.value for weight in weights]
        gradients, _ = tf.clip_by_global_norm(tape.gradient(total, values), LARGEST_GRADIENT)
        for each, some, _ in self.parts:
            each.apply(gradients[: len(some)], some)
            gradients = gradients[len(some) :]
        for one, other in zip(self.average.weights, self.model.weights, strict=True):
            one.assign(one * stays + other * (1.0 - stays))
        return {"centres": missed, "boxes": apart}

    def groups(self) -> dict[str, list[Any]]:
        """The variables that a checkpoint holds."""
        return {
            "model": list(self.model.weights),
            "average": list(self.average.weights),
            **{f"optimizer{n}": list(each.variables) for n, (each, _, _) in enumerate(self.parts)},
        }


def share_of_rate(step: int, steps: int) -> float:
    """Up in a straight line, then down along half a cosine (arXiv 1608.03983)."""
    warm = max(WARM_UP * steps, 1.0)
    if step < warm:
        return (step + 1) / (warm + 1)
    along = (step - warm) / max(steps - warm, 1)
    return LAST_SHARE + (1 - LAST_SHARE) * 0.5 * (1 + math.cos(math.pi * along))


def ema_weight(step: int, ema: float) -> float:
    """How much of the average stays after this step; little at first, when all is new."""
    return min(ema, (1 + step) / (10 + step))


def optimizer(config: LearningConfig) -> Any:
    """AdamW; biases and BatchNorm do not decay."""
    made = keras.optimizers.AdamW(config.rate, weight_decay=config.weight_decay, epsilon=1e-8)
    made.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
    return made


def found(find: Find, examples: Sequence[Example]) -> list[Finds]:
    """What a detector finds in each picture."""
    return [in_picture(find(tf.constant(decoded(each)[None]))) for each in examples]


def in_picture(values: dict[str, Any]) -> Finds:
    """The first picture's finds, from the four outputs."""
    count = int(values["num_detections"][0])
    boxes, scores, classes = (
        np.asarray(values[f"detection_{name}"])[0, :count]
        for name in ("boxes", "scores", "classes")
    )
    return Finds(
        boxes[:, [1, 0, 3, 2]].astype(np.float32),
        np.rint(classes).astype(np.int32) - 1,
        scores.astype(np.float32),
    )
