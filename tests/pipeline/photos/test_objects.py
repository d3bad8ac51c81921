"""Photos in an object store: the same as in a folder, and whatever goes wrong is a sentence."""

import json
import logging
from contextlib import ExitStack
from dataclasses import replace
from threading import Barrier, Lock
from time import sleep

import cv2
import fsspec
import pytest

from pipeline import luigi_script
from pipeline.engine import cluster, fitness
from pipeline.options import SettingsError
from pipeline.photos import folder, objects
from pipeline.photos.objects import Address, RemoteError, address, ahead
from pipeline.rows.manifest import Item
from pipeline.stages.ingest import IngestConfig, describe
from pipeline.tasks import Dataset, Detect, Ingest, Resize
from tests.kit.clusters import free_port, joined, scheduled
from tests.kit.store import (
    build,
    counting,
    fresh,
    photo,
    reference_of_ten,
    results,
    save,
    set_options,
    source_of_six,
    without_models,
)
from tests.kit.stores import BUCKET, Far, every_store


def listed(source, store, hidden=False):
    """What a listing says, but for the times."""
    rows = folder.listing(source, store, hidden=hidden)
    return {row.path: replace(row, mtime_ns=0) for row in rows}


@pytest.fixture
def odd(tmp_path):
    """A folder of names and files that are told apart."""
    root = tmp_path / "odd"
    names = ["a b.PNG", "x/@eaDir/a.jpg", ".hidden.png", "b/.c/d.png", "a.CR2", "a.txt", "clip.mp4"]
    names += ["zero.jpg", "x/y/z/deep.jpg", "line\nbreak.png", "日本.jpg", "[1]*?.png", "100%#.jpg"]
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"")
    save(root / "really.png", photo(1))
    (root / "really.png").rename(root / "no suffix")
    (root / "README").write_text("hello")
    (root / "empty").write_bytes(b"")
    return root


@every_store
@pytest.mark.parametrize("hidden", [False, True])
def test_a_listing_says_what_that_of_a_folder_does(far, odd, tmp_path, hidden):
    if far.protocol == "s3":
        (odd / "line\nbreak.png").unlink()  # moto has no route to such a key
    far.put_folder(odd)
    rows = listed(address(far.address), tmp_path / "store", hidden)
    assert rows == listed(odd, tmp_path / "store", hidden)
    assert rows["no suffix"].drop is None and rows["README"].drop == "not a photo (no suffix)"


@pytest.mark.parametrize("shape", [(0,), (3,), (objects.READERS + 2,), (1, 1, 1, 4), (2, 12)])
def test_a_tree_of_any_shape_is_listed_once(tmp_path, shape):
    far = Far("memory", f"{BUCKET}/{tmp_path.name}/tree")
    folders = [""]
    for width in shape:
        folders += [f"{above}{n}/" for above in folders for n in range(width)]
    folders = sorted(set(folders))
    for name in folders:
        far.put(f"{name}a.jpg", b"1")
    found = [entry.name for entry in address(far.address).entries()]
    assert sorted(found) == sorted(f"{name}a.jpg" for name in folders)


def test_the_root_of_a_store_is_a_folder(tmp_path):
    far = Far("memory", f"{BUCKET}/{tmp_path.name}")
    far.put("a.jpg", b"1")
    root, name = address("memory://"), f"{BUCKET}/{tmp_path.name}/a.jpg"
    assert name in [entry.name for entry in root.entries()]
    assert (root / name).read() == b"1"


@pytest.mark.slow
def test_keys_that_are_no_names_of_files_are_listed_once(s3, tmp_path):
    far = Far("s3", f"{BUCKET}/{tmp_path.name}")
    for name in ("", "a.jpg", "/b.jpg", "in/", "in/c.jpg", "in//d.jpg", "in//e/f.jpg"):
        far.put(name, name.encode())
    place = address(far.address)
    names = [entry.name for entry in place.entries()]
    assert sorted(names) == ["/b.jpg", "a.jpg", "in//d.jpg", "in//e/f.jpg", "in/c.jpg"]
    assert [(place / name).read() for name in names] == [name.encode() for name in names]


@pytest.fixture(scope="module")
def of_folder(tmp_path_factory):
    """A folder of photos and of a reference set, and what is made of them; photos in classes."""
    root = tmp_path_factory.mktemp("folder")
    given = source_of_six(root) | reference_of_ten(root)
    for number, path in enumerate(sorted((root / "photos").iterdir())):
        (root / "photos" / f"class {number % 2}").mkdir(exist_ok=True)
        path.rename(root / "photos" / f"class {number % 2}" / path.name)
    given["ExportTFRecords_labels"] = "folder"
    with pytest.MonkeyPatch.context() as patch:
        without_models(patch)
        set_options(**given)
        assert build(Dataset())
        yield root, given, made(given["Store_root"])


