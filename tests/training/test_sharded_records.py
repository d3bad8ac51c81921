"""Records in many files, as the pipeline writes them, are one dataset to every reader."""

import json
import os
import resource
import shutil
from contextlib import closing, suppress
from itertools import islice

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from atelier import pictures
from pipeline.dataset import leaves
from pipeline.options import SettingsError
from pipeline.sections import DatasetConfig
from tests.kit.exports import COUNT, draw, rows, run
from tests.kit.records import read_records
from training import batches
from training.sources import DataError, open_source, records

MODES = {"rgb": "RGB", "grey": "L", "rgba": "RGBA"}


@pytest.fixture(autouse=True)
def small_files(monkeypatch):
    monkeypatch.setattr(leaves, "MOST", 2)


def drawn(store, mode="RGB", size=(16, 16)):
    for row in rows():
        draw(store / row.picture, int(row.id, 16), size, mode)
    return store


def sharded(store, out="one", channels="rgb", size="16", **more):
    dataset = DatasetConfig(size=size, format="png", channels=channels)
    return run(store, out, dataset=dataset, layout="sharded", **more)


@pytest.mark.parametrize("channels", ["rgb", "grey", "rgba"])
@pytest.mark.parametrize("pixels", ["raw", "png", "jpeg"])
def test_pixels_and_labels_are_those_of_the_pictures(tmp_path, pixels, channels):
    drawn(tmp_path, MODES[channels], (16, 8))
    given = {"channels": channels, "size": "16x8", "pixels": pixels, "labels": "folder"}
    if (pixels, channels) == ("jpeg", "rgba"):
        with pytest.raises(SettingsError, match="JPEG has no transparency; give png or raw"):
            sharded(tmp_path, **given)
        return
    folder = sharded(tmp_path, **given)
    facts, source = json.loads((folder / "dataset.json").read_text()), open_source(folder)
    assert len(facts["parts"]) == 6 and source.notes == []
    expected = [np.asarray(Image.open(tmp_path / row.picture)) for row in rows()]
    if pixels == "jpeg":
        coded = [pictures.encode(each, "jpeg", 95) for each in expected]
        expected = [pictures.decode(each, mode=MODES[channels]) for each in coded]
    order = [facts["order"].index(row.id) for row in rows()]
    seen = [batches.decode(source.read(number)).numpy() for number in order]
    expected = np.reshape(expected, (COUNT, *source.shape))
    np.testing.assert_array_equal(seen, [batches.decode(each) for each in expected])
    np.testing.assert_array_equal(source.labels[order].argmax(axis=1), [1, 2, 0] * 3 + [1])


def test_all_levels_are_those_of_nvlabs_records(tmp_path):
    drawn(tmp_path)
    theirs, order = run(tmp_path, "nvlabs"), {}
    for name, folder in (
        ("nvlabs", theirs),
        ("raw", sharded(tmp_path, "raw", pixels="raw", levels="all")),
    ):
        order[name] = np.argsort(json.loads((folder / "dataset.json").read_text())["order"])
    for level in ("04", "03", "02"):
        files = sorted((tmp_path / "raw/dataset").glob(f"dataset-r{level}-*"))
        held = [each for file in files for each in read_records(file)]
        expected = list(read_records(theirs / f"dataset-r{level}.tfrecords"))
        np.testing.assert_array_equal(
            np.array(held)[order["raw"]], np.array(expected)[order["nvlabs"]]
        )
    assert open_source(tmp_path / "raw/dataset").shape == (16, 16, 3)


@pytest.mark.slow
def test_lower_levels_of_pngs_are_not_multiplied_by_the_opacity(tmp_path):
    drawn(tmp_path, "RGBA")
    raw = sharded(tmp_path, "raw", "rgba", pixels="raw", levels="all")
    png = sharded(tmp_path, "png", "rgba", pixels="png", levels="all")
    for name in [f"dataset-r03-{n:05}-of-00006.tfrecords" for n in range(6)]:
        (raw / "low").mkdir(exist_ok=True), (png / "low").mkdir(exist_ok=True)
        shutil.copy(raw / name, raw / "low")
        shutil.copy(png / name, png / "low")
    (raw / "low/dataset.json").write_text('{"alpha": "premultiplied"}')
    one, other = open_source(raw / "low"), open_source(png / "low")
    for number in range(COUNT):
        seen = [batches.decode(each.read(number)) for each in (one, other)]
        np.testing.assert_array_equal(*seen)


def test_any_of_its_files_names_the_dataset(tmp_path):
    folder = sharded(drawn(tmp_path), levels="all")
    whole = open_source(folder)
    assert len(whole) == COUNT and whole.path == folder
    assert open_source(folder / "dataset-r04-00003-of-00006.tfrecords").digest == whole.digest
    lower = open_source(folder / "dataset-r02-00003-of-00006.tfrecords")
    assert (len(lower), lower.shape) == (COUNT, (4, 4, 3))


def test_a_missing_file_is_said(tmp_path):
    folder = sharded(drawn(tmp_path))
    (folder / "dataset-r04-00003-of-00006.tfrecords").unlink()
    with pytest.raises(DataError, match="holds 5 files of dataset, whose names say 6: bring in"):
        open_source(folder)


