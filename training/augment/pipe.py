"""Adaptive discriminator augmentation (Karras et al. 2020b): what D sees, changed with chance p.

Every change is linear in the image and exact to second order, so R1 may be taken through it.
"""

import tensorflow as tf

from training.augment import PIPES, colour, filter, geometry
from training.augment.chance import Drawn, picked
from training.augment.warp import CENTRES
from training.networks.parameters import Tensor

# One uniform number per name and sample; a "?" decides whether the change is made at all.
DRAWS = (*geometry.DRAWS, *colour.DRAWS, *filter.DRAWS)


def changed(
    images: Tensor,
    p: Tensor | float,
    uniform: Tensor,
    noise: Tensor | None,
    pipe: str,
    centre: str = "wavelet",
) -> Tensor:
    """Images NHWC in [-1, 1], changed as the draws say, each with chance p.

    `uniform` is [n, len(DRAWS)] in [0, 1), `noise` like the images. A sample that no change falls
    on comes back bit for bit. Colour acts on RGB alone; of a grey image it changes brightness,
    contrast and sign. `centre` is one of warp.CENTRES.
    """
    p = tf.convert_to_tensor(p, tf.float32)
    drawn = dict(zip(DRAWS, tf.unstack(uniform, axis=1), strict=True))
    groups = PIPES[pipe]
    result = geometry.moved(images, drawn, p, groups, CENTRES[centre])
    result = colour.coloured(result, drawn, p, groups)
    result = filter.spoilt(result, drawn, p, groups, noise)
    return picked(touched(drawn, p), result, images)


def touched(drawn: Drawn, p: Tensor) -> Tensor:
    """Whether any change is made to a sample [n]."""
    return tf.reduce_any([drawn[name] < p for name in DRAWS if name.endswith("?")], axis=0)
