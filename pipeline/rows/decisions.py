"""What a person decided about each photo: one JSON line per decision, never rewritten.

The last line about a photo holds. Photos go by the id of their bytes, so that decisions outlive
every re-run, every rename and every other setting.
"""

import json
import os
import re
import time
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from hashlib import blake2b
from pathlib import Path
from typing import Any, BinaryIO, Literal

from atelier import files
from atelier.boxes import Box
from atelier.commands import say
from atelier.errors import Refusal
from atelier.files import json_of

Action = Literal["accept", "refuse", "open"]
ACTIONS = ("accept", "refuse", "open")  # open: undone, nothing is decided
KEYS = {"photo", "path", "action", "rectangles", "reason", "time", "undo"}
CHECK = re.compile(rb', "check": "([0-9a-f]{8})"}$')  # CRC32 of the line without it
BLOCK = 4096  # bytes that are read of the file's end at first
REFUSED = "refused"  # the reason of who gives none


class DecisionsError(Refusal):
    """A line of the file that cannot be read; the message names it."""


@dataclass(frozen=True)
class Decision:
    """One line: rectangles in pixels of the upright source photo."""

    photo: str  # id
    path: str  # where the photo lay, below the source folder
    action: Action
    rectangles: tuple[Box, ...] = ()
    reason: str = ""
    undo: bool = False  # it takes back the decision before it, and says what holds again


def file_in(store: Path) -> Path:
    """Where the decisions on the photos of a store lie."""
    return store / "review" / "decisions.jsonl"


def load_decisions(path: Path) -> list[Decision]:
    """Every decision ever taken, in order; none where there is no file.

    A last line that was cut off is left out: its writer was killed. Raises DecisionsError for
    any other line that is no decision.
    """
    try:
        seen = path.stat()
    except FileNotFoundError:
        return []
    return list(read_decisions(path, seen.st_size, seen.st_mtime_ns))


@lru_cache(maxsize=4)
def read_decisions(path: Path, size: int, mtime_ns: int) -> tuple[Decision, ...]:
    """The file is read once, as long as its size and time stand."""
    *lines, rest = path.read_bytes().split(b"\n")  # every whole line ends with a newline
    found = [
        parse_decision(path, number, line) for number, line in enumerate(lines, 1) if line.strip()
    ]
    try:
        found += [parse_decision(path, len(lines) + 1, rest)] if rest.strip() else []
    except DecisionsError:
        say(f"{path} ends in a line that was cut off: it is left out")
    return tuple(found)


def parse_decision(path: Path, number: int, line: bytes) -> Decision:
    try:
        said = vouched(line)
        decision = Decision(
            str(said.get("photo") or ""),
            str(said.get("path", "")),
            said.get("action", ""),
            rectangles_of(said),
            str(said.get("reason", "")),
            bool(said.get("undo", False)),
        )
        check_decision(decision)
    except ValueError as error:
        raise DecisionsError(
            f"{path} line {number} is no decision ({error}): mend the line and leave out its"
            " check, or delete it"
        ) from None
    return decision


def rectangles_of(said: Mapping[str, Any]) -> tuple[Box, ...]:
    """The rectangles of a line; raises ValueError."""
    told = said.get("rectangles", [])
    try:
        return tuple(Box(*map(int, edges)) for edges in told)
    except (ValueError, TypeError, OverflowError):
        raise ValueError(
            f"rectangles {str(told)[:60]}: each is left, top, right, bottom in pixels"
        ) from None


def vouched(line: bytes) -> dict[str, Any]:
    """What a line says; raises ValueError where its check says that it said something else.

    Lines of earlier versions, and those that a person wrote, have none.
    """
    said: dict[str, Any] = json_of(line)
    if not isinstance(said, dict):
        raise ValueError("it is no JSON object")
    if found := CHECK.search(line):
        if zlib.crc32(line[: found.start()] + b"}") != int(found[1], 16):
            raise ValueError("it is not what was written")
    elif odd := set(said) - KEYS:
        raise ValueError(f"nobody knows what {min(odd)!r} is")
    return said


