"""Kills a small run at random moments, again and again: what the next run makes of it is the same.

    python benchmarks/kills.py [--kills 200] [--seed 0] [--photos 12]

Each time SIGKILL meets the main process, one worker, or all processes of a run at a moment of
chance. Then the same command runs to its end: its results must be those of an undisturbed run,
byte by byte, `verify` must find every file as it was written, and nothing half-written may be left.
Prints a line for each failure, and a table.
"""

import argparse
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import psutil

sys.path.append(str(Path(__file__).resolve().parents[1]))

from tests.kit.commands import run, started
from tests.kit.store import photo, results, save

SMALL = {"Dataset_size": 64, "FilterQuality_copies": "keep"}
MANY = {**SMALL, "Engine_scheduler": "local", "Engine_workers": 2, "Engine_rows": 1}
VICTIMS = ("main", "worker", "all")
PATIENCE = 120  # seconds for orphans to go


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--photos", type=int, default=12)
    asked = parser.parse_args()
    chance, told = random.Random(asked.seed), Counter[str]()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for number in range(asked.photos):
            save(folder / "photos" / f"{number}.png", photo(number, size=(400, 300)))
        began = time.monotonic()
        process = started(folder, "run", store="undisturbed", **MANY)
        process.communicate()
        lasts = time.monotonic() - began
        undisturbed = results(folder / "undisturbed")
        for number in range(asked.kills):
            victim = VICTIMS[number % len(VICTIMS)]
            said = tried(folder, victim, chance.uniform(0, 1.1 * lasts), undisturbed, told)
            told[f"{victim}: {'as it was' if not said else 'FAILED'}"] += 1
            if said:
                print(f"kill {number} of {victim}: {said}", flush=True)
            shutil.rmtree(folder / "store", ignore_errors=True)
            print(f"{number + 1} of {asked.kills}", end="\r", file=sys.stderr, flush=True)
    tell("what", told)


def tell(head: str, told: Counter[str]) -> None:
    """Print how often what became of it."""
    print(f"| {head} | times |\n|---|---|")
    for what, times in sorted(told.items()):
        print(f"| {what} | {times} |")


def tried(
    folder: Path, victim: str, wait: float, whole: dict[str, bytes], told: Counter[str]
) -> str:
    """What is wrong after a kill and the run after it; nothing where all is as it was."""
    process = started(folder, "run", **MANY)
    time.sleep(wait)
    kill(process.pid, victim, told)
    process.communicate()
    return wrong(folder, whole, SMALL)


def wrong(folder: Path, whole: dict[str, bytes], options: dict[str, Any]) -> str:
    """What is wrong after another run to its end; nothing where all is as it was."""
    done = run(folder, "run", **options)
    if done.returncode:
        return f"the next run ends with {done.returncode}: {done.stderr[-300:]}"
    if (checked := run(folder, "verify", **options)).returncode:
        return checked.stdout
    found = results(folder / "store")
    if found != whole:
        odd = [name for name in found.keys() | whole.keys() if found.get(name) != whole.get(name)]
        return f"differs: {sorted(odd)[:3]}"
    left = [path for path in (folder / "store").rglob("*") if path.suffix in LEFT]
    return f"left behind: {left[0]}" if left else ""


LEFT = (".partial", ".damaged")


def kill(pid: int, victim: str, told: Counter[str]) -> None:
    """Kill the main process, a worker or all; waits until orphans are gone."""
    try:
        family = psutil.Process(pid).children(recursive=True)
    except psutil.NoSuchProcess:
        family = []
    workers = [one for one in family if "spawn_main" in line_of(one)]
    if victim == "worker":
        if not workers:
            told["worker: none was there yet, or any more"] += 1
            return
        workers[-1].kill()
        return
    try:
        if victim == "all":
            os.killpg(pid, signal.SIGKILL)
        else:
            os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        told[f"{victim}: was done already"] += 1
    _, alive = psutil.wait_procs(family, timeout=PATIENCE)
    if alive:
        told["orphans that stayed"] += len(alive)
        for one in alive:
            one.kill()


def line_of(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return ""


if __name__ == "__main__":
    main()
