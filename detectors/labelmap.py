"""Label maps of the Object Detection API: text protobufs that name a model's classes."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from atelier.tables import text_of

TOKEN = re.compile(
    r"""\s+|\#[^\n]*|[,;]|(?P<string>"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*')"""
    r"""|(?P<brace>[{}<>])|(?P<word>[\w.+-]+)\s*:?|(?P<other>.)""",
    re.VERBOSE,
)


# Of a string in protobuf's text format.
ESCAPE = re.compile(rb"\\(?:(?P<octal>[0-7]{1,3})|[xX](?P<hex>[0-9a-fA-F]{1,2})|(?P<one>.))", re.S)
CONTROL = {
    b"a": b"\a",
    b"b": b"\b",
    b"f": b"\f",
    b"n": b"\n",
    b"r": b"\r",
    b"t": b"\t",
    b"v": b"\v",
}
OPENING, CLOSING = ("{", "<"), ("}", ">")


class Token(NamedTuple):
    """A word, a string without its quotes, or a brace; `line` counts from 1."""

    kind: str
    text: str
    line: int


def read_label_map(path: Path) -> dict[int, str]:
    """Class number -> its display name, or else its name.

    Raises ValueError with file and line for what is no label map, a number that is missing,
    no number, under 1 or given twice, and an item without a name.
    """
    try:
        tokens = list(tokens_of(text_of(path.read_bytes())))
    except UnicodeDecodeError:
        raise ValueError(f"{path} is no label map: it is no text") from None
    except ValueError as error:
        raise ValueError(f"{path}, {error}") from None
    names: dict[int, str] = {}
    for line, item in items(tokens, path):
        number = class_number(item, f"{path}, line {line}")
        if number in names:
            raise ValueError(f"{path}, line {line}: class {number} is there twice")
        if number:
            names[number] = item.get("display_name") or item["name"]
    if not names:
        raise ValueError(f"{path} names no class: an item is  item {{ id: 1 name: 'face' }}")
    return names


def holes(names: dict[int, str]) -> list[int]:
    """The class numbers below the last one that have no name."""
    return sorted(set(range(1, max(names))) - names.keys())


def class_number(item: dict[str, str], where: str) -> int:
    """0 only for the background, which no detector reports."""
    if "id" not in item:
        raise ValueError(f"{where}: the item has no id")
    if not ({"name", "display_name"} & item.keys()):
        raise ValueError(f"{where}: the item of id {item['id']} has no name")
    if not re.fullmatch("[0-9]{1,5}", item["id"]):
        raise ValueError(f"{where}: the id {item['id']!r} is no whole number from 1 to 99999")
    number = int(item["id"])
    if number == 0 and item.get("name") != "background":
        raise ValueError(f"{where}: classes count from 1; 0 is the background's")
    return number


def items(tokens: list[Token], path: Path) -> Iterator[tuple[int, dict[str, str]]]:
    """(line, fields) of each item."""
    rest = iter(tokens)
    for token in rest:
        brace = next(rest, None)
        if token.text != "item" or brace is None or brace.text not in OPENING:
            raise ValueError(f"{path}, line {token.line}: {token.text!r} is no item {{ ... }}")
        yield token.line, fields(rest, f"{path}, line {token.line}")


def fields(rest: Iterator[Token], where: str) -> dict[str, str]:
    """The fields up to the closing brace; what is nested in them is left out."""
    found: dict[str, str] = {}
    depth = 1
    for token in rest:
        if token.text in CLOSING and token.kind == "brace":
            depth -= 1
            if not depth:
                return found
            continue
        value = next(rest, None)
        if value is not None and value.kind == "brace" and value.text in OPENING:
            depth += 1
        elif value is None or value.kind == "brace":
            raise ValueError(f"{where}: {token.text} has no value")
        elif depth == 1:
            found[token.text] = value.text
    raise ValueError(f"{where}: the item has no end")


def unescaped(text: str, line: int) -> str:
    """What a string says: tools of protobuf write letters that are not ASCII by their bytes."""
    data = ESCAPE.sub(escaped_bytes, text.encode())
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise ValueError(f"line {line}: {text!r} is no UTF-8 text") from None


def escaped_bytes(found: re.Match[bytes]) -> bytes:
    if found["octal"]:
        return bytes([int(found["octal"], 8) & 255])
    if found["hex"]:
        return bytes([int(found["hex"], 16)])
    return CONTROL.get(found["one"], found["one"])


def tokens_of(text: str) -> Iterator[Token]:
    line = 1
    for match in TOKEN.finditer(text):
        if match.lastgroup == "other":
            raise ValueError(f"line {line}: {match[0]!r} is out of place in a label map")
        if match.lastgroup == "string":
            yield Token("string", unescaped(match["string"][1:-1], line), line)
        elif match.lastgroup:
            yield Token(match.lastgroup, match[match.lastgroup], line)
        line += match[0].count("\n")
