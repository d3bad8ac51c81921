"""Arrays in a file come back as they were, or the file is refused in one sentence."""

import io
import random
import zipfile

import numpy as np
import pytest

from atelier import files
from atelier.arrays import (
    MEMBER_BYTES,
    CheckpointError,
    broken_arrays,
    load_array,
    load_arrays,
    save_arrays,
)


def test_arrays_and_what_describes_them_come_back(tmp_path):
    arrays = {"a/b": np.arange(6, dtype=np.float32).reshape(2, 3), "c": np.array(2**40)}
    save_arrays(tmp_path / "new" / "one.npz", arrays, {"seen": 5, "names": ["x"]})
    found, about = load_arrays(tmp_path / "new" / "one.npz")
    assert about == {"seen": 5, "names": ["x"]} and found.keys() == arrays.keys()
    assert all(np.array_equal(found[name], arrays[name]) for name in arrays)


def test_a_full_disk_is_said_before_the_first_byte(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "free_bytes", lambda _: 10**6)
    with pytest.raises(CheckpointError, match=r"has 1.00 MB free and one\.npz needs 16.01 MB"):
        save_arrays(tmp_path / "one.npz", {"a": np.zeros(10**6)}, {})
    assert not list(tmp_path.iterdir())


def test_a_small_file_asks_for_twice_its_room_and_never_for_none(tmp_path, monkeypatch):
    needed = 2 * (4 * 8 + len("{}") + 2 * MEMBER_BYTES)
    for free, has in ((0, "0.00"), (needed - 1, "0.00")):
        monkeypatch.setattr(files, "free_bytes", lambda _, free=free: free)
        with pytest.raises(CheckpointError, match=rf"has {has} MB .*one\.npz needs 0\.01 MB"):
            save_arrays(tmp_path / "one.npz", {"a": np.zeros(4)}, {})
    assert not list(tmp_path.iterdir())
    monkeypatch.setattr(files, "free_bytes", lambda _: needed)
    save_arrays(tmp_path / "one.npz", {"a": np.zeros(4)}, {})
    assert (tmp_path / "one.npz").stat().st_size < needed


@pytest.mark.parametrize("kept", [0, 10, 100, 300, -1])
def test_a_truncated_file_is_refused(tmp_path, kept):
    path = tmp_path / "one.npz"
    save_arrays(path, {"a": np.arange(50)}, {})
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(CheckpointError, match=r"one\.npz is broken or no checkpoint: "):
        load_arrays(path)


def test_what_is_no_file_of_arrays_is_refused(tmp_path):
    np.savez(tmp_path / "other.npz", a=np.zeros(2))
    np.savez(tmp_path / "code.npz", about=np.array([{}], object), allow_pickle=True)
    (tmp_path / "text.npz").write_text("hello")
    for name in ("other.npz", "code.npz", "text.npz"):
        with pytest.raises(CheckpointError, match="is broken or no checkpoint"):
            load_arrays(tmp_path / name)
    with pytest.raises(CheckpointError, match=r"gone\.npz is no checkpoint: name a \.npz file"):
        load_arrays(tmp_path / "gone.npz")


@pytest.mark.slow
def test_no_changed_or_missing_byte_goes_unnoticed(tmp_path):
    path = tmp_path / "a.npz"
    save_arrays(path, {"G/a": np.arange(5.0), "D/b": np.float32(3)}, {"x": 1})
    data, chance = path.read_bytes(), random.Random(0)
    assert broken_arrays(path) == ""
    for at in range(len(data)):
        changed = data[at] ^ chance.randrange(1, 256)
        path.write_bytes(data[:at] + bytes([changed]) + data[at + 1 :])
        said = broken_arrays(path)
        assert said and said.isprintable() and "Errno" not in said
        with pytest.raises(CheckpointError):
            load_arrays(path)
        path.write_bytes(data[:at])
        assert broken_arrays(path)


def test_a_file_of_an_earlier_version_has_no_seal(tmp_path):
    np.savez(tmp_path / "a.npz", allow_pickle=False, about=np.frombuffer(b"{}", np.uint8))
    assert broken_arrays(tmp_path / "a.npz") == ""
    assert load_arrays(tmp_path / "a.npz") == ({}, {})


def head(text):
    """A .npy whose head says this."""
    return b"\x93NUMPY\x01\x00v\x00" + text.ljust(117).encode() + b"\n"


def npy(array, save=np.save):
    data = io.BytesIO()
    save(data, array)
    return data.getvalue()


NO_NUMBERS = {
    "empty": b"",
    "a zip's beginning": b"PK\3\4",
    "a zip": npy(np.zeros(3), np.savez),
    "an odd head": head("{'descr': [[[, 'shape': (5,)}"),
    "a negative shape": head("{'descr': '<f4', 'fortran_order': False, 'shape': (-5,)}"),
    "words": npy(np.full(3, "x")),
    "pairs": npy(np.zeros(3, [("a", "f4")])),
    "complex": npy(np.zeros(3, complex)),
    "dates": npy(np.zeros(3, "M8[s]")),
    "objects": npy(np.array([{}], object)),
    "NaN": npy(np.float32([0, np.nan])),
    "infinite": npy(np.float32([np.inf])),
    "too large for float32": npy(np.array([1e300])),
}


@pytest.mark.parametrize("data", NO_NUMBERS.values(), ids=NO_NUMBERS)
def test_what_is_no_array_of_finite_numbers_is_said(tmp_path, data):
    (tmp_path / "a.npy").write_bytes(data)
    with pytest.raises(ValueError, match=r"^is no array of (numpy's|finite numbers)$"):
        load_array(tmp_path / "a.npy")


@pytest.mark.parametrize("kind", ["f2", "f8", ">f4", "i1", "u8", "?"])
def test_numbers_of_any_kind_are_read(tmp_path, kind):
    np.save(tmp_path / "a.npy", np.arange(2).astype(kind))
    assert load_array(tmp_path / "a.npy").tolist() == [0, 1]


@pytest.mark.parametrize("about", [b"", b"[]", b"3", b"null", b"[" * 200_000, b"\xff", b"9" * 5000])
def test_a_file_that_does_not_say_what_is_in_it_is_refused(tmp_path, about):
    np.savez(tmp_path / "a.npz", allow_pickle=False, about=np.frombuffer(about, np.uint8))
    with zipfile.ZipFile(tmp_path / "b.npz", "w") as archive:
        archive.writestr("about", about)
    for name in ("a.npz", "b.npz"):
        with pytest.raises(CheckpointError, match="is broken or no checkpoint"):
            load_arrays(tmp_path / name)


def test_what_is_no_array_among_arrays_is_refused(tmp_path):
    np.savez(tmp_path / "a.npz", allow_pickle=False, about=np.frombuffer(b"{}", np.uint8))
    with zipfile.ZipFile(tmp_path / "a.npz", "a") as archive:
        archive.writestr("G/a", b"hello")
    with pytest.raises(CheckpointError, match=r"no checkpoint: G/a in it is no array$"):
        load_arrays(tmp_path / "a.npz", "G/")
    assert load_arrays(tmp_path / "a.npz", "D/") == ({}, {})
