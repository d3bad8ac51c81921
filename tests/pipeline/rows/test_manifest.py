import pytest

from atelier.boxes import Box
from detectors.base import Detection
from pipeline.rows import manifest, memo
from pipeline.rows.manifest import Row, dropped, rows_table
from tests.kit.store import rows_by_key

FULL = Row(
    "a.f1",
    "a",
    "x/\n'ä.jpg",
    5,
    2**60,
    format="JPEG",
    width=3,
    height=4,
    boxes=(Detection("face", 0.5, Box(0, 1, 2, 3)), Detection("hand", 1.0, Box(0, 0, 1, 1))),
    face=Box(0, 1, 2, 3),
    rectangle=Box(0, 0, 3, 4),
    score=1.25,
)


def test_rows_come_back_as_they_were(tmp_path):
    rows = [FULL, dropped(Row("b"), "no face"), Row("c", score=None)]
    manifest.write_rows(tmp_path / "m.parquet", rows_table(rows))
    assert manifest.read_manifest(tmp_path / "m.parquet") == rows


def test_header_counts_reasons_without_their_detail(tmp_path):
    rows = [Row("a"), dropped(Row("b"), "exact copy: a"), dropped(Row("c"), "exact copy: b")]
    manifest.write_rows(tmp_path / "m.parquet", rows_table(rows), ["a note"])
    facts = manifest.facts(tmp_path / "m.parquet")
    assert facts.outcome == {"exact copy": 2, "kept": 1}
    assert facts.notes == ["a note"]
    assert facts.kept_digest == manifest.digest_rows(manifest.passed_on(rows))


def test_a_place_is_not_passed_on():
    (row,) = manifest.passed_on([FULL, dropped(FULL, "no face")])
    assert (row.path, row.size_bytes, row.mtime_ns) == ("", 0, 0)


def test_digest_knows_order_and_every_field():
    rows = [Row("a"), Row("b")]
    assert manifest.digest_rows(rows) != manifest.digest_rows(rows[::-1])
    assert manifest.digest_rows([Row("a")]) != manifest.digest_rows([Row("a", score=0.0)])


def test_a_failed_write_leaves_nothing(tmp_path, monkeypatch):
    def power_cut(*_, **__):
        raise OSError("power cut")

    monkeypatch.setattr("pyarrow.parquet.write_table", power_cut)
    with pytest.raises(OSError, match="power cut"):
        manifest.write_rows(tmp_path / "m.parquet", rows_table([FULL]))
    assert list(tmp_path.iterdir()) == []


def test_parts_give_results_by_key(tmp_path):
    memo.write_part(tmp_path, {"k1": [FULL], "k2": [Row("b"), Row("c")]})
    memo.write_part(tmp_path, {"k3": [Row("d", features=b"1234", embedding="k3")]})
    assert memo.keys(tmp_path) == {"k1", "k2", "k3"}
    assert rows_by_key(tmp_path) == {
        "k1": [FULL],
        "k2": [Row("b"), Row("c")],
        "k3": [Row("d", embedding="k3")],
    }
    assert list(memo.Memo(tmp_path, [""]).vectors("", {"k3": "d"})) == [("k3", b"1234")]


def test_a_key_in_two_parts_counts_once(tmp_path):
    memo.write_part(tmp_path, {"k1": [FULL]})
    memo.write_part(tmp_path, {"k1": [FULL], "k2": [Row("b")]})
    assert rows_by_key(tmp_path) == {"k1": [FULL], "k2": [Row("b")]}
