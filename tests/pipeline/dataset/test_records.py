"""The record format: equal to dataset_tool's, readable by TensorFlow, exact on every level."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from pipeline.dataset import records
from pipeline.dataset.records import Level, Pixels, Shape
from tests.kit.records import BrokenRecordError, read_records

SHAPES: list[Shape] = [(3, 1024, 1024), (1, 64, 128), (3, 384, 640), (3, 80, 48), (4, 24, 24)]

READ_BY_TENSORFLOW = """
import json, sys
import tensorflow as tf
kinds = {"shape": tf.io.FixedLenFeature([3], tf.int64)}
kinds["data"] = tf.io.FixedLenFeature([], tf.string)
pictures = []
for record in tf.data.TFRecordDataset(sys.argv[1]):
    parsed = tf.io.parse_single_example(record, kinds)
    pixels = tf.reshape(tf.io.decode_raw(parsed["data"], tf.uint8), parsed["shape"])
    example = tf.train.Example.FromString(record.numpy())
    assert sorted(example.features.feature) == ["data", "shape"]
    pictures.append(pixels.numpy().tolist())
print(json.dumps(pictures))
"""


def noise(shape: Shape, seed: int = 0) -> Pixels:
    return np.random.default_rng(seed).integers(0, 256, shape, np.uint8)


def write(path: Path, pictures: list[Pixels]) -> None:
    file = os.open(path, os.O_CREAT | os.O_WRONLY)
    for place in reversed(range(len(pictures))):
        records.write(file, place, pictures[place])
    os.close(file)


def float32_pyramid(pixels: Pixels) -> list[Pixels]:
    """The definition: 2x2 means of the unrounded picture, each level rounded by itself."""
    mean = pixels.astype(np.float32)
    found = []
    for level in records.levels(*pixels.shape):
        found.append(np.rint(mean).clip(0, 255).astype(np.uint8))
        if level.number > 2:
            corners = [mean[:, y::2, x::2] for y in (0, 1) for x in (0, 1)]
            mean = sum(corners[1:], corners[0]) * np.float32(0.25)
    return found


@pytest.mark.parametrize(
    ("height", "width", "base", "largest"),
    [
        (1024, 1024, (4, 4), 10),
        (64, 128, (4, 8), 6),
        (384, 640, (3, 5), 9),
        (80, 48, (5, 3), 6),
        (24, 24, (3, 3), 5),
        (4, 4, (4, 4), 2),
        (7, 9, (7, 9), 2),
        (100, 100, (25, 25), 4),
    ],
)
def test_levels(height: int, width: int, base: tuple[int, int], largest: int) -> None:
    found = records.levels(3, height, width)
    assert found[0] == Level(largest, (3, height, width))
    assert found[-1] == Level(2, (3, *base))
    assert [level.number for level in found] == list(range(largest, 1, -1))


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("values", ["noise", "white", "halves"])
def test_pyramid_equals_the_float32_loop(shape: Shape, values: str) -> None:
    pixels = noise(shape)
    if values == "white":
        pixels = np.full(shape, 255, np.uint8)
    if values == "halves":  # most means end in .5 on some level
        pixels %= 2
    for fast, slow in zip(records.pyramid(pixels), float32_pyramid(pixels), strict=True):
        np.testing.assert_array_equal(fast, slow)


@pytest.mark.parametrize("shape", [(1, 4, 4), (3, 5, 3), (4, 24, 24), (3, 64, 64)])
def test_what_is_written_is_read(tmp_path: Path, shape: Shape) -> None:
    pictures = [noise(shape, seed) for seed in range(3)]
    write(tmp_path / "a.tfrecords", pictures)
    np.testing.assert_array_equal(list(read_records(tmp_path / "a.tfrecords")), pictures)
    assert (tmp_path / "a.tfrecords").stat().st_size == 3 * records.record_bytes(shape)


def test_a_flipped_byte_is_found(tmp_path: Path) -> None:
    path = tmp_path / "a.tfrecords"
    write(path, [noise((3, 4, 4)), noise((3, 4, 4))])
    whole = path.read_bytes()
    for at in range(len(whole)):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
        with pytest.raises(BrokenRecordError, match=r"record [01]: the checksum"):
            list(read_records(path))


@pytest.mark.slow
def test_tensorflow_reads_them(tmp_path: Path) -> None:
    pictures = [noise((3, 8, 8), seed) for seed in range(3)]
    write(tmp_path / "a.tfrecords", pictures)
    command = [sys.executable, "-c", READ_BY_TENSORFLOW, str(tmp_path / "a.tfrecords")]
    quiet = os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3"}
    out = subprocess.run(command, check=True, stdout=subprocess.PIPE, env=quiet).stdout
    np.testing.assert_array_equal(json.loads(out), pictures)
