"""The names that network pickles of NVIDIA's need, and the inert values that stand in for them."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from training.exchange.pickles import Budget, Fillable, Name, Names, damaged
from training.exchange.torch_bytes import Storage, loaded_storage

DIMENSIONS, LONGEST = 8, 2**40  # of an array at most
DTYPES = {f"{letter}{size}" for letter in "iu" for size in (1, 2, 4, 8)} | {"f2", "f4", "f8", "b1"}


@dataclass(eq=False)
class Persistent:
    """An object of ada-pytorch's or StyleGAN3's repository; its source text is not looked at."""

    class_name: str
    state: dict[str, Any]


class TFNetwork(Fillable):
    """A Network of the TensorFlow 1 trainers; its source text is not looked at."""

    def __init__(self) -> None:
        self.state: dict[str, Any] = {}

    def fill(self, state: Any) -> None:
        if not isinstance(state, dict):
            raise damaged()
        self.state = state


@dataclass(eq=False)
class Tensor:
    """A tensor of torch's, as a view of its storage."""

    array: NDArray[Any]


class Dtype(Fillable):
    """A dtype of numpy's: a number of one of a few kinds, never an object."""

    def __init__(self, code: str) -> None:
        self.code, self.order = code, "|"

    def fill(self, state: Any) -> None:
        match state:
            case (int(), "<" | ">" | "|" | "=" as order, *_):
                self.order = order
            case _:
                raise damaged()

    @property
    def numpy(self) -> np.dtype[Any]:
        """What numpy calls it."""
        return np.dtype(self.code).newbyteorder(self.order)  # type: ignore[arg-type]


class Array(Fillable):
    """An array of numpy's."""

    def __init__(self, array: NDArray[Any]) -> None:
        self.array = array

    def fill(self, state: Any) -> None:
        match state:
            case (int(), tuple() as shape, Dtype() as dtype, bool() as fortran, data):
                self.array = shaped(data, dtype, shape, "F" if fortran else "C")
            case _:
                raise damaged()


def shaped(data: Any, dtype: Dtype, shape: tuple[Any, ...], order: str) -> NDArray[Any]:
    """An array over `data`, whose length must be that of its shape."""
    if not isinstance(data, bytes | bytearray) or not is_shape(shape):
        raise damaged()
    if math.prod(shape) * dtype.numpy.itemsize != len(data):
        raise damaged()
    if not len(data):
        return np.empty(0, dtype.numpy)
    return np.frombuffer(data, dtype.numpy).reshape(shape, order="F" if order == "F" else "C")


def is_shape(shape: tuple[Any, ...]) -> bool:
    """Whether these are lengths of axes; a bool is none."""
    return len(shape) <= DIMENSIONS and all(type(n) is int and 0 <= n < LONGEST for n in shape)


def new_dict(arguments: tuple[Any, ...], budget: Budget) -> dict[Any, Any]:
    """An EasyDict or OrderedDict, empty or from a list of pairs."""
    match arguments:
        case ():
            return {}
        case ([*pairs],):
            budget.spend(opcodes=len(pairs))
            if all(isinstance(p, list | tuple) and len(p) == 2 for p in pairs):
                return {p[0]: p[1] for p in pairs if isinstance(p[0], str)}
    raise damaged()


def new_set(arguments: tuple[Any, ...], budget: Budget) -> list[Any]:
    """A set, as the list of its members."""
    match arguments:
        case ():
            return []
        case ([*members],):
            budget.spend(opcodes=len(members))
            return members
    raise damaged()


def persistent_object(arguments: tuple[Any, ...], budget: Budget) -> Persistent:
    """What `torch_utils.persistence` would execute a source text for; here it is put aside."""
    match arguments:
        case ({"type": "class", "class_name": str() as name, "state": dict() as state},):
            return Persistent(name, state)
    raise damaged()


def new_network(arguments: tuple[Any, ...], budget: Budget) -> TFNetwork:
    """A network whose state follows."""
    if arguments:
        raise damaged()
    return TFNetwork()


def reconstructed(arguments: tuple[Any, ...], budget: Budget) -> Any:
    """`copyreg._reconstructor`, for the classes of the table alone."""
    match arguments:
        case (Name(make=made), Name(), dict() as items) if made is new_dict:
            return items
        case (Name(make=made), Name(), None) if made is new_network:
            return TFNetwork()
    raise damaged()


def only_an_argument(arguments: tuple[Any, ...], budget: Budget) -> Any:
    """A class that is named as an argument and never made."""
    raise damaged()


def tensor(arguments: tuple[Any, ...], budget: Budget) -> Tensor:
    """A view (storage, offset, shape, strides, ...) that shows no number twice."""
    match arguments:
        case (Storage() as storage, int() as offset, tuple() as shape, tuple() as strides, *_):
            return Tensor(view(storage.numbers, offset, shape, strides))
    raise damaged()


