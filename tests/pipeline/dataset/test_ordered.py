from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from pipeline.dataset import ordered
from pipeline.dataset.ordered import Ordered, narrowed
from pipeline.rows import columns

COUNT = 23
STORE = Path("/store")


def tables():
    """Rows in two folders and none, cut into shards of different lengths."""
    whole = pa.table(
        {
            "id": [f"{n:06x}" for n in range(COUNT)],
            "picture": [f"{('a/b/', 'a/c/', '')[n % 3]}{n}.png" for n in range(COUNT)],
            "picture_digest": pa.array([b"x" * n or None for n in range(COUNT)], pa.binary()),
        }
    )
    return [whole.slice(0, 9), whole.slice(9, 0), whole.slice(9)]


@pytest.fixture
def items():
    order = np.random.default_rng(0).permutation(COUNT)
    return Ordered(narrowed(tables()), columns.array(order), STORE), order.tolist()


def test_a_slice_has_the_pictures_of_its_places(items):
    own, order = items
    assert len(own) == COUNT
    some = own[5:12]
    assert some.keys == [f"{n:06x}" for n in order[5:12]]
    for item, n in zip(some, order[5:12], strict=True):
        assert item.row.picture == f"{('a/b/', 'a/c/', '')[n % 3]}{n}.png"
        assert item.path == STORE / item.row.picture
        assert item.row.picture_digest == (b"x" * n or None)
    assert own[7].key == some[2].key
    assert own[-1].key == f"{order[-1]:06x}"
    assert len(own[20:99]) == 3 and len(own[5:5]) == 0


def test_portions_give_what_all_at_once_do(items, monkeypatch):
    own, order = items
    keys, numbers = [item.key for item in own], own.numbers()
    monkeypatch.setattr(ordered, "AT_ONCE", 4)
    own = Ordered(own.table, own.order, STORE)
    for start, stop in ((0, 4), (5, 7), (6, 13), (21, 23), (23, 23)):
        assert [item.key for item in own[start:stop]] == keys[start:stop]
    assert [item.key for item in own] == keys == [f"{n:06x}" for n in order]
    assert own.numbers().tolist() == numbers.tolist() == order
    assert [len(some) for some in own.portions("id")] == [4, 4, 4, 4, 4, 3]


@pytest.mark.parametrize("at_once", [4, 100])
def test_a_digest_stands_for_ids_files_and_order(items, at_once, monkeypatch):
    monkeypatch.setattr(ordered, "AT_ONCE", at_once)
    own, order = items
    table, seen = own.table, [Ordered(own.table, own.order, STORE).digest()]
    seen.append(Ordered(table, columns.array(order[::-1]), STORE).digest())
    seen.append(Ordered(table, columns.array(order[1:]), STORE).digest())
    seen.append(Ordered(table, columns.array(order), Path("/other")).digest())
    seen.append(Ordered(table, columns.array(order), Path("/not utf-8 \udce4")).digest())
    moved = table.set_column(table.column_names.index("name"), "name", [["x"] * COUNT])
    seen.append(Ordered(moved, columns.array(order), STORE).digest())
    assert len(set(seen)) == 6
    assert Ordered(table, columns.array(order), STORE).digest() == seen[0]


def test_two_of_one_id_are_seen(items):
    own, order = items
    assert own.are_distinct()
    twice = narrowed([*tables(), tables()[0].slice(2, 1)])
    assert not Ordered(twice, columns.array([*order, COUNT]), STORE).are_distinct()
