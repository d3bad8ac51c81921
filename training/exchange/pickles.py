"""Pickles read as data: a machine that knows a short list of names and runs nothing of a file.

Python's own reader calls what a file names, with the arguments that the file gives. Here a name is
looked up in a table of ours, whole and letter for letter, and what it makes is an inert value.
"""

import io
import pickletools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from atelier.errors import Refusal

OPCODES = 500_000  # that a file may take; three networks for 32 pixels take 20,000
LARGEST = 2**80  # integers beyond it are in no network
HASHABLE = (str, int, float, bytes, type(None))  # hashing a deep tuple could exhaust the C stack
HIGHEST = 5  # version of the format


class NetworkFileError(Refusal):
    """A file that holds no network that can be read here; the message says why."""


class Fillable:
    """A stand-in whose state the file gives after it was made."""

    def fill(self, state: Any) -> None:
        """Take the state, as plain values."""
        raise NotImplementedError


@dataclass
class Budget:
    """The work that a file may still ask for: nothing is done twice at no cost to the file."""

    size: int  # bytes of the files within the file, and of those within them
    opcodes: int = OPCODES

    def spend(self, opcodes: int = 0, size: int = 0) -> None:
        """Take away; raises NetworkFileError where nothing is left."""
        self.opcodes -= opcodes
        self.size -= size
        if self.opcodes < 0 or self.size < 0:
            raise NetworkFileError(
                "asks for more work than a network of its size can need, as only a file made to"
                " exhaust a machine does: do not use it"
            )


Make = Callable[[tuple[Any, ...], Budget], Any]  # (arguments, budget) -> what stands in


@dataclass(frozen=True, eq=False)
class Name:
    """A name that a table allows, and what makes its stand-in."""

    said: str
    make: Make


Names = Mapping[tuple[str, str], Make]
Persistent = Callable[[Any], Any]  # the id of something outside the pickle -> what stands in


def read_pickle(
    file: io.BytesIO, names: Names, budget: Budget, persistent: Persistent | None = None
) -> Any:
    """The value of the pickle at the position of `file`, which then is behind it.

    Raises NetworkFileError for what is truncated, damaged, too large, or wants any other name.
    """
    return Machine(file, names, budget, persistent).run()


class Machine:
    """The stack, marks and memo of a pickle being read."""

    def __init__(
        self, file: io.BytesIO, names: Names, budget: Budget, persistent: Persistent | None
    ) -> None:
        self.file, self.names, self.budget, self.persistent = file, names, budget, persistent
        self.stack: list[Any] = []
        self.marks: list[int] = []
        self.memo: dict[int, Any] = {}
        self.known: dict[tuple[str, str], Name] = {}

    def run(self) -> Any:
        """Take opcodes until STOP."""
        while True:
            self.budget.spend(opcodes=1)
            name, argument = self.next_opcode()
            if name == "STOP":
                return self.take()
            HANDLERS[name](self, argument)

    def next_opcode(self) -> tuple[str, Any]:
        """The next opcode and its argument, which is never longer than the file."""
        code = self.file.read(1)
        if not code:
            raise NetworkFileError("is truncated: copy or download it again")
        opcode = ALL_OPCODES.get(code)
        if opcode is None:
            raise damaged()
        if opcode.name not in HANDLERS and opcode.name != "STOP":
            raise NetworkFileError(
                f"uses {opcode.name} of Python's pickles, which no network needs: nothing of it was"
                " run; get the file from its author again"
            )
        try:
            argument = self.argument(opcode)
        except (ValueError, OverflowError):  # what pickletools raises for too few bytes
            raise NetworkFileError("is truncated or damaged: copy or download it again") from None
        if isinstance(argument, int) and abs(argument) >= LARGEST:
            raise damaged()
        return opcode.name, argument

    def argument(self, opcode: pickletools.OpcodeInfo) -> Any:
        """What follows an opcode; names are two lines, in which nothing is an escape."""
        if opcode.name == "GLOBAL":
            return [self.file.readline().removesuffix(b"\n").decode() for _ in range(2)]
        return opcode.arg.reader(self.file) if opcode.arg else None

    def push(self, value: Any) -> None:
        self.stack.append(value)

    def take(self) -> Any:
        """The topmost value, taken off the stack."""
        return self.take_many(1)[0]

    def take_many(self, count: int) -> tuple[Any, ...]:
        """The topmost `count` values, the topmost last."""
        if len(self.stack) - (self.marks[-1] if self.marks else 0) < count:
            raise damaged()
        values = tuple(self.stack[-count:])
        del self.stack[-count:]
        return values

    def take_to_mark(self) -> tuple[Any, ...]:
        """All values above the last mark, and the mark."""
        if not self.marks:
            raise damaged()
        at = self.marks.pop()
        values = tuple(self.stack[at:])
        del self.stack[at:]
        return values

    def top(self, kind: type) -> Any:
        """The topmost value, left where it is."""
        (value,) = self.take_many(1)
        self.push(value)
        if not isinstance(value, kind):
            raise NetworkFileError(
                f"fills a {type(value).__name__} as if it were a {kind.__name__}: it is damaged, or"
                " made to do harm; get it from its author again"
            )
        return value

    def put(self, index: int) -> None:
        """Remember the topmost value."""
        self.memo[index] = self.top(object)

    def get(self, index: int) -> None:
        """Push what is remembered."""
        if index not in self.memo:
            raise damaged()
        self.push(self.memo[index])

    def find(self, module: Any, name: Any) -> None:
        """Push a name of the table; every other one is refused."""
        if not isinstance(module, str) or not isinstance(name, str):
            raise damaged()
        pair = module, name
        if pair not in self.names:
            raise NetworkFileError(
                f"wants {f'{module}.{name}'[:80]!a}, which is no part of a network: nothing of"
                " it was run; do not use the file unless you trust its author"
            )
        self.known.setdefault(pair, Name(f"{module}.{name}", self.names[pair]))
        self.push(self.known[pair])

    def call(self) -> None:
        """Push the stand-in for what a name makes of arguments."""
        name, arguments = self.take_many(2)
        if not isinstance(name, Name) or not isinstance(arguments, tuple):
            raise damaged()
        self.push(name.make(arguments, self.budget))

    def outside(self) -> None:
        """Push what stands outside the pickle."""
        if self.persistent is None:
            raise NetworkFileError(
                "refers to something outside of itself: no network of NVIDIA's does, get it from"
                " its author again"
            )
        self.push(self.persistent(self.take()))

    def set_items(self, values: tuple[Any, ...]) -> None:
        """Fill the topmost dict."""
        found = self.top(dict)
        if len(values) % 2 or not all(isinstance(key, HASHABLE) for key in values[::2]):
            raise damaged()
        found.update(zip(values[::2], values[1::2], strict=True))

    def extend(self, values: tuple[Any, ...]) -> None:
        """Fill the topmost list."""
        self.top(list).extend(values)

    def build(self) -> None:
        """Give the topmost stand-in its state."""
        state = self.take()
        self.top(Fillable).fill(state)

    def mark(self) -> None:
        self.marks.append(len(self.stack))

    def check_version(self, version: int) -> None:
        if version > HIGHEST:
            raise damaged()


