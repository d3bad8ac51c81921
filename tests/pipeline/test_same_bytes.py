"""The whole pipeline, photos to records and report: the same bytes whoever does the work."""

import io
import shutil

import pytest
from PIL import Image, ImageEnhance

from pipeline import sample
from pipeline.engine import cluster
from pipeline.rows import manifest
from pipeline.stages import embed
from pipeline.tasks import Crop, Dataset, Detect, ExportTFRecords, FilterPose, Ingest, Resize
from tests.kit.store import build, results, set_options

SITTERS = ("studio/Ada", "studio/Bruno", "studio/Dayo", "outdoors/Kamila", "family/Tariq and Uma")
LIGHTS = (0.7, 0.85, 1.0, 1.1, 1.2)
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """Drawn portraits, small, each in several lights, a broken one and a copy: 18 files."""
    folder = tmp_path_factory.mktemp("drawn")
    for name in SITTERS:
        large = Image.open(io.BytesIO(sample.photo(f"{name}.jpg")))
        (folder / name).mkdir(parents=True)
        for light in LIGHTS[1:3] if name.startswith("studio") else LIGHTS:
            photo = ImageEnhance.Brightness(large.reduce(3)).enhance(light)
            photo.save(folder / name / f"{light}.jpg", quality=92)
    whole = (folder / SITTERS[0] / "1.0.jpg").read_bytes()
    (folder / "studio" / "stopped.jpg").write_bytes(whole[: len(whole) // 2])
    (folder / "studio" / "to keep.jpg").write_bytes(whole)
    return folder


def made(source, store, scheduler, workers=0, task=Dataset, rows=2, **more):
    set_options(
        Store_root=store,
        Ingest_source=source,
        Engine_scheduler=scheduler,
        Engine_workers=workers,
        Engine_rows=rows,
        Dataset_size=64,
        Crop_faces="each",
        Crop_max_faces=2,
        ExportTFRecords_labels="folder",
        FilterQuality_copies="keep",  # each sitter in another light is one
        FilterQuality_sharpness="worst 0.05",
        **more,
    )
    assert build(task())
    return results(store)


def shared_by(count):
    """Whether that many workers are there and each one looked for faces."""
    looked = cluster.current.client.run(cluster.loaded, ["cv2"])
    return list(looked.values()) == [True] * count


@pytest.fixture(scope="module")
def in_process(source, tmp_path_factory):
    """What one process makes of them: something of everything."""
    store = tmp_path_factory.mktemp("in-process")
    files = made(source, store, "in-process")
    outcomes = [manifest.facts(stage().path).outcome for stage in (Ingest, Detect, Resize)]
    assert outcomes[0] == {"exact copy": 1, "kept": 17}
    assert outcomes[1] == {"broken file": 1, "kept": 16}
    assert outcomes[2]["kept"] > 20
    assert len(list((Detect().folder / "parts").iterdir())) == 9
    assert len([name for name in files if name.endswith(".jpg")]) == outcomes[2]["kept"]
    assert (ExportTFRecords().records / "dataset" / "dataset-rxx.labels").is_file()
    return files


def test_local_workers(source, in_process, tmp_path):
    """Three; two are started by hand below."""
    assert made(source, tmp_path / "store", "local", 3) == in_process
    assert shared_by(3)


def test_workers_started_by_hand(source, in_process, tmp_path, scheduler):
    assert made(source, tmp_path / "store", scheduler) == in_process
    assert shared_by(2)


def test_scores_against_a_reference(source, tmp_path, monkeypatch, inception_weights):
    """One of two workers does all portraits, which are one part; then both share them."""
    monkeypatch.setattr(embed, "check_weights", lambda _: None)  # loads torch once more
    more = {
        "Embed_weights": inception_weights,
        "Embed_dims": 64,
        "FilterPose_reference": source / "family",
        "FilterPose_limit": "best 0.5",
    }
    outdoors = source / "outdoors"
    for crop in (Crop, lambda: Crop(photos="reference")):  # all that needs no torch
        made(outdoors, tmp_path / "store", "in-process", task=crop, **more)
    one = made(outdoors, tmp_path / "store", "local", 2, FilterPose, rows=99, **more)
    assert sorted(cluster.current.client.run(cluster.loaded, ["torch"]).values()) == [False, True]
    assert len({row.score for row in FilterPose().rows()}) == len(LIGHTS)
    for measured in ("embed", "filterpose"):
        shutil.rmtree(tmp_path / "store" / measured)
    assert made(outdoors, tmp_path / "store", "local", 2, FilterPose, **more) == one
