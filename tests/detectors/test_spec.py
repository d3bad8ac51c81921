"""How detectors are named, what they depend on, label maps, and where Hub models are found."""

import errno
import hashlib
import os
import random
import signal
import subprocess
import sys
import tarfile
import threading
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import pytest

import detectors
from detectors import FaceFactors, hub, labelmap
from detectors.spec import content
from tests.kit.house import ROOT


def test_a_detector_is_read_with_its_options():
    spec = detectors.parse("tfod:a b/g.pb?labels=l.pbtxt&min_score=0.3&face=1.1:0.5:0.4")
    assert (spec.kind, spec.model, spec.labels) == ("tfod", "a b/g.pb", "l.pbtxt")
    assert (spec.min_score, spec.face) == (0.3, FaceFactors(1.1, 0.5, 0.4))
    assert detectors.parse("tfod:g.pb?names=open hand|face").names == ("open hand", "face")
    assert detectors.parse("tfod:a%2Cb%3Fc.pb").model == "a,b?c.pb"
    assert detectors.parse("hub:https://tfhub.dev/x/y/1?long_side=512").long_side == 512
    assert [detectors.parse(form.split(":")[0]).kind for form in ("haar", "none")] == [
        "haar",
        "none",
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("har", "no detector is called 'har'; there are haar, haar:profile"),
        ("haar:eyes", "there is no cascade 'eyes': give haar, haar:profile, haar:upperbody"),
        ("tfod", "tfod needs its model"),
        ("none:x", "takes no model"),
        ("tfod:g.pb?label=x", "has no option 'label'; there are: labels, names, min_score, face"),
        ("none?min_score=1", "none has no option 'min_score'; there are: none"),
        ("haar?min_score=1.5", "haar[?]min_score=1.5: give a number between 0 and 1"),
        ("haar?min_score=nan", "give a number between 0 and 1"),
        ("haar?face=1:2", "haar[?]face=1:2: give side:x:y"),
        ("haar?face=0:0.5:0.5", "haar[?]face=0:0.5:0.5: give side:x:y"),
        ("haar?face=1:1e300:0.5", "give side:x:y"),
        ("haar?names=", "haar[?]names=: give a word for each class"),
        ("tfod:g.pb?names=hand||face", "give a word for each class"),
        ("haar?long_side=9", "haar[?]long_side=9: give pixels, 32 to 4096"),
        ("haar?names=a|b", "haar finds one thing: give one name"),
        ("tfod:g.pb?labels=x&names=y", "give the file or the list, not both"),
    ],
)
def test_what_cannot_be_says_what_may(text, said):
    with pytest.raises(ValueError, match=said):
        detectors.parse(text)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("yunet:nix.onnx", "yunet:nix.onnx: there is no such file or folder"),
        (f"tfod:{'x' * 300}.pb", "xxx.pb: there is no such file or folder"),
        (f"tfod:{{folder}}?labels={'x' * 300}", "xxx: there is no such file"),
        ("yunet:{file}", "give YuNet's model, a file"),
        ("tfod:{file}", "give a frozen graph"),
        ("crop:{file}", "give the folder that the training exported"),
        ("tfod:{folder}?labels=nix.pbtxt", "labels=nix.pbtxt: there is no such file"),
    ],
)
def test_a_missing_file_or_one_of_another_kind(tmp_path, text, said):
    (tmp_path / "f.bin").write_bytes(b"")
    spec = detectors.parse(text.format(file=tmp_path / "f.bin", folder=tmp_path))
    with pytest.raises(ValueError, match=said):
        detectors.load(spec, 0.1)


def test_a_model_is_known_by_its_content(tmp_path):
    for name in ("a", "b"):
        (tmp_path / name / "variables").mkdir(parents=True)
        (tmp_path / name / "saved_model.pb").write_bytes(b"1")
        (tmp_path / name / "variables" / "v").write_bytes(b"2")
    of_a, of_b = (detectors.identity(detectors.parse(f"tfod:{tmp_path / n}")) for n in "ab")
    assert of_a == of_b
    (tmp_path / "b" / "variables" / "v").write_bytes(b"another")
    assert detectors.identity(detectors.parse(f"tfod:{tmp_path / 'b'}")) != of_a
    (tmp_path / "a" / "label_map.pbtxt").write_text("item { id: 1 name: 'face' }")
    assert detectors.identity(detectors.parse(f"tfod:{tmp_path / 'a'}")) != of_a


def test_options_that_change_finds_are_part_of_what_it_is_and_factors_are_not():
    plain = detectors.identity(detectors.parse("haar"))
    for query in ("min_score=0.6", "long_side=320", "names=head"):
        assert detectors.identity(detectors.parse(f"haar?{query}")) != plain
    assert detectors.identity(detectors.parse("haar?face=2:0.5:0.5")) == plain


def test_a_changed_file_is_read_again(tmp_path):
    path = tmp_path / "m.onnx"
    path.write_bytes(b"1")
    before = content(path)
    path.write_bytes(b"22")
    assert content(path) != before


