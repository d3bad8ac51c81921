import hashlib

import pyarrow as pa
import pytest

from pipeline.rows import aside, columns, shards
from pipeline.rows.aside import Aside, Heaps


def name_of(number):
    return hashlib.blake2b(str(number).encode(), digest_size=16).hexdigest()


def table_of(numbers):
    """Every tenth id twice: what came first stays first."""
    names = pa.array([name_of(n - n % 10 // 9) for n in numbers], pa.string())
    return pa.table({"id": names, "at": pa.array(numbers, pa.int64())})


@pytest.fixture(params=[1 << 30, 100], ids=["memory", "file"])
def few_bytes(request, monkeypatch):
    monkeypatch.setattr(aside, "IN_MEMORY", request.param)


def test_a_table_comes_back_as_it_was_put(few_bytes):
    own = Aside()
    tables = [table_of(range(start, start + 20)) for start in range(0, 100, 20)]
    places = [own.put(tables[0]), own.put(tables[1])]
    assert own.get(places[1]).equals(tables[1])
    places += [own.put(table) for table in tables[2:]]
    assert all(own.get(place).equals(table) for place, table in zip(places, tables, strict=True))


@pytest.mark.parametrize("portion", [7, 64, 1000])
def test_rows_that_came_in_portions_are_the_shards_of_all(few_bytes, portion, monkeypatch):
    monkeypatch.setattr(shards, "MOST_ROWS", 40)
    monkeypatch.setattr(aside, "AT_ONCE", 64)
    whole = table_of(range(1000))
    pieces = [whole.slice(start, portion) for start in range(0, 1000, portion)]
    numbers = columns.leading(whole.column("id"))
    prefixes = shards.leaves(sorted(numbers))
    expected = {prefix: own.to_pydict() for prefix, own in shards.parted(whole, numbers, prefixes)}
    found = {prefix: own.to_pydict() for prefix, own in Heaps(pieces).shards()}
    assert list(found) == list(expected)
    assert found == expected
    assert len(found) > 16


@pytest.mark.parametrize("count", [0, 1, 30])
def test_few_rows_are_one_shard_and_none_is_none(few_bytes, count):
    found = list(Heaps([table_of(range(count))]).shards())
    assert [prefix for prefix, _ in found] == [""][:count]
    assert sorted(at for _, own in found for at in own.column("at").to_pylist()) == [*range(count)]
