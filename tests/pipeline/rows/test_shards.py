"""Shards: the same rows as in one piece; what changed is written, and nothing else."""

import hashlib
import pickle
from collections import Counter
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from pipeline.engine import crew, unit
from pipeline.engine.unit import ShardUnit
from pipeline.rows import columns, making, manifest, memo, parquet, shards
from pipeline.rows.manifest import Row, dropped, rows_of, rows_table
from pipeline.rows.sharded import Sharded
from pipeline.rows.shards import Rows
from pipeline.stage import Stage
from pipeline.tasks import STAGES, Crop, Detect, ExportTFRecords, FilterPose, Ingest, Report, Resize
from tests.kit.store import build, counting, fresh, photo, results, save, set_options
from tests.pipeline.rows.test_manifest import FULL

WORKING = [stage for stage in STAGES if issubclass(stage, Stage)]


def named(count):
    names = [hashlib.blake2b(str(n).encode(), digest_size=16).hexdigest() for n in range(count)]
    return [Row(name, name) for name in sorted(names)]


@pytest.mark.parametrize("count", [0, 1, 4096, 4097, 70_000])
def test_leaves_hold_every_id_once_and_few_each(count):
    numbers = np.sort(np.random.default_rng(0).integers(0, 16**6, count))
    leaves = shards.leaves(numbers)
    assert leaves == sorted(leaves) and (leaves == [""]) == (count <= 4096)
    at = shards.placed(numbers, leaves)
    assert (at >= 0).all()
    assert count == 0 or max(Counter(at.tolist()).values()) <= shards.MOST_ROWS
    assert sum(16.0 ** -len(leaf) for leaf in leaves) == 1  # they leave no gap, and never overlap


def test_ids_that_are_all_alike_are_one_leaf():
    assert len(shards.leaves(np.full(9000, 5))) == 1 + 15 * 6


def test_the_order_of_rows_is_that_of_their_strings():
    rng = np.random.default_rng(0)
    pairs = [("ab", "x"), ("", "y"), ("abcdefgh", "b"), ("abcdefgh1", "a"), ("abcdefgh", "a")]
    pairs += [(f"{n:x}".zfill(n % 12), f"{n % 7}") for n in rng.integers(0, 500, 900).tolist()]
    order = columns.in_order(
        pa.table({"name": [n for n, _ in pairs], "id": [i for _, i in pairs]}), "name", "id"
    )
    assert [pairs[at] for at in order.tolist()] == sorted(pairs)


@pytest.mark.parametrize("end", ["", ".f1", "." + "f" * 60])
def test_equal_strings_are_found(end):
    names = [row.id + end for row in named(300)]
    assert columns.are_distinct(pa.chunked_array([names, ["z"], ["z.z", names[7] + "1"]]))
    assert not columns.are_distinct(pa.chunked_array([names, ["z"], [names[7]]]))


def test_the_digits_of_ids_are_numbers():
    names = [row.id for row in named(40)]
    table = pa.table({"id": [*names, names[0]]})
    assert columns.leading(table.column("id")).tolist()[:40] == [int(n[:6], 16) for n in names]
    assert columns.leading(table.slice(3, 2).column("id")).tolist() == [
        int(n[:6], 16) for n in names[3:5]
    ]


def test_a_digest_knows_rows_and_not_how_arrow_holds_them():
    rows = [FULL, dropped(Row("b"), "no face"), Row("c", score=None), Row("d", score=0.0)]
    table, known = rows_table(rows), columns.digest_table(rows_table(rows))
    spare = columns.together(rows_table([Row("z")]), table, rows_table([FULL]))
    assert columns.digest_table(spare.slice(1, 4)) == known
    assert columns.digest_table(columns.together(table.slice(0, 1), table.slice(1))) == known
    assert columns.digest_table(table.drop_columns(["measures"])) == known  # no row has any
    others = [
        rows[::-1],
        rows[:3],
        [*rows[:3], Row("d")],
        [*rows[:2], Row("c", parent="x"), rows[3]],
    ]
    assert known not in [columns.digest_table(rows_table(other)) for other in others]


