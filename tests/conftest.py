"""The fixtures of all tests."""

import gc
import os
import subprocess
import sys
from pathlib import Path

import fsspec
import luigi
import pytest

from pipeline.engine import cluster, lock
from tests.kit import clusters, stores
from tests.kit.store import (
    ROOT,
    fresh,
    photo,
    reference_of_ten,
    save,
    set_options,
    source_of_six,
    without_models,
)
from training import startup

gc.disable()  # while modules load, nearly all that is made stays
# The numbers are a CPU's: a card multiplies with 10 bits unless told, and some tests count devices.
os.environ["CUDA_VISIBLE_DEVICES"] = "-1"
os.environ.setdefault(startup.ONEDNN, "1")  # as in a command
# Hundreds of processes begin here, each of which would compile all that it imports.
sys.dont_write_bytecode = False
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """Files with slow tests come first, so that all workers end at the same time."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)


def pytest_collection_finish():
    """What is loaded stays to the end: no collection of garbage looks through it again."""
    gc.freeze()
    gc.enable()


@luigi.Task.event_handler(luigi.Event.FAILURE)
@luigi.Task.event_handler(luigi.Event.BROKEN_TASK)
def tell(task, error):
    """A test that fails shows why."""
    print(f"{task}: {error!r}")


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
    for store in list(lock.opened):
        lock.release(store)


@pytest.fixture(scope="session", autouse=True)
def no_cluster_left():
    """Whatever cluster the tests opened ends with them."""
    yield
    cluster.close()


@pytest.fixture(scope="module")
def plain_graphs():
    """Graphs of seconds are not worth TensorFlow's optimising, which takes longer than they do."""
    import tensorflow as tf

    options = tf.config.optimizer.get_experimental_options()
    tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": True})
    yield
    tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": False, **options})


@pytest.fixture(scope="session")
def inception_weights(tmp_path_factory):
    """Random weights in pytorch-fid's layout, which one process with torch writes for all tests."""
    own = tmp_path_factory.getbasetemp() / "inception.pth"
    path = own.parent.parent / own.name if "PYTEST_XDIST_WORKER" in os.environ else own
    if not path.exists():
        line = [sys.executable, "-m", "tests.kit.random_inception", str(own), "4"]
        alone = {**os.environ, "OMP_NUM_THREADS": "1"}  # two would wait for each other, computing
        subprocess.run(line, cwd=ROOT, env=alone, check=True)
        own.replace(path)
    return path


@pytest.fixture
def store(tmp_path, monkeypatch):
    """An empty store and a source of six photos: four portraits, one empty scene, one copy."""
    without_models(monkeypatch)
    set_options(**source_of_six(tmp_path))
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
    set_options(**reference_of_ten(store.parent))
    return store.parent / "reference"


@pytest.fixture
def scheduler(tmp_path):
    """A scheduler with two workers, started by hand on loopback; gives its address."""
    with clusters.of_two(tmp_path / "scheduler.json") as address:
        yield address
        cluster.close()


@pytest.fixture(scope="module")
def s3():
    """moto's S3 server, once a module; a new s3fs of this process finds it."""
    with stores.moto() as known, pytest.MonkeyPatch.context() as patch:
        patch.setitem(fsspec.config.conf, "s3", known)
        fsspec.filesystem("s3").makedirs(stores.BUCKET, exist_ok=True)
        yield known


@pytest.fixture
def far(request, tmp_path):
    """An empty place in a store, by the name of its protocol."""
    if request.param == "s3":
        request.getfixturevalue("s3")
    return stores.Far(request.param, f"{stores.BUCKET}/{tmp_path.name}")


@pytest.fixture(scope="session")
def test_data():
    """The folder of real test data; tests that need it are skipped where it is not named."""
    folder = os.environ.get("ATELIER_TESTDATA")
    if not folder:
        pytest.skip("ATELIER_TESTDATA names no folder of test data")
    return Path(folder).resolve()
