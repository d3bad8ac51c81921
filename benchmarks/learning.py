"""Learning, shown: small runs on public pictures, and a stand-in score of each checkpoint.

    ATELIER_TESTDATA=/data python benchmarks/learning.py digits --out /tmp/digits
    ATELIER_TESTDATA=/data python benchmarks/learning.py emoji --out /tmp/emoji
    ATELIER_TESTDATA=/data python benchmarks/learning.py clothes --out /tmp/clothes
    ATELIER_TESTDATA=/data python benchmarks/learning.py collapse --out /tmp/collapse

The same command goes on where it stopped. Needs mnist_t10k, emoji_rgba_128 or clothing in the
folder of test data.
"""

import argparse
import gzip
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

REPOSITORY = Path(__file__).resolve().parent.parent

COMMON = {
    "preset": "auto",
    "fmap_max": 64,
    "z_dim": 64,
    "w_dim": 64,
    "r1_gamma": 1,  # the rule's 0.006 for 32 px lets D win and G follow single modes
    "augment": "none",  # on a CPU it more than doubles the time of so small a network
    "tick_kimg": 1,
    "snapshot_kimg": 10,
    "keep": 100,
    "grid_columns": 16,
    "grid_rows": 8,
}
RUNS = {
    # 32 x 32 grey, ten classes.
    "digits": {"fmap_base": 512, "labels": "true", "batch": 32, "total_kimg": 200},
    # 64 x 64 RGBA, 3,573 pictures.
    "emoji": {"fmap_base": 1024, "batch": 16, "total_kimg": 90},
    # 64 wide, 128 high, RGB, 500 pictures.
    "clothes": {"fmap_base": 1024, "batch": 16, "total_kimg": 9, "snapshot_kimg": 3},
}
# The digits again, with 50 times the learning rate after 20 kimg.
RUNS["collapse"] = RUNS["digits"] | {
    "g_lr": "0:0.0025, 20:0.125",
    "d_lr": "0:0.0025, 20:0.125",
    "on_collapse": "rollback",
    "total_kimg": 40,
    "tick_kimg": 0.5,
    "snapshot_kimg": 5,
}
SCORES = {  # (metric, stand-in, checkpoints from one that is measured to the next)
    "digits": ("fid2k", "classifier", 1),
    "emoji": ("fid1k", "random-inception", 2),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", choices=RUNS)
    parser.add_argument("--out", type=Path, required=True)
    asked = parser.parse_args()
    given = Path(os.environ["ATELIER_TESTDATA"])
    data = asked.out / "pictures"
    if not data.exists():
        partial = data.with_suffix(".partial")
        PICTURES[asked.run](given, partial)
        partial.rename(data)
    options = COMMON | RUNS[asked.run] | {"data": data, "out": asked.out / "run"}
    words = [f"--{name}={value}" for name, value in options.items()]
    training("train", *words)
    if asked.run in SCORES:
        metric, standin, every = SCORES[asked.run]
        for path in sorted((asked.out / "run" / "checkpoints").glob("*.npz"))[::every]:
            given = f"--run={asked.out / 'run'}", f"--checkpoint={path}"
            training("metrics", *given, f"--metrics={metric}", f"--standin={standin}")


def training(*words: str) -> None:
    subprocess.run([sys.executable, "-m", "training", *words], cwd=REPOSITORY, check=True)


def digits(given: Path, out: Path) -> None:
    """MNIST's test split, 28 px with a border of 2, and its labels."""
    folder = given / "mnist_t10k"
    pixels = idx(folder / "t10k-images-idx3-ubyte.gz", 16).reshape(-1, 28, 28)
    labels = idx(folder / "t10k-labels-idx1-ubyte.gz", 8)
    names = []
    for number, picture in enumerate(np.pad(pixels, [(0, 0), (2, 2), (2, 2)])):
        names.append(write(out, number, Image.fromarray(picture)))
    rows = [[name, int(label)] for name, label in zip(names, labels, strict=True)]
    (out / "dataset.json").write_text(json.dumps({"labels": rows}))


def idx(path: Path, head: int) -> np.ndarray:
    """The bytes of an idx file behind its head."""
    return np.frombuffer(gzip.decompress(path.read_bytes()), np.uint8, offset=head)


def emoji(given: Path, out: Path) -> None:
    """Noto's emoji at half their size, with their transparency."""
    for number, image in enumerate(opened(given / "emoji_rgba_128")):
        # Colours are averaged where they are seen: premultiplied.
        small = image.convert("RGBA").convert("RGBa").resize((64, 64), Image.Resampling.BOX)
        write(out, number, small.convert("RGBA"))


def clothes(given: Path, out: Path) -> None:
    """Product photos, fitted into 64 x 128 on white."""
    for number, image in enumerate(opened(given / "clothing")):
        fitted = ImageOps.pad(image.convert("RGB"), (64, 128), color="white")
        write(out, number, fitted)


def opened(folder: Path) -> Iterator[Image.Image]:
    """Every picture below a folder, in the order of the names."""
    for path in sorted(folder.rglob("*.*")):
        if path.suffix in (".png", ".jpg"):
            with Image.open(path) as image:
                yield image


def write(out: Path, number: int, picture: Image.Image) -> str:
    """Save as ada-pytorch names it: 00012/img00012345.png."""
    name = f"{number // 1000:05d}/img{number:08d}.png"
    (out / name).parent.mkdir(parents=True, exist_ok=True)
    picture.save(out / name)
    return name


PICTURES = {"digits": digits, "emoji": emoji, "clothes": clothes, "collapse": digits}

if __name__ == "__main__":
    main()
