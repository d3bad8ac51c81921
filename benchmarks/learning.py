"""Learning, shown: small runs on public pictures, and a stand-in score of each checkpoint.

    ATELIER_TESTDATA=/data python benchmarks/learning.py digits --out /tmp/digits
    ATELIER_TESTDATA=/data python benchmarks/learning.py digits8 --out /tmp/digits8
    ATELIER_TESTDATA=/data python benchmarks/learning.py digits24 --out /tmp/digits24
    ATELIER_TESTDATA=/data python benchmarks/learning.py emoji --out /tmp/emoji
    ATELIER_TESTDATA=/data python benchmarks/learning.py faces --out /tmp/faces
    ATELIER_TESTDATA=/data python benchmarks/learning.py clothes --out /tmp/clothes
    ATELIER_TESTDATA=/data python benchmarks/learning.py collapse --out /tmp/collapse

The same command goes on where it stopped. With `--model FILE` the averaged generator of the last
checkpoint is written, in float16: so recipes/models were made, of digits8 and faces. Needs
mnist_t10k, emoji_rgba_128 or clothing in the folder of test data.
"""

import argparse
import gzip
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parent.parent))

import numpy as np
from PIL import Image, ImageOps

from training.exchange.npz import save_generator
from training.exchange.opening import open_generator

REPOSITORY = Path(__file__).resolve().parent.parent

COMMON = {
    "preset": "auto",
    "fmap_max": 64,
    "z_dim": 64,
    "w_dim": 64,
    "r1_gamma": 1,
    "pl_weight": 2,
    "mixing": 0.9,
    "g_lr": 0.0025,
    "d_lr": 0.0025,
    "ema_kimg": 10,
    "augment": "none",  # runs as short as these do better without
    "tick_kimg": 1,
    "snapshot_kimg": 10,
    "keep": 100,
    "grid_columns": 16,
    "grid_rows": 8,
}
# What `auto` takes up to 64 px, but for gamma, and half the memory to move.
QUICK = {
    "fmap_base": 512,
    "batch": 8,
    "g_lr": 0.004,
    "d_lr": 0.004,
    "pl_weight": 0,
    "mixing": 0,
    "precision": "bfloat16",
    "snapshot_kimg": 5,
}
RUNS = {
    # 32 x 32 grey, ten classes.
    "digits": {"fmap_base": 512, "labels": "true", "batch": 32, "total_kimg": 200},
    # The same in less time: minibatches of 8 and what else the faces below need.
    "digits8": QUICK
    | {
        "labels": "true",
        "g_lr": "0:0.004, 45:0.002, 60:0.001",
        "d_lr": "0:0.004, 45:0.002, 60:0.001",
        "r1_gamma": "0:10, 15:2",
        "ema_kimg": 3,
        "total_kimg": 70,
    },
    # 24 x 24 grey, ten classes.
    "digits24": QUICK
    | {"labels": "true", "r1_gamma": "0:5.76, 15:1.152", "ema_kimg": 2.5, "total_kimg": 20},
    # 64 x 64 RGBA, 3,573 pictures.
    "emoji": {"fmap_base": 1024, "batch": 16, "total_kimg": 90},
    # 64 x 64 RGB, 109 pictures: few and alike, so steps count more than images do.
    "faces": QUICK
    | {
        "fmap_max": 128,
        "batch": 4,
        "mirror": "true",
        "g_lr": "0:0.004, 28:0.002, 36:0.001",
        "d_lr": "0:0.004, 28:0.002, 36:0.001",
        "r1_gamma": "0:50, 15:10",
        "ema_kimg": 2,
        "total_kimg": 44,
        "snapshot_kimg": 2,
    },
    # 64 wide, 128 high, RGB, 500 pictures.
    "clothes": QUICK
    | {"mirror": "true", "r1_gamma": 40, "augment": "ada", "ada_kimg": 20, "total_kimg": 5},
}
# Unicode's round faces: neither cats, moons and monsters, nor the robot, the ninja, the person with
# a hand before the face, or the face of dashes.
FACES = {
    *range(0x1F600, 0x1F638),
    *range(0x1F641, 0x1F645),
    *range(0x1F910, 0x1F918),
    *range(0x1F920, 0x1F930),
    *range(0x1F970, 0x1F97B),
    *range(0x1FAE0, 0x1FAEA),
    *(0x2639, 0x263A, 0x1F47F, 0x1F9D0),
} - {0x1F916, 0x1F926, 0x1F977, 0x1FAE5}
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
    "digits8": ("fid2k", "classifier", 4),
    "emoji": ("fid1k", "random-inception", 2),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", choices=RUNS)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--model", type=Path, help="file to write the generator into, .npz")
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
    if asked.model:
        save_generator(asked.model, open_generator(asked.out / "run"))
    if asked.run in SCORES:
        metric, standin, every = SCORES[asked.run]
        for path in sorted((asked.out / "run" / "checkpoints").glob("*.npz"))[::every]:
            given = f"--run={asked.out / 'run'}", f"--checkpoint={path}"
            training("metrics", *given, f"--metrics={metric}", f"--standin={standin}")


