"""An export's own account of itself: no damage of any of its files goes unnoticed."""

import random

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
        if path.name != whole.LISTED:
            assert list(whole.faults(folder)) == [(path, "is gone")] and not whole.is_whole(folder)
        path.write_bytes(data)


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
    (folder / whole.LISTED).unlink()
    assert whole.is_whole(folder) and not list(whole.faults(folder))
    file = folder / "dataset-r03.tfrecords"
    file.write_bytes(file.read_bytes()[:-1])
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
