"""Datasets as people bring them: each is read, or refused with one sentence that helps."""

import gzip
import hashlib
import io
import json
import pickle
import re
import zipfile

import numpy as np
import pytest
from PIL import Image

from atelier.arrays import CheckpointError, load_arrays
from tests.kit.training_runs import draw
from training.run.grids import seeded_latents
from training.sources import DataError, dataset_identity, open_source
from training.sources.stores import HEAD, FolderStore

NAMES = [f"{number:03}.png" for number in range(4)]
SHAPES = {
    "pairs": {"labels": [[name, n % 2] for n, name in enumerate(NAMES)]},
    "a list": [[name, n % 2] for n, name in enumerate(NAMES)],
    "whole numbers as others write them": {
        "labels": [[name, n % 2 if n else float(n)] for n, name in enumerate(NAMES)]
    },
    "a dict": {"labels": {name: n % 2 for n, name in enumerate(NAMES)}},
    "vectors": {"labels": [[name, [1 - n % 2, n % 2]] for n, name in enumerate(NAMES)]},
    "other names": {"labels": [[f"x\\{name.upper()}", n % 2] for n, name in enumerate(NAMES)]},
}


def with_json(tmp_path, text):
    folder = draw(tmp_path / "d", 4)
    (folder / "dataset.json").write_bytes(text if isinstance(text, bytes) else text.encode())
    return folder


@pytest.mark.parametrize("said", SHAPES.values(), ids=SHAPES)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_labels_of_any_plain_shape_are_read(tmp_path, said, encoding):
    source = open_source(with_json(tmp_path, json.dumps(said).encode(encoding)))
    np.testing.assert_array_equal(source.labels, np.eye(2)[[0, 1, 0, 1]])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"labels": [["000.png",1],["001.png",2],]}', "line 1, column 40: a comma with nothing"),
        ('{"labels": [\n["000.png" 1]]}', "line 2, column 12: no JSON from there on"),
        ('{"labels": [["000.png", 0, 1]]}', r'label 0 is \["000.png", 0, 1\]: write \[name, class'),
        ('{"labels": 5}', r'holds 5: write {"labels"'),
        ('{"labels": [["000.png", "cat"]]}', "has no label for 001.png: label every picture or"),
        (json.dumps({"labels": [[n, "cat"] for n in NAMES]}), 'from 0 on, or .*; here is "cat"'),
        (json.dumps({"labels": [[n, 10**9] for n in NAMES]}), "class 1000000000 is too high"),
        (json.dumps({"labels": [[n, 10**30] for n in NAMES]}), r"class 10{30} is too high"),
        (json.dumps({"labels": [[n, 10**400] for n in NAMES]}), r"class 10{59} \.\.\. is too high"),
        (json.dumps({"labels": [[n, 1e300] for n in NAMES]}), r"class 1e\+300 is too high"),
        *(
            (
                json.dumps({"labels": [[n, odd if n == NAMES[-1] else good] for n in NAMES]}),
                f"from 0 on, or .*; here is {re.escape(json.dumps(odd))}",
            )
            for good, odd in (
                *((0, 0.5), (0, -1), (0, True), (0, float("nan")), (0, [1])),
                *(([0, 1], odd) for odd in ([1], 1, [0, "a"], [0, 10**40], [0, [1]])),
                *(([0, 1], [0, number]) for number in (float("nan"), float("inf"), 1e300)),
            )
        ),
        (json.dumps([[n, 0] for n in [*NAMES]] + [[NAMES[0], 1]]), "has the labels 0 and 1"),
        ("[" * 100_000, "nested too deeply"),
        (b"\xff\xfa\xfb{", "is no text: save it as UTF-8"),
    ],
)  # fmt: skip
def test_what_cannot_be_labels_is_said(tmp_path, text, said):
    with pytest.raises(DataError, match=f"dataset.json.*{said}"):
        open_source(with_json(tmp_path, text))