def with_check(said: dict[str, Any]) -> bytes:
    """The line that says so."""
    line = json.dumps(said).encode()
    return line[:-1] + b', "check": "%08x"}' % zlib.crc32(line)


def check_decision(decision: Decision) -> None:
    """Raise ValueError for a decision that cannot be."""
    if not decision.photo:
        raise ValueError("it names no photo")
    if decision.action not in ACTIONS:
        raise ValueError(f"action {str(decision.action)[:40]!r} is none of {', '.join(ACTIONS)}")
    if decision.action == "accept" and not decision.rectangles:
        raise ValueError("accepted without a rectangle")
    for box in decision.rectangles:
        if box.width < 1 or box.height < 1:
            raise ValueError(f"the rectangle {str(list(box))[:60]} has no area")


def in_force(decisions: Iterable[Decision]) -> dict[str, Decision]:
    """Photo id -> the decision that holds."""
    last = {decision.photo: decision for decision in decisions}
    return {photo: decision for photo, decision in last.items() if decision.action != "open"}


def held(store: Path) -> dict[str, Decision]:
    """The decisions in force on the photos of a store."""
    return in_force(load_decisions(file_in(store)))


def decided(held: Mapping[str, Decision]) -> list[str]:
    """What stands for these decisions in the name of a manifest; nothing where there are none.

    It holds what can change a result: no path, no time, no decision that was taken back.
    """
    if not held:
        return []
    told = sorted((d.photo, d.action, d.rectangles, d.reason) for d in held.values())
    return [blake2b(repr(told).encode(), digest_size=10).hexdigest()]


class Journal:
    """The file, open for appending. Decisions are on the disk when `append` returns."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def append(self, *decisions: Decision) -> None:
        """Write a line each, all of them in one go, while nobody else writes any."""
        lines = [line_of_decision(decision) for decision in decisions]
        if not lines:
            return
        with files.alone(self.path), self.path.open("ab+") as file:
            mend_end(file)
            file.write(b"".join(lines))
            file.flush()
            os.fsync(file.fileno())


def line_of_decision(decision: Decision) -> bytes:
    check_decision(decision)
    said: dict[str, Any] = {"photo": decision.photo, "path": decision.path}
    said |= {"action": decision.action}
    said |= {"rectangles": [list(box) for box in decision.rectangles]}
    said |= {"reason": decision.reason, "time": time.strftime("%Y-%m-%dT%H:%M:%S%z")}
    said |= {"undo": True} if decision.undo else {}
    return with_check(said) + b"\n"


def mend_end(file: BinaryIO) -> None:
    """Let the file end with a whole line: what a killed writer left of its last one goes."""
    tail, at = b"", file.seek(0, os.SEEK_END)
    while at and b"\n" not in tail:
        at, end = max(at - max(BLOCK, len(tail)), 0), at
        file.seek(at)
        tail = file.read(end - at) + tail
    whole, newline, rest = tail.rpartition(b"\n")
    if rest:
        try:
            vouched(rest)
        except ValueError:
            file.truncate(at + len(whole + newline))
        else:
            file.write(b"\n")


def undone(decision: Decision, before: Decision | None) -> Decision:
    """The line that takes `decision` back, and says again what held before it."""
    if before is None:
        return Decision(decision.photo, decision.path, "open", undo=True)
    return replace(before, undo=True)


def undoable_steps(decisions: Iterable[Decision]) -> list[tuple[Decision, Decision | None]]:
    """Every decision that can still be undone, with what held before it, oldest first."""
    done: list[tuple[Decision, Decision | None]] = []
    held: dict[str, Decision] = {}
    for decision in decisions:
        if decision.undo:
            at = next(
                (i for i in reversed(range(len(done))) if done[i][0].photo == decision.photo), None
            )
            if at is not None:
                del done[at]
        else:
            done.append((decision, held.get(decision.photo)))
        held[decision.photo] = decision
    return [(d, before if before and before.action != "open" else None) for d, before in done]
