"""The whole pipeline, from a folder of 1920 x 2880 JPEGs to records, without a reference set.

    python benchmarks/dataset.py [--photos 600]

Prints photos a second end to end, the same of Detect with YuNet and with the cascade, the most
memory of all processes together, and how long later runs take: one that finds all done, one with
another limit. Every photo is measured; the drawn ones are copies of a few, so copies stay.
"""

import argparse
import re
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import psutil

sys.path.append(str(Path(__file__).resolve().parent))

import photos


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--photos", type=int, default=600)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        photos.draw(folder / "photos", asked.photos)
        seconds, gigabytes, said = run(folder)
        print(said)
        again, _, _ = run(folder)
        limit, _, _ = run(folder, "Zoom", "--FilterQuality-sharpness", "worst 0.02")
        _, _, haar = run(folder, "Detect", "--Detect-detector", "haar")
    print(f"| make dataset | {asked.photos / seconds:.1f} photos/s |")
    print(f"| Detect with YuNet, with haar | {rate(said)}, {rate(haar)} photos/s |")
    print(f"| memory of all processes | {gigabytes:.2f} GB |")
    print(f"| a run that finds all done | {again:.2f} s |")
    print(f"| another limit, up to Zoom | {limit:.2f} s |")


def rate(said: str) -> str:
    """Photos a second of Detect, as the command says it."""
    found = re.search(r"Detect[^:]*: .* ([\d.]+)/s", said)
    return found[1] if found else "?"


def run(folder: Path, task: str = "Dataset", *more: str) -> tuple[float, float, str]:
    """Seconds, the most gigabytes of all processes together, and what was printed."""
    options = ["--Store-root", str(folder / "store"), "--Ingest-source", str(folder / "photos")]
    options += ["--FilterQuality-copies", "keep", "--FilterQuality-sharpness", "0", *more]
    began = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-m", "pipeline", "run", task, *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    most = [0.0]
    watcher = threading.Thread(target=watch, args=(process.pid, most))
    watcher.start()
    said, _ = process.communicate()
    seconds = time.perf_counter() - began
    watcher.join()
    assert process.returncode == 0, said
    return seconds, most[0], said


def watch(pid: int, most: list[float]) -> None:
    """Note the most memory that the process and its children hold; shared pages count once."""
    while psutil.pid_exists(pid):
        try:
            top = psutil.Process(pid)
            family = [top, *top.children(recursive=True)]
            most[0] = max(most[0], sum(one.memory_full_info().pss for one in family) / 1e9)
        except psutil.Error:
            pass
        time.sleep(0.5)


if __name__ == "__main__":
    main()
