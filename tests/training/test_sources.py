"""The same images, whatever they lie in; wrong ones are named."""

import gc
import io
import json
import os
import random
import warnings
import zipfile
from contextlib import closing, suppress
from itertools import islice

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from tests.kit.training_runs import draw
from training import batches, sources
from training.sources import DataError, open_source


def write_records(folder, pictures, labels=None, number=3):
    """NVlabs' records of HWC pictures, and a lower level that nobody needs."""
    folder.mkdir()
    for level, step in ((number, 1), (number - 1, 2)):
        with tf.io.TFRecordWriter(str(folder / f"x-r{level:02}.tfrecords")) as file:
            for picture in pictures:
                chw = np.ascontiguousarray(picture[::step, ::step].transpose(2, 0, 1))
                shape = tf.train.Feature(int64_list=tf.train.Int64List(value=chw.shape))
                pixels = tf.train.Feature(bytes_list=tf.train.BytesList(value=[chw.tobytes()]))
                features = tf.train.Features(feature={"shape": shape, "data": pixels})
                file.write(tf.train.Example(features=features).SerializeToString())
    if labels is not None:
        with (folder / "x-rxx.labels").open("wb") as file:
            np.save(file, labels)
    return folder


@pytest.fixture
def pictures():
    return np.random.default_rng(0).integers(0, 256, (6, 8, 16, 3), dtype=np.uint8)


def test_of_two_files_of_one_name_in_a_zip_the_later_counts_once(tmp_path, pictures):
    """As whoever unpacks it gets: a zip that was brought up to date holds both."""
    path = tmp_path / "x.zip"
    for mode, number in (("w", 0), ("a", 1)):
        memory = io.BytesIO()
        Image.fromarray(pictures[number]).save(memory, "png")
        with warnings.catch_warnings(), zipfile.ZipFile(path, mode) as archive:
            warnings.simplefilter("ignore")
            archive.writestr("a.png", memory.getvalue())
    source = open_source(path)
    assert len(source) == 1
    np.testing.assert_array_equal(source.read(0), pictures[1])


def test_records_say_which_class_no_picture_has(tmp_path, pictures):
    labels = np.eye(4, dtype=np.float32)[[1, 3, 1, 3, 1, 3]]
    source = open_source(write_records(tmp_path / "records", pictures, labels))
    assert source.notes[-1].endswith(
        "x-rxx.labels: no picture has class 0: classes count from 0 on"
    )


@pytest.mark.slow
def test_records_zip_and_folder_give_the_same(tmp_path, pictures):
    labels = np.eye(3, dtype=np.float32)[[0, 1, 2, 0, 1, 2]]
    records = write_records(tmp_path / "records", pictures, labels)
    (tmp_path / "folder").mkdir()
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        for number, pixels in enumerate(pictures):
            memory = io.BytesIO()
            Image.fromarray(pixels).save(memory, "png")
            archive.writestr(f"00000/img{number:08}.png", memory.getvalue())
            (tmp_path / "folder" / f"{number}.png").write_bytes(memory.getvalue())
        rows = [[f"00000/img{n:08}.png", n % 3] for n in range(6)]
        archive.writestr("dataset.json", json.dumps({"labels": rows}))
    found = [open_source(p) for p in (records, tmp_path / "x.zip", tmp_path / "folder")]
    for source in found:
        assert (source.shape, len(source)) == ((8, 16, 3), 6)
        read = np.stack([source.read(number) for number in range(6)])
        np.testing.assert_array_equal(read, pictures)
    np.testing.assert_array_equal(found[0].labels, labels)
    np.testing.assert_array_equal(found[1].labels, labels)
    assert found[2].labels.shape == (6, 0)
    assert len({source.digest for source in found}) == 3
    del source, found
    gc.collect()
    assert not [path for path in opened() if path.startswith(f"{tmp_path}/")]


def opened():
    """The files that this process has open."""
    return [os.path.realpath(f"/proc/self/fd/{name}") for name in os.listdir("/proc/self/fd")]