def made(store):
    """Every result that does not say where photos lie."""
    told = {name: data for name, data in results(store).items() if not name.startswith("ingest/")}
    pages = [name for name in told if name.endswith(".html")]
    return {name: told[name] for name in told if name not in pages}, [
        told[name].count(b"data:image") for name in pages
    ]


@pytest.mark.slow
@every_store
def test_the_same_photos_make_the_same_dataset(far, of_folder, tmp_path, monkeypatch):
    root, given, expected = of_folder
    without_models(monkeypatch)
    photos = far.inside("photos").put_folder(root / "photos")
    reference = far.inside("reference").put_folder(root / "reference")
    there = {"Ingest_source": f"{photos.address}/", "FilterPose_reference": reference.address}
    set_options(**given | there | {"Store_root": tmp_path / "store"})
    assert build(Dataset())
    assert made(tmp_path / "store") == expected
    assert len([name for name in expected[0] if name.endswith(".tfrecords")]) == 4
    row = next(row for row in Ingest().rows() if row.drop is None)
    assert Ingest().photo_folder.read(row) == (root / "photos" / row.path).read_bytes()


@pytest.fixture
def source(store, tmp_path):
    """The six photos in memory, as the source."""
    far = Far("memory", f"{BUCKET}/{tmp_path.name}/source").put_folder(tmp_path / "photos")
    set_options(Ingest_source=far.address)
    return far


def test_what_changed_is_noticed_and_nothing_else_is_done(source, monkeypatch):
    assert build(Resize())
    seen = {stage: counting(monkeypatch, stage) for stage in (Ingest, Detect)}
    data = bytearray(source.system.cat_file(f"{source.root}/scene.png"))
    data[-1] ^= 1  # in the chunk that ends a PNG: another file of the same size
    source.put("scene.png", bytes(data))
    source.put("new.png", source.system.cat_file(f"{source.root}/1.png") + b" ")
    source.system.rm(f"{source.root}/0.png")
    before = {row.path: row.id for row in Ingest().rows()}
    fresh()
    assert build(Resize())
    after = {row.path: row.id for row in Ingest().rows()}
    assert before.keys() - after.keys() == {"0.png"}
    assert after.keys() - before.keys() == {"new.png"}
    assert [name for name in after.keys() & before.keys() if after[name] != before[name]] == [
        "scene.png"
    ]
    assert len(seen[Ingest]) == len(seen[Detect]) == 2
    fresh()
    assert Resize().complete()


def test_a_photo_that_goes_or_changes_meanwhile_is_no_drop(source):
    assert build(Ingest())
    rows = {row.path: row for row in Ingest().rows()}
    place = Ingest().photo_folder.root
    gone, other = (
        Item("k", rows[name], place / name, rows[name].size_bytes, rows[name].mtime_ns)
        for name in ("0.png", "1.png")
    )
    assert len(folder.read_photo(gone)) == gone.size_bytes
    source.system.rm(f"{source.root}/0.png")
    source.put("1.png", bytes(other.size_bytes))
    for item, said in ((gone, "vanished"), (other, "changed")):
        with pytest.raises(folder.SourceChangedError, match=rf"{item.path} {said} while this ran"):
            folder.read_photo(item)
        with pytest.raises(folder.SourceChangedError), folder.on_disk(item):
            pass


def test_a_store_that_says_neither_checksum_nor_time_is_trusted_in_sizes_and_said(
    source, monkeypatch, capsys
):
    monkeypatch.setattr(objects, "MARKS", ())
    monkeypatch.setattr(objects, "TIMES", ())
    assert build(Ingest())
    assert "Ingest: 6 objects have neither a checksum nor a time: one" in capsys.readouterr().out
    row = next(row for row in Ingest().rows() if row.path == "0.png")
    item = Item("k", row, Ingest().photo_folder.root / "0.png", row.size_bytes, row.mtime_ns)
    assert row.mtime_ns == 0 and len(folder.read_photo(item)) == row.size_bytes
    source.put("0.png", bytes(row.size_bytes + 1))
    with pytest.raises(folder.SourceChangedError, match=r"0\.png changed while this ran"):
        folder.read_photo(item)