def view(
    numbers: NDArray[Any] | None, offset: int, shape: tuple[Any, ...], strides: tuple[Any, ...]
) -> NDArray[Any]:
    """`shape` numbers from `offset` on, `strides` apart; raises where that is outside."""
    if numbers is None or not is_shape((offset, *shape)) or not is_shape((offset, *strides)):
        raise damaged()
    if not math.prod(shape):
        return np.empty(0, numbers.dtype)
    steps = zip(shape, strides, strict=False)
    last = offset + sum((length - 1) * step for length, step in steps)
    if len(shape) != len(strides) or last >= len(numbers) or math.prod(shape) > len(numbers):
        raise damaged()
    apart = tuple(step * numbers.itemsize for step in strides)
    return np.lib.stride_tricks.as_strided(numbers[offset:], shape, apart, writeable=False)


def parameter(arguments: tuple[Any, ...], budget: Budget) -> Tensor:
    """A tensor that learns."""
    match arguments:
        case (Tensor() as found, *_):
            return found
    raise damaged()


def size(arguments: tuple[Any, ...], budget: Budget) -> tuple[Any, ...]:
    """torch.Size, as a tuple."""
    match arguments:
        case ((*lengths,),) if isinstance(arguments[0], tuple | list):
            return tuple(lengths)
    raise damaged()


def new_dtype(arguments: tuple[Any, ...], budget: Budget) -> Dtype:
    """A dtype by its code; object arrays are refused here."""
    match arguments:
        case (str() as code, *_) if code in DTYPES:
            return Dtype(code)
    raise damaged()


def new_array(arguments: tuple[Any, ...], budget: Budget) -> Array:
    """An empty array whose state follows."""
    match arguments:
        case (Name(make=made), *_) if made is only_an_argument:
            return Array(np.empty(0, np.float32))
    raise damaged()


def array_from_buffer(arguments: tuple[Any, ...], budget: Budget) -> Array:
    """An array as protocol 5 has it: (data, dtype, shape, order)."""
    match arguments:
        case (data, Dtype() as dtype, tuple() as shape, "C" | "F" as order):
            return Array(shaped(data, dtype, shape, order))
    raise damaged()


def scalar(arguments: tuple[Any, ...], budget: Budget) -> Any:
    """A single number, as Python's."""
    match arguments:
        case (Dtype() as dtype, data):
            return shaped(data, dtype, (), "C").item()
    raise damaged()


def encoded(arguments: tuple[Any, ...], budget: Budget) -> bytes:
    """Bytes as protocol 2 has them: text of one byte a letter."""
    match arguments:
        case (str() as text, "latin1" | "latin-1") if all(ord(letter) < 256 for letter in text):
            budget.spend(size=len(text))
            return text.encode("latin-1")
    raise damaged()


def no_bytes(arguments: tuple[Any, ...], budget: Budget) -> bytes:
    """Empty bytes as protocol 2 has them."""
    if arguments:
        raise damaged()
    return b""


NUMPY: Names = {
    ("numpy", "ndarray"): only_an_argument,
    ("numpy", "dtype"): new_dtype,
    **{
        (f"numpy.{core}.multiarray", name): make
        for core in ("core", "_core")
        for name, make in {"_reconstruct": new_array, "scalar": scalar}.items()
    },
    ("numpy.core.numeric", "_frombuffer"): array_from_buffer,
    ("numpy._core.numeric", "_frombuffer"): array_from_buffer,
}
ALLOWED: Names = {
    **NUMPY,
    ("collections", "OrderedDict"): new_dict,
    ("dnnlib.util", "EasyDict"): new_dict,
    ("dnnlib", "EasyDict"): new_dict,
    ("dnnlib.tflib.network", "Network"): new_network,
    ("torch_utils.persistence", "_reconstruct_persistent_obj"): persistent_object,
    ("torch.storage", "_load_from_bytes"): loaded_storage,
    ("torch._utils", "_rebuild_tensor_v2"): tensor,
    ("torch._utils", "_rebuild_parameter"): parameter,
    ("torch", "Size"): size,
    ("copyreg", "_reconstructor"): reconstructed,
    ("copy_reg", "_reconstructor"): reconstructed,
    ("builtins", "object"): only_an_argument,
    ("builtins", "dict"): only_an_argument,
    ("builtins", "set"): new_set,
    ("__builtin__", "object"): only_an_argument,
    ("__builtin__", "dict"): only_an_argument,
    ("__builtin__", "set"): new_set,
    ("__builtin__", "bytes"): no_bytes,
    ("_codecs", "encode"): encoded,
}
