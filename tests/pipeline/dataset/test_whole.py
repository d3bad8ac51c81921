"""An export's own account of itself: no damage of any of its files goes unnoticed."""

import json
import random
import shutil

import pytest

from pipeline.dataset import whole
from pipeline.dataset.export import LAYOUTS
from tests.kit.exports import draw, rows, run
from training.sources import DataError, open_source

every_layout = pytest.mark.parametrize("layout", LAYOUTS)


@pytest.fixture
def store(tmp_path):
    for row in rows():
        draw(tmp_path / row.picture, seed=int(row.id, 16))
    return tmp_path


@pytest.mark.slow
@every_layout
def test_every_damaged_byte_is_noticed(store, layout):
    folder = run(store, layout=layout, labels="folder")
    assert list(whole.faults(folder)) == [] and whole.is_whole(folder)
    chance = random.Random(layout)
    for path in sorted(folder.iterdir()):
        data = path.read_bytes()
        for _ in range(40):
            at = chance.randrange(len(data))
            path.write_bytes(
                data[:at] + bytes([data[at] ^ chance.randrange(1, 256)]) + data[at + 1 :]
            )
            assert list(whole.faults(folder)), (path, at)
        path.write_bytes(data[: chance.randrange(len(data))])
        assert list(whole.faults(folder)) and not whole.is_whole(folder)
        path.unlink()
        assert list(whole.faults(folder)) == [(path, "is gone")]
        assert path.name == whole.LISTED or not whole.is_whole(folder)
        path.write_bytes(data)


@pytest.mark.parametrize("layout", ["nvlabs", "sharded"])
def test_other_records_of_the_same_size_are_noticed_by_verify_and_by_the_trainer(store, layout):
    how = {"layout": layout, "pixels": "raw" if layout == "sharded" else "auto"}
    path = max(run(store, **how).glob("*.tfrecords"))
    own = path.read_bytes()
    for row in rows():
        draw(store / row.picture, seed=100 + int(row.id, 16))
    shutil.rmtree(store / "one")
    other = max(run(store, **how).glob("*.tfrecords")).read_bytes()
    assert len(other) == len(own) and other != own
    assert len(open_source(path.parent)) == 10
    path.write_bytes(own)
    assert list(whole.faults(path.parent)) == [(path, "holds other records than were written")]
    with pytest.raises(DataError, match=f"{path.name} is not what was written"):
        open_source(path.parent)


@every_layout
def test_a_damaged_export_is_written_again(store, layout):
    folder = run(store, layout=layout)
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    victim = max(folder.iterdir(), key=lambda path: path.stat().st_size)
    victim.write_bytes(before[victim.name][:-1])
    run(store, layout=layout)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_of_an_earlier_version_the_sizes_are_known_from_the_shapes(store):
    folder = run(store)
    forget_list(folder)
    assert whole.is_whole(folder) and not list(whole.faults(folder))
    file = folder / "dataset-r03.tfrecords"
    file.write_bytes(file.read_bytes()[:-1])
    assert not whole.is_whole(folder)


def forget_list(folder):
    """As versions without one left it."""
    (folder / whole.LISTED).unlink()
    told = json.loads((folder / "dataset.json").read_text())
    (folder / "dataset.json").write_text(json.dumps({k: v for k, v in told.items() if k != "list"}))


def test_a_list_of_an_earlier_version_tells_no_last_checksums(store):
    folder = run(store, layout="sharded")
    known = whole.files_of(folder)
    plain = {
        name: {key: value for key, value in each.items() if key != "last"}
        for name, each in known.items()
    }
    assert plain != known
    (folder / whole.LISTED).write_text(whole.text_of(plain))
    assert not list(whole.faults(folder)) and len(open_source(folder)) == 10


def test_without_its_list_a_sharded_export_is_known_by_its_parts(store):
    folder = run(store, layout="sharded")
    (folder / whole.LISTED).unlink()
    assert whole.is_whole(folder)
    assert list(whole.faults(folder)) == [(folder / whole.LISTED, "is gone")]
    min(folder.glob("*.tfrecords")).unlink()
    assert not whole.is_whole(folder)


def test_the_trainer_refuses_what_is_not_what_was_written(store):
    """Also a file that ends between two records, of which none has a fault."""
    folder = run(store, labels="folder")
    for name, keep in (("r04.tfrecords", 0.5), ("rxx.labels", 0.9), ("dataset.json", 0.9)):
        (path,) = folder.glob(f"*{name}")
        data = path.read_bytes()
        path.write_bytes(data[: int(len(data) * keep)])
        with pytest.raises(DataError, match=f"{name} is not what was written"):
            open_source(folder)
        path.write_bytes(data)
    assert len(open_source(folder)) == 10