def test_factors_are_those_of_the_detector_unless_given():
    assert detectors.face_factors(detectors.parse("haar")) == FaceFactors()
    assert detectors.face_factors(detectors.parse("yunet:x.onnx")).side == 1.035
    assert detectors.face_factors(detectors.parse("crop:x")) == detectors.face_factors(
        detectors.parse("tfod:x.pb")
    )
    given = detectors.parse("yunet:x.onnx?face=2:0.1:0.2")
    assert detectors.face_factors(given) == FaceFactors(2, 0.1, 0.2)


MAP = """
# a comment
item {
  name: "/m/01g317"
  id: 1
  display_name: 'person'
  keypoints { id: 7 label: "nose" }
}
item: { id: 3, name: "it\\"s" }
item < name: 'background' id: 0 >
"""


def test_the_escapes_of_protobuf_are_read(tmp_path):
    text = r"item { id: 1 name: 'caf\303\251 \x41\tb' } item { id: 2 name: '\\n\'' }"
    (tmp_path / "m.pbtxt").write_text(text)
    assert labelmap.read_label_map(tmp_path / "m.pbtxt") == {1: "café A\tb", 2: "\\n'"}


def test_a_label_map_is_read(tmp_path):
    (tmp_path / "m.pbtxt").write_text(MAP)
    names = labelmap.read_label_map(tmp_path / "m.pbtxt")
    assert names == {1: "person", 3: 'it"s'}
    assert labelmap.holes(names) == [2]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("item { id: 1 name: 'a' }\nitem { id: 1 name: 'b' }", "line 2: class 1 is there twice"),
        ("\nitem { name: 'a' }", "line 2: the item has no id"),
        ("item { id: 1 }", "line 1: the item of id 1 has no name"),
        ("item { id: 1.5 name: 'a' }", "line 1: the id '1.5' is no whole number"),
        ("item { id: -1 name: 'a' }", "line 1: the id '-1' is no whole number"),
        ("item { id: ² name: 'a' }", "line 1: the id '²' is no whole number"),
        ("item { id: 999999999 name: 'a' }", "whole number from 1 to 99999"),
        ("\nitem { id: 1 name: '\\377' }", "line 2: .* is no UTF-8 text"),
        ("item { x {" * 3000, "line 1: the item has no end"),
        ("item { id: 0 name: 'a' }", "line 1: classes count from 1"),
        ("item { id: 1 name: 'a'", "line 1: the item has no end"),
        ("item { id: 1 name: }", "line 1: name has no value"),
        ("item { id: 1 name: 'a }", 'line 1: "\'" is out of place'),
        ("\n\nface: 1", "line 3: 'face' is no item"),
        ("", "names no class"),
    ],
)
def test_a_broken_label_map_names_file_and_line(tmp_path, text, said):
    (tmp_path / "m.pbtxt").write_text(text, encoding="utf-8")
    with pytest.raises(ValueError, match=said) as error:
        labelmap.read_label_map(tmp_path / "m.pbtxt")
    assert str(tmp_path / "m.pbtxt") in str(error.value)


