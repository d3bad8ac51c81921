"""LiteRT.js: fetched with npm once, told by its digest, and kept. npm is a fake here."""

import base64
import hashlib
import os
import tarfile

import pytest

from atelier.files import partial_of
from training.deploy import litert
from training.deploy.formats import DeployError
from training.deploy.litert import FetchError, Package, kept, put_litert

# Stands for npm: notes what it was asked, and packs a file named in its surroundings.
NPM = """#!/bin/sh
echo "$*" >>"$NOTES"
[ -z "$NPM_SAYS" ] || { echo "$NPM_SAYS" >&2; exit 1; }
while [ "$1" != --pack-destination ]; do shift; done
/bin/cp "$PACKED" "$2/made-core-1.0.tgz"
"""


@pytest.fixture
def npm(tmp_path, monkeypatch):
    """A made npm, with a package to bring; `asked` are its words so far."""
    packed, notes, tools = tmp_path / "packed.tgz", tmp_path / "notes", tmp_path / "bin"
    inner = tmp_path / "index.js"
    inner.write_text("export {};")
    with tarfile.open(packed, "w:gz") as archive:
        archive.add(inner, "package/dist/index.js")
    tools.mkdir()
    (tools / "npm").write_text(NPM)
    (tools / "npm").chmod(0o755)
    notes.write_text("")
    for name, value in {
        "PATH": str(tools),
        "NOTES": str(notes),
        "PACKED": str(packed),
        "XDG_CACHE_HOME": str(tmp_path / "cache"),
    }.items():
        monkeypatch.setenv(name, value)
    digest = base64.b64encode(hashlib.sha512(packed.read_bytes()).digest()).decode()
    npm.package = Package("@made/core", "1.0", digest, {"dist/index.js": "core.js"})
    npm.asked = lambda: notes.read_text().splitlines()
    npm.tools = tools
    return npm


def test_litert_is_fetched_once_and_then_comes_from_the_cache(npm, tmp_path, monkeypatch):
    monkeypatch.setattr(litert, "PACKAGES", (npm.package,))
    for name in ("one", "two"):
        put_litert(tmp_path / name)
        assert (tmp_path / name / "core.js").read_text() == "export {};"
        assert "Apache License" in (tmp_path / name / "NOTICE.txt").read_text()
    (asked,) = npm.asked()
    assert asked.startswith("pack @made/core@1.0 --ignore-scripts")
    (npm.tools / "npm").unlink()  # offline, and without npm
    put_litert(tmp_path / "three")
    cached = tmp_path / "cache" / "atelier" / "made-core-1.0.tgz"
    assert kept(npm.package) == cached
    cached.write_bytes(cached.read_bytes()[:-1])
    with pytest.raises(DeployError, match="there is no npm to fetch it: install npm"):
        kept(npm.package)


def test_what_a_killed_fetch_left_goes(npm):
    own = partial_of(litert.cache() / "npm")
    left = own.with_name(own.name.replace(f"-{os.getpid()}in", "-999999999in"))
    left.mkdir(parents=True)
    path = kept(npm.package)
    assert list(litert.cache().iterdir()) == [path]


def test_what_npm_cannot_bring_is_one_sentence(npm, monkeypatch):
    monkeypatch.setenv("NPM_SAYS", "npm error code ENOTFOUND\nnpm error more")
    with pytest.raises(FetchError, match=r"1\.0 \(npm error code ENOTFOUND\): is there a network"):
        kept(npm.package)
    assert FetchError.code == 1
    assert not list(litert.cache().iterdir())


def test_another_package_than_was_published_is_refused(npm):
    other = Package("@made/core", "1.0", "another", {})
    with pytest.raises(FetchError, match="brought another @made/core"):
        kept(other)
    assert not list(litert.cache().iterdir())


def test_every_package_has_its_digest():
    for package in litert.PACKAGES:
        assert len(base64.b64decode(package.digest)) == 64
        assert package.archive.startswith("litertjs-") and package.archive.endswith("-2.5.3.tgz")
