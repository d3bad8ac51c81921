"""A generator in the two parts that a page draws with, as one .tflite file of two signatures."""

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import tensorflow as tf

from training.deploy.program import Program, levels
from training.deploy.tflite import converted
from training.networks import layers
from training.networks.parameters import Tensor


class Parts(tf.Module):
    """A program apart, one picture at a time: what lies between its parts is the page's.

    mapping: z [1, z_dim], label [1] of conditional models -> w [1, w_dim], not truncated.
    synthesis: ws [1, L, w_dim], noise [], which multiplies the model's own -> images, uint8.
    A model without noise has no such input.
    """

    def __init__(self, made: Program) -> None:
        super().__init__(name="parts")
        self.made = made

    def signatures(self) -> dict[str, Any]:
        """Both parts, traced."""
        config, kind = self.made.config, tf.float32
        z = tf.TensorSpec([1, config.z_dim], kind, "z")
        label = [tf.TensorSpec([1], tf.int32, "label")] if config.labels else []
        ws = tf.TensorSpec([1, config.rows, config.w_dim], kind, "ws")
        noise = [tf.TensorSpec([], kind, "noise")] if has_noise(self.made) else []
        mapping = tf.function(self.mapping, autograph=False)
        synthesis = tf.function(self.synthesis, autograph=False)
        with layers.without_gradients():
            return {
                "mapping": mapping.get_concrete_function(z, *label),
                "synthesis": synthesis.get_concrete_function(ws, *noise),
            }

    def mapping(self, z: Tensor, label: Tensor | None = None) -> dict[str, Tensor]:
        return {"w": self.made.mapped(z, label)}

    def synthesis(self, ws: Tensor, noise: Tensor | None = None) -> dict[str, Tensor]:
        image = self.made.synthesized(tf.unstack(ws, axis=1), noise)
        return {"images": levels(image)}


def has_noise(made: Program) -> bool:
    """Whether any layer of a program adds noise."""
    return any(name.endswith("/noise") for name in made.values)


def write_parts(made: Program, path: Path) -> None:
    """Write both parts; raises ConversionError."""
    parts = Parts(made)
    with TemporaryDirectory() as folder:
        tf.saved_model.save(parts, folder, signatures=parts.signatures())
        path.write_bytes(converted(folder))
