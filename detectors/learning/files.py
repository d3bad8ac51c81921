"""Small files of a run that are whole or not there."""

import json
from pathlib import Path
from typing import Any


def write(path: Path, text: str) -> None:
    """Write beside, rename."""
    partial = path.with_name(f".{path.name}.partial")
    partial.write_text(text)
    partial.replace(path)


def write_json(path: Path, known: Any) -> None:
    write(path, json.dumps(known, indent=2) + "\n")