def test_what_follows_from_the_network_fails_a_unit_and_is_no_drop(source, monkeypatch, capsys):
    read, seen = source.system.cat_file, counting(monkeypatch, Ingest)

    def cut_off(path, *rest, **more):
        if path.endswith("/2.png"):
            raise TimeoutError
        return read(path, *rest, **more)

    with monkeypatch.context() as patch:
        patch.setattr(type(source.system), "cat_file", staticmethod(cut_off))
        assert not build(Ingest())
    said = capsys.readouterr().out
    assert "1 of 6 rows are still open, and nothing was recorded" in said
    assert f"{source.address}/2.png: the store did not answer in time" in said
    seen.clear()
    fresh()
    assert build(Ingest())
    assert len(seen) == 1
    assert {row.drop for row in Ingest().rows()} == {None, "exact copy: 3.png"}


def test_frames_of_a_video_are_those_of_a_file(tmp_path):
    path = tmp_path / "here" / "clip.avi"
    path.parent.mkdir()
    video = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 10, (160, 120))
    for number in range(4):
        video.write(photo(number, dark=40 * number))
    video.release()
    far = Far("memory", f"{BUCKET}/{tmp_path.name}").put_folder(path.parent)
    found = [
        [
            replace(row, mtime_ns=0)
            for row in next(describe([item], IngestConfig(video_every=2), tmp_path / "s" / "k"))
        ]
        for source in (path.parent, address(far.address))
        for row in folder.listing(source, tmp_path / "store")
        for item in [Item("k", row, source / row.path, row.size_bytes, row.mtime_ns)]
    ]
    assert found[0] == found[1]
    assert [row.drop for row in found[0]] == ["video: 2 frames looked at", None, None]


def test_a_store_is_asked_ahead_of_need_and_not_too_far():
    together, lock, asked = Barrier(objects.READERS), Lock(), []

    def work(number):
        with lock:
            asked.append(number)
        together.wait(20)  # raises where not so many are asked at a time
        return number

    taken = []
    for number in ahead(work, range(2 * objects.READERS)):
        taken.append(number)
        assert len(asked) <= len(taken) - 1 + objects.READERS + 1
    assert taken == list(range(2 * objects.READERS))


@pytest.mark.parametrize(
    ("error", "said", "kind"),
    [
        (TimeoutError(), "the store did not answer in time", RemoteError),
        (
            PermissionError("Access Denied"),
            "the store lets nobody in .* .Access Denied",
            SettingsError,
        ),
        (FileNotFoundError("x"), "there is no such bucket, folder or object", SettingsError),
        (ConnectionError("reset\nby peer"), "cannot be reached, or refused .reset by", RemoteError),
        (ImportError("x"), "the package that reads memory:// is not installed: x", SettingsError),
        (ValueError("x"), r"no address that can be read \(x\)", SettingsError),
        (type("NoCredentialsError", (Exception,), {})("x"), r"no credentials \(x\)", SettingsError),
        (type("Odd", (Exception,), {})(), r"cannot be reached, or refused \(Odd\)", RemoteError),
    ],
)
def test_what_a_store_says_is_one_sentence(error, said, kind, tmp_path, monkeypatch):
    def refuse(*_, **__):
        raise error

    monkeypatch.setattr(fsspec.get_filesystem_class("memory"), "ls", refuse)
    with pytest.raises((RemoteError, SettingsError)) as raised:
        folder.listing(address("memory://a/b"), tmp_path)
    assert type(raised.value) is kind
    assert raised.match(rf"^\[Ingest\] source = memory://a/b: .*{said}")
    assert "\n" not in str(raised.value)


def test_what_is_listed_but_lies_elsewhere_is_not_below(monkeypatch, tmp_path):
    """As the pages that a page of HTTP leads to."""
    far = Far("memory", f"{BUCKET}/{tmp_path.name}")
    far.put("a.jpg", b"1")
    real = type(far.system).ls

    def more(self, path, **given):
        strays = ("/elsewhere/b.jpg", f"/{far.root}-2/b.jpg")
        others = [{"name": name, "size": 1, "type": "file"} for name in strays]
        return [*others, *real(self, path, **given)]

    monkeypatch.setattr(type(far.system), "ls", more)
    assert [entry.name for entry in address(far.address).entries()] == ["a.jpg"]


