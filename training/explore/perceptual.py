"""What images are compared by: features of VGG19, or of a discriminator."""

from collections.abc import Callable, Mapping
from typing import Any

import tensorflow as tf
from numpy.typing import NDArray

from training.config import KERAS, ConfigError
from training.explore.asked import check_vgg
from training.networks import layers
from training.networks.discriminator import Discriminator, discriminator_features, unit
from training.networks.parameters import Tensor

# Images [n, h, w, c] -> themselves, and maps [n, ., ., .]. These have length 1 at each pixel (as in
# Zhang et al. 2018), so that a weight means the same whichever network they are of.
Features = Callable[[Tensor], list[Tensor]]
Kernels = Mapping[str, tuple[NDArray[Any], NDArray[Any]]]  # by layer: kernel HWIO, bias

BLOCKS = {1: 2, 2: 2, 3: 4, 4: 4, 5: 4}  # of VGG19: convolutions of each
MEANS = (103.939, 116.779, 123.68)  # of ImageNet's blue, green, red, as the weights expect


def read_vgg(source: str) -> Kernels:
    """The convolutions of VGG19 in a file of Keras's, or of its download.

    Raises ConfigError in one sentence.
    """
    weights = "imagenet" if source == KERAS else None
    check_vgg(source)
    try:
        model = tf.keras.applications.VGG19(include_top=False, weights=weights)
        if source != KERAS:
            model.load_weights(source)
    except Exception as error:  # of h5py, of urllib, of Keras: as they are no file, or no network
        why = " ".join(str(error).split())[:150]
        raise ConfigError(
            f"vgg = {source}: that gives no weights of VGG19 ({why}): leave it out, and features of"
            " D stand in"
        ) from None
    return {
        layer.name: tuple(weight.numpy() for weight in layer.weights)
        for layer in model.layers
        if layer.weights
    }


def vgg19(kernels: Kernels, dtype: str = "float32") -> Features:
    """The image itself, and the first convolution of each block, of length 1 at each pixel.

    The convolutions compute in `dtype`.
    """
    found = {
        name: tuple(tf.constant(each, dtype) for each in both) for name, both in kernels.items()
    }

    def features(images: Tensor) -> list[Tensor]:
        x, maps = tf.cast(as_vgg(images), dtype), [images]
        for block, count in BLOCKS.items():
            if block > 1:
                if min(x.shape[1:3]) < 2:  # of small images less is seen
                    break
                x = tf.nn.max_pool2d(x, 2, 2, "VALID")
            for number in range(1, count + 1):
                kernel, bias = found[f"block{block}_conv{number}"]
                x = tf.nn.relu(tf.nn.conv2d(x, kernel, 1, "SAME") + bias)
                if number == 1:
                    maps.append(unit(tf.cast(x, tf.float32)))
        return maps

    return features


def as_vgg(images: Tensor) -> Tensor:
    """Images in [-1, 1] as VGG19 takes them: blue, green, red in 0 ... 255 without the mean.

    Grey is three times the same; the alpha of RGBA is a grey image of its own, behind the others.
    """
    if images.shape[3] == 4:
        images = tf.concat([images[..., :3], tf.repeat(images[..., 3:], 3, axis=3)], axis=0)
    if images.shape[3] == 1:
        images = tf.repeat(images, 3, axis=3)
    return (images[..., ::-1] + 1) * 127.5 - tf.constant(MEANS)


def of_discriminator(judge: Discriminator, dtype: str = "float32") -> Features:
    """The image itself, and what D makes of it at each level, of length 1 at each pixel.

    D takes images of one size: smaller ones are enlarged to it. It computes in `dtype`.
    """
    shape = judge.config.shape

    def features(images: Tensor) -> list[Tensor]:
        large = tf.cast(enlarged_to(images, shape.height), dtype)
        seen = discriminator_features(judge, large)
        return [images, *(unit(tf.cast(each, tf.float32)) for each in seen)]

    return features


def enlarged_to(images: Tensor, height: int) -> Tensor:
    """Images, so often doubled that they have this height."""
    while images.shape[1] < height:
        images = layers.bilinear2(images)
    return images
