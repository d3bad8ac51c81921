import errno

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.rows import parquet
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