def damaged() -> NetworkFileError:
    """What is said of bytes that are no pickle."""
    return NetworkFileError("is damaged, or no pickle: copy or download it again")


ALL_OPCODES = {opcode.code.encode("latin-1"): opcode for opcode in pickletools.opcodes}
ARGUMENTS = (
    *("BININT", "BININT1", "BININT2", "LONG1", "BINFLOAT"),
    *("BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8"),
    *("BINBYTES", "SHORT_BINBYTES", "BINBYTES8", "BYTEARRAY8"),
)
# No INST, OBJ, NEWOBJ_EX, EXT1 to EXT4 and PERSID: each a way to call, or to reach, something else.
# The text opcodes of the first format are not there either; nobody writes networks in it.
HANDLERS: dict[str, Callable[[Machine, Any], Any]] = {
    **dict.fromkeys(ARGUMENTS, Machine.push),
    **dict.fromkeys(("BINPUT", "LONG_BINPUT"), Machine.put),
    **dict.fromkeys(("BINGET", "LONG_BINGET"), Machine.get),
    **dict.fromkeys(("REDUCE", "NEWOBJ"), lambda machine, _: machine.call()),
    "PROTO": Machine.check_version,
    "FRAME": lambda machine, _: None,
    "NONE": lambda machine, _: machine.push(None),
    "NEWTRUE": lambda machine, _: machine.push(True),
    "NEWFALSE": lambda machine, _: machine.push(False),
    "EMPTY_DICT": lambda machine, _: machine.push({}),
    "EMPTY_LIST": lambda machine, _: machine.push([]),
    "EMPTY_SET": lambda machine, _: machine.push([]),
    "EMPTY_TUPLE": lambda machine, _: machine.push(()),
    "POP": lambda machine, _: machine.take_many(1),
    "MARK": lambda machine, _: machine.mark(),
    "TUPLE": lambda machine, _: machine.push(machine.take_to_mark()),
    "TUPLE1": lambda machine, _: machine.push(machine.take_many(1)),
    "TUPLE2": lambda machine, _: machine.push(machine.take_many(2)),
    "TUPLE3": lambda machine, _: machine.push(machine.take_many(3)),
    "FROZENSET": lambda machine, _: machine.push(list(machine.take_to_mark())),
    "SETITEM": lambda machine, _: machine.set_items(machine.take_many(2)),
    "SETITEMS": lambda machine, _: machine.set_items(machine.take_to_mark()),
    "APPEND": lambda machine, _: machine.extend(machine.take_many(1)),
    "APPENDS": lambda machine, _: machine.extend(machine.take_to_mark()),
    "ADDITEMS": lambda machine, _: machine.extend(machine.take_to_mark()),
    "MEMOIZE": lambda machine, _: machine.put(len(machine.memo)),
    "GLOBAL": lambda machine, both: machine.find(*both),
    "STACK_GLOBAL": lambda machine, _: machine.find(*machine.take_many(2)),
    "BUILD": lambda machine, _: machine.build(),
    "BINPERSID": lambda machine, _: machine.outside(),
}