def test_an_object_that_nobody_may_read_does_not_end_a_listing(source, monkeypatch):
    """As one that was moved to an archive."""
    source.put("archived", b"1")
    read = source.system.cat_file

    def refuse(path, *rest, **more):
        if path.endswith("/archived"):
            raise PermissionError("storage class")
        return read(path, *rest, **more)

    monkeypatch.setattr(type(source.system), "cat_file", staticmethod(refuse))
    assert build(Ingest())
    drops = {row.path: row.drop for row in Ingest().rows()}
    assert drops["archived"] == "no permission to read" and drops["0.png"] is None


def test_a_store_that_takes_long_is_named(tmp_path, monkeypatch, capsys):
    far = Far("memory", f"{BUCKET}/{tmp_path.name}")
    far.put("a.jpg", b"1")
    monkeypatch.setattr(objects, "SLOW_SECONDS", 0.05)
    assert len(list(address(far.address).entries())) == 1
    assert capsys.readouterr().out == ""
    real = type(far.system).ls
    monkeypatch.setattr(type(far.system), "ls", lambda *a, **k: sleep(0.3) or real(*a, **k))
    assert len(list(address(far.address).entries())) == 1
    assert capsys.readouterr().out.startswith(f"{far.address}: no answer for 0.05 s; it is waited")


@pytest.mark.slow
def test_what_s3_says_is_one_sentence(s3, tmp_path, monkeypatch):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    nobody = {"endpoint_url": s3["endpoint_url"]}
    closed = {**s3, "endpoint_url": "http://127.0.0.1:9"}
    monkeypatch.setattr(fsspec.get_filesystem_class("s3"), "retries", 1)
    once = {"config_kwargs": {"retries": {"max_attempts": 1}}}
    for given, text, said in (
        (s3, "s3://no-such-bucket/x", "there is no such bucket, folder or object"),
        (s3, f"s3://{BUCKET}/nothing", "there is no such bucket, folder or object"),
        (s3, "s3://B_!/x", "no address that can be read (Parameter validation failed: Invalid"),
        (nobody, f"s3://{BUCKET}/x", "no credentials (Unable to locate credentials): set them"),
        (closed, f"s3://{BUCKET}/x", "the store cannot be reached, or refused (Could not connect"),
    ):
        monkeypatch.setitem(fsspec.config.conf, "s3", given | once)
        with pytest.raises((RemoteError, SettingsError)) as raised:
            folder.listing(address(text), tmp_path)
        assert str(raised.value).startswith(f"[Ingest] source = {text}: {said}")


def test_a_worker_says_what_it_does_not_reach(tmp_path, monkeypatch):
    far = Far("memory", f"{BUCKET}/{tmp_path.name}")
    far.put("in/a.jpg", b"1")
    near = address(far.address) / "in"
    with fitness.terms(tmp_path, near) as terms:
        assert terms.photos == near and terms.lacking() == ""
        none = replace(terms, photos=address("memory://none/of/these"))
        assert none.lacking() == (
            "does not see memory://none/of/these: there is no such bucket, folder or object"
        )
    monkeypatch.setattr(Address, "opened", lambda self: (_ for _ in ()).throw(TimeoutError()))
    assert near.unseen() == ""  # it has been seen
    assert address("memory://later").unseen() == ""  # it may be seen soon


def test_a_process_of_luigis_says_the_sentence():
    """It hands on a trace as text."""
    trace = (
        "Traceback (most recent call last):\n  File ...\npipeline.photos.objects.RemoteError: s3: x"
    )
    assert luigi_script.sentence(logging.makeLogRecord({"msg": trace})) == ("s3: x", 1)
    trace = "Traceback (most recent call last):\n  ...\nOSError: [Errno 28] No space left: 'x'\n"
    found = luigi_script.sentence(logging.makeLogRecord({"msg": trace}))
    assert found == ("No space left: 'x'", 1)


@pytest.mark.slow
def test_a_worker_that_cannot_read_the_photos_is_sent_away(s3, store, monkeypatch, capsys):
    """Of two that begin one is told of the server."""
    far = Far("s3", f"{BUCKET}/{store.parent.name}").put_folder(store.parent / "photos")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    with scheduled(free_port()) as (scheduler, _), ExitStack() as workers:
        stranger = workers.enter_context(joined(scheduler))
        monkeypatch.setenv("FSSPEC_S3", json.dumps(s3))
        workers.enter_context(joined(scheduler))
        set_options(Ingest_source=far.address, Engine_scheduler=scheduler)
        workers.callback(cluster.close)
        assert build(Ingest())
        assert stranger.wait(60) == 0
    assert f"it does not see {far.address}: no credentials (" in capsys.readouterr().out
    assert {row.drop for row in Ingest().rows()} == {None, "exact copy: 3.png"}