@pytest.mark.slow
def test_a_list_of_shards_tells_what_is_in_them(tmp_path):
    rows = [*named(40), dropped(Row("f" * 32), "no face: 0")]
    tables = shards.parted(*columns.located_rows(rows), list("0123456789abcdef"))
    files = [(own, shards.sharded_file(tmp_path, own, "x"), table) for own, table in tables]
    made = [
        shards.write_shard(file, own, table, {"seen": len(table)}) for own, file, table in files
    ]
    shards.write_list(tmp_path / "m.parquet", made, ["a note"], {"limit": 1.5})
    facts, whole = (
        manifest.facts(tmp_path / "m.parquet"),
        Rows(shards.listed_shards(tmp_path / "m.parquet")),
    )
    assert facts.outcome == {"kept": 40, "no face": 1} and facts.notes == ["a note"]
    assert list(whole) == rows and len(whole) == 41
    assert list(whole.made) == made
    assert sum(shard.tally["seen"] for shard in whole.made) == 41
    assert whole.at([40, 3, 17]) == [rows[40], rows[3], rows[17]]
    assert shards.shard_at(made[0].file, made[0].prefix) == made[0]


@pytest.mark.slow
def test_parts_of_all_shards_are_cut_once_and_many_become_one(tmp_path):
    rows = named(64)
    for start in range(0, 64, 4):
        some = {f"k{row.id}": [row] for row in rows[start : start + 4]}
        memo.write_part(tmp_path, some, killed=start == 8)
    leaves = list("0123456789abcdef")
    known = memo.Memo(tmp_path, leaves)
    known.cut(lambda table: columns.leading(table.column("id")))
    assert {memo.shard_of(part) for part in memo.files(tmp_path)} <= set(leaves)
    for leaf in leaves:
        parts = memo.compacted(tmp_path, leaf, known.of(leaf))
        own = [row for row in rows if row.id.startswith(leaf)]
        assert sorted(columns.ids(memo.results(parts, []), "key")) == [f"k{r.id}" for r in own]
    killed = [part for part in memo.files(tmp_path) if part.name.startswith(memo.KILLED)]
    assert sum(len(memo.read(part, ["key"])) for part in killed) == 4
    assert memo.keys(tmp_path) == {f"k{row.id}" for row in rows}


@pytest.fixture
def small_shards(monkeypatch):
    """Shards of two rows: a few photos are many."""
    monkeypatch.setattr(shards, "MOST_ROWS", 2)


def stories():
    """What every stage says of every row, and of all together."""
    return {
        stage.__name__: (stage().rows(), *facts_of(manifest.facts(stage().path)))
        for stage in STAGES
    }


def facts_of(facts):
    return facts.outcome, facts.notes, facts.numbers


def on_workers(monkeypatch):
    """Lets shards be made by workers, as far as this process can be one; returns whose were."""
    travelled = []

    def arrived(work):
        if not isinstance(work, ShardUnit):
            return work
        travelled.append(work.items[0].path.parts[-4])
        return pickle.loads(pickle.dumps(work))

    def map_units(units, config, store, progress, library=""):
        return crew.in_process(map(arrived, units), progress)

    monkeypatch.setattr(crew, "pays", lambda config, number: number > 0)
    monkeypatch.setattr(crew, "map_units", map_units)
    return travelled


def test_decisions_are_cut_into_shards_in_one_pass():
    class Asked(dict):
        passes = 0

        def items(self):
            Asked.passes += 1
            return super().items()

    class Deciding(Sharded):
        decisions = Asked({row.id: row for row in named(300)})

        def prefixes(self):
            return ["0", "1", "2a", "2b", *"3456789abcde", "f0"]

    deciding = Deciding()
    found = {each: deciding.decisions_in(each) for each in deciding.prefixes()}
    assert Asked.passes == 1
    for prefix, own in found.items():
        assert set(own) == {name for name in deciding.decisions if name.startswith(prefix)}
    assert Sharded().decisions_in("0") == {}


@pytest.fixture
def parts_read(monkeypatch):
    """The prefixes of the parts that are read."""
    seen, read = [], memo.read

    def spy(part, names):
        seen.append(memo.shard_of(part))
        return read(part, names)

    monkeypatch.setattr(memo, "read", spy)
    return seen