def test_records_that_say_so_have_their_colours_divided_by_the_opacity(tmp_path):
    levels = np.arange(256)
    straight = np.stack(np.broadcast_arrays(levels, levels[:, None]), axis=2).astype(np.uint8)
    straight = straight[..., [0, 0, 0, 1]]  # every colour under every opacity
    products = np.rint(straight[..., :3] * (straight[..., 3:] / 255)).astype(np.uint8)
    stored = np.concatenate([products, straight[..., 3:]], axis=2)
    folder = write_records(tmp_path / "r", [stored], number=8)
    np.testing.assert_array_equal(open_source(folder).read(0), stored)
    (folder / "dataset.json").write_text('{"alpha": "premultiplied"}')
    found = open_source(folder).read(0)
    seen = batches.decode(tf.constant(found))
    np.testing.assert_array_equal(seen, stored * np.float32(1 / 127.5) - 1)
    np.testing.assert_array_equal(seen, batches.decode(tf.constant(straight)))
    opaque = stored[..., 3] == 255
    np.testing.assert_array_equal(found[opaque], straight[opaque])


def test_a_record_that_is_no_picture_is_named(tmp_path):
    with tf.io.TFRecordWriter(str(tmp_path / "x-r03.tfrecords")) as file:
        file.write(b"no example")
    with pytest.raises(DataError, match=r"record 0 is no picture of NVlabs' format"):
        open_source(tmp_path)
    with tf.io.TFRecordWriter(str(tmp_path / "x-r03.tfrecords")) as file:
        file.write(tf.train.Example().SerializeToString())
    with pytest.raises(DataError, match=r"record 0 is no picture of NVlabs' format"):
        open_source(tmp_path)


def test_a_folder_that_holds_one_zip_alone_is_that_zip(tmp_path, pictures):
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        for number, pixels in enumerate(pictures):
            memory = io.BytesIO()
            Image.fromarray(pixels).save(memory, "png")
            archive.writestr(f"00000/img{number:08}.png", memory.getvalue())
    (tmp_path / "dataset.json").write_text('{"pictures": 6}')
    source = open_source(tmp_path)
    assert (len(source), source.path) == (6, tmp_path / "x.zip")
    draw(tmp_path / "more", 2)
    assert len(open_source(tmp_path)) == 2


def test_nvlabs_own_records_are_read(test_data):
    source = open_source(test_data / "golden/sg2_records/clothing32")
    assert source.shape == (32, 32, 3)
    order = np.arange(len(source))
    np.random.RandomState(123).shuffle(order)
    pictures = sorted((test_data / "golden/sg2_records/png").glob("*.png"))
    with Image.open(pictures[order[5]]) as image:
        np.testing.assert_array_equal(source.read(5), np.asarray(image))


def test_an_epoch_shows_every_image_once(tmp_path):
    source = open_source(draw(tmp_path / "d", 10))
    numbers = [[batches.order(1, epoch, 10)[place] for place in range(10)] for epoch in range(3)]
    assert all(sorted(epoch) == list(range(10)) for epoch in numbers)
    assert numbers[0] != numbers[1]
    assert len(source) == 10


