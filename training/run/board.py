"""What TensorBoard shows of a run beside its numbers: the grids, and which curves go together.

The grids are one event file per snapshot, in its order; the layout is the page "Custom scalars".
"""

import io
from collections.abc import Mapping, Sequence
from pathlib import Path

import tensorflow as tf
from PIL import Image

from atelier import files

SIDE = 1024  # pixels: the longer side of a picture, at most

# category -> chart -> the names of its curves, as regular expressions
LAYOUT = {
    "Losses": {
        "loss": ["Loss/G/loss", "Loss/D/loss"],
        "D's scores": ["Loss/scores/.*"],
        "regularisation": ["Loss/r1_penalty", "Loss/pl_penalty"],
    },
    "Health": {
        "diversity": ["diversity"],
        "gradient norms": ["grad_norm/.*"],
        "steps left out": ["skipped/.*"],
        "augmentation": ["augment_p", "Loss/signs/real"],
    },
    "Pace": {
        "seconds per kimg": ["seconds_per_kimg"],
        "learning rates": ["learning_rate/.*"],
        "steps that were due": ["due/.*"],
    },
    "Metrics": {
        "distances": ["Metrics/(fid|kid|frechet).*"],
        "others": ["Metrics/(?!fid|kid|frechet).*"],
    },
}


def show_layout(run: Path) -> None:
    """Write which curves stand in one chart, and the charts in which category."""
    compat = tf.compat.v1
    layout = b"".join(field(2, category(*each)) for each in LAYOUT.items())
    tensor = tf.make_tensor_proto(layout, dtype=tf.string)
    metadata = compat.SummaryMetadata()
    metadata.plugin_data.plugin_name = "custom_scalars"
    tag = "custom_scalars__config__"
    value = compat.Summary.Value(tag=tag, tensor=tensor, metadata=metadata)
    write_event(run / "tensorboard" / "layout" / "events.out.tfevents.0", 0, 0.0, [value])


def category(title: str, charts: Mapping[str, Sequence[str]]) -> bytes:
    """TensorBoard's Category {title 1, chart 2}; its Chart {title 1, multiline 2 {tag 1}}."""
    drawn = (
        field(1, chart.encode()) + field(2, b"".join(field(1, tag.encode()) for tag in tags))
        for chart, tags in charts.items()
    )
    return field(1, title.encode()) + b"".join(field(2, chart) for chart in drawn)


def field(number: int, content: bytes) -> bytes:
    """A field of a protocol buffer that holds bytes: its key, its length as a varint, itself."""
    length, left = bytearray(), len(content)
    while left > 127:
        length.append(left & 127 | 128)
        left >>= 7
    return bytes([number << 3 | 2]) + bytes([*length, left]) + content


def show_grids(run: Path, grids: dict[str, Path], seen: int) -> None:
    """Write the pictures that were drawn after `seen` images; again, it is the same file."""
    values = [summary(f"Grids/{name}", path) for name, path in grids.items()]
    when = max(path.stat().st_mtime for path in grids.values())
    path = run / "tensorboard" / "grids" / f"events.out.tfevents.{seen:010}"
    write_event(path, seen, when, values)


def write_event(path: Path, seen: int, when: float, values: Sequence[object]) -> None:
    """An event file of one moment."""
    event = tf.compat.v1.Event
    head = event(wall_time=when, file_version="brain.Event:2")
    shown = event(wall_time=when, step=seen, summary=tf.compat.v1.Summary(value=values))
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