@pytest.mark.slow
@pytest.mark.parametrize("cut", [False, True])
def test_only_parts_that_can_hold_a_wanted_vector_are_read(tmp_path, parts_read, cut):
    rows = named(320)
    vectors = {f"k{row.id}": row.id[:4].encode() for row in rows}
    apart, together = rows[::2], rows[1::2]
    leaves = list("0123456789abcdef")
    for some, shard in [(together, ""), *((apart, leaf) for leaf in leaves)]:
        own = {
            f"k{r.id}": [replace(r, features=vectors[f"k{r.id}"])]
            for r in some
            if r.id.startswith(shard)
        }
        memo.write_part(tmp_path, own, shard)
    if cut:
        memo.Memo(tmp_path, leaves).cut(lambda table: columns.leading(table.column("id")))
    known = memo.Memo(tmp_path, [""])

    def asked(some):
        parts_read.clear()
        found = list(known.vectors("", {f"k{row.id}": row.id for row in some}))
        assert sorted(found) == sorted((f"k{r.id}", vectors[f"k{r.id}"]) for r in some)
        return sorted(set(parts_read))

    assert asked([]) == []
    assert asked(together) == (sorted({row.id[0] for row in together}) if cut else [""])
    assert asked(together[:1]) == ([together[0].id[0]] if cut else [""])
    assert asked(apart[:1]) == ["", apart[0].id[0]][cut:]
    assert asked(rows) == ["", *leaves][cut:]


def test_a_vector_in_two_parts_is_given_once(tmp_path):
    one, two = (Row(name, features=b"1234") for name in ("0a", "0b"))
    memo.write_part(tmp_path, {"k1": [one]})
    memo.write_part(tmp_path, {"k1": [one], "k2": [two]})
    found = memo.Memo(tmp_path, [""]).vectors("", {"k1": "0a", "k2": "0b"})
    assert sorted(found) == [("k1", b"1234"), ("k2", b"1234")]


def test_what_workers_do_not_manage_is_made_here(tmp_path):
    rows = rows_table(named(4))
    file = shards.sharded_file(tmp_path, "a", "x")
    lost = unit.shard_unit(file, "a", making.later(making.as_it_came, rows), making.nothing_counted)
    lost.give_up("kills its worker")
    assert not file.exists() and lost.split() == [lost]
    lost.run()
    assert shards.shard_at(file, "a").outcome == {"kept": 4}


@pytest.mark.slow
def test_shards_change_no_row_no_picture_no_record_no_page(store, reference, monkeypatch):
    set_options(Crop_faces="each", Crop_max_faces=3, Zoom_share=0.4, ExportTFRecords_labels="none")
    save(store.parent / "photos" / "pair.png", photo(20, [(20, 40, 22), (100, 50, 20)]))
    assert build(Report())
    whole, page = stories(), Report().path.read_bytes()
    files = results(store)
    monkeypatch.setattr(shards, "MOST_ROWS", 2)
    set_options(Store_root=store / "again")
    travelled = on_workers(monkeypatch)
    assert build(Report())
    assert set(travelled) == {stage.__name__.lower() for stage in STAGES}
    assert len(shards.listed_shards(Detect().path)) > 2
    assert stories() == whole
    assert Report().path.read_bytes() == page
    others = results(store / "again")
    for end in (".jpg", ".tfrecords", "dataset.json"):
        made = {name.split("/")[-1]: data for name, data in files.items() if name.endswith(end)}
        assert made == {n.split("/")[-1]: data for n, data in others.items() if n.endswith(end)}


@pytest.mark.slow
@pytest.mark.usefixtures("reference")
def test_a_store_that_outgrows_one_shard_runs_no_model(store, monkeypatch):
    assert build(Resize())
    whole = {stage: stage().rows() for stage in (Detect, Crop, FilterPose, Resize)}
    seen = [counting(monkeypatch, stage) for stage in WORKING]
    monkeypatch.setattr(shards, "MOST_ROWS", 2)
    fresh()
    assert not Ingest().complete()
    assert build(Resize())
    assert seen == [[] for _ in WORKING]
    assert {stage: stage().rows() for stage in whole} == whole
    assert len(shards.listed_shards(Resize().path)) > 2


