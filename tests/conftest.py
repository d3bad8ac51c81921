"""A small store: made photos, a detector and an embedder that need no model, no processes."""

import json
import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import luigi
import numpy as np
import pytest
from PIL import Image

from detectors.base import Box, Detection
from pipeline import cluster, detect, images, options, tasks
from pipeline.manifest import dropped

ROOT = Path(__file__).parent.parent


class BrightFace:
    """Finds the bright squares of made photos, left to right."""

    long_side = 0
    channels = 1
    together = 3

    def __call__(self, pictures):
        return [self.find(picture) for picture in pictures]

    def find(self, picture):
        columns = (picture >= 250).any(axis=0).astype(int)
        starts = np.flatnonzero(np.diff(columns, prepend=0) == 1)
        ends = np.flatnonzero(np.diff(columns, append=0) == -1) + 1
        found = []
        for left, right in zip(starts, ends, strict=True):
            rows = np.flatnonzero((picture[:, left:right] >= 250).any(axis=1))
            box = Box(int(left), int(rows.min()), int(right), int(rows.max()) + 1)
            found.append(Detection("face", 0.9, box))
        return found


def mean_colours(items, config, folder):
    """An embedder for tests: the mean colour of four quarters of the rectangle."""
    for item in items:
        try:
            pixels = images.decode(images.read(item), item.row.rectangle)
        except images.UnreadableError as reason:
            yield [dropped(item.row, str(reason))]
            continue
        halves = [half for part in np.array_split(pixels, 2) for half in np.array_split(part, 2, 1)]
        vector = np.float32([half.mean(axis=(0, 1)) / 255 for half in halves]).ravel()
        yield [replace(item.row, embedding=item.key, features=vector.tobytes())]


def photo(seed, faces=((60, 50, 20),), size=(160, 120), dark=40):
    """A made photo: noise, and a bright square (left, top, side) for each face."""
    rng = np.random.default_rng(seed)
    pixels = rng.integers(dark, dark + 40, (size[1], size[0], 3)).astype(np.uint8)
    for left, top, side in faces:
        pixels[top : top + side, left : left + side] = 255
    return pixels


def save(path, pixels, **more):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, **more)


def set_options(**values):
    """set_options(Crop_max_faces=2): as on the command line, for tasks made from now on."""
    for name, value in values.items():
        options.set_option(name.replace("_", "-", 1), str(value))
    fresh()


def build(task):
    """Build a task in this process; returns whether it succeeded."""
    return luigi.build([task], local_scheduler=True, no_lock=True, log_level="CRITICAL")


@luigi.Task.event_handler(luigi.Event.FAILURE)
@luigi.Task.event_handler(luigi.Event.BROKEN_TASK)
def tell(task, error):
    """A test that fails shows why."""
    print(f"{task}: {error!r}")


def fresh():
    """As the next command sees it: nothing cached in memory."""
    luigi.task_register.Register.clear_instance_cache()


def counting(monkeypatch, stage):
    """Note the id of every row that `stage` works on from now on."""
    seen, work = [], stage.work

    def noted(items, config, folder):
        seen.extend(item.row.id for item in items)
        return work(items, config, folder)

    monkeypatch.setattr(stage, "work", staticmethod(noted))
    return seen


def results(store):
    """Every result in the store: its path and its bytes. How the work was cut is no result."""
    found = {path.relative_to(store): path for path in store.rglob("*") if path.is_file()}
    inner = {name: path for name, path in found.items() if {"parts", "lock"}.isdisjoint(name.parts)}
    return {str(n): path.read_bytes() for n, path in inner.items() if not n.name.startswith(".")}


@pytest.fixture(autouse=True)
def own_settings(monkeypatch):
    """Every test begins with the default settings and ends without a trace."""
    config = luigi.configuration.get_config()
    for section in [name for name in config.sections() if name[0].isupper()]:
        config.remove_section(section)
    fresh()
    yield
    for section in [name for name in config.sections() if name[0].isupper()]:
        config.remove_section(section)
    fresh()


@pytest.fixture(scope="session", autouse=True)
def no_cluster_left():
    """Whatever cluster the tests opened ends with them."""
    yield
    cluster.close()


@pytest.fixture
def store(tmp_path, monkeypatch):
    """An empty store and a source of six photos: four portraits, one empty scene, one copy."""
    source = tmp_path / "photos"
    for number in range(4):
        save(source / f"{number}.png", photo(number, [(60 + number, 40, 20 + 2 * number)]))
    save(source / "scene.png", photo(8, []))
    (source / "copy.png").write_bytes((source / "3.png").read_bytes())
    monkeypatch.setattr(detect, "load", lambda *_: BrightFace())
    monkeypatch.setattr(tasks.Embed, "work", staticmethod(mean_colours))
    monkeypatch.setattr(tasks.Embed, "prepare", lambda *_: None)
    set_options(
        Store_root=tmp_path / "store",
        Ingest_source=source,
        Engine_scheduler="in-process",
        Engine_rows=2,
        Dataset_size=32,
        Crop_min_face=4,
    )
    return tmp_path / "store"


@pytest.fixture
def folder(tmp_path):
    """For whole commands: three photos in `photos`."""
    for number in range(3):
        save(tmp_path / "photos" / f"{number}.jpg", photo(number, size=(160, 120)))
    return tmp_path


@pytest.fixture
def reference(store):
    """A reference set of ten photos like the portraits of `store`."""
    folder = store.parent / "reference"
    for number in range(10):
        save(folder / f"{number}.png", photo(100 + number, [(60 + number, 40, 22)]))
    set_options(FilterPose_reference=folder, FilterPose_limit="best 0.75")
    return folder


@pytest.fixture
def scheduler(tmp_path):
    """A scheduler with two workers, started by hand on loopback; gives its address."""
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "cwd": ROOT}
    quiet["env"] = {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'tests'}"}
    file = tmp_path / "scheduler.json"
    options = ["--scheduler-file", str(file)]
    dask = [sys.executable, "-m", "dask"]
    place = ["--host", "127.0.0.1"]
    started = [
        subprocess.Popen(
            [*dask, "scheduler", *options, *place, "--no-dashboard", "--port", "0"], **quiet
        )
    ]
    worker = [*dask, "worker", *options, *place, "--nthreads", "1", "--no-dashboard"]
    started += [subprocess.Popen(worker, **quiet) for _ in range(2)]
    yield address_in(file)
    cluster.close()
    for process in reversed(started):  # the workers while their scheduler still answers
        process.terminate()
        process.wait(20)


def address_in(file):
    for _ in range(100):
        if file.exists() and file.read_text():
            return json.loads(file.read_text())["address"]
        time.sleep(0.1)
    raise TimeoutError("the scheduler did not start")


@pytest.fixture(scope="session")
def test_data():
    """The folder of real test data; tests that need it are skipped where it is not named."""
    folder = os.environ.get("ATELIER_TESTDATA")
    if not folder:
        pytest.skip("ATELIER_TESTDATA names no folder of test data")
    return Path(folder).resolve()