def test_a_wrong_byte_is_named_with_its_file(tmp_path):
    folder = sharded(drawn(tmp_path))
    path = folder / "dataset-r04-00002-of-00006.tfrecords"
    data = bytearray(path.read_bytes())
    data[-50] ^= 1
    path.write_bytes(data)
    source = open_source(folder)
    with pytest.raises(DataError, match=r"00002-of-00006.tfrecords, record 1: the checksum"):
        list(map(source.read, range(COUNT)))


def test_a_dataset_that_is_open_outlives_its_names(tmp_path):
    folder = sharded(drawn(tmp_path))
    source, held = open_source(folder), open_source(folder).read(7)
    shutil.rmtree(folder)
    np.testing.assert_array_equal(source.read(7), held)


def test_more_files_than_may_be_open_are_opened_one_by_one(tmp_path, monkeypatch):
    folder = sharded(drawn(tmp_path))
    expected, here = open_source(folder), len(os.listdir("/proc/self/fd"))
    monkeypatch.setattr(resource, "getrlimit", lambda _: (100, records.OTHER_FILES + 5))
    source = open_source(folder)
    assert len(os.listdir("/proc/self/fd")) == here
    for number in range(COUNT):
        np.testing.assert_array_equal(source.read(number), expected.read(number))


def test_an_epoch_shows_all_files_in_one_order(tmp_path):
    source = open_source(sharded(drawn(tmp_path)))
    with closing(batches.reals(source, 3, 5, 0, False)) as reals:
        images = np.concatenate([images.numpy() for images, _ in islice(reals, 2)])
    expected = [batches.decode(source.read(number)) for number in batches.order(3, 0, COUNT)]
    np.testing.assert_allclose(images, expected, atol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("pixels", ["raw", "png"])
def test_tensorflow_reads_them(tmp_path, pixels):
    folder = sharded(drawn(tmp_path), pixels=pixels, labels="folder")
    source = open_source(folder)
    kinds = {
        "shape": tf.io.FixedLenFeature([3], tf.int64),
        "data": tf.io.FixedLenFeature([], tf.string),
        "label": tf.io.FixedLenFeature([], tf.int64),
        "format": tf.io.FixedLenFeature([], tf.string, ""),
    }
    files = sorted(map(str, folder.glob("*.tfrecords")))
    found = list(tf.data.TFRecordDataset(files).map(lambda r: tf.io.parse_single_example(r, kinds)))
    assert len(found) == COUNT
    for number, each in enumerate(found):
        if pixels == "raw":
            planes = tf.reshape(tf.io.decode_raw(each["data"], tf.uint8), each["shape"])
            seen = tf.transpose(planes, [1, 2, 0])
        else:
            seen = tf.io.decode_image(each["data"])
        np.testing.assert_array_equal(seen, source.read(number))
        assert each["label"] == source.labels[number].argmax()
        assert each["format"] == ("" if pixels == "raw" else pixels)


@pytest.mark.parametrize("layout", ["nvlabs", "sharded"])
def test_what_the_list_beside_a_dataset_names_has_to_be_there(tmp_path, layout):
    more = {"levels": "all"} if layout == "sharded" else {}
    folder = run(drawn(tmp_path), layout=layout, labels="folder", **more)
    open_source(folder)
    for pattern in ("*-r04*", "*.labels"):  # what would be learnt instead: 8 x 8, or no classes
        gone = [(path, path.read_bytes()) for path in folder.glob(pattern)]
        for path, _ in gone:
            path.unlink()
        with pytest.raises(DataError, match=rf"{gone[0][0].name[:12]}.* is gone: .*; if you rem"):
            open_source(folder)
        for path, data in gone:
            path.write_bytes(data)
    for path in folder.glob("*-r03*"):
        path.unlink()
    open_source(folder)  # which nobody reads


@pytest.mark.parametrize("array", [np.full((COUNT, 2), "x"), np.full((COUNT, 2), np.nan), None])
def test_labels_that_are_no_numbers_are_refused(tmp_path, array):
    folder = run(drawn(tmp_path), labels="folder")
    (folder / records.LISTED).unlink()
    with next(folder.glob("*.labels")).open("wb") as file:
        np.savez(file, array) if array is None else np.save(file, array)
    with pytest.raises(DataError, match=r"rxx\.labels is no array of .*: write the"):
        open_source(folder)


@pytest.mark.parametrize("name", [records.LISTED, "dataset.json"])
def test_what_lies_beside_a_dataset_is_read_or_refused_whatever_it_holds(tmp_path, name):
    folder = run(
        drawn(tmp_path, "RGBA"), dataset=DatasetConfig(size="16", format="png", channels="rgba")
    )
    for text in (b"", b"[]", b"3", b"null", b"[" * 200_000, b"9" * 5000, b"\xff"):
        (folder / records.LISTED).unlink(missing_ok=True)
        (folder / name).write_bytes(text)
        with suppress(DataError):
            open_source(folder)
