"""The whole pipeline, from a folder of 1920 x 2880 JPEGs to records, without a reference set.

    python benchmarks/dataset.py [--photos 600]

Prints photos a second end to end and of Detect, the most memory of all processes together, and
how long the next run takes, which finds all done.
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
    detect = re.search(r"Detect: .* ([\d.]+)/s", said)
    print(f"| make dataset | {asked.photos / seconds:.1f} photos/s |")
    print(f"| Detect | {detect[1] if detect else '?'} photos/s |")
    print(f"| memory of all processes | {gigabytes:.2f} GB |")
    print(f"| a run that finds all done | {again:.2f} s |")


def run(folder: Path) -> tuple[float, float, str]:
    """Seconds, the most gigabytes of all processes together, and what was printed."""
    options = ["--Store-root", str(folder / "store"), "--Ingest-source", str(folder / "photos")]
    began = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-m", "pipeline", "run", *options],
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
