"""What an address of an object store may be, and how it is shown."""

import sys
from pathlib import Path

import fsspec
import pytest

from pipeline.engine.unit import Unit
from pipeline.options import SettingsError
from pipeline.photos import folder, objects
from pipeline.photos.objects import Address, ClosedError, RemoteError, address
from pipeline.rows.manifest import Item, Row
from pipeline.stages.ingest import IngestConfig, describe
from tests.kit.stores import BUCKET, Far


def test_addresses_are_put_together_and_taken_apart():
    root = address("s3://bucket/photos/")
    photo = root / "a/b c.JPG"
    assert str(photo) == "s3://bucket/photos/a/b c.JPG"
    assert (photo.name, photo.suffix, str(photo.parent)) == ("b c.JPG", ".JPG", f"{root}/a")
    assert str((root / "a.jpg").parent) == str(root) == "s3://bucket/photos"
    assert str(address("memory://") / "a") == "memory://a"
    with pytest.raises(ClosedError, match=r"^nope://x: no address that can be read"):
        address("nope://x").check()


@pytest.mark.parametrize("text", ["s3://", "s3:///", "s3:///photos", "gs:///x", "s3://k:word@b/x"])
def test_an_address_without_a_bucket_is_one_sentence(text, tmp_path):
    scheme = text[:2]
    for ask in (lambda place: folder.listing(place, tmp_path), lambda place: place.check_folder()):
        with pytest.raises((ClosedError, SettingsError), match=f"give {scheme}://bucket/photos"):
            ask(address(text))


def test_an_address_that_a_package_cannot_take_is_no_fault_of_the_network(tmp_path):
    with pytest.raises(SettingsError, match=r"github://: no address that can be read \(Github"):
        folder.listing(address("github://"), tmp_path)


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("https://me:word@h/x", "https://me:***@h/x"),
        ("https://me:wo@rd@h:80/x?a=1", "https://me:***@h:80/x?a=1"),
        ("simplecache::ftp://me:word@h/x", "simplecache::ftp://me:***@h/x"),
        ("https://h/x?X-Amz-Signature=word&b=2", "https://h/x?X-Amz-Signature=***&b=2"),
        ("https://h/x?b=2&sig=word", "https://h/x?b=2&sig=***"),
        ("s3://b/what?/a@b:c/d", "s3://b/what?/a@b:c/d"),
    ],
)
def test_what_lets_somebody_in_is_never_shown(text, seen, tmp_path, monkeypatch):
    def refuse(self):
        raise ConnectionError(f"to {self.root}")

    place = address(text)
    assert place.root == text
    assert f"{place / 'a.jpg'}" == f"{seen}/a.jpg" and repr(place) == f"Address({seen!r})"
    monkeypatch.setattr(Address, "opened", refuse)
    with pytest.raises(RemoteError) as raised:
        place.facts()
    assert f"{raised.value}" == f"{seen}: the store cannot be reached, or refused (to {seen})"


def test_a_worker_logs_no_password_of_a_unit_that_fails():
    text = "https://me:word@h/x"
    items = (Item("k", Row("a"), address(text) / "a.jpg"),)
    told = repr(Unit(describe, IngestConfig(source=text), items, Path("x")))
    assert "https://me:***@h/x/a.jpg" in told and "word" not in told


def test_the_letters_of_a_scheme_may_be_large(tmp_path):
    Far("memory", f"{BUCKET}/{tmp_path.name}").put("A.jpg", b"1")
    (row,) = folder.listing(address(f"MEMORY://{BUCKET}/{tmp_path.name}"), tmp_path)
    assert row.path == "A.jpg"


@pytest.mark.slow
def test_a_store_is_waited_for_as_long_as_its_settings_say(monkeypatch):
    monkeypatch.delitem(fsspec.config.conf, "s3", raising=False)
    assert address("s3://b").opened()[0].config_kwargs == objects.TIMEOUTS
    own = {"config_kwargs": {"read_timeout": 60, "retries": {"max_attempts": 10}}}
    monkeypatch.setitem(fsspec.config.conf, "s3", own)
    found = address("s3://b").opened()[0].config_kwargs
    assert found == objects.TIMEOUTS | own["config_kwargs"]


def test_an_address_that_cannot_be_is_one_sentence(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "gcsfs", None)
    Far("memory", f"{BUCKET}/{tmp_path.name}").put("a.jpg", b"1")
    here = f"memory://{BUCKET}/{tmp_path.name}"
    for text, said in (
        ("nope://x", "no address that can be read (Protocol not known: nope)"),
        (
            "gs://x/y",
            "the package that reads gs:// is not installed:"
            " in a checkout .venv/bin/pip install -e '.[gs]'",
        ),
        (f"{here}/a.jpg", "not a folder; give the one that holds the photos"),
        (f"{here}/none/", "there is no such bucket, folder or object"),
    ):
        with pytest.raises(SettingsError) as raised:
            folder.listing(address(text), tmp_path)
        assert str(raised.value) == f"[Ingest] source = {text.rstrip('/')}: {said}"
