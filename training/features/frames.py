"""Messages between two processes: a JSON object and raw bytes, each with its length before it."""

import json
import struct
from collections.abc import Mapping
from typing import IO, Any

LENGTHS = struct.Struct("<IQ")


class EndError(Exception):
    """The other side is gone."""


def send(pipe: IO[bytes], about: Mapping[str, Any], payload: bytes = b"") -> None:
    """Write one message; raises EndError where nobody reads."""
    text = json.dumps(about).encode()
    try:
        pipe.write(LENGTHS.pack(len(text), len(payload)) + text)
        pipe.write(payload)
        pipe.flush()
    except (BrokenPipeError, ConnectionResetError):
        raise EndError from None


def receive(pipe: IO[bytes]) -> tuple[dict[str, Any], bytes]:
    """Read one whole message; raises EndError where there is none."""
    text, payload = LENGTHS.unpack(exactly(pipe, LENGTHS.size))
    about: dict[str, Any] = json.loads(exactly(pipe, text))
    return about, exactly(pipe, payload)


def exactly(pipe: IO[bytes], size: int) -> bytes:
    found = pipe.read(size)
    if len(found) < size:
        raise EndError
    return found