def training(*words: str) -> None:
    subprocess.run([sys.executable, "-m", "training", *words], cwd=REPOSITORY, check=True)


def digits(given: Path, out: Path) -> None:
    """MNIST's test split, 28 px with a border of 2, and its labels."""
    labelled(given, out, lambda pixels: np.pad(pixels, [(0, 0), (2, 2), (2, 2)]))


def digits24(given: Path, out: Path) -> None:
    """The same without its border of 2, which holds hardly any ink."""
    labelled(given, out, lambda pixels: pixels[:, 2:-2, 2:-2])


def labelled(given: Path, out: Path, framed: Callable[[np.ndarray], np.ndarray]) -> None:
    """Write MNIST's test split with its labels."""
    folder = given / "mnist_t10k"
    pixels = idx(folder / "t10k-images-idx3-ubyte.gz", 16).reshape(-1, 28, 28)
    labels = idx(folder / "t10k-labels-idx1-ubyte.gz", 8)
    names = []
    for number, picture in enumerate(framed(pixels)):
        names.append(write(out, number, Image.fromarray(picture)))
    rows = [[name, int(label)] for name, label in zip(names, labels, strict=True)]
    (out / "dataset.json").write_text(json.dumps({"labels": rows}))


def idx(path: Path, head: int) -> np.ndarray:
    """The bytes of an idx file behind its head."""
    return np.frombuffer(gzip.decompress(path.read_bytes()), np.uint8, offset=head)


def emoji(given: Path, out: Path) -> None:
    """Noto's emoji at half their size, with their transparency."""
    for number, image in enumerate(opened(given / "emoji_rgba_128")):
        write(out, number, half(image))


def faces(given: Path, out: Path) -> None:
    """Noto's round faces at half their size, on white: no cats, no moons, nobody with hair."""
    number = 0
    for path in sorted((given / "emoji_rgba_128").glob("*.png")):
        first, *rest = path.stem.removeprefix("emoji_u").split("_")
        if int(first, 16) in FACES and rest[-1:] != ["1f32b"]:
            with Image.open(path) as image:
                write(out, number, shown_on_white(half(image)))
            number += 1


def half(image: Image.Image) -> Image.Image:
    """RGBA of 64 x 64; colours are averaged where they are seen: premultiplied."""
    small = image.convert("RGBA").convert("RGBa").resize((64, 64), Image.Resampling.BOX)
    return small.convert("RGBA")


def shown_on_white(image: Image.Image) -> Image.Image:
    white = Image.new("RGBA", image.size, "white")
    return Image.alpha_composite(white, image).convert("RGB")


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


PICTURES = {
    "digits": digits,
    "digits8": digits,
    "digits24": digits24,
    "emoji": emoji,
    "faces": faces,
    "clothes": clothes,
    "collapse": digits,
}

if __name__ == "__main__":
    main()
