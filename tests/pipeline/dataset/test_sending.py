"""A finished export in an object store: all of it, dataset.json last, nothing twice."""

import json
from pathlib import Path

import pytest

from pipeline.dataset import sending
from pipeline.dataset.export import ExportTFRecordsConfig
from pipeline.dataset.finished import DESCRIPTION
from pipeline.dataset.sending import SettingsError, send
from pipeline.engine.progress import Bar
from pipeline.photos.objects import Address, RemoteError, address
from pipeline.tasks import Dataset, ExportTFRecords, Publish, Resize, Zoom
from pipeline.upkeep.verify import verify
from tests.kit.store import build, fresh, set_options
from tests.kit.stores import BUCKET, Far, every_store

FILES = {DESCRIPTION: b"{}", **{f"d-r{n}.tfrecords": bytes([n]) * (100 + n) for n in range(6)}}


def export(folder, **files):
    """An export with these files, named without their suffix, in place of FILES."""
    folder.mkdir(parents=True)
    for name, data in (FILES | {f"{n}.tfrecords": data for n, data in files.items()}).items():
        (folder / name).write_bytes(data)
    return folder


def sent(folder, far):
    """Copy an export; how many files were."""
    return send(folder, address(far.address), folder.parent / "journal" / "sent.jsonl", no_bar)


def no_bar(total):
    return Bar("", total, lambda *_: None)


@pytest.fixture
def watched(monkeypatch):
    """What is copied and removed, in order."""
    seen = []
    for name in ("send", "remove"):
        did = getattr(Address, name)

        def noted(self, *given, name=name, did=did):
            seen.append((name, self.name))
            return did(self, *given)

        monkeypatch.setattr(Address, name, noted)
    return seen


@pytest.fixture
def memory(tmp_path):
    return Far("memory", f"{BUCKET}/{tmp_path.name}/set")


@every_store
def test_all_is_copied_and_dataset_json_comes_last(far, tmp_path, watched):
    one = export(tmp_path / "one")
    assert sent(one, far) == len(FILES)
    assert far.content() == FILES
    assert watched[-1] == ("send", DESCRIPTION) and len(watched) == len(FILES)
    assert sent(one, far) == 0
    assert len(watched) == len(FILES)


@every_store
def test_of_another_export_only_what_differs_is_copied(far, tmp_path, watched):
    sent(export(tmp_path / "one"), far)
    two = export(tmp_path / "two", new=b"new", **{"d-r1": b"other"})
    (two / "d-r0.tfrecords").unlink()
    (two / DESCRIPTION).write_bytes(b'{"two": 2}')
    watched.clear()
    assert sent(two, far) == 3
    assert far.content() == {path.name: path.read_bytes() for path in two.iterdir()}
    assert watched[0] == ("remove", DESCRIPTION)  # before anything is half old and half new
    assert sorted(watched[1:-1]) == [
        ("remove", "d-r0.tfrecords"),
        ("send", "d-r1.tfrecords"),
        ("send", "new.tfrecords"),
    ]
    assert watched[-1] == ("send", DESCRIPTION)


@every_store
def test_a_copy_that_was_stopped_goes_on(far, tmp_path, monkeypatch, watched):
    one, real = export(tmp_path / "one"), Address.send

    def cut_off(self, file):
        if self.name == "d-r4.tfrecords":
            raise RemoteError("cut off")
        return real(self, file)

    with monkeypatch.context() as patch:
        patch.setattr(Address, "send", cut_off)
        with pytest.raises(RemoteError):
            sent(one, far)
    assert DESCRIPTION not in far.content()
    done = {name for did, name in watched if did == "send"}
    assert done >= {f"d-r{n}.tfrecords" for n in range(4)}
    watched.clear()
    sent(one, far)
    again = [name for _, name in watched]
    assert "d-r4.tfrecords" in again and again[-1] == DESCRIPTION
    assert not {f"d-r{n}.tfrecords" for n in range(4)} & set(again)
    assert far.content() == FILES


@every_store
def test_a_copy_that_somebody_changed_is_made_anew(far, tmp_path):
    one = export(tmp_path / "one")
    sent(one, far)
    far.put("d-r3.tfrecords", bytes(len(FILES["d-r3.tfrecords"])))
    assert sent(one, far) == 2
    assert far.content() == FILES


def test_a_journal_that_a_crash_cut_short_is_taken_up(tmp_path, memory, watched):
    one = export(tmp_path / "one")
    sent(one, memory)
    journal = tmp_path / "journal" / "sent.jsonl"
    journal.write_text(journal.read_text()[:-20])  # in the line of dataset.json
    for count in (1, 0):
        watched.clear()
        assert sent(one, memory) == count
        assert watched == [("remove", DESCRIPTION), ("send", DESCRIPTION)][: 2 * count]


