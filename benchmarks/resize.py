"""Resize against the practice: two `convert` commands per photo in a shell loop.

    python benchmarks/resize.py [--photos 600] [--loop 60]

Both read the same 1920 x 2880 JPEGs and write 1024 px JPEGs at quality 95. Ours counts the whole
stage: the start of its workers, and its books. The loop is timed on the first `--loop` photos.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parent))

import photos

LOOP = """
mkdir 1024 1024px
centred="-gravity center -background white -extent 1024x1024"
for i in *.jpg; do convert "$i" -quality 95% -resize 1024x1024 "1024/$i"; done
cd 1024
for i in *.jpg; do convert "$i" -quality 95% $centred "../1024px/$i"; done
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--photos", type=int, default=600)
    parser.add_argument("--loop", type=int, default=60)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        paths = photos.draw(folder / "photos", asked.photos)
        loop = loop_seconds(paths[: asked.loop], folder) / asked.loop
        ours = resize_seconds(folder) / asked.photos
        again = loop_seconds(paths[: asked.loop], folder) / asked.loop
    loop = (loop + again) / 2
    print(f"| two convert commands a photo | {1 / loop:.1f} pictures/s |")
    print(f"| Resize | {1 / ours:.1f} pictures/s | {loop / ours:.1f} times |")


def loop_seconds(paths: list[Path], folder: Path) -> float:
    with tempfile.TemporaryDirectory(dir=folder) as name:
        for path in paths:
            Path(name, path.name).symlink_to(path)
        began = time.perf_counter()
        subprocess.run(["bash", "-ec", LOOP], cwd=name, check=True)
        return time.perf_counter() - began


def resize_seconds(folder: Path) -> float:
    """Build what Resize needs, then time it alone."""
    options = {
        "Store-root": folder / "store",
        "Ingest-source": folder / "photos",
        "Detect-detector": "none",
        "Zoom-share": 0,
    }
    words = [word for name, value in options.items() for word in (f"--{name}", str(value))]
    command = [sys.executable, "-m", "pipeline", "run"]
    subprocess.run([*command, "Zoom", *words], check=True)
    began = time.perf_counter()
    subprocess.run([*command, "Resize", *words], check=True)
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
