"""TensorBoard shows the grids that were drawn."""

import io

import pytest
import tensorflow as tf
from PIL import Image

from tests.kit.training_runs import draw, rehearse
from training.run import board


def shown(run):
    """(step, tag, width, height) of every picture, in the order in which TensorBoard reads."""
    found = []
    for path in sorted((run / "tensorboard" / "grids").glob("events.out.tfevents.*")):
        events = map(
            tf.compat.v1.Event.FromString, tf.data.TFRecordDataset(path).as_numpy_iterator()
        )
        for event in events:
            for value in event.summary.value:
                with Image.open(io.BytesIO(value.image.encoded_image_string)) as image:
                    assert image.size == (value.image.width, value.image.height)
                    assert len(image.getbands()) == value.image.colorspace
                    found.append((event.step, value.tag, *image.size))
    return found


@pytest.mark.slow
def test_a_run_shows_its_grids(tmp_path):
    rehearse(draw(tmp_path / "data"), tmp_path / "run")
    expected = [
        (seen, f"Grids/{name}", 16, 8) for seen in (0, 32, 64) for name in ("fakes", "psi0.7")
    ]
    assert shown(tmp_path / "run") == expected


@pytest.mark.slow
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_large_grids_are_scaled_and_the_same_moment_is_one_file(tmp_path, channels):
    mode = {1: "L", 3: "RGB", 4: "RGBA"}[channels]
    Image.new(mode, (3000, 1500)).save(tmp_path / "a.png")
    for _ in range(2):
        board.show_grids(tmp_path, {"fakes": tmp_path / "a.png"}, 7)
    assert shown(tmp_path) == [(7, "Grids/fakes", 1024, 512)]