def test_bytes_that_are_no_text_are_no_label_map(tmp_path):
    (tmp_path / "m.pbtxt").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ValueError, match="is no label map: it is no text"):
        labelmap.read_label_map(tmp_path / "m.pbtxt")


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("TFHUB_CACHE_DIR", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_a_folder_and_a_cached_address_need_no_network(tmp_path, cache, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorflow_hub", None)
    assert hub.folder_of(str(tmp_path)) == tmp_path
    handle = "https://tfhub.dev/someone/detector/2"
    folder = cache / hashlib.sha1(handle.encode()).hexdigest()
    folder.mkdir(parents=True)
    (folder / "saved_model.pb").touch()
    assert hub.folder_of(handle) == folder


def packed_model(tmp_path, data=b"1", by="gz"):
    """The path of an archive with a SavedModel of these bytes in it."""
    (tmp_path / "saved_model.pb").write_bytes(data)
    with tarfile.open(tmp_path / "m.tgz", f"w:{by}") as tar:
        tar.add(tmp_path / "saved_model.pb", "./saved_model.pb")
    return str(tmp_path / "m.tgz")


def test_an_archive_is_unpacked_once(tmp_path, cache):
    named = packed_model(tmp_path)
    folder = hub.folder_of(named)
    assert (folder / "saved_model.pb").read_bytes() == b"1"
    (folder / "kept").touch()
    assert (hub.folder_of(named) / "kept").exists()
    assert list(cache.iterdir()) == [folder]


@pytest.mark.slow
def test_what_a_killed_process_had_unpacked_goes(tmp_path, cache):
    named = packed_model(tmp_path)
    script = (
        "import os, signal; from detectors import hub\n"
        "hub.unpack = lambda _, folder: (folder.mkdir(), os.kill(os.getpid(), signal.SIGKILL))\n"
        f"hub.folder_of({named!r})"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, check=False)
    assert done.returncode == -signal.SIGKILL and len(list(cache.iterdir())) == 1
    folder = hub.folder_of(named)
    assert list(cache.iterdir()) == [folder]


def test_threads_that_unpack_at_once_all_have_the_folder(tmp_path, cache, monkeypatch):
    named = packed_model(tmp_path)
    both, unpack = threading.Barrier(2, timeout=10), hub.unpack

    def at_once(archive, folder):
        both.wait()
        unpack(archive, folder)
        both.wait()

    monkeypatch.setattr(hub, "unpack", at_once)
    with ThreadPoolExecutor(2) as threads:
        found = set(threads.map(hub.folder_of, [named] * 2))
    assert found == set(cache.iterdir()) and len(found) == 1
    assert (found.pop() / "saved_model.pb").read_bytes() == b"1"


def test_a_broken_archive_and_one_that_climbs_out_are_refused(tmp_path, cache):
    (tmp_path / "m.tar.gz").write_bytes(b"no archive")
    with pytest.raises(ValueError, match=r"^it is no archive that can be unpacked: file .* opened"):
        hub.folder_of(str(tmp_path / "m.tar.gz"))
    with tarfile.open(tmp_path / "out.tar", "w") as tar:
        tar.add(tmp_path / "m.tar.gz", "../../out.txt")
    with pytest.raises(ValueError, match=r"it is no archive that can be unpacked: .* outside"):
        hub.folder_of(str(tmp_path / "out.tar"))
    tarfile.open(tmp_path / "none.tar", "w").close()
    with pytest.raises(ValueError, match="the archive holds nothing"):
        hub.folder_of(str(tmp_path / "none.tar"))
    assert list(cache.iterdir()) == []


@pytest.mark.parametrize("packed", ["gz", "xz", "bz2"])
def test_no_changed_bit_of_an_archive_goes_unnoticed(tmp_path, cache, packed):
    """Its end tells, which nobody reads who only wants what is in it."""
    data = random.Random(0).randbytes(3000) + b"words, which become shorter" * 99
    named = packed_model(tmp_path, data, packed)
    whole = (tmp_path / "m.tgz").read_bytes()
    changed = [
        whole[:at] + bytes([whole[at] ^ 4]) + whole[at + 1 :] for at in range(40, len(whole), 61)
    ]
    for odd in [*changed, whole[:-1], whole[:-8], whole[:2000]]:
        (tmp_path / "m.tgz").write_bytes(odd)
        with pytest.raises(ValueError, match=r"it is no archive that can be unpacked: ."):
            hub.folder_of(named)
    assert list(cache.iterdir()) == []


def test_a_disk_that_is_full_is_not_the_archives_fault(tmp_path, cache, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    (tmp_path / "m.tar").touch()
    monkeypatch.setattr(hub, "unpack", full)
    with pytest.raises(OSError, match="No space left"):
        hub.folder_of(str(tmp_path / "m.tar"))


def test_without_network_one_sentence_says_the_way_out(tmp_path, cache, monkeypatch):
    def refused(handle):
        raise OSError("<urlopen error [Errno -2] Name or service not known>\nand more")

    monkeypatch.setitem(sys.modules, "tensorflow_hub", SimpleNamespace(resolve=refused))
    with pytest.raises(ValueError, match="is not in the cache and could not be fetched") as error:
        hub.folder_of("https://tfhub.dev/someone/detector/2")
    said = str(error.value)
    assert "Name or service not known" in said and str(cache) in said and "\n" not in said


def test_what_is_neither_folder_nor_archive_nor_address(tmp_path):
    with pytest.raises(ValueError, match="give a folder, an archive"):
        hub.folder_of(str(tmp_path / "nix.zip"))


@pytest.mark.parametrize("text", ["tfod:g.pb", "haar"])
def test_tensorflow_is_loaded_without_its_noise_and_nothing_else_is(text, monkeypatch, capfd):
    noise, fault = b"I0000 00:00:1795 port.cc:153] oneDNN is on.\n", b"E0000 a driver is broken\n"

    def loading(module):
        os.write(2, noise + fault)
        return SimpleNamespace(load_graph=print, load_cascade=print)

    monkeypatch.delitem(sys.modules, "tensorflow", raising=False)
    monkeypatch.setattr(detectors, "check_spec", lambda _: None)
    monkeypatch.setattr(detectors, "import_module", loading)
    detectors.load(detectors.parse(text), 0.1)
    seen = fault.decode() if text.startswith("tfod") else (noise + fault).decode()
    assert capfd.readouterr().err == seen


def test_a_web_page_in_the_place_of_a_model_is_named(tmp_path):
    (tmp_path / "faces.pb").write_text("<!DOCTYPE html><title>Quota exceeded</title>")
    with pytest.raises(ValueError, match="is a web page, and no model"):
        detectors.check_spec(detectors.parse(f"tfod:{tmp_path}/faces.pb"))