@pytest.mark.parametrize("start", [0, 4, 12, 28])
def test_the_position_resumes(tmp_path, start):
    source = open_source(draw(tmp_path / "d", 10))
    with closing(batches.reals(source, 7, 4, 0, True)) as whole:
        expected = list(islice(whole, start // 4, start // 4 + 3))
    with closing(batches.reals(source, 7, 4, start, True)) as part:
        for (images, _), (again, _) in zip(expected, part, strict=False):
            np.testing.assert_array_equal(images, again)


def test_half_of_the_images_are_mirrored(tmp_path):
    source = open_source(draw(tmp_path / "d", 4))
    flipped = 0
    for at in range(200):
        plain, _ = batches.sample(source, 0, at, mirror=False)
        seen, _ = batches.sample(source, 0, at, mirror=True)
        flipped += not np.array_equal(plain, seen)
        assert np.array_equal(seen, plain) or np.array_equal(seen, plain[:, ::-1])
    assert 70 < flipped < 130


@pytest.mark.parametrize(
    "call", [batches.decode, tf.function(batches.decode)], ids=["eager", "graph"]
)
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_pixels_are_decoded_eagerly_and_in_a_graph(call, channels):
    pixels = np.random.default_rng(0).integers(0, 256, (2, 4, 4, channels), dtype=np.uint8)
    expected = pixels / 255.0
    if channels == 4:
        expected[..., :3] = np.rint(pixels[..., :3] * expected[..., 3:]) / 255
    images = call(tf.constant(pixels))
    assert images.dtype == tf.float32
    np.testing.assert_allclose(images, expected * 2 - 1, atol=1e-6)
    again = batches.encode(images.numpy())
    np.testing.assert_allclose(call(tf.constant(again)), images, atol=1e-6)
    if channels != 4:
        np.testing.assert_array_equal(again, pixels)


@pytest.mark.parametrize("in_a_graph", [False, True])
def test_a_card_decodes_to_the_same_bits(monkeypatch, in_a_graph):
    """By operations that a GPU has, where one is seen; computed here on the CPU."""
    levels = tf.constant(np.arange(256, dtype=np.uint8)[:, None])
    without = batches.decode(levels)
    monkeypatch.setattr(batches.tf.config, "list_logical_devices", lambda kind: [kind])
    with_one = (tf.function(batches.decode) if in_a_graph else batches.decode)(levels)
    np.testing.assert_array_equal(without, with_one)
    assert without[0] == -1 and without[255] == 1


def wrong(make, tmp_path):
    with pytest.raises(DataError) as error:
        make(tmp_path)
    return str(error.value).replace(str(tmp_path), "DIR")


def test_other_sizes_and_modes_are_named(tmp_path):
    draw(tmp_path / "a", 3)
    draw(tmp_path / "b", 1, (16, 8))
    (tmp_path / "b/000.png").rename(tmp_path / "a/z.png")
    assert wrong(lambda d: open_source(d / "a"), tmp_path) == (
        "DIR/a/z.png is 16 x 8 RGB, but 000.png is 8 x 8 RGB: make all pictures alike"
    )
    Image.new("P", (8, 8)).save(tmp_path / "a/z.png")
    assert wrong(lambda d: open_source(d / "a"), tmp_path) == (
        "DIR/a/z.png has mode P: save it as grey (L), RGB or RGBA with 8 bits"
    )


def test_nothing_to_read_is_said(tmp_path):
    (tmp_path / "empty").mkdir()
    assert wrong(lambda d: open_source(d / "empty"), tmp_path) == (
        "DIR/empty holds no TFRecords and no pictures: name another folder"
    )
    assert wrong(lambda d: open_source(d / "none"), tmp_path) == (
        "DIR/none is no dataset: name a folder of TFRecords, a zip or a folder"
    )


def test_broken_records_are_named(tmp_path, pictures):
    path = write_records(tmp_path / "r", pictures) / "x-r03.tfrecords"
    content = bytearray(path.read_bytes())
    path.write_bytes(content[:-7])
    assert wrong(lambda d: open_source(d / "r"), tmp_path) == (
        "DIR/r/x-r03.tfrecords, record 5: the file ends before it: write it again"
    )
    content[-100] ^= 1
    path.write_bytes(content)
    source = open_source(tmp_path / "r")
    with closing(batches.reals(source, 0, 2, 0, False)) as reals, pytest.raises(DataError) as error:
        list(islice(reals, 5))
    assert "x-r03.tfrecords, record 5: the checksum is wrong" in str(error.value)


def test_a_record_of_another_shape_is_named(tmp_path, pictures):
    odd = [*pictures, pictures[0][:, :8]]
    source = open_source(write_records(tmp_path / "r", odd))
    assert wrong(lambda d: source.read(6), tmp_path) == (
        "DIR/r/x-r03.tfrecords, record 6 is 8 x 8 RGB, the others 16 x 8 RGB"
    )


def test_identity_is_of_the_content_not_the_place(tmp_path):
    one, two = draw(tmp_path / "a", 3), draw(tmp_path / "b", 3)
    same = [sources.dataset_identity(open_source(folder)) for folder in (one, two)]
    assert same[0] == same[1]
    draw(two, 4)
    assert sources.dataset_identity(open_source(two)) != same[0]


@pytest.mark.slow
def test_whatever_happens_to_a_zip_it_is_read_or_refused(tmp_path):
    path, chance = tmp_path / "a.zip", random.Random(6)
    with zipfile.ZipFile(path, "w") as archive:
        for picture in draw(tmp_path / "pictures", 2).iterdir():
            archive.write(picture, picture.name)
    data = path.read_bytes()
    for _ in range(300):
        changed = bytearray(data)
        changed[-chance.randrange(1, 200)] = chance.randrange(256)
        path.write_bytes(bytes(changed))
        with suppress(DataError):
            source = sources.open_source(path)
            source.read(0)