def test_what_others_put_there_is_left_alone(tmp_path, memory, watched):
    memory.put("mine/holiday.jpg", b"mine")
    with pytest.raises(SettingsError) as raised:
        sent(export(tmp_path / "one"), memory)
    assert str(raised.value) == (
        f"[ExportTFRecords] publish = {memory.address}: other objects are there, as"
        " 'mine/holiday.jpg': remove them, or name an address that holds nothing"
    )
    assert memory.content() == {"mine/holiday.jpg": b"mine"} and not watched


def test_another_dataset_of_the_same_names_is_left_alone(tmp_path, memory, watched):
    """Of another store's: this one's journal does not know it."""
    theirs = FILES | {DESCRIPTION: b'{"theirs": 1}', "d-r1.tfrecords": b"theirs"}
    for name, data in theirs.items():
        memory.put(name, data)
    with pytest.raises(SettingsError) as raised:
        sent(export(tmp_path / "one" / "key" / "set"), memory)
    assert str(raised.value) == (
        f"[ExportTFRecords] publish = {memory.address}: another dataset is there, which this store"
        " has not copied: remove its dataset.json, then this one takes its place, or name another"
        " address"
    )
    assert memory.content() == theirs and not watched
    memory.system.rm(f"{memory.root}/{DESCRIPTION}")
    assert sent(tmp_path / "one" / "key" / "set", memory) == len(FILES)
    assert memory.content() == FILES


def test_a_copy_whose_journal_is_lost_is_known_by_an_export_of_the_store(tmp_path, memory):
    old, new = (export(tmp_path / "records" / key / "set") for key in ("old", "new"))
    (old / DESCRIPTION).write_bytes(b'{"old": 1}')
    assert sent(old, memory) == len(FILES)
    (old.parent / "journal" / "sent.jsonl").unlink()
    assert sent(new, memory) == len(FILES)
    assert memory.content() == FILES


def test_a_copy_of_another_size_is_no_copy(tmp_path, memory, monkeypatch):
    monkeypatch.setattr(Address, "send", lambda self, file: (1, 1))
    with pytest.raises(RemoteError, match=r"1 bytes came there, and .*d-r0.tfrecords has others"):
        sent(export(tmp_path / "one"), memory)


@pytest.mark.slow
def test_a_finished_run_publishes_once(store, memory, watched, capsys):
    assert build(Dataset())
    set_options(ExportTFRecords_publish=memory.address)
    assert not Dataset().complete() and ExportTFRecords().complete()
    assert build(Dataset())
    folder = ExportTFRecords().dataset
    assert memory.content() == {path.name: path.read_bytes() for path in folder.iterdir()}
    count = len(watched)
    said = capsys.readouterr()
    assert f"are at {memory.address}; {count} of them were copied now" in said.out
    assert f"Publish: {count} of {count} files, " in said.err
    assert json.loads(Publish().path.read_text())["address"] == memory.address
    fresh()
    assert Dataset().complete() and build(Dataset())
    assert len(watched) == count
    set_options(Dataset_size=16)
    assert build(Dataset())
    names = {path.name for path in ExportTFRecords().dataset.iterdir()}
    assert memory.content().keys() == names and len(names) == count - 1
    set_options(Dataset_size=32)  # what was there before is there no more
    assert not Publish().complete() and build(Dataset())
    assert len(memory.content()) == count


@pytest.mark.parametrize(
    ("source", "target", "inside"),
    [
        ("s3://b/photos", "s3a://b/photos/sets", True),
        ("s3://b/photos", "s3://b/photos", True),
        ("s3://b", "s3://b/sets", True),
        ("s3://b/photos", "s3://b/photos-2", False),
        ("s3://b/photos", "memory://b/photos/sets", False),
        ("memory://", "memory://b", True),
        (Path("/photos"), "file:///photos/sets", True),
        (Path("/photos"), "file:///photos-2", False),
        (Path("/photos"), "s3://photos/sets", False),
        ("gs://no-package", "memory://b", False),
        ("nope://x", "memory://b", False),
        ("s3://", "s3://b", False),
    ],
)
def test_a_copy_among_the_photos_is_refused(source, target, inside):
    place = source if isinstance(source, Path) else address(source)
    if not inside:
        sending.refuse_source(address(target), place)
        return
    with pytest.raises(SettingsError, match=rf"publish = {target}: it lies in {source}, where the"):
        sending.refuse_source(address(target), place)


def silent(*_):
    raise RemoteError("no answer")


