"""Runs the commands of docs/gallery.md on recipes/models, and puts their pictures in docs/gallery.

Nothing is trained. What the page shows is drawn anew; what else the commands write is dropped.
"""

import argparse
import re
import shlex
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import chdir
from pathlib import Path
from tempfile import TemporaryDirectory

from training import cli

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "gallery.md"
MODEL = ROOT / "recipes" / "models" / "faces.npz"
BEGIN = ".venv/bin/python -m training "


def commands(page: str) -> Iterator[list[str]]:
    """The words of each command of the page, in its order."""
    for line in page.replace("\\\n", " ").splitlines():
        if line.startswith(f"    {BEGIN}"):
            yield [word.replace("$MODEL", str(MODEL)) for word in shlex.split(line)[3:]]


def shown(page: str) -> list[str]:
    """The names of the pictures that the page shows."""
    return re.findall(r"\]\(gallery/([\w.-]+)\)", page)


def main(arguments: Sequence[str] | None = None) -> int:
    """Draw all of them, into docs/gallery or the folder that is named."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("place", nargs="?", type=Path, default=PAGE.with_suffix(""))
    place, page = parser.parse_args(arguments).place.resolve(), PAGE.read_text()
    place.mkdir(parents=True, exist_ok=True)
    began = time.monotonic()
    with TemporaryDirectory() as folder, chdir(folder):
        for words in commands(page):
            if code := cli.main(words):
                return code
        for name in shown(page):
            (place / name).write_bytes(Path(name).read_bytes())
    print(f"{len(shown(page))} pictures in {place}, {time.monotonic() - began:.0f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
