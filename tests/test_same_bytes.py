"""The whole pipeline, photos to records and report: the same bytes whoever does the work."""

import io

import pytest
from conftest import build, results, set_options
from PIL import Image, ImageEnhance

from pipeline import cluster, manifest, sample
from pipeline.tasks import Dataset, Detect, ExportTFRecords, Ingest, Resize

SITTERS = ("studio/Ada", "studio/Bruno", "studio/Dayo", "outdoors/Kamila", "family/Tariq and Uma")
LIGHTS = (0.7, 0.8, 0.9, 1.0, 1.1, 1.2)
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """Drawn portraits, each in several lights and small, a broken one and a copy: 32 files."""
    folder = tmp_path_factory.mktemp("drawn")
    for name in SITTERS:
        large = Image.open(io.BytesIO(sample.photo(f"{name}.jpg")))
        (folder / name).mkdir(parents=True)
        for light in LIGHTS:
            photo = ImageEnhance.Brightness(large.reduce(3)).enhance(light)
            photo.save(folder / name / f"{light}.jpg", quality=92)
    whole = (folder / SITTERS[0] / "1.0.jpg").read_bytes()
    (folder / "studio" / "stopped.jpg").write_bytes(whole[: len(whole) // 2])
    (folder / "studio" / "to keep.jpg").write_bytes(whole)
    return folder


def made(source, store, scheduler, workers=0):
    set_options(
        Store_root=store,
        Ingest_source=source,
        Engine_scheduler=scheduler,
        Engine_workers=workers,
        Engine_rows=2,
        Dataset_size=64,
        Crop_faces="each",
        Crop_max_faces=2,
        ExportTFRecords_labels="folder",
    )
    assert build(Dataset())
    return results(store)


@pytest.fixture(scope="module")
def in_process(source, tmp_path_factory):
    """What one process makes of them, which is worth to be compared."""
    store = tmp_path_factory.mktemp("in-process")
    files = made(source, store, "in-process")
    outcomes = [manifest.facts(stage().path).outcome for stage in (Ingest, Detect, Resize)]
    assert outcomes[0] == {"exact copy": 1, "kept": 31}
    assert outcomes[1] == {"broken file": 1, "kept": 30}
    assert outcomes[2]["kept"] >= 36
    assert len(list((store / "detect" / Detect().key / "parts").iterdir())) == 16
    assert len([name for name in files if name.endswith(".jpg")]) == outcomes[2]["kept"]
    assert (ExportTFRecords().records / "dataset" / "dataset-rxx.labels").is_file()
    return files


@pytest.mark.parametrize("workers", [1, 2, 4])
def test_local_workers(source, in_process, tmp_path, workers):
    assert made(source, tmp_path / "store", "local", workers) == in_process


def test_workers_started_by_hand(source, in_process, tmp_path, scheduler):
    assert made(source, tmp_path / "store", scheduler) == in_process
    assert len(cluster.current.client.nthreads()) == 2
