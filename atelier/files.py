"""Files that are whole or not there, and names that they can have."""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

NAMING = "use letters, digits, _ - and . only"


def is_name(text: str) -> bool:
    """Whether a folder can have this name anywhere, and is not hidden by it."""
    return bool(re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.-]*", text))


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A name beside `path` to write to; it gets the final name once the context ends well."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        yield partial
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def write(path: Path, data: bytes) -> None:
    """Write a file in one go."""
    with replacing(path) as partial:
        partial.write_bytes(data)
