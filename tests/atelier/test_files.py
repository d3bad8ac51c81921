"""What has its final name is whole; what a dead process left goes; one writer at a time."""

import errno
import fcntl
import math
import os
import re
import shutil
import signal
import stat
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from atelier import files
from atelier.errors import Refusal
from tests.kit.store import ROOT


def test_a_file_is_there_only_once_it_is_whole(tmp_path):
    with files.replacing(tmp_path / "a" / "one.txt") as partial:
        partial.write_text("half")
        assert os.listdir(tmp_path / "a") == [partial.name] and partial.name.startswith(".")
    assert (tmp_path / "a" / "one.txt").read_text() == "half"
    assert os.listdir(tmp_path / "a") == ["one.txt"]


@pytest.mark.parametrize("lasting", [True, False])
def test_a_failure_leaves_what_was_there(tmp_path, lasting):
    files.write(tmp_path / "one", "old", lasting)
    with pytest.raises(ZeroDivisionError), files.replacing(tmp_path / "one", lasting) as partial:
        partial.write_text("new")
        1 / 0  # noqa: B018
    assert os.listdir(tmp_path) == ["one"] and (tmp_path / "one").read_text() == "old"


@pytest.mark.parametrize("number", files.NO_ROOM)
def test_a_file_without_room_is_named(tmp_path, number):
    with pytest.raises(OSError) as told, files.replacing(tmp_path / "one"):
        raise OSError(number, os.strerror(number))
    assert str(told.value) == f"[Errno {number}] {os.strerror(number)}: '{tmp_path / 'one'}'"
    with pytest.raises(OSError) as told, files.replacing(tmp_path / "one"):
        raise OSError(number, os.strerror(number), "/another")
    assert told.value.filename == "/another"


def test_a_folder_is_replaced_as_a_whole(tmp_path):
    for content in ("old", "new"):
        with files.replacing(tmp_path / "folder") as partial:
            files.write(partial / content, content)
    assert os.listdir(tmp_path / "folder") == ["new"] and os.listdir(tmp_path) == ["folder"]


def test_strays_of_the_dead_are_swept_and_no_others(tmp_path):
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    own = files.partial_of(tmp_path / "own")
    host = own.name.split(".")[2].rpartition("-")[0]
    here = files.own_space()
    gone = [f".{name}.partial" for name in (f"a.{host}-{dead.pid}", f"b.{host}-{dead.pid}in{here}")]
    kept = [f".away.elsewhere-{dead.pid}.partial", ".partial", own.name, "kept.partial"]
    kept += [f".c.{host}-{dead.pid}in2.partial", f".d.elsewhere-{dead.pid}in{here}.partial"]
    for name in (*gone, *kept):
        (tmp_path / "below" / name).mkdir(parents=True)
        (tmp_path / "below" / name / "inner").touch()
    old = tmp_path / f".e.{host}-1in2.partial"
    old.touch()
    os.utime(old, (0, 0))
    files.sweep(tmp_path)
    assert set(os.listdir(tmp_path / "below")) == set(kept) and not old.exists()


def test_what_goes_by_itself_while_strays_are_swept_is_no_failure(tmp_path, monkeypatch):
    stray = files.partial_of(tmp_path / "a" / "b")
    stray.mkdir(parents=True)
    (tmp_path / "c").mkdir()
    monkeypatch.setattr(files, "is_left", lambda path: shutil.rmtree(path) or path == stray)
    files.sweep(tmp_path)
    assert os.listdir(tmp_path) == []


def test_strays_that_only_another_user_may_remove_end_nothing(tmp_path, monkeypatch):
    def refused(path):
        raise PermissionError(errno.EPERM, os.strerror(errno.EPERM), str(path))

    (tmp_path / "a").touch()
    monkeypatch.setattr(files, "is_left", lambda _: True)
    monkeypatch.setattr(files, "remove", refused)
    files.sweep(tmp_path)
    assert (tmp_path / "a").exists()


@pytest.mark.slow
@pytest.mark.skipif(os.geteuid() != 0, reason="only root may make a PID namespace")
def test_what_another_container_of_this_name_writes_stays(tmp_path):
    apart = ["unshare", "--pid", "--fork", "--mount-proc", sys.executable, "-c"]
    sweep = (
        f"import pathlib; from atelier import files; files.sweep(pathlib.Path({str(tmp_path)!r}))"
    )
    with files.replacing(tmp_path / "a") as partial:
        partial.touch()
        subprocess.run([*apart, sweep], cwd=ROOT, check=True)
        assert partial.exists()


def test_a_cut_last_line_is_left_out_and_another_named(tmp_path):
    path = tmp_path / "rows.jsonl"
    assert files.read_lines(path) == []
    files.write_lines(path, [{"a": 1}, [2]])
    with path.open("a") as file:
        file.write('{"cut": ')
    assert files.read_lines(path) == [{"a": 1}, [2]]
    path.write_text('{"a": 1}\n{"b": \n[2]\n')
    with pytest.raises(files.BrokenLineError, match=r"rows\.jsonl line 2 is no JSON .*: mend the"):
        files.read_lines(path)


@pytest.mark.parametrize("number", files.CANNOT)
def test_where_folders_cannot_be_synced_files_are(number, tmp_path, monkeypatch):
    synced, sync = [], os.fsync

    def of_files_alone(descriptor):
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(number, os.strerror(number))
        synced.append(sync(descriptor))

    monkeypatch.setattr(os, "fsync", of_files_alone)
    files.write(tmp_path / "a" / "one", "whole")
    assert (tmp_path / "a" / "one").read_text() == "whole" and len(synced) == 1
    monkeypatch.setattr(os, "fsync", lambda _: os.stat("/no such file"))
    with pytest.raises(FileNotFoundError):
        files.write(tmp_path / "two", "half")