@pytest.mark.slow
@pytest.mark.usefixtures("reference", "small_shards")
def test_a_new_photo_writes_only_its_shards(store, monkeypatch):
    set_options(FilterPose_limit="q100", Zoom_share=0)
    for number in range(40, 52):
        save(store.parent / "photos" / f"{number}.png", photo(number, [(60, 40, 22)]))
    assert build(ExportTFRecords())
    before = {path for path in store.rglob("shards/*.parquet")}
    save(store.parent / "photos" / "new.png", photo(9, [(61, 40, 22)]))
    fresh()
    seen = {stage: counting(monkeypatch, stage) for stage in WORKING}
    assert build(ExportTFRecords())
    (own,) = (row.id for row in Ingest().rows() if row.path == "new.png")
    assert all(len(names) <= 1 for names in seen.values())
    for path in {path for path in store.rglob("shards/*.parquet")} - before:
        prefix = path.name.split("-")[0]
        if path.parts[-4] != "ingest":  # whose listing goes by paths
            assert own.startswith(prefix[:1]), path


@pytest.mark.slow
@pytest.mark.usefixtures("reference", "small_shards")
def test_a_crash_between_shards_leaves_nothing_to_do_twice(store, monkeypatch):
    write, left = parquet.write_table, [12]

    def power_cut(*given):
        left[0] -= 1
        if left[0] < 0:
            raise KeyboardInterrupt
        write(*given)

    monkeypatch.setattr(parquet, "write_table", power_cut)
    with pytest.raises(KeyboardInterrupt):
        for stage in (Ingest, Detect, Crop):
            stage().build()
    monkeypatch.setattr(parquet, "write_table", write)
    fresh()
    assert build(Resize())
    broken = results(store)
    set_options(Store_root=store / "again")
    assert build(Resize())
    assert {k: v for k, v in broken.items() if not k.startswith("again/")} == results(
        store / "again"
    )


def test_rows_in_memory_answer_as_a_manifest_does():
    rows = [FULL, dropped(FULL, "no face")]
    held = Rows.of(rows)
    assert list(held) == rows and held.at([1, 0]) == rows[::-1]
    assert held.outcome() == {"kept": 1, "no face": 1}
    assert rows_of(held.columns(*manifest.IN_MANIFEST)) == rows


@pytest.mark.slow
@pytest.mark.usefixtures("small_shards")
@pytest.mark.parametrize(
    ("where", "damage"),
    [
        ("detect/*/*", "flipped"),
        ("detect/*/shards/*", "flipped"),
        ("detect/*/shards/*", "half"),
        ("resize/*/parts/*", "empty"),
    ],
)
def test_a_damaged_file_is_said_set_aside_and_made_again(store, where, damage):
    assert build(Resize())
    whole = results(store)
    path = max(store.glob(f"{where}.parquet"), key=lambda path: path.stat().st_size)
    data = bytearray(path.read_bytes())
    data[len(data) // 8 : len(data) // 8 + 40] = bytes(40)  # in a page
    path.write_bytes({"flipped": data, "half": data[: len(data) // 2], "empty": b""}[damage])
    ask_again(store, where)
    assert not build(Resize())
    assert not path.exists() and path.with_name(f"{path.name}.damaged").exists()
    ask_again(store, where)
    assert build(Resize())
    assert {n: d for n, d in results(store).items() if not n.endswith(".damaged")} == whole


def ask_again(store, where):
    """As the next command that needs what came after Detect, and Resize's own rows, anew."""
    for stage in ("crop", "measure", "filterquality", "filterpose", "zoom", "resize"):
        for known in store.glob(f"{stage}/*/*.parquet"):
            known.unlink()
    for made in (*store.glob("crop/*/shards/*"), *store.glob("resize/*/shards/*")):
        made.unlink()
    for forget in (manifest.facts, shards.listed_shards, shards.by_prefix):
        forget.cache_clear()
    fresh()