@pytest.mark.slow
def test_what_a_copy_has_lost_is_noticed_and_copied_again(
    store, memory, watched, capsys, monkeypatch
):
    set_options(ExportTFRecords_publish=memory.address)
    assert Publish().state() == "waits for the stages before it"
    assert build(ExportTFRecords())
    fresh()
    assert Publish().state() == f"open  to be copied to {memory.address}"
    assert build(Dataset())
    fresh()
    assert Publish().state() == f"done  copied to {memory.address}"
    whole, photos = memory.content(), store.parent / "photos"
    fresh()
    photos.rename(away := store.parent / "away")
    assert verify(store, False, lambda: 0) == 0  # which reads no photos
    away.rename(photos)
    fresh()
    capsys.readouterr()
    with monkeypatch.context() as patch:
        patch.setattr(sending, "objects_at", silent)
        assert verify(store, False, lambda: 0) == 1
    assert "no answer); it may be whole, and is left as it is" in capsys.readouterr().out
    memory.system.rm(f"{memory.root}/{DESCRIPTION}")
    capsys.readouterr()
    assert verify(store, False, lambda: 0) == 1
    said = f"{memory.address} has lost 1 of {len(whole)} files, or holds others, as '{DESCRIPTION}'"
    assert f"{Publish().path}: {said}; verify --repair makes it again" in capsys.readouterr().out
    watched.clear()
    assert verify(store, True, lambda: fresh() or int(not build(Dataset()))) == 0
    assert memory.content() == whole and watched == [("send", DESCRIPTION)]
    Publish().path.write_text("[]")
    assert verify(store, False, lambda: 0) == 1


@pytest.mark.slow
def test_a_store_that_does_not_answer_leaves_the_export_whole(store, memory, monkeypatch, capsys):
    set_options(ExportTFRecords_publish=memory.address)

    def cut_off(*_):
        raise RemoteError("memory://x: the store did not answer in time")

    with monkeypatch.context() as patch:
        for asked in ("check_folder", "send"):
            patch.setattr(Address, asked, cut_off)
        assert not build(Dataset())
    said = f"[ExportTFRecords] publish = {memory.address}: not all is copied (memory://x: the store"
    said += " did not answer in time); the export itself is whole, and the same command goes on"
    assert said in capsys.readouterr().out
    assert ExportTFRecords().complete() and (store / "report.html").is_file()
    fresh()
    assert build(Dataset()) and memory.content()


@pytest.mark.slow
def test_an_address_that_cannot_be_is_said_before_a_picture_is_written(store):
    with pytest.raises(SettingsError, match=r"publish = '/here': give an address, as s3://bucket"):
        ExportTFRecordsConfig(publish="/here")
    with pytest.raises(SettingsError, match=r"^\[ExportTFRecords\] publish is empty: give the"):
        sending.opened("")
    set_options(ExportTFRecords_publish="nope://x")
    assert build(Zoom())
    with pytest.raises(SettingsError) as raised:
        Resize().prepare(6)
    assert str(raised.value) == (
        "[ExportTFRecords] publish = nope://x: no address that can be read (Protocol not known:"
        " nope)"
    )


@pytest.mark.slow
def test_a_target_that_cannot_be_is_said_before_all_work(store, memory, watched, capsys):
    memory.put("mine.jpg", b"mine")
    theirs = memory.inside("theirs")
    theirs.put(DESCRIPTION, b"{}")
    inside, photos = f"file://{store}/records/copy", store.parent / "photos"
    for address_, told in (
        (memory.address, "other objects are there, as 'mine.jpg': remove them, or"),
        (theirs.address, "another dataset is there, which this store has not copied: remove"),
        (f"{memory.address}/mine.jpg", "an object has this name: give that of a folder"),
        (inside, f"it lies in the store {store}, which holds results: give another"),
        (f"file://{photos}/set", f"it lies in {photos}, where the photos are, and would be taken"),
    ):
        set_options(ExportTFRecords_publish=address_)
        with pytest.raises(SettingsError) as raised:
            Dataset().complete()
        assert str(raised.value).startswith(f"[ExportTFRecords] publish = {address_}: {told}")
        assert not build(Dataset())
    assert not list(store.glob("*/*/*.parquet")) and not watched


@pytest.mark.slow
def test_a_bucket_that_is_not_there_is_said_and_never_made(s3, store, tmp_path):
    set_options(ExportTFRecords_publish="s3://mistyped/sets/dogs")
    with pytest.raises(SettingsError, match="mistyped/sets/dogs: there is no such bucket"):
        Dataset().complete()
    with pytest.raises(OSError, match="there is no such bucket"):
        send(export(tmp_path / "one"), address("s3://mistyped/x"), tmp_path / "j.jsonl", no_bar)
    assert "mistyped" not in Far("s3", "").system.ls("")