def test_a_file_system_that_does_not_say_how_much_is_free_is_no_full_one(tmp_path, monkeypatch):
    assert 0 < files.free_bytes(tmp_path) < math.inf
    assert files.free_bytes(Path("/proc")) == math.inf
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(total=1, free=0))
    assert files.free_bytes(tmp_path) == 0


HOLDER = """
import sys, time
from pathlib import Path
from atelier import files
with files.alone(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


def test_one_at_a_time_and_death_lets_go(tmp_path):
    path = tmp_path / "run" / "lock"
    line = [sys.executable, "-c", HOLDER, str(path)]
    with subprocess.Popen(line, cwd=ROOT, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(Refusal, match="wait for it"), files.alone(path, Refusal("wait for it")):
            pass
        holder.send_signal(signal.SIGKILL)
    with files.alone(path, Refusal("wait for it")):
        pass


@pytest.mark.parametrize("number", files.NO_LOCKS)
@pytest.mark.parametrize("refusal", [None, Refusal("wait for it")])
def test_where_files_cannot_be_locked_work_goes_on(number, refusal, tmp_path, monkeypatch):
    def no_locks(file, how):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", no_locks)
    said = []
    with files.alone(tmp_path / "lock", refusal, said.append):
        assert said == [
            f"{tmp_path} lies where files cannot be locked: start nothing else on it meanwhile"
        ]


@pytest.mark.parametrize("refusal", [None, Refusal("wait for it")])
def test_what_else_is_wrong_with_a_lock_is_said_as_it_is(refusal, tmp_path, monkeypatch):
    def broken(file, how):
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(fcntl, "flock", broken)
    with pytest.raises(OSError, match="Input/output"), files.alone(tmp_path / "lock", refusal):
        pass


@pytest.mark.parametrize(
    ("name", "good"),
    [
        ("a-b_c.1", True),
        ("", False),
        (".a", False),
        ("a/b", False),
        ("ä", False),
        ("x" * 200, True),
        ("x" * 201, False),
    ],
)
def test_names_that_a_folder_can_have(name, good):
    assert files.is_name(name) is good


LONG = ["x" * 255, "x" * 254 + "y", "é" * 127, "x" * 251 + ".png"]


@pytest.mark.parametrize("write", [files.write, files.write_json, lambda p, _: (p.mkdir(), p)])
def test_any_name_that_a_file_can_have_is_written(tmp_path, write):
    for name in LONG:
        write(tmp_path / name, "one")
        with files.replacing(tmp_path / name):
            partial = files.partial_of(tmp_path / name)
            partial.mkdir() if (tmp_path / name).is_dir() else partial.touch()
            assert files.PARTIAL.fullmatch(partial.name) and files.is_text(partial)
    assert sorted(os.listdir(tmp_path)) == sorted(LONG)
    assert len({files.partial_of(tmp_path / name) for name in LONG}) == len(LONG)


def test_a_text_that_was_cut_off_ends_too_early_and_the_place_is_that_of_its_line():
    for cut, said in (
        (b'{"a": "b', "it ends too early"),
        (b'{\n"a": 1,\n"b', "it ends too early"),
        (b'["a\nb"]', "at line 1, column 4 it does not go on as JSON does: '\\nb\"]'"),
        (b'{\n"a" 1}', "at line 2, column 5 it does not go on as JSON does: '1}'"),
    ):
        with pytest.raises(ValueError) as told:
            files.json_of(cut)
        assert str(told.value) == said


NO_JSON = [
    b"",
    b"{",
    b"[" * 200_000,
    b'{"a":' * 200_000,
    b"9" * 5000,
    b"\xff\xfe",
    b"\xc3(",
    b"'a'",
    b'{"a": 1',
    b'{"a": "b',
    b"{} {}",
    b'["\1"]',
    b'["a\nb"]',
    b'{"a" 1}',
]


@pytest.mark.parametrize("text", NO_JSON, ids=lambda text: repr(text[:6]))
def test_whatever_is_no_json_is_a_value_error(text, tmp_path):
    with pytest.raises(ValueError) as told:
        files.json_of(text)
    said = str(told.value)
    assert said.startswith(("it is ", "it ends ", "a number in it ", "at ")), said
    assert not re.search("Expect|Extra|Invalid|Untermin|codec|sys[.]|char [0-9]", said)
    (tmp_path / "rows.jsonl").write_bytes(text + b"\n{}\n")
    with pytest.raises(files.BrokenLineError, match=r"rows\.jsonl line 1 is no JSON"):
        files.read_lines(tmp_path / "rows.jsonl")


NO_SPACE = (errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize("names", [(), ("/there", None, "/here/.a.partial")])
def test_a_full_disk_names_the_file_that_was_to_be_written(tmp_path, names):
    with pytest.raises(OSError, match="No space left") as caught, files.replacing(tmp_path / "a"):
        raise OSError(*NO_SPACE, *names)
    assert str(caught.value) == f"[Errno {errno.ENOSPC}] {NO_SPACE[1]}: '{tmp_path / 'a'}'"
    with pytest.raises(OSError, match="'/temporary'"), files.replacing(tmp_path / "a"):
        raise OSError(*NO_SPACE, "/temporary")
