"""A detector of one's own crop, shown beside the constant box, which is the zero of this task.

    python benchmarks/crop_detector.py raccoon --data DATA --out /tmp/raccoon
    python benchmarks/crop_detector.py loop --data DATA --out /tmp/loop

`raccoon`: 160 pictures to learn from, 40 to measure with, as the data set itself is split, from
scratch. `loop`: portraits of YuNet's faces x (3, 4), pasted at random places and scales on made
backgrounds, other people held out. The same command goes on where it stopped; `--tiny` only
shows that it runs. DATA holds raccoon/, or portraits_512_1023/, portraits_ge1024/ and models/.
"""

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
if str(REPOSITORY) not in sys.path:
    sys.path.insert(0, str(REPOSITORY))

HELD_OUT = 0.2  # of the people in the loop
TIMES = 2  # scenes of each portrait
COMMON = {"weights": "none", "size": 160, "batch": 16, "check_every": 10, "seed": 0}
OPTIONS = {
    "raccoon": {
        "alpha": 0.5,
        "epochs": 400,
        "mirror": "true",
        "mosaic": 0.4,
        "erase": 0.3,
        "weight_decay": 0.02,
    },
    "loop": {"alpha": 0.35, "size": 224, "epochs": 160, "zoom": 0.4},
}
TINY = {"size": 64, "alpha": 0.1, "epochs": 2, "check_every": 1, "batch": 8}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("run", choices=OPTIONS)
    parser.add_argument("--data", type=Path, required=True, help="folder of the test data")
    parser.add_argument("--out", type=Path, required=True, help="folder for pictures and the run")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--tiny", action="store_true", help="a run of seconds, which learns little")
    given = parser.parse_args()
    files = (
        raccoon(given.data) if given.run == "raccoon" else loop(given.data, given.out, given.tiny)
    )
    options = COMMON | OPTIONS[given.run] | (TINY if given.tiny else {})
    options |= {"threads": given.threads, "out": given.out / "run", **files}
    start = time.perf_counter()
    command("train", options)
    minutes = (time.perf_counter() - start) / 60
    command(
        "evaluate",
        {
            "detector": f"crop:{given.out / 'run' / 'detector'}",
            "labels": files["held_labels"],
            "pictures": files["pictures"],
            "against": files["labels"],
            "out": given.out / "through-the-loader",
        },
    )
    print(table(given.out), f"\n{minutes:.1f} minutes of training in this command")


def command(name: str, options: dict[str, object]) -> None:
    words = [f"--{key.replace('_', '-')}={value}" for key, value in options.items()]
    done = subprocess.run([sys.executable, "-m", "detectors", name, *words], cwd=REPOSITORY)
    if done.returncode:
        sys.exit(done.returncode)


def raccoon(data: Path) -> dict[str, Path]:
    """The data set's own split; no picture is on both sides."""
    tables = data / "raccoon" / "data"
    return {
        "labels": tables / "train_labels.csv",
        "held_labels": tables / "test_labels.csv",
        "pictures": data / "raccoon" / "images",
    }


def loop(data: Path, out: Path, tiny: bool) -> dict[str, Path]:
    """Write the scenes and their labels, once."""
    import scenes

    from detectors.annotations import write_csv

    paths = {"labels": out / "train.csv", "held_labels": out / "held.csv"}
    pictures = out / "pictures"
    if not all(path.exists() for path in paths.values()):
        folders = [data / "portraits_512_1023", data / "portraits_ge1024"]
        people = scenes.portraits(folders, data / "models" / "face_detection_yunet_2023mar.onnx")
        people = people[:16] if tiny else people
        cut = round(len(people) * (1 - HELD_OUT))
        sides = zip(paths.values(), (people[:cut], people[cut:]), strict=True)
        for seed, (path, some) in enumerate(sides):
            write_csv(path, scenes.write_scenes(pictures, some, TIMES, seed))
            print(f"{path}: {len(some)} people, {len(some) * TIMES} scenes")
    return {**paths, "pictures": pictures}


def table(out: Path) -> str:
    """The figures of the run, and of its export in the pipeline's own loader."""
    known = json.loads((out / "run" / "metrics.json").read_text())["measured"]
    loaded = json.loads((out / "through-the-loader" / "metrics.json").read_text())["measured"]
    rows = {
        "best weights": known["detector"],
        "last weights": known["its last weights"],
        "best, through `crop:FOLDER`": next(iter(loaded.values())),
        "constant box": known["constant box"],
    }
    lines = ["| | mAP@0.5 | mAP@0.5:0.95 | mean IoU |", "|---|---|---|---|"]
    for name, row in rows.items():
        figures = (row["map50"], row["map5095"], row["mean_iou"])
        lines.append(f"| {name} | " + " | ".join(f"{value:.3f}" for value in figures) + " |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
