"""The grids of a run as TensorBoard shows them: one event file per snapshot, in its order."""

import io
from pathlib import Path

import tensorflow as tf
from PIL import Image

from atelier import files

SIDE = 1024  # pixels: the longer side of a picture, at most


def show_grids(run: Path, grids: dict[str, Path], seen: int) -> None:
    """Write the pictures that were drawn after `seen` images; again, it is the same file."""
    values = [summary(f"Grids/{name}", path) for name, path in grids.items()]
    when = max(path.stat().st_mtime for path in grids.values())
    event = tf.compat.v1.Event
    head = event(wall_time=when, file_version="brain.Event:2")
    shown = event(wall_time=when, step=seen, summary=tf.compat.v1.Summary(value=values))
    path = run / "tensorboard" / "grids" / f"events.out.tfevents.{seen:010}"
    with files.replacing(path) as partial, tf.io.TFRecordWriter(str(partial)) as writer:
        for each in (head, shown):
            writer.write(each.SerializeToString())


def summary(tag: str, path: Path) -> object:
    """A picture file as a value of a summary, no larger than a screen."""
    memory = io.BytesIO()
    with Image.open(path) as image:
        image.thumbnail((SIDE, SIDE))
        image.save(memory, "png")
        known = {"width": image.width, "height": image.height}
        known["colorspace"] = len(image.getbands())
    picture = tf.compat.v1.Summary.Image(**known, encoded_image_string=memory.getvalue())
    return tf.compat.v1.Summary.Value(tag=tag, image=picture)