@pytest.mark.parametrize(
    ("text", "note"),
    [
        ('{"name": "x", "pictures": 4}', ["has no labels in it, and is left aside"]),
        ('{"labels": null}', []),
        (json.dumps({"labels": [[n, None] for n in NAMES]}), []),
    ],
)
def test_no_labels_are_none(tmp_path, text, note):
    source = open_source(with_json(tmp_path, text))
    assert source.labels.shape == (4, 0)
    assert [each.split("dataset.json ")[1] for each in source.notes] == note


def test_classes_that_count_from_1_are_noticed(tmp_path):
    source = open_source(with_json(tmp_path, json.dumps({"labels": [[n, 1] for n in NAMES]})))
    assert source.notes[0].endswith("no picture has class 0: classes count from 0 on")


def test_a_zip_of_the_parent_folder_with_its_labels(tmp_path):
    folder = with_json(tmp_path, json.dumps(SHAPES["pairs"]))
    with zipfile.ZipFile(tmp_path / "D.ZIP", "w") as archive:
        for path in folder.iterdir():
            archive.write(path, f"mine/{path.name}")
            archive.writestr(f"__MACOSX/mine/._{path.name}", b"\0\5\x16\7")
    source = open_source(tmp_path / "D.ZIP")
    np.testing.assert_array_equal(source.labels, np.eye(2)[[0, 1, 0, 1]])
    assert source.notes[0].split(": ")[1].startswith("5 files are left out")


def test_only_heads_are_read_before_training(tmp_path, monkeypatch):
    noise = np.random.default_rng(0).integers(0, 255, (256, 256, 3), np.uint8)
    for number in range(3):
        Image.fromarray(noise).save(tmp_path / f"{number}.png")
    assert (tmp_path / "0.png").stat().st_size > 2 * HEAD
    monkeypatch.setattr(FolderStore, "open", lambda *_: pytest.fail("read whole"))
    assert open_source(tmp_path).shape == (256, 256, 3)


def test_a_folder_of_png_keeps_its_digest(tmp_path):
    folder = draw(tmp_path / "d", 3)
    (folder / "note.txt").write_text("x")
    (folder / ".hidden.png").write_bytes(b"x")
    sizes = sorted((p.name, p.stat().st_size) for p in folder.iterdir() if p.name[0] != ".")
    told = json.dumps(sizes).encode()
    assert dataset_identity(open_source(folder))["digest"] == hashlib.sha256(told).hexdigest()[:16]


def test_compressed_records_are_called_that(tmp_path):
    (tmp_path / "x-r03.tfrecords").write_bytes(gzip.compress(b"records"))
    with pytest.raises(DataError, match="is compressed with gzip: unpack it"):
        open_source(tmp_path)


def test_foreign_checkpoints_are_called_that(tmp_path):
    (tmp_path / "n.pkl").write_bytes(pickle.dumps({"G_ema": 1}))
    with pytest.raises(CheckpointError, match="is a pickle, as NVIDIA's trainers write"):
        load_arrays(tmp_path / "n.pkl")
    with zipfile.ZipFile(tmp_path / "n.pt", "w") as archive:
        archive.writestr("archive/data.pkl", b"")
    with pytest.raises(CheckpointError, match="is a file of PyTorch's: only a"):
        load_arrays(tmp_path / "n.pt")


def test_seeds_have_no_end():
    seeds = [0, 7, 2**32 - 1, 2**32, 2**40 + 1]
    drawn = seeded_latents(seeds, 5)
    for row, seed in zip(drawn[:3], seeds, strict=False):
        np.testing.assert_array_equal(row, np.random.RandomState(seed).randn(5).astype(np.float32))
    assert len({row.tobytes() for row in drawn}) == 5


def test_broken_pictures_are_named(tmp_path):
    folder = draw(tmp_path / "d", 2)
    memory = io.BytesIO()
    Image.new("RGB", (8, 8)).save(memory, "png")
    (folder / "zz.png").write_bytes(memory.getvalue()[:20])
    with pytest.raises(DataError, match=r"zz.png cannot be read as a picture: .*; replace it"):
        open_source(folder)
