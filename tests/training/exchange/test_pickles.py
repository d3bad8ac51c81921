"""Pickles are data: of what a file says nothing is executed, and it costs no more than its size."""

import io
import os
import pickle
import struct
import subprocess
import sys
import tracemalloc
import zipfile

import numpy as np
import pytest

from tests.kit import nvidia_pickles as kit
from tests.kit.house import ROOT
from tests.kit.nvidia_pickles import Call, Named, Outside, pickled
from training.exchange import nvidia
from training.exchange.pickles import Budget, NetworkFileError, read_pickle
from training.exchange.standins import ALLOWED

GLOBAL = b"cos\nsystem\n"
COMMAND = b"(X\x04\x00\x00\x00exitt"
LINE = ("os", "system")
LOAD = ("torch.storage", "_load_from_bytes")


def read(data):
    return read_pickle(io.BytesIO(data), ALLOWED, Budget(2 * len(data)))


def stack_global(module, name):
    return (
        b"".join(b"\x8c" + bytes([len(text)]) + text.encode() for text in (module, name)) + b"\x93"
    )


def zipped(storage, pickle=None, **given):
    """What newer torch writes: data.pkl and the numbers, in a zip."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", **given) as archive:
        known = ("storage", Named("torch", "FloatStorage"), "0", "cpu", len(storage))
        archive.writestr("archive/data.pkl", pickle or pickled(Outside(known), 2))
        archive.writestr("archive/byteorder", "little")
        archive.writestr("archive/data/0", storage.tobytes())
    return file.getvalue()


HARMFUL = {
    "a reduction": (pickled(Call(LINE, "exit")), "wants 'os.system'"),
    "a reduction of protocol 2": (b"\x80\x02" + GLOBAL + COMMAND + b"R.", "wants 'os.system'"),
    "a name only": (b"\x80\x04" + stack_global("builtins", "eval") + b".", "wants 'builtins.eval'"),
    "a dotted name": (
        b"\x80\x04" + stack_global("collections", "OrderedDict.__init__.__globals__") + b".",
        "wants 'collections.OrderedDict.__init__",
    ),
    "a dotted module": (
        b"\x80\x04" + stack_global("torch.storage", "_load_from_bytes.__globals__") + b".",
        "wants",
    ),
    "an escaped name": (b"\x80\x02c\\x6fs\nsystem\n.", r"wants '.*x6fs\.system'"),
    "getattr": (pickled(Call(("builtins", "getattr"), "", "join")), "wants 'builtins.getattr'"),
    "import": (pickled(Call(("builtins", "__import__"), "os")), "wants 'builtins.__import__'"),
    "numpy that runs": (pickled(Call(("numpy.testing._private.utils", "runstring"), "")), "wants"),
    "torch.load": (pickled(Call(("torch.serialization", "load"), b"")), "wants"),
    "INST": (b"\x80\x02(X\x04\x00\x00\x00exitios\nsystem\n.", "uses INST"),
    "OBJ": (b"\x80\x02(" + b"ccollections\nOrderedDict\n" + b"o.", "uses OBJ"),
    "the registry of extensions": (b"\x80\x02\x82\x01.", "uses EXT1"),
    "the registry, long": (b"\x80\x02\x84\x01\x00\x00\x00.", "uses EXT4"),
    "NEWOBJ_EX": (
        b"\x80\x04" + stack_global("collections", "OrderedDict") + b")}\x92.",
        "uses NEWOBJ_EX",
    ),
    "a text id": (b"\x80\x02Pos.system\n.", "uses PERSID"),
    "an id": (pickled(Outside(("storage", "os.system"))), "refers to something outside"),
    "a state onto a dict": (
        b"\x80\x04}\x8c\x0c__setstate__Nsb.",
        "damaged",
    ),
    "a state onto a made dict": (
        pickled(Call(("collections", "OrderedDict"), state={"__class__": "os"})),
        "fills a dict as if it were a Fillable",
    ),
    "a state onto a name": (
        b"\x80\x04" + stack_global("dnnlib.tflib.network", "Network") + b"}b.",
        "fills a Name",
    ),
    "items onto a name": (
        b"\x80\x04" + stack_global("collections", "OrderedDict") + b"\x8c\x01aNs.",
        "fills a Name",
    ),
    "a class that is not ours": (
        pickled(
            Call(
                ("copyreg", "_reconstructor"),
                Named("numpy", "ndarray"),
                Named("builtins", "object"),
                None,
            )
        ),
        "damaged",
    ),
    "an array of objects": (
        pickled(Call(("numpy", "dtype"), "O8", False, True)),
        "damaged",
    ),
    "a pickle in a tensor": (
        pickled(Call(LOAD, pickle.dumps(print, 2))),
        "wants '__builtin__.print'",
    ),
    "a pickle in a zip in a tensor": (
        pickled(Call(LOAD, zipped(np.ones(1, np.float32), pickled(Call(LINE, "exit"))))),
        "wants 'os.system'",
    ),
    "nothing in a tensor": (pickled(Call(LOAD, b"")), "truncated"),
    "calling a value": (b"\x80\x04\x8c\x01a)R.", "damaged"),
}


@pytest.mark.parametrize("kind", HARMFUL)
def test_what_wants_to_run_something_is_refused_by_name(kind):
    data, sentence = HARMFUL[kind]
    with pytest.raises(NetworkFileError, match=sentence):
        read(data)


def test_nothing_ran_where_python_s_own_reader_runs_it(tmp_path):
    """The same bytes, loaded as a pickle, leave a mark; opened by us, they leave none."""
    mark = tmp_path / "ran"
    data = pickled(Call(("pathlib", "Path.touch"), Call(("pathlib", "PosixPath"), str(mark))))
    path = tmp_path / "network.pkl"
    path.write_bytes(data)
    with pytest.raises(NetworkFileError, match="pathlib"):
        nvidia.read_networks(data)
    assert not mark.exists()
    line = [sys.executable, "-c", f"import pickle; pickle.load(open({str(path)!r}, 'rb'))"]
    subprocess.run(line, check=True, cwd=ROOT, env={**os.environ, "PYTHONPATH": ""})
    assert mark.exists()


def test_reading_imports_nothing_that_a_file_names():
    before = set(sys.modules)
    for name in (("wsgiref.validate", "check"), ("this", "s"), ("antigravity", "fly")):
        with pytest.raises(NetworkFileError, match="wants"):
            read(pickled(Call(name)))
    assert not {"wsgiref.validate", "this", "antigravity"} & (set(sys.modules) - before)


def doubled(count):
    """Lists of two references each to the one before: 2^count leaves."""
    twice = (2 * (b"j" + struct.pack("<I", n)) for n in range(count))
    return b"\x80\x04]\x94" + b"".join(b"0](" + each + b"e\x94" for each in twice) + b"."


def modules_in_each_other(count):
    """A network whose every module is twice in the one above."""
    inner = kit.module("Leaf")
    for _ in range(count):
        inner = kit.module("Block", modules={"a": inner, "b": inner})
    return pickled({"G_ema": inner})


BOMBS = {
    "a long text": b"\x80\x04\x8d" + struct.pack("<Q", 2**40) + b"abc",
    "long bytes": b"\x80\x04\x8e" + struct.pack("<Q", 2**62) + b"abc",
    "a long bytearray": b"\x80\x05\x96" + struct.pack("<Q", 2**62) + b"abc",
    "a long integer": b"\x80\x04\x8b" + struct.pack("<i", 2**31 - 1) + b"abc",
    "a large integer": b"\x80\x04\x8a\xff" + b"\x7f" * 255 + b".",
    "a frame": b"\x80\x04\x95" + struct.pack("<Q", 2**62) + b"N.",
    "depth": b"\x80\x04" + b"]" * 100_000 + b"a" * 99_999 + b".",
    "deep tuples as a key": b"\x80\x04)" + b"\x85" * 100_000 + b"\x940}h\x00Ns.",
    "marks": b"\x80\x04" + b"(" * 600_000,
    "a memo far out": b"\x80\x02}r\xff\xff\xff\xff",
    "doubled lists": doubled(100),
    "modules in each other": modules_in_each_other(60),
    "an endless array": pickled(kit.array(np.ones(1), shape=(2**40,))),
    "an array of too many axes": pickled(kit.array(np.ones(1), shape=(1,) * 100)),
    "a tensor larger than its storage": pickled(
        kit.tensor(np.ones(4), shape=(10**9,), strides=(0,))
    ),
    "truth as a length": pickled(kit.array(np.ones(1), shape=(True,))),
    "a tensor before its storage": pickled(kit.tensor(np.ones(4), offset=-1)),
    "a tensor behind its storage": pickled(kit.tensor(np.ones(4), offset=1)),
    "strides of 2^60": pickled(kit.tensor(np.ones(4), shape=(1,), strides=(2**60,))),
    "a storage of another length": pickled(
        kit.tensor(np.ones(4), data=kit.storage_bytes(np.ones(4, np.float32))[:-24])
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("kind", BOMBS)
def test_a_bomb_is_refused_and_takes_little(kind):
    data = BOMBS[kind]
    tracemalloc.start()
    try:
        with pytest.raises(NetworkFileError) as refusal:
            nvidia.read_networks(data)
        assert "uses POP" not in str(refusal.value)
        assert tracemalloc.get_traced_memory()[1] < 60e6 + 10 * len(data)
    finally:
        tracemalloc.stop()


def test_tensors_of_either_file_of_torch_are_their_numbers():
    numbers = np.arange(24, dtype=np.float32)
    for data in (kit.storage_bytes(numbers), zipped(numbers)):
        found = read(pickled(kit.tensor(numbers.reshape(2, 3, 4), data)))
        np.testing.assert_array_equal(found.array, numbers.reshape(2, 3, 4))
        turned = read(pickled(kit.tensor(numbers, data, shape=(4, 3), strides=(1, 4), offset=2)))
        np.testing.assert_array_equal(turned.array, numbers[2:14].reshape(3, 4).T)


def test_a_packed_zip_is_refused():
    data = zipped(np.zeros(1_000_000, np.float32), compression=zipfile.ZIP_DEFLATED)
    assert len(data) < 10_000
    with pytest.raises(NetworkFileError, match="packed"):
        read(pickled(kit.tensor(np.zeros(1_000_000), data)))


def test_the_same_bytes_are_not_read_a_thousand_times():
    stored = kit.storage_bytes(np.ones(5000, np.float32))
    name = b"\x80\x04" + stack_global("torch.storage", "_load_from_bytes") + b"\x94"
    once = name + b"B" + struct.pack("<I", len(stored)) + stored + b"\x94"
    again = b"0h\x00h\x01\x85R"
    assert read(once + again + b".").count == 5000
    with pytest.raises(NetworkFileError, match="more work"):
        read(once + again * 1000 + b".")


@pytest.mark.parametrize("kind", ["f2", "f8", "i4", "u1", "b1"])
def test_arrays_and_scalars_of_numpy_are_their_numbers(kind):
    numbers = np.arange(6).reshape(2, 3).astype(kind)
    for protocol in (2, 3, 4, 5):
        for value in (numbers, numbers.T, numbers[0], numbers[1, 2], np.zeros((0, 3), kind)):
            found = read(pickle.dumps(value, protocol))
            found = getattr(found, "array", found)
            np.testing.assert_array_equal(np.ravel(found), np.ravel(value))
