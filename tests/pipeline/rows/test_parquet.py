import errno

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from atelier.errors import Refusal
from pipeline.rows import memo, parquet
from pipeline.rows.manifest import Row
from pipeline.upkeep import looks


def cannot(*_, **__):
    raise pa.ArrowInvalid("Expected all lists to be of size=4 but index 1 had size=0")


@pytest.mark.parametrize(
    ("name", "read"),
    [
        ("ParquetFile", lambda path: parquet.read_table(path)),
        ("ParquetFile", lambda path: list(looks.look_at_table(path))),
        ("read_schema", lambda path: parquet.read_header(path)),
    ],
)
def test_what_is_as_it_was_written_is_not_called_damaged(tmp_path, monkeypatch, name, read):
    path = tmp_path / "rows.parquet"
    parquet.write_table(path, parquet.with_header(pa.table({"id": ["a"]}), {"rows": 1}))
    assert parquet.read_header(path) == {"rows": 1}
    monkeypatch.setattr(pq, name, cannot)
    with pytest.raises(OSError, match=r"pyarrow .* cannot read what was written .Expected") as told:
        read(path)
    assert (told.value.errno, told.value.filename) == (errno.ENOTSUP, str(path))
    monkeypatch.undo()
    assert parquet.read_table(path).to_pydict() == {"id": ["a"]}


@pytest.mark.parametrize(
    "read",
    [
        memo.keys,
        lambda parts: memo.forget(parts, {"k2"}),
        lambda parts: memo.Memo(parts, [""]).keys(""),
        lambda parts: list(memo.Memo(parts, [""]).vectors("", {"k1": "a"})),
        lambda parts: memo.Memo(parts, ["a", "b"]).cut(None),
    ],
    ids=["keys", "forget", "keys of a shard", "vectors", "cut"],
)
def test_results_that_a_stale_listing_shows_are_said_to_be_gone(tmp_path, monkeypatch, read):
    parts, see = tmp_path / "detect" / "0f" / "parts", memo.files
    memo.write_part(parts, {"k1": [Row("a")]})
    monkeypatch.setattr(memo, "files", lambda folder: [*see(folder), folder / "z.parquet"])
    with pytest.raises(
        Refusal, match=r"z\.parquet is gone, .*again, and what detect lacks is made"
    ):
        read(parts)
    assert len(see(parts)) == 1
